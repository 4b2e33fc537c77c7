"""Agents, and the log of their presence."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agents_app.models.tenants import Tenant
from config import limits
from config.db import CheckedJSONField, ExactCharField

MAX_LOAD = 1_000
"""Live sessions of one agent at once, at most; a team may have a hundred times as many."""


class SkillsField(CheckedJSONField):
    """Skills with their levels (`agents_app.skills`); anything else in a stored row is ignored."""

    def as_expected(self, stored: Any) -> dict[str, int]:
        levels = super().as_expected(stored)
        return {name: level for name, level in levels.items() if type(level) is int}


class Agent(models.Model):
    """A human who serves customers.

    Presence is three facts that are never mixed: what the agent declared (`availability`), when the agent was last
    heard of (`last_seen_at`), and how much the agent takes on (`max_load`; the load itself is counted, never stored).
    """

    class Role(models.TextChoices):
        AGENT = "agent", _("agent")
        SUPERVISOR = "supervisor", _("supervisor")
        ADMIN = "admin", _("administrator")

    class Availability(models.TextChoices):
        AVAILABLE = "available", _("available")
        BUSY = "busy", _("busy")
        BREAK = "break", _("on a break")
        TRAINING = "training", _("in training")
        AWAY = "away", _("away")
        OFFLINE = "offline", _("offline")
        NOT_RESPONDING = "not_responding", _("not responding")

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="agents", verbose_name=_("tenant"))
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="agent",
        null=True,
        blank=True,
        verbose_name=_("login"),
    )
    name = models.CharField(_("name"), max_length=limits.MAX_NAME)
    role = models.CharField(_("role"), max_length=limits.MAX_WORD, choices=Role, default=Role.AGENT)
    max_load = models.PositiveSmallIntegerField(
        _("capacity"),
        default=settings.TANDEM["MAX_CONCURRENT_SESSIONS"],
        validators=[MaxValueValidator(MAX_LOAD)],
        help_text=_("How many live sessions at once."),
    )
    skills = SkillsField(
        _("skills"),
        default=dict,
        blank=True,
        help_text=_("Each with a level from 1 to 5. A language is a skill, by its code: zh, en."),
    )
    availability = ExactCharField(
        _("availability"),
        max_length=limits.MAX_WORD,
        choices=Availability,
        default=Availability.OFFLINE,
    )
    availability_reason = models.CharField(_("reason"), max_length=limits.MAX_AVAILABILITY_REASON, blank=True)
    availability_since = models.DateTimeField(_("since"), null=True, blank=True)
    # As of the last line in the presence log; whether the agent is online now follows from `last_seen_at`.
    is_heard = models.BooleanField(_("heard of"), default=False, editable=False)
    offers_ignored = models.PositiveSmallIntegerField(_("offers ignored in a row"), default=0, editable=False)
    last_offer_at = models.DateTimeField(_("last offer"), null=True, blank=True, editable=False)
    last_seen_at = models.DateTimeField(_("last heard of"), null=True, blank=True, db_index=True)
    is_drained = models.BooleanField(
        _("gets nothing new"),
        default=False,
        help_text=_("Keeps what they serve; is offered nothing new, and takes nothing new."),
    )
    is_active = models.BooleanField(_("employed"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("agent")
        verbose_name_plural = _("agents")
        ordering = ("name", "id")
        constraints = (
            models.CheckConstraint(
                name="agent_availability_known",
                condition=Q(
                    availability__in=["available", "busy", "break", "training", "away", "offline", "not_responding"]
                ),
            ),
        )

    def __str__(self) -> str:
        return self.name


DECLARABLE = tuple(choice for choice in Agent.Availability.choices if choice[0] != Agent.Availability.NOT_RESPONDING)
"""What people can declare, of themselves or of others. Only Tandem sets NOT_RESPONDING."""


class PresenceChange(models.Model):
    """A line of an agent's presence log, from `at` on: what was declared, whether the agent was online, the capacity.

    Written whenever one of these facts changes, so that the past can be shown and replayed.
    """

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    agent = models.ForeignKey(
        Agent, models.CASCADE, db_index=False, related_name="presence_changes", verbose_name=_("agent")
    )
    at = models.DateTimeField(_("from"))
    availability = models.CharField(_("availability"), max_length=limits.MAX_WORD, choices=Agent.Availability)
    reason = models.CharField(_("reason"), max_length=limits.MAX_AVAILABILITY_REASON, blank=True)
    is_heard = models.BooleanField(_("heard of"))
    max_load = models.PositiveSmallIntegerField(_("capacity"))
    is_drained = models.BooleanField(_("gets nothing new"), default=False)
    by = models.CharField(_("by"), max_length=limits.MAX_NAME, blank=True)

    class Meta:
        verbose_name = _("change of presence")
        verbose_name_plural = _("changes of presence")
        indexes = (
            models.Index(fields=["agent", "at"], name="presence_agent"),
            models.Index(fields=["tenant", "at"], name="presence_tenant"),
        )

    def __str__(self) -> str:
        return f"{self.agent_id} {self.availability}"
