"""Departments: people outside the desk who are invited together."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from agents_app.models.tenants import Tenant
from config import limits
from config.db import ExactCharField


class Department(models.Model):
    """People outside the desk who are invited together; `agents_app.directory.Rows` reads these rows."""

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="departments", verbose_name=_("tenant"))
    name = ExactCharField(_("name"), max_length=limits.MAX_GROUP_NAME)

    class Meta:
        verbose_name = _("department")
        verbose_name_plural = _("departments")
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=["tenant", "name"], name="department_name_once"),)

    def __str__(self) -> str:
        return self.name


class DepartmentMember(models.Model):
    """Somebody who is invited when the department is."""

    department = models.ForeignKey(
        Department, models.CASCADE, related_name="members", db_index=False, verbose_name=_("department")
    )
    name = models.CharField(_("name"), max_length=limits.MAX_NAME)
    contact = ExactCharField(
        _("address or user id"),
        max_length=limits.MAX_CONTACT,
        help_text=_("An e-mail address, wecom:userid, or what the webhook knows."),
    )

    class Meta:
        verbose_name = _("member of a department")
        verbose_name_plural = _("members of departments")
        ordering = ("name", "id")
        constraints = (models.UniqueConstraint(fields=["department", "contact"], name="department_member_once"),)

    def __str__(self) -> str:
        return self.name
