"""Who reads a response. Several serializers leave fields out, or empty, for outsiders to the desk and for bots."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents_app.actors import Actor, ActorKind

OUTSIDERS = (ActorKind.CUSTOMER, ActorKind.PARTICIPANT)
"""People from outside the desk: they do not see its marks and reasons."""


def reader_of(serializer: serializers.BaseSerializer[Any]) -> Actor:
    """The caller who gets the response that this serializer writes."""
    actor: Actor = serializer.context["view"].actor
    return actor
