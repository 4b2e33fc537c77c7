"""The other people in a conversation."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agents_app.models import Agent, Tenant
from config import limits
from config.db import ExactCharField
from messaging_app.models import Conversation
from sessions_app.models.choices import _choices, _known
from sessions_app.states import (
    HistoryMode,
    NoticeStatus,
    ParticipantStatus,
)


class Participant(models.Model):
    """Somebody in a conversation beside its owner: a collaborating agent, or an invited employee, department, guest.

    Who came in sees what the conversation's operations recorded from `history_from_seq` on (NULL: all of it), by
    arrival and not by the time that a sender claims. A batch records many messages in one operation: of that first one,
    only the messages from the row `history_from_id` on are seen, where it is set.

    The link's token is kept as a digest, and made again from `link_seed` by whoever sends the notice (notices/link.py).
    `notice_due_at` is when a waiting notice may be sent, or counts as lost and is sent again; NULL unless one waits.
    """

    IS_IN = Q(status=ParticipantStatus.JOINED) & (Q(agent=None) | Q(agent__is_active=True))
    """Who is in the conversation now. An agent who has left the desk is in none, even if the row still says so."""

    class Role(models.TextChoices):
        COLLABORATOR = "collaborator", _("collaborator")
        EMPLOYEE = "employee", _("employee")
        DEPARTMENT = "department", _("department")
        GUEST = "guest", _("guest")

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(
        Conversation, models.PROTECT, related_name="participants", verbose_name=_("conversation")
    )
    role = models.CharField(_("role"), max_length=limits.MAX_WORD, choices=Role)
    status = ExactCharField(_("status"), max_length=limits.MAX_WORD, choices=_choices(ParticipantStatus))
    agent = models.ForeignKey(Agent, models.PROTECT, null=True, blank=True, verbose_name=_("agent"))
    name = models.CharField(_("name"), max_length=limits.MAX_NAME)
    contact = models.CharField(_("address or user id"), max_length=limits.MAX_CONTACT, blank=True)
    history = models.CharField(
        _("history shared"), max_length=limits.MAX_WORD, choices=_choices(HistoryMode), default=HistoryMode.NONE
    )
    history_count = models.PositiveIntegerField(_("last messages shared"), default=0)
    history_from_seq = models.PositiveBigIntegerField(_("sees what came from operation"), null=True, blank=True)
    history_from_id = models.BigIntegerField(_("and of its messages from"), null=True, blank=True)
    token_hash = models.CharField(_("token"), max_length=limits.MAX_DIGEST, unique=True, null=True, editable=False)  # noqa: DJ001 – unique, NULL once used
    link_seed = models.CharField(_("seed of the link"), max_length=limits.MAX_DIGEST, blank=True, editable=False)
    notice_status = ExactCharField(_("notice"), max_length=8, choices=_choices(NoticeStatus), blank=True)
    notice_error = models.CharField(_("why it was not sent"), max_length=limits.MAX_ERROR, blank=True)
    notice_attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)  # with the present link
    notice_due_at = models.DateTimeField(_("next attempt"), null=True, blank=True)
    notice_sent_at = models.DateTimeField(_("notice sent"), null=True, blank=True)
    invited_by = models.CharField(_("invited by"), max_length=limits.MAX_NAME, blank=True)
    invited_at = models.DateTimeField(_("invited"))
    joined_at = models.DateTimeField(_("joined"), null=True, blank=True)
    ended_at = models.DateTimeField(_("left"), null=True, blank=True)

    class Meta:
        verbose_name = _("participant")
        verbose_name_plural = _("participants")
        constraints = (
            _known("status", ParticipantStatus, "participant_status_known"),
            _known("notice_status", NoticeStatus, "participant_notice_known"),
        )
        indexes = (
            models.Index(fields=["notice_due_at"], name="participant_notice"),
            models.Index(fields=["agent", "status"], name="participant_agent"),
        )

    def __str__(self) -> str:
        return self.name
