"""An open conversation in its usual situations: the header, thread, composer and side panel each draw a part of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from agents_app.actors import Actor
from agents_app.models import Agent
from messaging_app.models import Controller, Tier
from sessions_app.queries import ThreadPage
from sessions_app.queries.expected_wait import Waiting
from sessions_app.states import FlowStatus, Status, TransferStatus
from sessions_app.workbench import presenters
from sessions_app.workbench.design.component_states.component import Act, ComponentState, Make
from sessions_app.workbench.design.fixtures import Fixtures


def opened(make: Callable[[Fixtures], ThreadPage], *acts: Act, by: str = "agent", **more: Any) -> Make:
    """The page that `make` returns, as an agent or, with `by`, a supervisor sees it; `more` is added to the context."""

    def specimen(fixtures: Fixtures, request: HttpRequest) -> ComponentState:
        actor: Actor = fixtures.supervisor if by == "supervisor" else fixtures.actor
        context = presenters.opened(make(fixtures), actor, request) | {"list_query": {"query": "view=all"}} | more
        return ComponentState(context, [("dress", None), *acts])

    return specimen


def led_by_bot(fixtures: Fixtures, **values: Any) -> ThreadPage:
    conversation = fixtures.conversation(**values)
    return fixtures.page(conversation, fixtures.session(conversation, fixtures.bot))


def waiting_for_human(fixtures: Fixtures, of: dict[str, Any] | None = None, **values: Any) -> ThreadPage:
    """The bot has requested a human, and is silent."""
    conversation = fixtures.conversation(Controller.QUEUE, waiting_since=fixtures.ago(95), **of or {})
    session = fixtures.session(conversation, None, status=Status.TRANSFERRED)
    transfer = fixtures.transfer(session, **values)
    return fixtures.page(conversation, session, transfer=transfer, waits=Waiting(3, 240))


def served_by(fixtures: Fixtures, owner: Agent, of: dict[str, Any] | None = None, **values: Any) -> ThreadPage:
    """An agent serves, who has accepted it from the bot."""
    conversation = fixtures.conversation(Controller.HUMAN, **of or {})
    session = fixtures.session(conversation, owner)
    accepted = {"status": TransferStatus.ACCEPTED, "accepted_by": owner, "ended_at": fixtures.ago(60)}
    return fixtures.page(conversation, session, transfer=fixtures.transfer(session, **accepted), **values)


def in_flow(fixtures: Fixtures, status: FlowStatus, **values: Any) -> ThreadPage:
    """A guided flow asks the customer, or works on the answer."""
    page = led_by_bot(fixtures, controller=Controller.FLOW if status == FlowStatus.WAITING else Controller.BOT)
    page.flow = fixtures.flow(page.conversation, status, **values)
    return page


def after_hours(fixtures: Fixtures) -> ThreadPage:
    return waiting_for_human(fixtures, opens_at=fixtures.soon(41_000))


def resolved(fixtures: Fixtures) -> ThreadPage:
    return fixtures.page(fixtures.conversation(Controller.NONE, last_text="Thank you!"))


def flagged(fixtures: Fixtures) -> ThreadPage:
    need = {"kind": "keyword", "rule": "complains", "evidence": "This is not what I ordered!", "reason": "Anger"}
    return led_by_bot(fixtures, needs_human=True, need=need, waiting_since=fixtures.ago(30), tier=Tier.NEEDS_HUMAN)
