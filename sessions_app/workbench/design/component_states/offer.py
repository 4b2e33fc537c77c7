"""An offer: a conversation that waits, shown to the one agent who may accept it now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from messaging_app.models import Controller, Tier
from sessions_app.workbench import offers
from sessions_app.workbench.design.component_states.component import LONG, Act, ComponentState, Make
from sessions_app.workbench.design.fixtures import Fixtures


def _offer(make: Callable[[Fixtures], tuple[dict[str, Any], dict[str, Any]]], *acts: Act) -> Make:
    """`make` returns the values in which the conversation, and the move, differ from the fixtures' defaults."""

    def specimen(fixtures: Fixtures, request: HttpRequest) -> ComponentState:
        conversation_values, move_values = make(fixtures)
        conversation = fixtures.conversation(Controller.QUEUE, waiting_since=fixtures.ago(11), **conversation_values)
        row = fixtures.row(conversation, None, pending=fixtures.move(**move_values), is_offered=True)
        return ComponentState(
            {"offers": offers.cards([row], fixtures.now), "list_query": {"query": "view=offered"}}, list(acts)
        )

    return specimen


OFFERS: dict[str, Make] = {
    "time to answer": _offer(lambda p: ({}, {})),
    "almost over": _offer(lambda p: ({}, {"offer_expires_at": p.soon(4)})),
    "urgent": _offer(lambda p: ({"tier": Tier.EMERGENCY, "is_vip": True}, {})),
    "at any time": _offer(lambda p: ({}, {"offer_expires_at": None})),
    "a colleague’s handover": _offer(
        lambda p: (
            {},
            {
                "from_name": "Jun",
                "reason": "You know kettles.",
                "offered_to_id": None,
                "to_agent_id": p.me.pk,
                "offer_expires_at": None,
                "deadline": p.soon(110),
            },
        )
    ),
    "nothing is known": _offer(lambda p: ({"last_text": ""}, {"reason": "", "trigger": "", "context": {}})),
    "being declined": _offer(lambda p: ({}, {}), ("open", ".fold-decline")),
    "a long name": _offer(lambda p: ({"customer_name": LONG}, {})),
}
