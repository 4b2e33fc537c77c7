"""What may be in the database after a hostile day, told from docs/rules.md and not from the code.

Read the rows, not the answers: whatever a door said, nothing may have been set by whoever may not set it.
"""

from __future__ import annotations

from collections.abc import Iterable

from agents_app.models import Agent, ApiClient
from messaging_app.models import Conversation, Message, Operation
from sessions_app.core.context_package import entries
from sessions_app.models import ChatSession, Participant, Transfer

SAYS = {
    "customer": {"customer"},
    "participant": {"participant"},
    "bot": {"bot"},
    "agent": {"agent"},
    "integrator": {"customer", "bot", "agent", "shop"},
    "system": {"customer", "bot", "agent", "shop", "system"},
}
"""Whose words somebody may bring, by the kind of who brought them."""
OF_CUSTOMERS = {
    "attention.cleared",
    "attention.raised",
    "flow.moved",
    "message.created",
    "messages.grouped",
    "ownership.changed",
    "participant.joined",
    "participant.left",
    "session.activated",
    "session.completed",
    "session.ending_soon",
    "session.opened",
    "session.resumed",
    "session.timed_out",
    "session.transferred",
    "transfer.asked_again",
    "transfer.changed",
    "transfer.requested",
    "transfer.timed_out",
}
"""What a customer's or guest's call may bring about."""


def wrongs() -> Iterable[str]:
    yield from _across_tenants()
    yield from _words()
    yield from _of_customers()
    yield from _of_bots()


def _across_tenants() -> Iterable[str]:
    """Nothing crosses from one tenant to another."""
    tenants = {
        "agent": dict(Agent.objects.values_list("pk", "tenant_id")),
        "bot": dict(ApiClient.objects.values_list("pk", "tenant_id")),
        "integrator": dict(ApiClient.objects.values_list("pk", "tenant_id")),
        "participant": dict(Participant.objects.values_list("pk", "tenant_id")),
    }
    for operation in Operation.objects.select_related("conversation"):
        at_home = tenants.get(operation.actor_kind, {}).get(operation.actor_id, operation.tenant_id)
        if at_home != operation.tenant_id or (operation.conversation and operation.conversation.tenant_id != at_home):
            yield f"{operation} of tenant {operation.tenant_id} was made by {operation.actor_kind} {operation.actor_id}"


def _words() -> Iterable[str]:
    """Identity comes from the credential, never from the body."""
    by = {
        (conversation_id, seq): (kind, actor_id, kind_of)
        for conversation_id, seq, kind, actor_id, kind_of in Operation.objects.values_list(
            "conversation_id", "seq", "actor_kind", "actor_id", "type"
        )
    }
    channels = set(ApiClient.objects.filter(scopes__icontains="inbound:write", kind="bot").values_list("pk", flat=True))
    for message in Message.objects.iterator():
        kind, actor_id, _ = by[message.conversation_id, message.seq]
        allowed = SAYS[kind] | ({"customer"} if kind == "bot" and actor_id in channels else set())
        if message.sender_type not in allowed:
            yield f"message {message.pk} says {message.sender_type}, and a {kind} ({actor_id}) brought it"
        if message.is_note and kind != "agent":
            yield f"message {message.pk} is a note of a {kind}"
        if "\x00" in message.content or any("\ud800" <= letter <= "\udfff" for letter in message.content):
            yield f"message {message.pk} holds what no answer can show"
        if message.sent_at.year < 2000:
            yield f"message {message.pk} was said in {message.sent_at.year}"


def _of_customers() -> Iterable[str]:
    """A customer or guest asks for a human and may say why; nothing more is theirs to set."""
    for operation in Operation.objects.filter(actor_kind__in=("customer", "participant")):
        if operation.type not in OF_CUSTOMERS:
            yield f"a {operation.actor_kind} brought about {operation.type} in {operation.conversation_id}"
    for transfer in Transfer.objects.filter(from_kind__in=("customer", "participant")):
        if transfer.to_agent_id or transfer.to_team_id or transfer.needs:
            yield f"a customer addressed transfer {transfer.pk}"
    for transfer in Transfer.objects.iterator():
        if any(said.by not in ("system", "bot", "integrator", "agent") for said in entries(transfer.context)):
            yield f"nobody of the shop, or nobody at all, said what transfer {transfer.pk} tells of the work"
    opened = Operation.objects.filter(actor_kind__in=("customer", "participant"), type="session.opened")
    for session in ChatSession.objects.filter(pk__in=opened.values("session_id")):
        if session.kind != "MANUAL_CUSTOMER_SERVICE" or session.priority != 2:
            yield f"a customer opened session {session.pk}: {session.kind}, priority {session.priority}"


def _of_bots() -> Iterable[str]:
    """A bot acts where it has, or had, a session."""
    own = set(ChatSession.objects.exclude(bot=None).values_list("conversation_id", "bot_id"))
    channels = set(ApiClient.objects.filter(scopes__icontains="inbound:write").values_list("pk", flat=True))
    for conversation_id, bot_id, kind in Operation.objects.filter(actor_kind="bot").values_list(
        "conversation_id", "actor_id", "type"
    ):
        if bot_id not in channels and (conversation_id, bot_id) not in own and kind != "messages.grouped":
            yield f"bot {bot_id} brought about {kind} in conversation {conversation_id}, where it has no session"


def foreign_untouched(tenant_id: int) -> Iterable[str]:
    """The other shop's people cannot make anything in this one, nor this one's in theirs."""
    for conversation in Conversation.objects.exclude(tenant_id=tenant_id):
        if conversation.account_id.startswith("innocent"):
            yield f"conversation {conversation.pk} of another tenant bears an innocent's account"
