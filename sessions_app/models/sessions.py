"""Chat sessions: one piece of work on a conversation, from opening to end."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Case, F, Q, When
from django.utils.translation import gettext_lazy as _

from agents_app.models import Agent, ApiClient, Team, Tenant
from config import limits
from config.db import CheckedJSONField, ExactCharField
from messaging_app.models import Conversation
from sessions_app.models.choices import _choices, _known
from sessions_app.models.stored_package import sound
from sessions_app.states import (
    LIVE,
    PRIORITY,
    Derived,
    Kind,
    Origin,
    Owner,
    Priority,
    Status,
    TaskType,
    derived,
    rank,
)


class SaidField(CheckedJSONField):
    """What was said about the work of a session; entries that cannot be read are left out."""

    def as_expected(self, stored: Any) -> dict[str, Any]:
        return sound(stored)


class ChatSession(models.Model):
    """One piece of work on a conversation, from opening to end.

    `live_key` holds the conversation's id while the session is live and NULL otherwise; its plain unique constraint is
    how every database refuses a second live session, for the day somebody forgets the lock on the conversation.
    Only `oplog.transition` writes `status`.
    """

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(
        Conversation, models.PROTECT, related_name="sessions", db_index=False, verbose_name=_("conversation")
    )
    kind = ExactCharField(_("type"), max_length=32, choices=_choices(Kind))
    origin = models.CharField(_("origin"), max_length=8, choices=_choices(Origin), default=Origin.OPENED)
    task = models.CharField(
        _("task"), max_length=limits.MAX_WORD, choices=_choices(TaskType), default=TaskType.CONSULTATION
    )
    priority = models.PositiveSmallIntegerField(_("priority"), choices=[(p.value, p.name) for p in Priority])
    rank = models.PositiveSmallIntegerField(_("rank"), editable=False)
    status = ExactCharField(_("status"), max_length=limits.MAX_WORD, choices=_choices(Status))
    paused_from = models.CharField(_("paused from"), max_length=limits.MAX_WORD, blank=True)
    on_hold = models.BooleanField(_("paused on request"), default=False)  # waits for resume, not for its turn
    owner_kind = models.CharField(_("owner"), max_length=8, choices=_choices(Owner), blank=True)
    bot = models.ForeignKey(ApiClient, models.PROTECT, null=True, blank=True, verbose_name=_("bot"))
    agent = models.ForeignKey(Agent, models.PROTECT, null=True, blank=True, verbose_name=_("agent"))
    team = models.ForeignKey(Team, models.SET_NULL, null=True, blank=True, db_index=False, verbose_name=_("team"))
    previous = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, verbose_name=_("reopens"))

    opened_at = models.DateTimeField(_("opened"))
    activated_at = models.DateTimeField(_("active since"), null=True, blank=True)
    last_activity_at = models.DateTimeField(_("last activity"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    # While an agent has it: when the fixed time ends, pauses included; and when its owner is warned of that.
    human_until = models.DateTimeField(_("ends for the agent"), null=True, blank=True)
    warns_at = models.DateTimeField(_("warns of its end"), null=True, blank=True)
    # By when the bot or agent who has the turn must reply; NULL while nobody is waited for.
    reply_due_at = models.DateTimeField(_("reply due"), null=True, blank=True)
    first_message_at = models.DateTimeField(_("first message"), null=True, blank=True)
    last_message_at = models.DateTimeField(_("last message"), null=True, blank=True)
    message_count = models.PositiveIntegerField(_("messages"), default=0)
    missed_from_seq = models.PositiveBigIntegerField(_("waits since operation"), null=True, blank=True)
    failed_answers = models.PositiveSmallIntegerField(_("failed answers in a row"), default=0)
    outcome = models.CharField(_("outcome"), max_length=32, blank=True)
    reason = models.CharField(_("reason"), max_length=limits.MAX_REASON, blank=True)
    context = CheckedJSONField(_("task state"), default=dict, blank=True)  # as it was opened with
    said = SaidField(
        _("said about the work"), default=dict, blank=True
    )  # by whom and when: sessions_app/core/context_package.py
    live_key = models.GeneratedField(
        expression=Case(When(status__in=sorted(LIVE), then=F("conversation_id")), default=None),
        output_field=models.BigIntegerField(null=True),
        db_persist=True,
    )

    class Meta:
        verbose_name = _("chat session")
        verbose_name_plural = _("chat sessions")
        constraints = (
            models.UniqueConstraint(
                fields=["live_key"],
                name="one_live_session",
                violation_error_message=_("This conversation has a live session already."),
            ),
            _known("status", Status, "session_status_known"),
            _known("kind", Kind, "session_kind_known"),
            models.CheckConstraint(
                name="session_agent_owner_named", condition=~Q(owner_kind="agent") | Q(agent__isnull=False)
            ),
        )
        indexes = (
            models.Index(fields=["conversation", "status"], name="session_conversation"),
            models.Index(fields=["expires_at"], name="session_expiry"),
            models.Index(fields=["reply_due_at"], name="session_reply"),
            models.Index(fields=["warns_at"], name="session_warning"),
            models.Index(fields=["team", "owner_kind", "status"], name="session_team"),
            models.Index(fields=["agent", "owner_kind", "status"], name="session_load"),
            models.Index(fields=["tenant", "status", "opened_at"], name="session_tenant"),
            # The few among many for the desk's figures, whatever SQLite's statistics say of a column that is mostly empty.
            models.Index(  # not on PostgreSQL, where `session_load` is the same (migration 0017)
                fields=["agent", "owner_kind", "status"], name="session_of_agent", condition=Q(agent__isnull=False)
            ),
            models.Index(
                fields=["tenant", "kind", "conversation"], name="session_paused", condition=Q(status=Status.PAUSED)
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} {self.status}"

    def set_priority(self, priority: Priority | None = None) -> None:
        """Give the session a priority (its type's own by default) and the rank that follows from it."""
        self.priority = priority or PRIORITY[Kind(self.kind)]
        self.rank = rank(Kind(self.kind), Priority(self.priority))

    @property
    def is_robot(self) -> bool:
        return Kind(self.kind).is_robot

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def is_human_served(self) -> bool:
        return self.is_live and self.owner_kind in (Owner.AGENT, Owner.SHOP)

    @property
    def derived(self) -> Derived:
        return derived(Status(self.status), Kind(self.kind), Owner(self.owner_kind))

    @property
    def owner_id(self) -> int | None:
        return {Owner.AGENT: self.agent_id, Owner.BOT: self.bot_id}.get(Owner(self.owner_kind))
