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
    """What `make` answers, as it is shown to an agent or, with `by`, a supervisor; `more` goes to the template as well."""

    def specimen(props: Fixtures, request: HttpRequest) -> ComponentState:
        actor: Actor = props.supervisor if by == "supervisor" else props.actor
        context = presenters.opened(make(props), actor, request) | {"asked": {"query": "view=all"}} | more
        return ComponentState(context, [("dress", None), *acts])

    return specimen


def led_by_bot(props: Fixtures, **values: Any) -> ThreadPage:
    conversation = props.conversation(**values)
    return props.page(conversation, props.session(conversation, props.bot))


def waiting_for_human(props: Fixtures, of: dict[str, Any] | None = None, **values: Any) -> ThreadPage:
    """The bot has asked for a human, and is silent."""
    conversation = props.conversation(Controller.QUEUE, waiting_since=props.ago(95), **of or {})
    session = props.session(conversation, None, status=Status.TRANSFERRED)
    transfer = props.transfer(session, **values)
    return props.page(conversation, session, transfer=transfer, waits=Waiting(3, 240))


def served_by(props: Fixtures, owner: Agent, of: dict[str, Any] | None = None, **values: Any) -> ThreadPage:
    """An agent serves, who took it from the bot."""
    conversation = props.conversation(Controller.HUMAN, **of or {})
    session = props.session(conversation, owner)
    accepted = {"status": TransferStatus.ACCEPTED, "accepted_by": owner, "ended_at": props.ago(60)}
    return props.page(conversation, session, transfer=props.transfer(session, **accepted), **values)


def in_flow(props: Fixtures, status: FlowStatus, **values: Any) -> ThreadPage:
    """A guided flow asks the customer, or works on the answer."""
    page = led_by_bot(props, controller=Controller.FLOW if status == FlowStatus.WAITING else Controller.BOT)
    page.flow = props.flow(page.conversation, status, **values)
    return page


def after_hours(props: Fixtures) -> ThreadPage:
    return waiting_for_human(props, opens_at=props.soon(41_000))


def resolved(props: Fixtures) -> ThreadPage:
    return props.page(props.conversation(Controller.NONE, last_text="Thank you!"))


def flagged(props: Fixtures) -> ThreadPage:
    need = {"kind": "keyword", "rule": "complains", "evidence": "This is not what I ordered!", "reason": "Anger"}
    return led_by_bot(props, needs_human=True, need=need, waiting_since=props.ago(30), tier=Tier.NEEDS_HUMAN)
