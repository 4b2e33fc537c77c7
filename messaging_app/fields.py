"""Serializer fields whose rule is in messaging_app/incoming.py, for the APIs of this layer and of those above."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.errors import Malformed
from messaging_app import incoming


@extend_schema_field({"type": "string", "format": "date-time"})
class SentTime(serializers.Field[datetime, Any, str, Any]):
    """A time of the caller's: when something was said, or from when on something is wanted."""

    def to_internal_value(self, data: Any) -> datetime:
        return read_as(lambda: incoming.read_time(data, incoming.IT))

    def to_representation(self, value: Any) -> Any:
        return value.isoformat()


def read_as[T](read: Callable[[], T]) -> T:
    """What `read` returns; `Malformed` becomes the field's validation error."""
    try:
        return read()
    except Malformed as error:
        raise serializers.ValidationError(f"{error.detail[0].upper()}{error.detail[1:]}.") from None
