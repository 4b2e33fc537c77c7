"""Whose turn it is: chat sessions, the moves between owners, the other people in a conversation, guided flows."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.db import models
from django.db.models import Case, F, Q, When
from django.utils.translation import gettext_lazy as _

from agents_app.models import Agent, ApiClient, Calendar, SkillsField, SlaPolicy, Team, Tenant
from config import limits
from config.db import CheckedJSONField, ExactCharField
from messaging_app.models import Conversation
from sessions_app.context import readable, sound
from sessions_app.states import (
    LIVE,
    PRIORITY,
    Derived,
    FlowStatus,
    HistoryMode,
    Kind,
    MailStatus,
    NoticeStatus,
    Origin,
    Owner,
    ParticipantStatus,
    Priority,
    Status,
    TaskType,
    TransferKind,
    TransferStatus,
    derived,
    rank,
)


def _choices(words: type[Enum]) -> list[tuple[Any, str]]:
    return [(word.value, word.name if word.value == "" else str(word.value)) for word in words]


def _known(field: str, words: type[Enum], name: str) -> models.CheckConstraint:
    return models.CheckConstraint(name=name, condition=Q(**{f"{field}__in": [word.value for word in words]}))


class PackageField(CheckedJSONField):
    """A context package: what a stored one holds against its schema is not shown."""

    def as_expected(self, found: Any) -> dict[str, Any]:
        return readable(found)


class SaidField(CheckedJSONField):
    """What was said about the work of a session: what cannot be read of it is left out."""

    def as_expected(self, found: Any) -> dict[str, Any]:
        return sound(found)


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
    # An agent's: when the fixed time ends, whatever pauses are in between; and when its owner is told that it ends soon.
    human_until = models.DateTimeField(_("ends for the agent"), null=True, blank=True)
    warns_at = models.DateTimeField(_("warns of its end"), null=True, blank=True)
    # When whoever has the turn, bot or agent, must have said something; NULL while nobody is waited for.
    reply_due_at = models.DateTimeField(_("reply due"), null=True, blank=True)
    first_message_at = models.DateTimeField(_("first message"), null=True, blank=True)
    last_message_at = models.DateTimeField(_("last message"), null=True, blank=True)
    message_count = models.PositiveIntegerField(_("messages"), default=0)
    missed_from_seq = models.PositiveBigIntegerField(_("waits since operation"), null=True, blank=True)
    failed_answers = models.PositiveSmallIntegerField(_("failed answers in a row"), default=0)
    outcome = models.CharField(_("outcome"), max_length=32, blank=True)
    reason = models.CharField(_("reason"), max_length=limits.MAX_REASON, blank=True)
    context = CheckedJSONField(_("task state"), default=dict, blank=True)  # as it was opened with
    said = SaidField(_("said about the work"), default=dict, blank=True)  # by whom and when: sessions_app/context.py
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
        """Whether somebody is there to be offered it. Whoever is there all the same may accept it at any time."""
        return self.opens_at is None or self.opens_at <= now


class AssignmentDecision(models.Model):
    """Why a conversation was offered to whom, or to nobody: every candidate with the reason, as it was looked at then.

    A decision for nobody is kept once, and again when its reasons have changed and somebody is free at all.
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


class Participant(models.Model):
    """Somebody in a conversation beside its owner: a collaborating agent, or an invited employee, department, guest.

    Who came in sees what the conversation's operations recorded from `history_from_seq` on (NULL: all of it), by arrival
    and whatever the time that a sender claims. Of that one operation only messages from the row `history_from_id` on, where
    it is set: a batch records many at once.

    The link's token is kept as a digest, and made again from `link_seed` by whoever sends the notice (notices/link.py).
    `notice_due_at` is when a waiting notice may be sent, or be taken for lost and sent again; NULL unless one waits.
    """

    IS_IN = Q(status=ParticipantStatus.JOINED) & (Q(agent=None) | Q(agent__is_active=True))
    """Who is in the conversation now. An agent who has left the desk is in none, whatever the row says as yet."""

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


class GuidedFlow(models.Model):
    """An upstream flow that asked the customer something and, for a while, has the right to the answer.

    A trigger is its program's own. Moves are compare-and-set on `version`. A lease bounds each rerun and `expires_at` each
    state before the end, so a crash of the flow's program cannot block a conversation for ever. `last_move` is the digest of
    what a program last asked for, by which the same move sent again is told from another one.
    """

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(
        Conversation, models.PROTECT, null=True, blank=True, related_name="flows", verbose_name=_("conversation")
    )
    client = models.ForeignKey(ApiClient, models.PROTECT, null=True, blank=True, verbose_name=_("program"))
    trigger_id = ExactCharField(_("trigger"), max_length=limits.MAX_ID)
    status = ExactCharField(_("status"), max_length=24, choices=_choices(FlowStatus), default=FlowStatus.WAITING)
    version = models.PositiveIntegerField(_("version"), default=1)
    pending_question = models.TextField(_("pending question"), blank=True)
    missing_info = CheckedJSONField(_("missing information"), default=list, blank=True)
    answer = models.TextField(_("last answer"), blank=True)
    last_candidate = models.CharField(_("last candidate"), max_length=limits.MAX_ID, blank=True)
    last_notification = models.CharField(_("last notification"), max_length=limits.MAX_ID, blank=True)
    failed_reason = models.CharField(_("why it failed"), max_length=limits.MAX_REASON, blank=True)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"))
    last_move = ExactCharField(_("last move"), max_length=limits.MAX_DIGEST, blank=True, default="", editable=False)
    created_at = models.DateTimeField(_("created"))
    updated_at = models.DateTimeField(_("changed"))

    is_repeat = False
    """Of what a verb answers: it was so before, and nothing was changed. Not stored."""

    class Meta:
        verbose_name = _("guided flow")
        verbose_name_plural = _("guided flows")
        constraints = (
            models.UniqueConstraint(fields=["tenant", "client", "trigger_id"], name="flow_trigger_once"),
            _known("status", FlowStatus, "flow_status_known"),
        )
        indexes = (
            models.Index(fields=["conversation", "status"], name="flow_conversation"),
            models.Index(fields=["status", "expires_at"], name="flow_expiry"),
        )

    def __str__(self) -> str:
        return f"{self.trigger_id} {self.status}"


class SlaClock(models.Model):
    """How long a customer may be kept waiting, and was (`sla`). One row each time something is waited for.

    `spent` is the time that counted before the clock last began to run. `wakes_at` is when it has something to say next:
    a warning, or that it is too late. A clock that ran over goes on until it is answered or ends: `ended_at` says so.
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


class Mail(models.Model):
    """A request that came after hours and goes to the team by e-mail (`actions/mails.py`).

    What it says is made at each attempt from the transfer's context package. `due_at` is when it may be sent, or be taken
    for lost and sent again; NULL unless it waits.
    """

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(Conversation, models.PROTECT, related_name="mails", verbose_name=_("conversation"))
    session = models.ForeignKey(ChatSession, models.PROTECT, related_name="mails", verbose_name=_("session"))
    transfer = models.ForeignKey(Transfer, models.PROTECT, related_name="mails", verbose_name=_("transfer"))
    to = models.EmailField(_("to"))
    status = ExactCharField(_("status"), max_length=8, choices=_choices(MailStatus), default=MailStatus.WAITING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)  # since it was last put on its way
    due_at = models.DateTimeField(_("next attempt"), null=True, blank=True)
    error = models.CharField(_("why it was not sent"), max_length=limits.MAX_ERROR, blank=True)
    created_at = models.DateTimeField(_("created"))
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)

    class Meta:
        verbose_name = _("e-mail after hours")
        verbose_name_plural = _("e-mails after hours")
        constraints = (_known("status", MailStatus, "mail_status_known"),)
        indexes = (models.Index(fields=["due_at"], name="mail_due"),)

    def __str__(self) -> str:
        return f"{self.to} {self.status}"


class Batch(models.Model):
    """Messages that a program sent at once, kept in a file until all of them are stored (actions/backlog.py).

    `position` counts the bytes that are stored, `line` the lines; both are saved with what they count. `lease_until`
    belongs to whoever works on it now.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        WORKING = "working", _("being stored")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    client = models.ForeignKey(ApiClient, models.PROTECT, related_name="batches", verbose_name=_("program"))
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.WAITING)
    file = models.CharField(_("file"), max_length=200, blank=True, editable=False)
    size = models.PositiveBigIntegerField(_("bytes"), default=0)
    position = models.PositiveBigIntegerField(_("bytes stored"), default=0)
    line = models.PositiveBigIntegerField(_("lines stored"), default=0)
    since = models.PositiveBigIntegerField(_("newest session before"), null=True, blank=True, editable=False)
    counts = CheckedJSONField(_("counts"), default=dict, blank=True)
    rejections = CheckedJSONField(_("rejected rows"), default=list, blank=True)
    failures = models.PositiveSmallIntegerField(_("failures in a row"), default=0)
    error = models.CharField(_("why it failed"), max_length=limits.MAX_ERROR, blank=True)
    lease_until = models.DateTimeField(_("worked on until"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    started_at = models.DateTimeField(_("begun"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        indexes = (models.Index(fields=["state", "lease_until"], name="batch_due"),)

    def __str__(self) -> str:
        return f"{self.pk} {self.state}"
