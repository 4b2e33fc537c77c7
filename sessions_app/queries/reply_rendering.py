"""Canned replies filled in for a conversation: only this app knows who would say them."""

from __future__ import annotations

from collections.abc import Mapping

from agents_app.actors import Actor
from agents_app.models import Tenant
from messaging_app.agent_tools import canned_replies
from sessions_app import queries
from sessions_app.rights import visible
from sessions_app.states import Owner


def values_in(actor: Actor, conversation_id: int) -> Mapping[str, str]:
    """The values of the variables, by name, in a conversation that the actor may see. Raises `NotFound`.

    {agent} is the name of the agent who asks; for a program that of the agent who serves, or else the tenant's.
    """
    conversation = visible.conversation(actor, conversation_id)
    name = actor.name
    if not actor.is_agent:
        live = queries.live_sessions([conversation.pk]).get(conversation.pk)
        serves = live is not None and live.owner_kind == Owner.AGENT
        name = queries.owner_of(live) if serves else Tenant.objects.get(pk=actor.tenant_id).name
    return canned_replies.values_for(conversation, agent=name)


def render(*, actor: Actor, reply_id: int, conversation_id: int) -> str:
    """A reply as it would be said in a conversation. Raises `NotFound`."""
    reply = canned_replies.reply(actor, reply_id)
    return canned_replies.fill_in(reply.text, values_in(actor, conversation_id))
