"""The request bodies of the API's commands. Field names are the verbs' own keywords."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents_app.models import DECLARABLE, MAX_LOAD
from agents_app.skills import HIGHEST, LOWEST
from config import limits
from config.api import ID_SCHEMA, FreeJson, Id, RequestSerializer
from messaging_app.attachments import rows as attachments
from messaging_app.fields import SentTime
from messaging_app.incoming import DEFAULT_PLATFORM
from messaging_app.models import Message
from messaging_app.thread import NewMessage
from sessions_app.actions import bulk, recovery
from sessions_app.actions.lifecycle import OUTCOMES
from sessions_app.api.fields import IdText, PersonName, Text
from sessions_app.core.context_package import checked_extra
from sessions_app.models import Participant
from sessions_app.states import FlowStatus, HistoryMode, Kind, Priority, TaskType

_BLANK_HELP = "May be empty, or left out, where something is attached."
_EPOCH_HELP = "Do it only while the conversation is at this epoch; 409 `stale_epoch` otherwise."


def _words(values: type[Any]) -> list[tuple[Any, Any]]:
    return [(word.value, word.value) for word in values]


def reason(**more: Any) -> serializers.CharField:
    return serializers.CharField(**({"required": False, "allow_blank": True, "max_length": limits.MAX_REASON} | more))


def epoch() -> serializers.IntegerField:
    return serializers.IntegerField(required=False, min_value=0, max_value=limits.MAX_NUMBER, help_text=_EPOCH_HELP)


class ReasonRequest(RequestSerializer):
    reason = reason()


class GuardedRequest(ReasonRequest):
    expected_epoch = epoch()


class TakeRequest(GuardedRequest):
    override = serializers.BooleanField(required=False, help_text="Beyond capacity: supervisors only, on record.")


class GrabRequest(TakeRequest):
    reason = reason(required=True, allow_blank=False, help_text="Why it is taken from a colleague; kept.")


# --- Sessions ----------------------------------------------------------------------------------------------------


class KeyRequest(RequestSerializer):
    """A conversation by its id, or by shop and account (and platform); the latter makes it if it is new."""

    conversation_id = Id(required=False)
    shop_id = IdText(required=False)
    account_id = IdText(required=False)
    platform = IdText(required=False, max_length=limits.MAX_PLATFORM)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("conversation_id" in attrs) == ("shop_id" in attrs and "account_id" in attrs):
            raise serializers.ValidationError("Name the conversation: conversation_id, or shop_id and account_id.")
        return attrs


class PlaceQuery(serializers.Serializer[None]):
    shop_id = IdText()
    account_id = IdText()
    platform = IdText(max_length=limits.MAX_PLATFORM, default=DEFAULT_PLATFORM)


class OpenRequest(KeyRequest):
    robot = serializers.BooleanField(default=True, help_text="False asks for a human.")
    kind = serializers.ChoiceField(_words(Kind), required=False, help_text="Follows from the task when left out.")
    task = serializers.ChoiceField(_words(TaskType), required=False)
    priority = serializers.IntegerField(
        required=False, min_value=min(Priority), max_value=max(Priority), help_text="1 emergency … 4 low."
    )
    on_conflict = serializers.ChoiceField([("wait", "wait"), ("fail", "fail")], required=False)
    urgent = serializers.BooleanField(required=False)
    bot_id = Id(required=False, help_text="The bot that will work it; a bot's own key is enough.")
    previous_id = Id(required=False, help_text="The ended session that this one reopens.")
    reason = reason()
    context: Any = FreeJson(required=False, help_text="Task state: kept with the session, sent with transfers.")


class PriorityRequest(RequestSerializer):
    priority = serializers.IntegerField(
        min_value=min(Priority), max_value=max(Priority), help_text="1 emergency … 4 low."
    )


class CompleteRequest(GuardedRequest):
    outcome = serializers.ChoiceField([(word, word) for word in OUTCOMES], required=False)


class RecoverRequest(RequestSerializer):
    after_seq = serializers.IntegerField(required=False, min_value=0, max_value=limits.MAX_NUMBER)
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=recovery.MOST, help_text="Operations at once; 500 unless named."
    )


# --- What is said ------------------------------------------------------------------------------------------------


@extend_schema_field({"type": "array", "items": ID_SCHEMA, "maxItems": attachments.MOST, "uniqueItems": True})
class AttachmentIds(serializers.ListField):
    """Each once: the verb refuses a file that is named twice."""

    child = Id()

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=attachments.MOST, **options)


class WordsRequest(RequestSerializer):
    """Text, files that were put up before, or both."""

    cleaned = ("content", "sender_name", "customer_name")

    content = Text(required=False, allow_blank=True, help_text=_BLANK_HELP)
    message_id = IdText(
        required=False,
        help_text="Yours, and one message's: sent again it is answered as the first time, with other words it is refused.",
    )
    attachments = AttachmentIds(
        required=False,
        help_text="What the same sender has put up in this conversation, in this order; each goes with one message.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The message's own fields become `words`, the `NewMessage` that the verbs take."""
        fields = ("content", "message_id", "sender_name", "sent_at", "attachments")
        rest = {name: value for name, value in attrs.items() if name not in fields}
        message = {name: attrs[name] for name in fields if name in attrs}
        return rest | {
            "words": NewMessage(**{"content": ""} | message | {"attachments": tuple(message.get("attachments", ()))})
        }


class InboundRequest(WordsRequest):
    """A customer's message. Empty text, with nothing attached, repeats a waiting flow's question."""

    conversation_id = Id(required=False)
    shop_id = IdText(required=False)
    account_id = IdText(required=False)
    platform = IdText(required=False, max_length=limits.MAX_PLATFORM)
    customer_name = PersonName(
        help_text="What the channel calls the customer; a later name replaces it, none erases it."
    )
    sender_name = PersonName(help_text="Who wrote, if it is not the customer: the customer's name when left out.")
    sent_at = SentTime(
        required=False,
        help_text="When it was said; now when left out. ISO 8601 with date and time; UTC where no offset is given. Later than"
        " now counts as now. What comes"
        " more than 8 hours (`LATE_MESSAGE`) after it was said is history: nobody is asked to answer it.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return super().validate(KeyRequest.validate(self, attrs))  # type: ignore[arg-type]


class MessageRequest(WordsRequest):
    """Something said as whoever the credential is. A bot sends the epoch it was given."""

    conversation_id = Id()
    epoch = serializers.IntegerField(
        required=False, min_value=0, max_value=limits.MAX_NUMBER, help_text="Needed from bots."
    )
    echo = serializers.BooleanField(
        required=False,
        help_text="A person answered in the shop's own app: an integrator reports it, the bot falls silent. What was just"
        " said through this API and the channel tells back is recognised as that message.",
    )
    sender_name = PersonName(
        help_text="Of a bot, or with `echo` of a person at the shop. Others are called by their credential."
    )


class NoteRequest(WordsRequest):
    """A private note: agents only read it."""


class AttachmentRequest(RequestSerializer):
    """One file, as `multipart/form-data`. Its name is that of the part; what it is, its content says."""

    file = serializers.FileField(help_text="At most 10 MiB, unless this installation says otherwise.")
    client_id = IdText(
        required=False,
        allow_blank=True,
        help_text="Yours; sent again, it is answered as the first time.",
    )


class ReadRequest(RequestSerializer):
    seq = serializers.IntegerField(min_value=0, max_value=limits.MAX_NUMBER)


# --- Transfers and people ----------------------------------------------------------------------------------------


class ContextRequest(RequestSerializer):
    """What a bot adds to the context package."""

    suggestion = serializers.CharField(required=False, allow_blank=True, help_text="What it suggests to do.")
    promises = serializers.ListField(
        child=serializers.CharField(allow_blank=True), required=False, help_text="What it promised the customer."
    )
    urgency = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=min(Priority),
        max_value=max(Priority),
        help_text="1 emergency … 4 low.",
    )
    task_state = FreeJson(required=False, help_text="What it knows of its task; the session's own when left out.")


@extend_schema_field(ContextRequest)
class ContextField(FreeJson):
    """Checked by the verb's own function, so that what is stored fits the schema whoever brings it."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        return checked_extra(data, self.field_name or "")


class EscalateRequest(GuardedRequest):
    trigger = serializers.CharField(required=False, allow_blank=True, max_length=limits.MAX_TRIGGER)
    to_team_id = Id(required=False)
    to_agent_id = Id(required=False)
    urgent = serializers.BooleanField(required=False)
    needs = serializers.DictField(
        child=serializers.IntegerField(min_value=LOWEST, max_value=HIGHEST),
        required=False,
        help_text='Skills that whoever it is offered to must have, each with a level: `{"zh": 3}`.',
    )
    context: Any = ContextField(required=False, help_text="What the bot knows; travels with the transfer.")


class HandOverRequest(GuardedRequest):
    to_team_id = Id(required=False)
    to_agent_id = Id(required=False)


class ReleaseRequest(RequestSerializer):
    summary = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=limits.MAX_REASON,
        help_text="What the bot is told of the human's stretch.",
    )
    force = serializers.BooleanField(required=False)
    expected_epoch = epoch()


class ReassignRequest(RequestSerializer):
    reason = reason(required=True, allow_blank=False)
    to_team_id = Id(required=False)


class InviteColleagueRequest(RequestSerializer):
    agent_id = Id()


class InviteRequest(RequestSerializer):
    name = serializers.CharField(max_length=limits.MAX_NAME)
    role = serializers.ChoiceField(
        [(r, r) for r in Participant.Role.values if r != Participant.Role.COLLABORATOR], required=False
    )
    contact = serializers.CharField(required=False, allow_blank=True, max_length=limits.MAX_CONTACT)
    history = serializers.ChoiceField(_words(HistoryMode), required=False)
    history_count = serializers.IntegerField(required=False, min_value=0, max_value=limits.MAX_HISTORY_COUNT)


class InviteDepartmentRequest(RequestSerializer):
    department_id = serializers.CharField(
        max_length=limits.MAX_GROUP_NAME, help_text="The directory's own; see GET departments."
    )
    history = serializers.ChoiceField(_words(HistoryMode), required=False)
    history_count = serializers.IntegerField(required=False, min_value=0, max_value=limits.MAX_HISTORY_COUNT)


class DepartmentQuery(serializers.Serializer[None]):
    search = serializers.CharField(required=False, default="", allow_blank=True, max_length=limits.MAX_QUERY)


class NotifyRequest(RequestSerializer):
    contact = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=limits.MAX_CONTACT,
        help_text="A new address; the old one when left out.",
    )


class JoinRequest(RequestSerializer):
    tenant = serializers.CharField(max_length=limits.MAX_TENANT_SLUG, help_text="The tenant's short name.")
    token = serializers.CharField(max_length=200, help_text="The link's one-time token.")


class TokenRequest(RequestSerializer):
    cleaned = ("customer_name",)

    conversation_id = Id()
    customer_name = PersonName()


# --- Labels, many at once ----------------------------------------------------------------------------------------


class LabelledRequest(RequestSerializer):
    label_id = Id()


class BulkRequest(RequestSerializer):
    ids = serializers.ListField(child=Id(), min_length=1, max_length=bulk.MOST, help_text="Conversations.")
    action = serializers.ChoiceField(_words(bulk.BulkAction))
    label_id = Id(required=False, help_text="With `label` and `unlabel`, and only then.")
    reason = reason(help_text="With `resolve`, `release` and `take_over`: it goes on record.")


# --- Flows, agents -----------------------------------------------------------------------------------------------


class FlowRequest(RequestSerializer):
    cleaned = ("question",)

    trigger_id = IdText(help_text="The same trigger is the same flow.")
    question = Text()
    conversation_id = Id(required=False)
    missing_info = serializers.ListField(
        child=serializers.CharField(max_length=limits.MAX_MISSING), required=False, max_length=limits.MOST_MISSING
    )


class BindRequest(RequestSerializer):
    conversation_id = Id()


class RenewRequest(RequestSerializer):
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1, help_text="The version you read.")


class MoveFlowRequest(RenewRequest):
    cleaned = ("pending_question",)

    to = serializers.ChoiceField(_words(FlowStatus))
    pending_question = Text(required=False, allow_blank=True)
    missing_info = serializers.ListField(
        child=serializers.CharField(max_length=limits.MAX_MISSING), required=False, max_length=limits.MOST_MISSING
    )
    last_candidate = serializers.CharField(required=False, allow_blank=True, max_length=limits.MAX_ID)
    last_notification = serializers.CharField(required=False, allow_blank=True, max_length=limits.MAX_ID)
    failed_reason = serializers.CharField(required=False, allow_blank=True, max_length=limits.MAX_REASON)


class PresenceRequest(RequestSerializer):
    availability = serializers.ChoiceField(DECLARABLE)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=limits.MAX_AVAILABILITY_REASON)


class CapacityRequest(RequestSerializer):
    max_load = serializers.IntegerField(min_value=0, max_value=MAX_LOAD, help_text="Live sessions at once.")


class DepartureRequest(RequestSerializer):
    reason = serializers.CharField(
        required=False, allow_blank=True, max_length=limits.MAX_REASON, help_text="For the record."
    )


SENDERS = [
    sender.value for sender in (Message.Sender.CUSTOMER, Message.Sender.BOT, Message.Sender.AGENT, Message.Sender.SHOP)
]


class BatchRow(serializers.Serializer[None]):
    """A message of a batch: docs/ingest.md. What is wrong with a row is reported with it and stops nothing."""

    message_id = serializers.CharField()
    account_id = serializers.CharField()
    shop_id = serializers.CharField()
    timestamp = serializers.CharField(
        help_text="ISO 8601 with date and time, 2000 or later; UTC where no offset is given. Later than now counts as now."
    )
    content = serializers.CharField()
    sender_type = serializers.ChoiceField([(word, word) for word in SENDERS])
    platform = serializers.CharField(required=False)
    sender_id = serializers.CharField(required=False)
    sender_name = serializers.CharField(required=False)
    is_robot = serializers.BooleanField(required=False)
    epoch = serializers.IntegerField(
        required=False, help_text="With what a bot says now: the turn it was given. History needs none."
    )
