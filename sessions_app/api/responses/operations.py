"""An operation of a conversation's record, as far as its reader may see it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents_app.scopes import Scope
from config import wire_format
from config.api import Id
from config.compiled_answers import Compiled
from messaging_app.events import plain
from messaging_app.models import Operation
from sessions_app.api.responses.reader import OUTSIDERS, reader_of
from sessions_app.events.catalogue import for_outsiders


class OperationResponse(Compiled, serializers.ModelSerializer[Operation]):
    """One change, as it was recorded: ids and digests, never what was said."""

    session_id = Id(allow_null=True)
    actor_id = Id(allow_null=True)
    data = serializers.DictField()  # type: ignore[assignment]

    class Meta:
        model = Operation
        fields = ("seq", "pos", "type", "session_id", "actor_kind", "actor_id", "actor_name", "data", "at")
        read_only_fields = fields

    def to_representation(self, operation: Operation) -> dict[str, Any]:
        shown, reader = super().to_representation(operation), reader_of(self)
        if not reader.may(Scope.READ):
            shown |= {"actor_name": "", "data": plain(shown["data"])}
        shown["data"] = wire_format.encode(shown["data"])
        return for_outsiders(shown) if reader.kind in OUTSIDERS else shown
