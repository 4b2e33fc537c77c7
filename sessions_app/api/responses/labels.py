"""A label: a mark that agents put on conversations."""

from __future__ import annotations

from rest_framework import serializers

from config.api import Id
from config.compiled_answers import Compiled
from messaging_app.models.agent_tools import Label


class LabelResponse(Compiled, serializers.ModelSerializer[Label]):
    id = Id()

    class Meta:
        model = Label
        fields = ("id", "name", "colour", "is_enabled")
        read_only_fields = fields
