"""Items that failed in a loop and are put off."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from agents_app.models.tenants import Tenant
from config import limits
from config.db import ExactCharField


class Backoff(models.Model):
    """An item that failed in one of the loops over many (`agents_app.loops`), and when it is tried again."""

    MOST_ERROR = 500

    loop = ExactCharField(_("loop"), max_length=limits.MAX_LOOP)
    key = models.BigIntegerField(
        _("number"), help_text=_("Of the conversation, agent, webhook or whatever the loop is about.")
    )
    tenant = models.ForeignKey(
        Tenant, models.CASCADE, related_name="+", null=True, blank=True, verbose_name=_("tenant")
    )
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    first_failed_at = models.DateTimeField(_("first failed"))
    retry_at = models.DateTimeField(_("next try"), db_index=True)
    error = models.CharField(_("error"), max_length=MOST_ERROR, blank=True)

    class Meta:
        verbose_name = _("item that is put off")
        verbose_name_plural = _("items that are put off")
        ordering = ("retry_at",)
        constraints = (models.UniqueConstraint(fields=["loop", "key"], name="backoff_once"),)

    def __str__(self) -> str:
        return f"{self.loop} {self.key}"


class LoopFailures(models.Model):
    """How often an item of a loop has failed, for the metrics: a row, so that every process reports the same."""

    loop = ExactCharField(_("loop"), max_length=limits.MAX_LOOP, unique=True)
    failures = models.PositiveBigIntegerField(_("failures"), default=0)

    class Meta:
        verbose_name = _("failures of a loop")
        verbose_name_plural = _("failures of loops")

    def __str__(self) -> str:
        return f"{self.loop}: {self.failures}"
