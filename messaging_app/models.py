"""What was said and how it travels: conversations, messages, the stream of operations, rules of need."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agents_app.models import Agent, ApiClient, Tenant
from config import limits
from config.db import CheckedJSONField, ExactCharField
from config.sealing import SealedField
from messaging_app import desk_models  # noqa: F401 – registers its models
from messaging_app.attachments import models as attachment_models  # noqa: F401 – registers its model


class Controller(models.TextChoices):
    """Who gets the customer's next message."""

    HUMAN = "human", _("human")
    QUEUE = "queue", _("queue")
    FLOW = "flow", _("guided flow")
    BOT = "bot", _("bot")
    NONE = "none", _("nobody")


class Tier(models.IntegerChoices):
    """The first key of the list's order."""

    EMERGENCY = 1, _("emergency")
    HAND_RAISED = 2, _("hand raised")
    NEEDS_HUMAN = 3, _("needs a human")
    ACTIVE = 4, _("active")
    RESOLVED = 5, _("resolved")


class Conversation(models.Model):
    """The lasting thread between one account and one shop on one platform; the row that every verb locks first.

    Only `sessions_app.settle` writes controller, holder, epoch, tier and desk_order; only `stream` writes seq and chain.
    """

    class Kind(models.TextChoices):
        PERSON = "person", _("person")
        GROUP = "group", _("group")

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    platform = ExactCharField(_("platform"), max_length=limits.MAX_PLATFORM, default="default")
    shop_id = ExactCharField(_("shop"), max_length=limits.MAX_ID)
    account_id = ExactCharField(_("account"), max_length=limits.MAX_ID)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind, default=Kind.PERSON)
    customer_name = models.CharField(_("customer"), max_length=limits.MAX_NAME, blank=True)
    is_vip = models.BooleanField(_("VIP"), default=False)

    controller = ExactCharField(_("controller"), max_length=8, choices=Controller, default=Controller.NONE)
    holder = models.CharField(
        _("holder"), max_length=limits.MAX_DIGEST, blank=True
    )  # session and owner: a change raises the epoch
    epoch = models.PositiveBigIntegerField(_("epoch"), default=0)
    tier = models.PositiveSmallIntegerField(_("tier"), choices=Tier, default=Tier.RESOLVED)
    desk_order = models.BigIntegerField(_("place within the tier"), default=0)  # smaller is shown first

    needs_human = models.BooleanField(_("needs a human"), default=False)
    need = CheckedJSONField(_("why"), default=dict, blank=True)
    waiting_since = models.DateTimeField(_("waiting for a human since"), null=True, blank=True)
    # When the first of the customer's words came in that nobody has answered or set aside (`sessions_app.unanswered`).
    unanswered_since = models.DateTimeField(_("unanswered since"), null=True, blank=True)
    is_urgent = models.BooleanField(_("urgent"), default=False)
    pinned_at = models.DateTimeField(_("pinned"), null=True, blank=True)
    todo_at = models.DateTimeField(_("to do"), null=True, blank=True)

    seq = models.PositiveBigIntegerField(_("last operation"), default=0)
    chain = models.CharField(_("hash of the last operation"), max_length=limits.MAX_DIGEST, blank=True)
    last_text = models.CharField(_("last words"), max_length=limits.MAX_PREVIEW, blank=True)
    last_sender = models.CharField(_("last speaker"), max_length=limits.MAX_WORD, blank=True)
    last_activity_at = models.DateTimeField(_("last activity"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        constraints = (
            models.UniqueConstraint(fields=["tenant", "platform", "shop_id", "account_id"], name="conversation_once"),
            models.CheckConstraint(
                name="conversation_controller_known",
                condition=Q(controller__in=["human", "queue", "flow", "bot", "none"]),
            ),
            models.CheckConstraint(name="conversation_tier_known", condition=Q(tier__in=[1, 2, 3, 4, 5])),
        )
        indexes = (
            models.Index(fields=["tenant", "tier", "desk_order", "id"], name="conversation_desk"),
            models.Index(fields=["tenant", "controller", "tier", "desk_order", "id"], name="conversation_turn"),
            models.Index(fields=["tenant", "waiting_since", "id"], name="conversation_waiting"),
            models.Index(fields=["tenant", "todo_at"], name="conversation_todo"),
            models.Index(
                fields=["tenant", "controller", "needs_human", "unanswered_since"], name="conversation_unanswered"
            ),
        )

    def __str__(self) -> str:
        return f"{self.title} · {self.shop_id}"

    @property
    def title(self) -> str:
        return self.customer_name or self.account_id


class Message(models.Model):
    """One thing said. Never lost, never stored twice: `message_id` is unique in a tenant and platform.

    `session_id` is a plain number because this app knows nothing of sessions; empty until somebody's work covers it.
    `seq` is the operation that recorded it.
    """

    class Sender(models.TextChoices):
        CUSTOMER = "customer", _("customer")
        BOT = "bot", _("bot")
        AGENT = "agent", _("agent")
        SHOP = "shop", _("shop")
        PARTICIPANT = "participant", _("participant")
        SYSTEM = "system", _("system")

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, db_constraint=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(
        Conversation, models.PROTECT, db_index=False, related_name="messages", verbose_name=_("conversation")
    )
    session_id = models.BigIntegerField(_("session"), null=True, blank=True)
    platform = ExactCharField(_("platform"), max_length=limits.MAX_PLATFORM, default="default")
    message_id = ExactCharField(_("message id"), max_length=limits.MAX_ID)
    sender_type = ExactCharField(_("from"), max_length=limits.MAX_WORD, choices=Sender)
    sender_id = models.CharField(_("sender"), max_length=limits.MAX_ID, blank=True)
    sender_name = models.CharField(_("sender's name"), max_length=limits.MAX_NAME, blank=True)
    is_note = models.BooleanField(_("private note"), default=False)
    content = models.TextField(_("content"))  # may be blank where something is attached
    sent_at = models.DateTimeField(_("sent"))
    seq = models.PositiveBigIntegerField(_("operation"))

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = (
            models.UniqueConstraint(fields=["tenant", "platform", "message_id"], name="message_once"),
            models.CheckConstraint(
                name="message_sender_known",
                condition=Q(sender_type__in=["customer", "bot", "agent", "shop", "participant", "system"]),
            ),
        )
        indexes = (
            models.Index(fields=["conversation", "sent_at", "id"], name="message_thread"),
            models.Index(fields=["conversation", "seq", "id"], name="message_arrival"),
            models.Index(fields=["session_id", "sent_at"], name="message_session"),
        )

    def __str__(self) -> str:
        return self.content[:60] or f"{self.message_id[:40]}"


class Operation(models.Model):
    """One row per change: audit record, event and outbox in one. Append-only.

    `seq` runs 1..n in its conversation (a trigger refuses a gap, a constraint a double); `pos` is its place in the
    tenant's stream, given after commit by the relay. `chain` is a hash over the operation and the one before it.
    What is the tenant's and no conversation's (an agent's presence) has none: its `seq` is 1, its chain its own.
    Operations hold digests and ids of what was said, not the words, so that erasing a person leaves the chain whole.
    """

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(
        Conversation,
        models.PROTECT,
        db_index=False,
        related_name="operations",
        null=True,
        blank=True,
        verbose_name=_("conversation"),
    )
    seq = models.PositiveBigIntegerField(_("number"))
    pos = models.PositiveBigIntegerField(_("position"), null=True, editable=False)
    type = models.CharField(_("what"), max_length=limits.MAX_EVENT_TYPE)
    session_id = models.BigIntegerField(_("session"), null=True, blank=True)
    actor_kind = models.CharField(_("by"), max_length=limits.MAX_WORD)
    actor_id = models.BigIntegerField(_("actor"), null=True, blank=True)
    actor_name = models.CharField(_("actor's name"), max_length=limits.MAX_NAME, blank=True)
    data = CheckedJSONField(_("data"), default=dict)
    at = models.DateTimeField(_("when"))
    chain = models.CharField(_("hash"), max_length=limits.MAX_DIGEST)

    class Meta:
        verbose_name = _("operation")
        verbose_name_plural = _("operations")
        constraints = (
            models.UniqueConstraint(fields=["conversation", "seq"], name="operation_seq_once"),
            models.UniqueConstraint(fields=["tenant", "pos"], name="operation_pos_once"),
        )
        indexes = (
            models.Index(fields=["session_id", "id"], name="operation_session"),
            models.Index(fields=["conversation", "at", "seq"], name="operation_at"),  # a page of a thread, by its times
        )

    def __str__(self) -> str:
        return f"{self.seq} {self.type}"

    @property
    def message_pk(self) -> int | None:
        """Of an operation that names one message, as `message.created` does: its row; None where the record does not say."""
        pk = self.data.get("message")
        return pk if type(pk) is int else None


class StreamHead(models.Model):
    """How far a tenant's stream is stamped. The relay locks this row."""

    tenant = models.OneToOneField(Tenant, models.CASCADE, primary_key=True, verbose_name=_("tenant"))
    pos = models.PositiveBigIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("stream head")
        verbose_name_plural = _("stream heads")

    def __str__(self) -> str:
        return f"{self.tenant_id} at {self.pos}"


class RecordMark(models.Model):
    """A signed statement about operations that cannot speak for themselves (messaging_app/marks.py).

    `unkeyed`: how many operations the conversations of a tenant had, and the hash over their heads, on the day from which
    they are signed; `unkeyed_head` has the same of those that belong to none.
    `forgotten`: up to which `seq` the operations of a conversation are gone, with the chain at the cut; without a
    conversation, up to which id those that belong to none are. Triggers let nothing be deleted that no such row covers.
    """

    class Kind(models.TextChoices):
        UNKEYED = "unkeyed", _("written before they were signed")
        FORGOTTEN = "forgotten", _("forgotten")

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    kind = ExactCharField(_("kind"), max_length=limits.MAX_WORD, choices=Kind)
    conversation_id = models.BigIntegerField(_("conversation"), null=True, blank=True)
    seq = models.PositiveBigIntegerField(_("up to number"), default=0)
    pos = models.PositiveBigIntegerField(_("up to position"), default=0)
    count = models.PositiveBigIntegerField(_("operations"), default=0)
    chain = models.CharField(_("hash"), max_length=limits.MAX_DIGEST)
    unkeyed_head = models.CharField(_("unsigned ones, number:hash"), max_length=96, blank=True)
    at = models.DateTimeField(_("when"))
    signature = models.CharField(_("signature"), max_length=80)

    class Meta:
        verbose_name = _("mark of the record")
        verbose_name_plural = _("marks of the record")
        constraints = (
            models.UniqueConstraint(fields=["tenant", "kind", "conversation_id"], name="record_mark_once"),
            models.CheckConstraint(name="record_mark_kind_known", condition=Q(kind__in=["unkeyed", "forgotten"])),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.conversation_id or ''} up to {self.seq or self.pos}"


class ReadCursor(models.Model):
    """How far an agent has read a conversation."""

    agent = models.ForeignKey(Agent, models.CASCADE, db_index=False, verbose_name=_("agent"))
    conversation = models.ForeignKey(Conversation, models.CASCADE, verbose_name=_("conversation"))
    seq = models.PositiveBigIntegerField(_("read up to"), default=0)

    class Meta:
        verbose_name = _("read cursor")
        verbose_name_plural = _("read cursors")
        constraints = (models.UniqueConstraint(fields=["agent", "conversation"], name="read_cursor_once"),)

    def __str__(self) -> str:
        return f"{self.agent_id} read {self.conversation_id} to {self.seq}"


class NeedRule(models.Model):
    """When a conversation needs a human. Checked in the order VIP, keyword, failure, sentiment, model.

    `phrases` are words or regular expressions in any language; where one of `exceptions` matches, the phrase inside it
    does not count ("when does the service desk open?" is no request for a human). `problem` names what the engine cannot
    use of them, in English; every process knows by `changed_at` that it holds an older rule.
    """

    class Kind(models.TextChoices):
        VIP = "vip", _("VIP customer")
        KEYWORD = "keyword", _("asks for a human")
        FAILURE = "failure", _("bot admits failure")
        SENTIMENT = "sentiment", _("anger")
        MODEL = "model", _("analyser")

    class Effect(models.TextChoices):
        FLAG = "flag", _("flag")
        ESCALATE = "escalate", _("escalate")

    class Severity(models.TextChoices):
        LOW = "low", _("low")
        MEDIUM = "medium", _("medium")
        HIGH = "high", _("high")

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="need_rules", verbose_name=_("tenant"))
    kind = models.CharField(_("kind"), max_length=limits.MAX_WORD, choices=Kind)
    name = models.CharField(_("name"), max_length=limits.MAX_GROUP_NAME)
    language = models.CharField(_("language"), max_length=limits.MAX_LANGUAGE, blank=True, help_text=_("Empty: any."))
    phrases = CheckedJSONField(_("phrases"), default=list, blank=True)
    exceptions = CheckedJSONField(_("phrases that do not count"), default=list, blank=True)
    threshold = models.PositiveSmallIntegerField(
        _("threshold"),
        default=1,
        validators=[MaxValueValidator(100)],
        help_text=_("Failed answers in a row, or hits of anger in one message."),
    )
    effect = models.CharField(_("effect"), max_length=limits.MAX_WORD, choices=Effect, default=Effect.ESCALATE)
    severity = models.CharField(_("severity"), max_length=8, choices=Severity, default=Severity.MEDIUM)
    is_enabled = models.BooleanField(_("in use"), default=True)
    problem = models.TextField(_("what cannot be used"), blank=True, editable=False)
    changed_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("rule of need")
        verbose_name_plural = _("rules of need")
        ordering = ("kind", "name")
        constraints = (models.UniqueConstraint(fields=["tenant", "kind", "name"], name="need_rule_once"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.name}"


class WebhookEndpoint(models.Model):
    """Where a tenant's events are sent. Up to `pos`, its cursor in the stream, every event it wants has its delivery.

    `owner` is the integrator that manages it, empty for the tenant's administrators. What they did with it is in
    `changes`, so a deleted one stays, without its secrets. `lease_until` belongs to the one sender that serves it now.
    """

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="webhooks", verbose_name=_("tenant"))
    owner = models.ForeignKey(
        ApiClient, models.PROTECT, null=True, blank=True, related_name="webhooks", verbose_name=_("program")
    )
    url = models.CharField(_("address"), max_length=limits.MAX_URL)
    description = models.CharField(_("description"), max_length=limits.MAX_DESCRIPTION, blank=True)
    types = CheckedJSONField(_("types of events"), default=list, blank=True, help_text=_("Empty: all."))
    # Sealed and not hashed: signing (HMAC) needs the secret itself. Nothing but the verb that makes one shows it.
    secret = SealedField(_("secret"), blank=True, editable=False)
    old_secret = SealedField(_("secret before"), blank=True, editable=False)
    old_secret_until = models.DateTimeField(_("secret before signs until"), null=True, blank=True, editable=False)
    is_enabled = models.BooleanField(_("in use"), default=True)
    disabled_reason = models.CharField(_("why not in use"), max_length=limits.MAX_DELIVERY_ERROR, blank=True)
    pos = models.PositiveBigIntegerField(_("position"), default=0)
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True)
    last_success_at = models.DateTimeField(_("last success"), null=True, blank=True)
    not_before = models.DateTimeField(_("asked to wait until"), null=True, blank=True)
    lease_until = models.DateTimeField(_("served until"), null=True, blank=True, editable=False)
    changes = CheckedJSONField(_("changes"), default=list, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ("id",)

    def __str__(self) -> str:
        return self.url[:80]

    def wants(self, type: str) -> bool:
        """True for the types in its list, where `session.*` stands for all that begin with `session.`."""
        return not self.types or any(
            type == wanted or (wanted.endswith(".*") and type.startswith(wanted[:-1])) for wanted in self.types
        )

    def note(self, what: str, *, by: str, at: datetime, **more: Any) -> None:
        """Keep who changed what; the caller saves. Old entries make room, so that no loop of changes fills the row."""
        self.changes = [*self.changes, {"at": at.isoformat(), "by": by, "what": what, **more}][-100:]

    def disable(self, reason: str, *, by: str, at: datetime) -> None:
        """Send no more, for a reason that everybody sees. The caller saves."""
        self.is_enabled, self.disabled_reason = False, reason[: limits.MAX_DELIVERY_ERROR]
        self.note("disabled", by=by, at=at, reason=reason)


class WebhookDelivery(models.Model):
    """One event on its way to one endpoint, and the log of its attempts. Sent again, it keeps its `event_id`.

    It holds the event's position and not its words: what is sent is made at each attempt from what is stored then.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        DELIVERED = "delivered", _("delivered")
        FAILED = "failed", _("failed")

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    endpoint = models.ForeignKey(
        WebhookEndpoint, models.CASCADE, db_index=False, related_name="deliveries", verbose_name=_("webhook")
    )
    event_id = models.CharField(_("event"), max_length=limits.MAX_EVENT_ID)
    type = models.CharField(_("what"), max_length=limits.MAX_EVENT_TYPE)
    pos = models.PositiveBigIntegerField(_("position"), null=True, blank=True)  # a ping has none
    status = models.CharField(_("status"), max_length=limits.MAX_WORD, choices=Status, default=Status.PENDING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)  # since it was last sent anew
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, blank=True)
    last_code = models.PositiveSmallIntegerField(_("last answer"), null=True, blank=True)
    last_error = models.CharField(_("last error"), max_length=limits.MAX_DELIVERY_ERROR, blank=True)
    log = CheckedJSONField(_("attempts"), default=list, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        constraints = (
            models.UniqueConstraint(fields=["endpoint", "event_id"], name="webhook_delivery_once"),
            models.CheckConstraint(
                name="webhook_delivery_pending_has_a_time",
                condition=Q(status="pending", next_attempt_at__isnull=False)
                | Q(status__in=["delivered", "failed"], next_attempt_at__isnull=True),
            ),
        )
        indexes = (models.Index(fields=["endpoint", "next_attempt_at"], name="webhook_delivery_due"),)

    def __str__(self) -> str:
        return f"{self.event_id} {self.type}"


class SearchCursor(models.Model):
    """Up to where a tenant's stream is indexed for search. Whoever writes to the index locks this row."""

    tenant = models.OneToOneField(Tenant, models.CASCADE, primary_key=True, verbose_name=_("tenant"))
    pos = models.PositiveBigIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("search cursor")
        verbose_name_plural = _("search cursors")

    def __str__(self) -> str:
        return f"{self.tenant_id} at {self.pos}"


class MessageTerms(models.Model):
    """What a message is found by, as `search` writes it. A migration indexes `terms`, on each database in its way."""

    message = models.OneToOneField(
        Message, models.CASCADE, primary_key=True, db_constraint=False, related_name="+", verbose_name=_("message")
    )
    terms = models.TextField(_("terms"))

    class Meta:
        verbose_name = _("terms of a message")
        verbose_name_plural = _("terms of messages")

    def __str__(self) -> str:
        return self.terms[:60]


class ConversationTerms(models.Model):
    """What a conversation's customer is found by: like `MessageTerms`, of name and account."""

    conversation = models.OneToOneField(
        Conversation,
        models.CASCADE,
        primary_key=True,
        db_constraint=False,
        related_name="+",
        verbose_name=_("conversation"),
    )
    terms = models.TextField(_("terms"))

    class Meta:
        verbose_name = _("terms of a conversation")
        verbose_name_plural = _("terms of conversations")

    def __str__(self) -> str:
        return self.terms[:60]
