"""Transfers, and to whom each was offered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Case, F, When
from django.utils.translation import gettext_lazy as _

from agents_app.models import Agent, SkillsField, Team, Tenant
from config import limits
from config.db import CheckedJSONField, ExactCharField
from messaging_app.models import Conversation
from sessions_app.models.choices import _choices, _known
from sessions_app.models.sessions import ChatSession
from sessions_app.models.stored_package import readable
from sessions_app.states import (
    TransferKind,
    TransferStatus,
)


class PackageField(CheckedJSONField):
    """A context package; what breaks the schema of a stored one is left out when it is read."""

    def as_expected(self, stored: Any) -> dict[str, Any]:
        return readable(stored)


class Transfer(models.Model):
    """One move of ownership, asked for or immediate. Every move has exactly one row, so takeovers are a query.

    `pending_key` lets the database refuse a second unanswered transfer of a session.
    """

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(
        Conversation, models.PROTECT, related_name="transfers", verbose_name=_("conversation")
    )
    session = models.ForeignKey(ChatSession, models.PROTECT, related_name="transfers", verbose_name=_("session"))
    kind = ExactCharField(_("kind"), max_length=limits.MAX_WORD, choices=_choices(TransferKind))
    status = ExactCharField(
        _("status"), max_length=limits.MAX_WORD, choices=_choices(TransferStatus), default=TransferStatus.PENDING
    )
    from_kind = models.CharField(_("from"), max_length=limits.MAX_WORD, blank=True)
    from_id = models.BigIntegerField(_("sender"), null=True, blank=True)
    from_name = models.CharField(_("sender's name"), max_length=limits.MAX_NAME, blank=True)
    to_team = models.ForeignKey(Team, models.PROTECT, null=True, blank=True, verbose_name=_("to team"))
    to_agent = models.ForeignKey(
        Agent, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("to agent")
    )
    accepted_by = models.ForeignKey(
        Agent, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("accepted by")
    )
    offered_to = models.ForeignKey(
        Agent, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("offered to")
    )
    offer_expires_at = models.DateTimeField(_("offer expires"), null=True, blank=True)
    refused_by = CheckedJSONField(_("refused by"), default=list, blank=True)  # in this round
    offer_round = models.PositiveSmallIntegerField(_("round of offers"), default=1)
    next_round_at = models.DateTimeField(_("next round of offers"), null=True, blank=True)
    needs = SkillsField(_("skills needed"), default=dict, blank=True)
    reason = models.CharField(_("reason"), max_length=limits.MAX_REASON, blank=True)
    trigger = models.CharField(_("trigger"), max_length=limits.MAX_TRIGGER, blank=True)
    context = PackageField(_("context package"), default=dict, blank=True)
    requested_at = models.DateTimeField(_("requested"))
    waiting_since = models.DateTimeField(_("waiting since"))
    opens_at = models.DateTimeField(_("opens"), null=True, blank=True)  # NULL: it was open when it was asked for
    deadline = models.DateTimeField(_("deadline"), null=True, blank=True)
    asked_again = models.PositiveIntegerField(_("asked again"), default=0)  # times that nobody had answered in time
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    end_reason = models.CharField(_("how it ended"), max_length=limits.MAX_REASON, blank=True)
    served_until = models.DateTimeField(_("served until"), null=True, blank=True)  # the service that began with it
    is_override = models.BooleanField(_("over capacity"), default=False)
    pending_key = models.GeneratedField(
        expression=Case(When(status=TransferStatus.PENDING.value, then=F("session_id")), default=None),
        output_field=models.BigIntegerField(null=True),
        db_persist=True,
    )

    class Meta:
        verbose_name = _("transfer")
        verbose_name_plural = _("transfers")
        constraints = (
            models.UniqueConstraint(fields=["pending_key"], name="one_pending_transfer"),
            _known("status", TransferStatus, "transfer_status_known"),
            _known("kind", TransferKind, "transfer_kind_known"),
        )
        indexes = (
            models.Index(fields=["status", "deadline"], name="transfer_deadline"),
            models.Index(fields=["status", "offer_expires_at"], name="transfer_offer"),
            models.Index(fields=["tenant", "served_until"], name="transfer_served"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} {self.status}"

    @property
    def is_pending(self) -> bool:
        return self.status == TransferStatus.PENDING

    def is_open_at(self, now: datetime) -> bool:
        """Whether service is open, so that it is offered. An agent who is there anyway may accept it at any time."""
        return self.opens_at is None or self.opens_at <= now


class AssignmentDecision(models.Model):
    """Why a conversation was offered to whom, or to nobody: every candidate with the reason at that time.

    A decision for nobody is stored once, and again only when its reasons have changed and somebody is free at all.
    """

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    transfer = models.ForeignKey(Transfer, models.CASCADE, related_name="decisions", verbose_name=_("transfer"))
    at = models.DateTimeField(_("when"))
    strategy = models.CharField(_("strategy"), max_length=limits.MAX_WORD)
    chosen = models.ForeignKey(
        Agent, models.PROTECT, null=True, blank=True, db_index=False, related_name="+", verbose_name=_("offered to")
    )
    why = models.CharField(_("why"), max_length=limits.MAX_ERROR, blank=True)
    candidates = CheckedJSONField(_("candidates"), default=list)

    class Meta:
        verbose_name = _("assignment decision")
        verbose_name_plural = _("assignment decisions")
        indexes = (models.Index(fields=["chosen", "at"], name="decision_chosen"),)

    def __str__(self) -> str:
        return f"{self.transfer_id}: {self.why}"
