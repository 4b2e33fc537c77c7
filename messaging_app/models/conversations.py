"""Conversations, their messages, and how far each agent has read."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agents_app.models import Agent, Tenant
from config import limits
from config.db import CheckedJSONField, ExactCharField
from messaging_app.models import agent_tools  # noqa: F401 – registers its models
from messaging_app.models import attachments as attachment_models  # noqa: F401 – registers its model


class Controller(models.TextChoices):
    """Who gets the customer's next message."""

    HUMAN = "human", _("human")
    QUEUE = "queue", _("queue")
    FLOW = "flow", _("guided flow")
    BOT = "bot", _("bot")
    NONE = "none", _("nobody")


class Tier(models.IntegerChoices):
    """The first key by which the desk's list is sorted."""

    EMERGENCY = 1, _("emergency")
    HAND_RAISED = 2, _("hand raised")
    NEEDS_HUMAN = 3, _("needs a human")
    ACTIVE = 4, _("active")
    RESOLVED = 5, _("resolved")


class Conversation(models.Model):
    """The lasting thread between one account and one shop on one platform; the row that every verb locks first.

    Only `sessions_app.unit.settle` writes controller, holder, epoch, tier and desk_order; only `stream` writes seq and
    chain.
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
    # Session and owner: a change raises the epoch.
    holder = models.CharField(_("holder"), max_length=limits.MAX_DIGEST, blank=True)
    epoch = models.PositiveBigIntegerField(_("epoch"), default=0)
    tier = models.PositiveSmallIntegerField(_("tier"), choices=Tier, default=Tier.RESOLVED)
    desk_order = models.BigIntegerField(_("place within the tier"), default=0)  # smaller is shown first

    needs_human = models.BooleanField(_("needs a human"), default=False)
    need = CheckedJSONField(_("why"), default=dict, blank=True)
    waiting_since = models.DateTimeField(_("waiting for a human since"), null=True, blank=True)
    # When the customer's first message came that nobody has answered or set aside (`sessions_app.promises.unanswered`).
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
    """A message. Never lost, never stored twice: `message_id` is unique in a tenant and platform.

    `session_id` is a plain number because this app knows nothing of sessions; empty until a session covers it.
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
