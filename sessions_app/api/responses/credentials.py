"""The credentials that a participant, or the customer in the shop's own chat, connects with."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from config.api import Id
from config.compiled_answers import Compiled


class JoinedResponse(Compiled, serializers.Serializer[dict[str, Any]]):
    """The participant's own credential; the link is spent."""

    conversation_id = Id()
    participant_id = Id()
    token = serializers.CharField(help_text="Send it as `Authorization: Bearer …`.")


class TokenResponse(Compiled, serializers.Serializer[dict[str, Any]]):
    token = serializers.CharField(help_text="Send it as `Authorization: Bearer …`.")
    expires_in = serializers.IntegerField(help_text="Seconds.")
