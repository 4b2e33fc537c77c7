"""Choices and check constraints of a column, made from an enum of the domain."""

from __future__ import annotations

from enum import Enum
from typing import Any

from django.db import models
from django.db.models import Q


def _choices(words: type[Enum]) -> list[tuple[Any, str]]:
    return [(word.value, word.name if word.value == "" else str(word.value)) for word in words]


def _known(field: str, words: type[Enum], name: str) -> models.CheckConstraint:
    return models.CheckConstraint(name=name, condition=Q(**{f"{field}__in": [word.value for word in words]}))
