"""The stream of operations, and the marks of the record."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agents_app.models import Tenant
from config import limits
from config.db import CheckedJSONField, ExactCharField
from messaging_app.models import agent_tools  # noqa: F401 – registers its models
from messaging_app.models import attachments as attachment_models  # noqa: F401 – registers its model
from messaging_app.models.conversations import Conversation


class Operation(models.Model):
    """One row per change: audit record, event and outbox in one. Append-only.

    `seq` runs 1..n in its conversation (a trigger refuses a gap, a constraint a double); `pos` is its place in the
    tenant's stream, given after commit by the relay. `chain` is a hash over the operation and the one before it.
    An operation of the tenant alone (an agent's presence) has no conversation: its `seq` is 1, its chain its own.
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
        """The primary key of the message that the operation names (`message.created` does), or None."""
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
    """A signed statement about operations that cannot speak for themselves (messaging_app/record_marks.py).

    `unkeyed`: how many operations the conversations of a tenant had, and the hash over their heads, when operations
    began to be signed; `unkeyed_head` has the same of operations that belong to no conversation.
    `forgotten`: up to which `seq` the operations of a conversation were deleted, with the chain at the cut; without a
    conversation, up to which id those that belong to none were. Triggers refuse a deletion that no such row covers.
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
