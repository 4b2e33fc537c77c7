"""What a command did: to one conversation, or to each of many."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.api import Id, Problem, ResponseSerializer, problem_of
from config.compiled_answers import Compiled
from messaging_app.models import Controller
from sessions_app.actions.bulk import BulkResult
from sessions_app.core.locked_conversation import Outcome


class OutcomeResponse(Compiled, serializers.Serializer[Outcome]):
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


class DoneResponse(Compiled, serializers.Serializer[BulkResult]):
    """What became of one conversation: its outcome, or the problem that it would have been answered alone."""

    conversation_id = Id()
    is_done = serializers.SerializerMethodField(help_text="False where `problem` says why not.")
    outcome = OutcomeResponse(allow_null=True)
    problem = serializers.SerializerMethodField()

    def get_is_done(self, done: BulkResult) -> bool:
        return done.problem is None

    @extend_schema_field(Problem(allow_null=True))
    def get_problem(self, done: BulkResult) -> dict[str, Any] | None:
        refusal = problem_of(done.problem) if done.problem else None
        return refusal[1] if refusal else None


class BulkResponse(Compiled, serializers.Serializer[dict[str, Any]]):
    done = serializers.IntegerField(help_text="How many were done, or had been before.")
    results = DoneResponse(many=True)
