"""T4.6: what an answer does not show somebody, no filter, order or count tells."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from agents_app.actors import Actor, ActorKind
from config.errors import Forbidden
from messaging_app.agent_tools.labels import create_label
from messaging_app.models import Conversation
from sessions_app.actions import conversations as desk
from sessions_app.actions import labels
from sessions_app.api import agents as desk_api
from sessions_app.api import canned_replies, conversations, flows, mentions, sessions, transfers
from sessions_app.rights import field_rights
from sessions_app.rights.field_rights import FILTERS, Role
from tests.api.world import Caller, World, bearer, served, world
from tests.cast import Cast, Chat

LISTS = {
    "conversations": ("conversations", conversations.ConversationFilter),
    "sessions": ("sessions", sessions.SessionFilter),
    "transfers": ("transfers", transfers.TransferFilter),
    "flows": ("flows", flows.FlowFilter),
    "agents": ("agents", desk_api.AgentFilter),
    "canned_replies": ("canned-replies", canned_replies.CannedReplyFilter),
    "mentions": ("mentions", mentions.MentionFilter),
}
"""By name: the address and its filters."""
VALUES: dict[str, Any] = {
    "tier": "1",
    "controller": "queue",
    "owner_kind": "agent",
    "sla": "breached",
    "needs_human": "true",
    "mine": "true",
    "unread": "true",
    "scope": "tenant",
    "availability": "busy",
    "platform": "default",
    "shop_id": "shop-1",
    "account_id": "x",
    "search": "human",
    "q": "thanks",
    "trigger_id": "t",
}
CHOICES: dict[str, dict[str, str]] = {
    "sessions": {"status": "ACTIVE", "kind": "AUTO_BARGAIN"},
    "transfers": {"status": "PENDING", "kind": "escalation"},
    "flows": {"status": "ignored"},
}


def test_t4_6_every_filter_of_every_list_stands_in_the_table() -> None:
    for name, (_, filters) in LISTS.items():
        assert set(filters.base_filters) == set(FILTERS[name]), name


@pytest.mark.usefixtures("many_requests")
def test_t4_6_each_role_filters_by_what_it_sees(cast: Cast, others: Cast) -> None:
    made: World = world(served, cast, others)
    own, wrong = made.places["own"], []
    ids = {
        "label": own.label,
        "saved_view": own.view,
        "agent_id": own.agent,
        "team_id": 1,
        "conversation_id": own.conversation,
    }
    for (name, (address, _)), role in product(LISTS.items(), Role):
        is_let_in = made.callers[role].get(address).status_code == 200
        for field, roles in FILTERS[name].items():
            value = (VALUES | ids | CHOICES.get(name, {}))[field]
            answer = made.callers[role].get(f"{address}?{field}={value}")
            if (answer.status_code == 403) != (role not in roles or not is_let_in):
                wrong.append((name, role.value, field, answer.status_code))
    assert wrong == []


def marked(cast: Cast, chat: Chat) -> None:
    """All that the desk can note of a conversation, without a change of the turn."""
    made = create_label(actor=cast.sue, name="fraudster")
    labels.label(actor=cast.ann, conversation_id=chat.id, label_id=made.pk)
    desk.mark_urgent(actor=cast.ann, conversation_id=chat.id)
    desk.pin(actor=cast.ann, conversation_id=chat.id)
    desk.todo(actor=cast.ann, conversation_id=chat.id)
    desk.raise_flag(actor=cast.ann, conversation_id=chat.id, reason="an angry one")
    Conversation.objects.filter(pk=chat.id).update(is_vip=True)


def seen(caller: Caller, chat: Chat) -> list[Any]:
    """What somebody is shown of the conversation, by every filter that they may use, but for the count of operations."""
    at = f"conversations/{chat.id}"
    addresses = [at, "conversations", f"{at}/queue", *(f"conversations?{f}={VALUES.get(f, '1')}" for f in allowed())]
    told: list[Any] = []
    for address in addresses:
        answer = caller.get(address).json()
        rows = answer.get("results", [answer])
        told.append([{k: v for k, v in row.items() if k not in ("seq", "last_activity_at")} for row in rows])
    return told


def allowed() -> list[str]:
    return [name for name, roles in FILTERS["conversations"].items() if Role.CUSTOMER in roles]


def test_t4_6_nothing_that_a_customer_or_guest_is_shown_depends_on_the_desks_marks(cast: Cast) -> None:
    """Tier and waiting clock included, which follow from them."""
    chat = cast.chat()
    chat.robot()
    chat.take()
    guest = chat.guest()
    chat.release()
    chat.says("Hello?")
    customer, participant = bearer(chat.customer), bearer(guest)
    before = seen(customer, chat), seen(participant, chat)
    marked(cast, chat)
    assert Conversation.objects.get(pk=chat.id).tier == 1
    assert Conversation.objects.get(pk=chat.id).waiting_since is not None
    assert (seen(customer, chat), seen(participant, chat)) == before
    assert "label" not in allowed()


def test_t4_6_a_label_is_not_told_by_a_filter(cast: Cast) -> None:
    """As it was found: `?label=3` against `?label=1`."""
    chat = cast.chat()
    marked(cast, chat)
    caller = bearer(chat.customer)
    told = [caller.get(f"conversations?label={pk}").json() for pk in (1, 2**40)]
    assert told[0] == told[1]
    assert (told[0]["status"], told[0]["field"]) == (403, "label")


def test_t4_6_an_unknown_filter_is_nobodys() -> None:
    """So that a new one is refused until somebody says who sees what it is about."""
    customer = Actor(kind=ActorKind.CUSTOMER, tenant_id=1, conversation_id=1)
    with pytest.raises(Forbidden):
        field_rights.check_filters(customer, "conversations", ["new"])
