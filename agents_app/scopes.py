"""What an API client may do. A scope opens a door; the verbs behind it still ask whose session it is."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from agents_app.models import ApiClient


class Scope(models.TextChoices):
    READ = "conversations:read", _("read conversations, sessions and messages")
    INBOUND = "inbound:write", _("bring in what customers say")
    MESSAGES = "messages:write", _("send messages, and bring in batches of them")
    SESSIONS = "sessions:write", _("open and drive sessions")
    TRANSFERS = "transfers:write", _("ask for humans and withdraw it")
    FLOWS = "flows:write", _("run guided flows")
    EVENTS = "events:read", _("follow the events")
    TOKENS = "tokens:write", _("issue conversation tokens")
    WEBHOOKS = "webhooks:write", _("manage the client's own webhooks")


# Without INBOUND: a bot that may speak for customers could forge their words in another bot's conversations.
_OF_BOTS = frozenset({Scope.READ, Scope.MESSAGES, Scope.SESSIONS, Scope.TRANSFERS, Scope.FLOWS, Scope.EVENTS})
OF_TOKENS = frozenset({Scope.READ, Scope.INBOUND, Scope.MESSAGES, Scope.SESSIONS, Scope.TRANSFERS, Scope.EVENTS})
"""The scopes that a customer's token can have at most: those of them that its issuing key has."""


def scopes_of(client: ApiClient) -> frozenset[str]:
    """The scopes a client was given; one that was given none has those that are usual for its kind."""
    if client.scopes:
        return frozenset(client.scopes)
    return _OF_BOTS if client.kind == ApiClient.Kind.BOT else frozenset(Scope)
