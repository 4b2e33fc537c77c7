"""Service levels: what is promised."""

from __future__ import annotations

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agents_app.models.teams import LONGEST
from agents_app.models.tenants import Tenant
from config import limits
from config.db import ExactCharField


def _seconds(name: Any, meaning: Any) -> Any:
    """A target that may be empty: a second or more."""
    bounds = [MinValueValidator(1), MaxValueValidator(LONGEST)]
    return models.PositiveIntegerField(name, null=True, blank=True, validators=bounds, help_text=meaning)


class SlaPolicy(models.Model):
    """How soon customers are to be answered and helped: targets in seconds; an empty one is not measured."""

    class Counts(models.TextChoices):
        BUSINESS = "business", _("the hours of the calendar")
        ELAPSED = "elapsed", _("every hour")

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="sla_policies", verbose_name=_("tenant"))
    name = ExactCharField(_("name"), max_length=limits.MAX_GROUP_NAME)
    first_response = _seconds(_("first response"), _("Seconds from the first asking to an agent’s first words."))
    next_response = _seconds(_("next response"), _("Seconds from a customer’s words to the agent’s, while one serves."))
    resolution = _seconds(_("resolution"), _("Seconds from the first asking to the end."))
    warn_at = models.PositiveSmallIntegerField(
        _("warn at"),
        default=80,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("Percent of the target; at 100 nobody is warned."),
    )
    counts = models.CharField(_("what counts"), max_length=8, choices=Counts, default=Counts.BUSINESS)

    class Meta:
        verbose_name = _("service levels")
        verbose_name_plural = _("service levels")
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=["tenant", "name"], name="sla_policy_name_once"),
            models.CheckConstraint(name="sla_warning_in_time", condition=Q(warn_at__gte=1, warn_at__lte=100)),
        )

    def __str__(self) -> str:
        return self.name
