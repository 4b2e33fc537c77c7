"""Credentials for customers: what an integrator hands to a chat in the shop's own page."""

from __future__ import annotations

from dataclasses import replace

from agents_app.actors import Actor, customer_actor
from agents_app.credentials.tokens import issue_token
from agents_app.models import Tenant
from agents_app.scopes import OF_TOKENS, Scope
from sessions_app.rights import visible
from sessions_app.rights.field_rights import by_role


@by_role
def issue_customer_token(*, actor: Actor, conversation_id: int, customer_name: str = "") -> str:
    """Issue a token with which one customer reads and writes in one conversation, as far as the actor may.

    It has no scope that the actor does not have, and holds no name that the actor may not read. Raises `NotFound`,
    `Forbidden`.
    """
    conversation = visible.conversation(actor, conversation_id)
    name = customer_name or (conversation.customer_name if actor.may(Scope.READ) else "")
    customer = customer_actor(Tenant.objects.get(pk=actor.tenant_id), conversation.pk, name)
    scopes = None if actor.scopes is None else actor.scopes & OF_TOKENS
    return issue_token(replace(customer, scopes=scopes))
