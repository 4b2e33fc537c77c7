"""Who reads an answer. Several serializers leave fields out, or empty, for people from outside the desk and for bots."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents_app.actors import Actor, ActorKind

OUTSIDERS = (ActorKind.CUSTOMER, ActorKind.PARTICIPANT)
"""People from outside the desk: they are told nothing of its marks and reasons."""


def reader_of(answer: serializers.BaseSerializer[Any]) -> Actor:
    """The caller who gets the answer that this serializer writes."""
    actor: Actor = answer.context["view"].actor
    return actor
