"""The service hours that a tenant or a team sets."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _


class HasHours(models.Model):
    """When customers are served, what becomes of them outside of these hours, and how soon they are to be answered.

    The base of tenants and teams: what a team leaves empty is its tenant's (`agents_app.service_hours`).
    Without a calendar it is always open.
    """

    class AfterHours(models.TextChoices):
        WAIT = "wait", _("the conversation waits for the opening")
        EMAIL = "email", _("the conversation becomes an e-mail")

    calendar = models.ForeignKey(
        "agents_app.Calendar",
        models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("calendar"),
        help_text=_("A team without one follows its tenant; a tenant without one is always open."),
    )
    after_hours = models.CharField(
        _("after hours"),
        max_length=8,
        choices=AfterHours,
        blank=True,
        help_text=_("A team that leaves this empty follows its tenant; a tenant waits."),
    )
    after_hours_text = models.TextField(
        _("what the customer is told after hours"),
        max_length=1000,
        blank=True,
        help_text=_("{opens} stands for the next opening. Empty: a sentence of Tandem’s own."),
    )
    email = models.EmailField(_("e-mail address"), blank=True, help_text=_("Where conversations go after hours."))
    sla = models.ForeignKey(
        "agents_app.SlaPolicy",
        models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("service levels"),
        help_text=_("A team without any follows its tenant."),
    )

    class Meta:
        abstract = True

    def clean(self) -> None:
        """Calendar and service levels must be of the same tenant, and e-mail after hours needs an address."""
        super().clean()
        tenant_id = self._tenant_id()
        wrong = {
            name: _("This belongs to another tenant.")
            for name, row in (("calendar", self.calendar), ("sla", self.sla))
            if row and row.tenant_id != tenant_id
        }
        has_address = self.email or self._tenants_email()
        if self.after_hours == self.AfterHours.EMAIL and not has_address:
            wrong["email"] = _("Name the address that conversations go to after hours.")
        if wrong:
            raise ValidationError(wrong)

    def _tenant_id(self) -> int | None:
        """The tenant whose rows it may refer to."""
        raise NotImplementedError

    def _tenants_email(self) -> str:
        """The tenant's address, for a team without one."""
        return ""
