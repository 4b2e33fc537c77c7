"""The clocks of service levels."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Case, F, Q, When
from django.utils.translation import gettext_lazy as _

from agents_app.models import Calendar, SlaPolicy, Tenant
from config import limits
from config.db import ExactCharField
from messaging_app.models import Conversation
from sessions_app.models.sessions import ChatSession


class SlaClock(models.Model):
    """How long a customer may be kept waiting, and was (`sla`). One row each time something is waited for.

    `spent` is the time that counted before the clock last began to run. `wakes_at` is when its next warning is due, or
    the news that it is too late. A clock that ran over goes on until it is answered or ends: `ended_at` says when.
    Only `sla` writes it. `open_key` lets the database refuse a second one that waits for the same.
    """

    class Kind(models.TextChoices):
        FIRST_RESPONSE = "first_response", _("first response")
        NEXT_RESPONSE = "next_response", _("next response")
        RESOLUTION = "resolution", _("resolution")

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        PAUSED = "paused", _("paused")
        MET = "met", _("met")
        BREACHED = "breached", _("breached")
        STOPPED = "stopped", _("stopped")

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(Conversation, models.PROTECT, related_name="+", verbose_name=_("conversation"))
    session = models.ForeignKey(ChatSession, models.PROTECT, related_name="clocks", verbose_name=_("session"))
    policy = models.ForeignKey(SlaPolicy, models.SET_NULL, null=True, blank=True, verbose_name=_("service levels"))
    calendar = models.ForeignKey(
        Calendar, models.SET_NULL, related_name="+", null=True, blank=True, verbose_name=_("calendar")
    )  # NULL: every hour counts
    kind = ExactCharField(_("kind"), max_length=limits.MAX_WORD, choices=Kind)
    state = ExactCharField(_("state"), max_length=8, choices=State, default=State.RUNNING)
    target = models.DurationField(_("target"))
    warn_after = models.DurationField(_("warning after"))
    spent = models.DurationField(_("time spent"), default=timedelta)
    started_at = models.DateTimeField(_("started"))
    running_since = models.DateTimeField(_("running since"), null=True, blank=True)
    paused_at = models.DateTimeField(_("paused"), null=True, blank=True)
    awaits_customer = models.BooleanField(_("waits for the customer"), default=False)
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    wakes_at = models.DateTimeField(_("looked at next"), null=True, blank=True, editable=False)
    warned_at = models.DateTimeField(_("warned"), null=True, blank=True)
    breached_at = models.DateTimeField(_("breached"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    open_key = models.GeneratedField(
        expression=Case(When(ended_at=None, then=F("session_id")), default=None),
        output_field=models.BigIntegerField(null=True),
        db_persist=True,
    )

    class Meta:
        verbose_name = _("service level clock")
        verbose_name_plural = _("service level clocks")
        constraints = (
            models.UniqueConstraint(fields=["open_key", "kind"], name="one_open_clock"),
            models.CheckConstraint(
                name="sla_clock_kind_known", condition=Q(kind__in=["first_response", "next_response", "resolution"])
            ),
            models.CheckConstraint(
                name="sla_clock_state_known",
                condition=Q(state__in=["running", "paused", "breached"], ended_at=None)
                | Q(state__in=["met", "breached", "stopped"], ended_at__isnull=False),
            ),
        )
        indexes = (
            models.Index(fields=["wakes_at"], name="sla_clock_wakes"),
            models.Index(fields=["tenant", "state", "ended_at"], name="sla_clock_tenant"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} {self.state}"
