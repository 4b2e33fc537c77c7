"""Fields for bodies and filters that clean what senders send as every other door does, by `messaging_app.incoming`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError as NotValid
from rest_framework import serializers

from config import limits
from config.body_readers import Declines, Read
from config.errors import Malformed
from messaging_app import incoming
from messaging_app.fields import read_as


def reader_of_text(field: serializers.CharField, cleaned: Callable[[str], str]) -> Read:
    """The reader of a text (`config.body_readers`) that is cleaned before its length counts."""
    most, may_be_blank = field.max_length or limits.MAX_CONTENT, field.allow_blank

    def read(value: Any) -> str:
        text = cleaned(value) if isinstance(value, str) else None
        if text is None or len(text) > most or not (text or may_be_blank):
            raise Declines
        return text

    return read


class IdText(serializers.CharField):
    """An id of the sender's: trimmed, in NFC, without characters that nobody sees."""

    def __init__(self, *, max_length: int = limits.MAX_ID, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if isinstance(data, str) and data:
            data = read_as(lambda: incoming.identifier(data, incoming.IT, self.max_length or limits.MAX_ID))
        return super().run_validation(data)

    def reader(self) -> Read:
        most = self.max_length or limits.MAX_ID
        return lambda value: incoming.identifier(value, incoming.IT, most)


class Text(serializers.CharField):
    """Words, as they were written: what no database can hold in them becomes U+FFFD."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": limits.MAX_CONTENT, "trim_whitespace": False} | options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation(incoming.clean(data) if isinstance(data, str) else data)

    def reader(self) -> Read:
        return reader_of_text(self, incoming.clean)


class PersonName(serializers.CharField):
    """What somebody is called, in one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": limits.MAX_NAME, "required": False, "allow_blank": True} | options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if isinstance(data, str):
            data = incoming.person_name(data, most=len(data))
        return super().run_validation(data)

    def reader(self) -> Read:
        return reader_of_text(self, lambda value: incoming.person_name(value, most=len(value)))


class _IdTextField(forms.CharField):
    def clean(self, value: Any) -> Any:
        if value in (None, ""):
            return ""
        try:
            return incoming.identifier(value, incoming.IT, self.max_length or limits.MAX_ID)
        except Malformed as error:
            raise NotValid(error.detail) from None


class IdTextFilter(django_filters.CharFilter):
    """A sender's id, found however it was typed."""

    field_class = _IdTextField

    def __init__(self, *args: Any, max_length: int = limits.MAX_ID, **options: Any) -> None:
        super().__init__(*args, max_length=max_length, **options)
