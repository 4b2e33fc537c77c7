"""Who has the turn, as sessions and conversations both say it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from config.api import Id
from config.compiled_answers import Compiled


class OwnerResponse(Compiled, serializers.Serializer[dict[str, Any]]):
    kind = serializers.CharField(help_text="bot, agent, shop, or empty for nobody.")
    id = Id(allow_null=True)
    name = serializers.CharField()
