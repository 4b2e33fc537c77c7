"""What the API says of each thing. Ids are text; times are UTC; nothing here is stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents_app.actors import Actor, ActorKind
from agents_app.directory import Found
from agents_app.models import Agent, Team, Tenant
from agents_app.scopes import Scope
from config import wire_format
from config.api import Id, Problem, ResponseSerializer, problem_of
from messaging_app.agent_tools import labels
from messaging_app.attachments import rows as attachments
from messaging_app.events import plain
from messaging_app.models import Controller, Conversation, Message, Operation, Tier
from messaging_app.models.agent_tools import Label
from messaging_app.models.attachments import Attachment
from sessions_app import queries
from sessions_app.actions.bulk import Done
from sessions_app.actions.departure import Departure
from sessions_app.actions.recovery import RecoveryState
from sessions_app.assignment.explanations import Explanation, Looked
from sessions_app.core.locked_conversation import Outcome
from sessions_app.events.catalogue import for_outsiders
from sessions_app.models import ChatSession, GuidedFlow, Participant, SlaClock, Transfer
from sessions_app.queries import ConversationRow, pressing
from sessions_app.queries.expected_wait import waiting
from sessions_app.rights import access
from sessions_app.states import Derived

OUTSIDERS = (ActorKind.CUSTOMER, ActorKind.PARTICIPANT)


def _reader(answer: serializers.BaseSerializer[Any]) -> Actor:
    """Who will read this answer."""
    actor: Actor = answer.context["view"].actor
    return actor


class OutcomeResponse(serializers.Serializer[Outcome]):
    """What a command did. `epoch` is the fencing token to send with the next word; `rule` names what decided."""

    conversation_id = Id()
    session_id = Id(allow_null=True)
    transfer_id = Id(allow_null=True)
    participant_id = Id(allow_null=True)
    message_id = serializers.CharField(help_text="The message's id as its sender gave it, or the one made for it.")
    status = serializers.CharField(help_text="The session's status.")
    controller = serializers.ChoiceField(Controller.choices, help_text="Who gets the customer's next message.")
    epoch = serializers.IntegerField()
    seq = serializers.IntegerField(help_text="The conversation's last operation.")
    rule = serializers.CharField(help_text="The conflict rule that decided, C0 to C7; empty where none had to.")
    is_repeat = serializers.BooleanField(help_text="True when this had been done before and nothing was changed.")
    token = serializers.CharField(help_text="A secret that is shown once; empty otherwise.")
    detail = ResponseSerializer(
        help_text="More, by command: `queue_position`, `expected_wait`, `question`, `opens_at`, `after_hours`."
    )


class DoneResponse(serializers.Serializer[Done]):
    """What became of one conversation: its outcome, or the problem that it would have been answered alone."""

    conversation_id = Id()
    is_done = serializers.SerializerMethodField(help_text="False where `problem` says why not.")
    outcome = OutcomeResponse(allow_null=True)
    problem = serializers.SerializerMethodField()

    def get_is_done(self, done: Done) -> bool:
        return done.problem is None

    @extend_schema_field(Problem(allow_null=True))
    def get_problem(self, done: Done) -> dict[str, Any] | None:
        told = problem_of(done.problem) if done.problem else None
        return told[1] if told else None


class BulkResponse(serializers.Serializer[dict[str, Any]]):
    done = serializers.IntegerField(help_text="How many were done, or had been before.")
    results = DoneResponse(many=True)


class OwnerResponse(serializers.Serializer[dict[str, Any]]):
    kind = serializers.CharField(help_text="bot, agent, shop, or empty for nobody.")
    id = Id(allow_null=True)
    name = serializers.CharField()


class ClockResponse(serializers.ModelSerializer[SlaClock]):
    """How long a customer may be kept waiting, and was. What ran over goes on until `ended_at`."""

    target = serializers.SerializerMethodField(help_text="Seconds.")
    spent = serializers.SerializerMethodField(help_text="Seconds that counted before it last began to run.")

    class Meta:
        model = SlaClock
        fields = (
            "kind",
            "state",
            "target",
            "spent",
            "started_at",
            "running_since",
            "paused_at",
            "due_at",
            "warned_at",
            "breached_at",
            "ended_at",
        )
        read_only_fields = fields

    def get_target(self, clock: SlaClock) -> int:
        return int(clock.target.total_seconds())

    def get_spent(self, clock: SlaClock) -> int:
        return int(clock.spent.total_seconds())


class SessionResponse(serializers.ModelSerializer[ChatSession]):
    id = Id()
    conversation_id = Id()
    owner = serializers.SerializerMethodField()
    state = serializers.SerializerMethodField(help_text="What other systems call the status.")
    bot_id = Id(allow_null=True)
    agent_id = Id(allow_null=True)
    previous_id = Id(allow_null=True, help_text="The ended session that this one reopens.")
    context = serializers.DictField()  # type: ignore[assignment]
    clocks = ClockResponse(many=True, help_text="Service levels, oldest first; none where nothing was promised.")

    class Meta:
        model = ChatSession
        fields = (
            "id",
            "conversation_id",
            "kind",
            "origin",
            "task",
            "priority",
            "rank",
            "status",
            "state",
            "owner",
            "bot_id",
            "agent_id",
            "previous_id",
            "on_hold",
            "outcome",
            "reason",
            "context",
            "message_count",
            "opened_at",
            "activated_at",
            "last_activity_at",
            "ended_at",
            "expires_at",
            "missed_from_seq",
            "clocks",
        )
        read_only_fields = fields

    @extend_schema_field(OwnerResponse)
    def get_owner(self, session: ChatSession) -> dict[str, Any]:
        owner = session.owner_id
        name = access.owner_name(session) if session.owner_kind else ""
        return {"kind": session.owner_kind, "id": str(owner) if owner else None, "name": name}

    @extend_schema_field(serializers.ChoiceField([(word.value, word.value) for word in Derived]))
    def get_state(self, session: ChatSession) -> str:
        return session.derived.value


class LabelResponse(serializers.ModelSerializer[Label]):
    id = Id()

    class Meta:
        model = Label
        fields = ("id", "name", "colour", "is_enabled")
        read_only_fields = fields


def _tier_for_outsiders(conversation: Conversation) -> int:
    """By whose turn it is alone: urgency and flags are the desk's."""
    if conversation.controller == Controller.QUEUE:
        return Tier.HAND_RAISED
    return Tier.RESOLVED if conversation.controller == Controller.NONE else Tier.ACTIVE


class ConversationResponse(serializers.ModelSerializer[Conversation]):
    id = Id()
    tier = serializers.ChoiceField(Tier.choices)
    owner = serializers.SerializerMethodField()
    live_session_id = serializers.SerializerMethodField()
    need = serializers.DictField(help_text="Why a human is needed; empty when none is.")
    opens_at = serializers.SerializerMethodField(
        help_text="When somebody is there for whom the customer waits; null when somebody is, or nobody is waited for."
    )
    labels = serializers.SerializerMethodField()
    is_unread = serializers.SerializerMethodField(
        help_text=(
            "Whether the customer has spoken since this agent last read it, and it is the agent's to read: the agent serves "
            "it, or it waits for somebody. False for programs and people from outside."
        )
    )
    is_collaborator = serializers.SerializerMethodField(
        help_text="Whether this agent was called in to help whoever serves, and is in it."
    )
    can_grab = serializers.SerializerMethodField(
        help_text=(
            "Whether this agent may take it from the human who serves it: another's, with room for one more (a full "
            "supervisor takes it with `override`), and not while the agent gets nothing new."
        )
    )

    _alone: Mapping[int, ConversationRow] = MappingProxyType(
        {}
    )  # of the one conversation that is answered, where there is no list

    def to_representation(self, conversation: Conversation) -> dict[str, Any]:
        told = super().to_representation(conversation)
        kind = _reader(self).kind
        if kind in OUTSIDERS:  # the desk's own judgement and marks
            told |= {"need": {}, "is_vip": False, "is_urgent": False, "pinned_at": None, "todo_at": None, "labels": []}
            told |= {"needs_human": False, "tier": _tier_for_outsiders(conversation)}
            told |= {} if conversation.controller == Controller.QUEUE else {"waiting_since": None}
        if kind in (
            ActorKind.PARTICIPANT,
            ActorKind.BOT,
        ):  # they read the messages, as far as those are shared with them
            told |= {"last_text": "", "last_sender": ""}
        return told

    class Meta:
        model = Conversation
        fields = (
            "id",
            "platform",
            "shop_id",
            "account_id",
            "kind",
            "customer_name",
            "is_vip",
            "controller",
            "epoch",
            "tier",
            "owner",
            "live_session_id",
            "needs_human",
            "need",
            "waiting_since",
            "opens_at",
            "is_urgent",
            "pinned_at",
            "todo_at",
            "labels",
            "is_unread",
            "is_collaborator",
            "can_grab",
            "seq",
            "last_text",
            "last_sender",
            "last_activity_at",
            "created_at",
        )
        read_only_fields = fields

    def _live(self, conversation: Conversation) -> ChatSession | None:
        live: dict[int, ChatSession] | None = self.context.get("live")
        if live is None:
            live = queries.live_sessions([conversation.pk])
        return live.get(conversation.pk)

    @extend_schema_field(OwnerResponse)
    def get_owner(self, conversation: Conversation) -> dict[str, Any]:
        live = self._live(conversation)
        if live is None or not live.owner_kind:
            return {"kind": "", "id": None, "name": ""}
        owner = live.owner_id
        return {"kind": live.owner_kind, "id": str(owner) if owner else None, "name": access.owner_name(live)}

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_opens_at(self, conversation: Conversation) -> str | None:
        openings: dict[int, datetime] | None = self.context.get("openings")
        if openings is None:
            openings = pressing.openings([conversation])
        at = openings.get(conversation.pk)
        return serializers.DateTimeField().to_representation(at) if at else None

    @extend_schema_field(LabelResponse(many=True))
    def get_labels(self, conversation: Conversation) -> list[dict[str, Any]]:
        named: Mapping[int, list[Label]] | None = self.context.get("labels")
        if named is None:
            named = labels.on([conversation.pk])
        return list(LabelResponse(named.get(conversation.pk, []), many=True).data)

    def _standing(self, conversation: Conversation) -> ConversationRow | None:
        rows: Mapping[int, ConversationRow] = self.context.get("standing", self._alone)
        if "standing" not in self.context and conversation.pk not in rows:
            rows = self._alone = queries.standing(_reader(self), [conversation.pk])
        return rows.get(conversation.pk)

    def get_is_unread(self, conversation: Conversation) -> bool:
        row = self._standing(conversation)
        return row is not None and row.is_unread

    def get_is_collaborator(self, conversation: Conversation) -> bool:
        row = self._standing(conversation)
        return row is not None and row.is_collaborator

    def get_can_grab(self, conversation: Conversation) -> bool:
        row = self._standing(conversation)
        return row is not None and row.can_grab

    @extend_schema_field(Id(allow_null=True))
    def get_live_session_id(self, conversation: Conversation) -> str | None:
        live = self._live(conversation)
        return str(live.pk) if live else None


class ConversationDetailResponse(ConversationResponse):
    """`queue_position` and `expected_wait` are null while nobody waits for a human; the latter also when not known."""

    queue_position = serializers.IntegerField(allow_null=True, help_text="1 for the next.")
    expected_wait = serializers.IntegerField(allow_null=True, help_text="Seconds; 0 for at once.")

    class Meta:
        model = Conversation
        fields = (*ConversationResponse.Meta.fields, "queue_position", "expected_wait")
        read_only_fields = fields

    def to_representation(self, conversation: Conversation) -> dict[str, Any]:
        waits = waiting(conversation)
        conversation.queue_position = waits.position if waits else None  # type: ignore[attr-defined]
        conversation.expected_wait = waits.seconds if waits else None  # type: ignore[attr-defined]
        return super().to_representation(conversation)


class QueueResponse(serializers.Serializer[dict[str, Any]]):
    """Where a conversation stands in the line for a human. The wait is an estimate from how long agents needed of late."""

    is_waiting = serializers.BooleanField()
    position = serializers.IntegerField(allow_null=True, help_text="1 for the next; null while it does not wait.")
    expected_wait = serializers.IntegerField(allow_null=True, help_text="Seconds; 0 for at once, null when not known.")


class AttachmentResponse(serializers.ModelSerializer[Attachment]):
    """A file. `width` and `height` are a picture's; `url` and `preview_url` ask for a credential like this address."""

    id = Id()
    conversation_id = Id()
    message_id = serializers.SerializerMethodField(help_text="The `id` of the message that sent it; null until then.")
    url = serializers.SerializerMethodField()
    preview_url = serializers.SerializerMethodField(help_text="Of a small copy; null for what is no picture.")

    class Meta:
        model = Attachment
        fields = (
            "id",
            "conversation_id",
            "message_id",
            "name",
            "media_type",
            "size",
            "sha256",
            "width",
            "height",
            "url",
            "preview_url",
            "created_at",
        )
        read_only_fields = fields

    @extend_schema_field(Id(allow_null=True))
    def get_message_id(self, attachment: Attachment) -> str | None:
        return str(attachment.message_id) if attachment.message_id else None

    def get_url(self, attachment: Attachment) -> str:
        return str(attachments.told(attachment)["url"])

    def get_preview_url(self, attachment: Attachment) -> str | None:
        url: str | None = attachments.told(attachment)["preview_url"]
        return url


class MessageResponse(serializers.ModelSerializer[Message]):
    id = Id()
    session_id = Id(allow_null=True)
    attachments = AttachmentResponse(many=True)

    class Meta:
        model = Message
        fields = (
            "id",
            "message_id",
            "session_id",
            "sender_type",
            "sender_name",
            "is_note",
            "content",
            "attachments",
            "sent_at",
            "seq",
        )
        read_only_fields = fields


class OperationResponse(serializers.ModelSerializer[Operation]):
    """One change, as it was recorded: ids and digests, never what was said."""

    session_id = Id(allow_null=True)
    actor_id = Id(allow_null=True)
    data = serializers.DictField()  # type: ignore[assignment]

    class Meta:
        model = Operation
        fields = ("seq", "pos", "type", "session_id", "actor_kind", "actor_id", "actor_name", "data", "at")
        read_only_fields = fields

    def to_representation(self, operation: Operation) -> dict[str, Any]:
        told, reader = super().to_representation(operation), _reader(self)
        if not reader.may(Scope.READ):
            told |= {"actor_name": "", "data": plain(told["data"])}
        told["data"] = wire_format.encode(told["data"])
        return for_outsiders(told) if reader.kind in OUTSIDERS else told


class Package(ResponseSerializer):
    """A context package; the task state is the bot's own, and stays as it is."""

    def to_representation(self, value: Any) -> Any:
        told = super().to_representation(value)
        return told | {"task_state": value["task_state"]} if "task_state" in value else told


class TransferResponse(serializers.ModelSerializer[Transfer]):
    id = Id()
    conversation_id = Id()
    session_id = Id()
    from_id = Id(allow_null=True)
    to_team_id = Id(allow_null=True)
    to_agent_id = Id(allow_null=True)
    accepted_by_id = Id(allow_null=True)
    offered_to_id = Id(allow_null=True)
    needs = serializers.DictField(child=serializers.IntegerField(), help_text="Skills that are needed, with a level.")
    reason_by = serializers.SerializerMethodField(help_text="Whose words the reason is; empty without one.")
    context: Any = Package(
        help_text="The context package: docs/schemas/context-package-2.json; of older transfers context-package-1.json."
    )

    class Meta:
        model = Transfer
        fields = (
            "id",
            "conversation_id",
            "session_id",
            "kind",
            "status",
            "from_kind",
            "from_id",
            "from_name",
            "to_team_id",
            "to_agent_id",
            "offered_to_id",
            "offer_expires_at",
            "needs",
            "accepted_by_id",
            "reason",
            "reason_by",
            "trigger",
            "context",
            "requested_at",
            "waiting_since",
            "opens_at",
            "deadline",
            "asked_again",
            "ended_at",
            "end_reason",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField([(kind.value, kind.value) for kind in ActorKind], allow_blank=True))
    def get_reason_by(self, transfer: Transfer) -> str:
        return str(transfer.context.get("reason_by", ""))


class CandidateResponse(serializers.Serializer[Looked]):
    """An agent who was looked at. `verdict` is fits, or why not; those who fit come in the strategy's order."""

    agent_id = Id()
    name = serializers.CharField()
    verdict = serializers.CharField()
    busy = serializers.IntegerField(help_text="Live sessions and open offers at that moment.")
    max_load = serializers.IntegerField()


class DecisionResponse(serializers.Serializer[Explanation]):
    """Why a conversation was offered to this agent, or to nobody."""

    id = Id()
    at = serializers.DateTimeField()
    strategy = serializers.CharField()
    chosen_id = Id(allow_null=True)
    why = serializers.CharField()
    candidates = CandidateResponse(many=True)


class DecisionsResponse(serializers.Serializer[dict[str, Any]]):
    decisions = DecisionResponse(many=True)


class ParticipantResponse(serializers.ModelSerializer[Participant]):
    id = Id()
    agent_id = Id(allow_null=True)

    class Meta:
        model = Participant
        fields = (
            "id",
            "role",
            "status",
            "agent_id",
            "name",
            "contact",
            "history",
            "history_count",
            "invited_by",
            "invited_at",
            "notice_status",
            "notice_error",
            "notice_sent_at",
            "joined_at",
            "ended_at",
        )
        read_only_fields = fields

    def to_representation(self, participant: Participant) -> dict[str, Any]:
        told = super().to_representation(participant)
        return told if _reader(self).is_agent else told | {"contact": "", "invited_by": ""}


class InvitedMember(serializers.Serializer[dict[str, Any]]):
    participant_id = Id()
    name = serializers.CharField()
    token = serializers.CharField(help_text="The link's, shown once.")


class SkippedMember(serializers.Serializer[dict[str, str]]):
    name = serializers.CharField()
    reason = serializers.ChoiceField([("already_in", "already_in")])


class InvitedResponse(serializers.Serializer[Outcome]):
    """Everybody of a department: who was invited, and who was not because they are in or invited already."""

    conversation_id = Id()
    seq = serializers.IntegerField(help_text="The conversation's last operation.")
    invited = InvitedMember(many=True, source="detail.invited")
    skipped = SkippedMember(many=True, source="detail.skipped")


class DepartmentResponse(serializers.Serializer[Found]):
    id = serializers.CharField(help_text="The directory's own.")
    name = serializers.CharField()


class DepartmentsResponse(serializers.Serializer[dict[str, Any]]):
    """A few that fit; search by name for others."""

    departments = DepartmentResponse(many=True)


class FlowResponse(serializers.ModelSerializer[GuidedFlow]):
    id = Id()
    conversation_id = Id(allow_null=True)
    is_repeat = serializers.BooleanField(
        help_text="True when this had been done before and nothing was changed; false where a flow is only read."
    )
    missing_info = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = GuidedFlow
        fields = (
            "id",
            "trigger_id",
            "conversation_id",
            "status",
            "version",
            "pending_question",
            "missing_info",
            "answer",
            "last_candidate",
            "last_notification",
            "failed_reason",
            "lease_until",
            "expires_at",
            "created_at",
            "updated_at",
            "is_repeat",
        )
        read_only_fields = fields

    def to_representation(self, flow: GuidedFlow) -> dict[str, Any]:
        """What a customer answered is for whoever may read words; what another program asked and found, likewise."""
        told, reader = super().to_representation(flow), _reader(self)
        if reader.may(Scope.READ):
            return told
        if flow.client_id == reader.pk:
            return told | {"answer": ""}
        words = ("pending_question", "answer", "last_candidate", "last_notification", "failed_reason")
        return told | dict.fromkeys(words, "") | {"missing_info": []}


class AgentResponse(serializers.ModelSerializer[Agent]):
    id = Id()
    skills = serializers.DictField(child=serializers.IntegerField(), help_text="With their levels, from 1 to 5.")
    load = serializers.IntegerField(help_text="Live sessions owned now; counted.")
    is_drained = serializers.BooleanField(help_text="Whether the agent gets nothing new, and keeps what they serve.")
    is_reachable = serializers.BooleanField(help_text="Declared available and heard of within the last minute.")
    teams: Any = serializers.SlugRelatedField("name", many=True, read_only=True)

    class Meta:
        model = Agent
        fields = (
            "id",
            "name",
            "role",
            "availability",
            "availability_reason",
            "availability_since",
            "is_reachable",
            "is_drained",
            "load",
            "max_load",
            "skills",
            "teams",
            "last_seen_at",
        )
        read_only_fields = fields


class DepartureResponse(serializers.Serializer[Departure]):
    agent_id = Id(source="agent.pk")
    name = serializers.CharField(source="agent.name")
    moved = serializers.IntegerField(help_text="Conversations of theirs that went on elsewhere at once.")
    left = serializers.IntegerField(help_text="Conversations that could not; Tandem tries again every second.")
    is_repeat = serializers.BooleanField(help_text="The agent had left already.")


class TeamResponse(serializers.ModelSerializer[Team]):
    id = Id()
    assignment = serializers.SerializerMethodField(help_text="Its own, or the tenant's.")
    needs = serializers.DictField(child=serializers.IntegerField())
    members = serializers.SerializerMethodField()

    class Meta:
        model = Team
        fields = ("id", "name", "members", "assignment", "strategy", "needs", "capacity")
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(Tenant.Assignment.choices))
    def get_assignment(self, team: Team) -> str:
        return team.assignment or team.tenant.assignment

    @extend_schema_field(serializers.ListField(child=Id()))
    def get_members(self, team: Team) -> list[str]:
        return [str(agent.pk) for agent in team.members.all()]


class AvailabilityResponse(serializers.Serializer[queries.Availability]):
    """Whether a robot session could be live at once; if not, what is in the way and when that may end."""

    available = serializers.BooleanField()
    conversation_id = Id(allow_null=True, help_text="Null when nobody has written to this shop yet.")
    conflicting_session_id = Id(allow_null=True)
    owner_kind = serializers.CharField()
    owner_name = serializers.CharField()
    may_end_at = serializers.DateTimeField(allow_null=True)


class TruthResponse(serializers.Serializer[RecoveryState]):
    """What has become of a session while its bot or agent was away (rule C5)."""

    state = serializers.ChoiceField([(s, s) for s in ("yours", "paused", "waiting", "moved", "ended")])
    session_id = Id()
    conversation_id = Id()
    status = serializers.CharField()
    controller = serializers.ChoiceField(Controller.choices, help_text="Who gets the customer's next message.")
    epoch = serializers.IntegerField()
    seq = serializers.IntegerField()
    owner_name = serializers.CharField(help_text="Who has it now; empty for a key that does not read names.")
    missed = OperationResponse(many=True)
    messages = MessageResponse(
        many=True, help_text="The words that this page of operations recorded, as far as the caller may read them."
    )
    unanswered = MessageResponse(
        many=True,
        help_text="What the customer said and nobody has answered, the newest 200 of it; none where the turn is "
        "not the caller's. An answer with the `message_id` `re-` and a message's id answers that message alone, any "
        "other all before it.",
    )
    has_more = serializers.BooleanField(help_text="Ask again at once, behind `next_after_seq`.")
    next_after_seq = serializers.IntegerField(help_text="Send it as `after_seq` with the next request.")


class JoinedResponse(serializers.Serializer[dict[str, Any]]):
    """The participant's own credential; the link is spent."""

    conversation_id = Id()
    participant_id = Id()
    token = serializers.CharField(help_text="Send it as `Authorization: Bearer …`.")


class TokenResponse(serializers.Serializer[dict[str, Any]]):
    token = serializers.CharField(help_text="Send it as `Authorization: Bearer …`.")
    expires_in = serializers.IntegerField(help_text="Seconds.")
