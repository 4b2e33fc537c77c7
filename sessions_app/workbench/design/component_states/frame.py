"""What stands around the list and the conversation: rail, views, state of the connection, dialogs."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from agents_app.models import DECLARABLE, Agent
from agents_app.sharing import Sharing
from messaging_app.models import Controller
from messaging_app.models.agent_tools import CannedReply
from sessions_app.queries import COUNT_MOST, View
from sessions_app.workbench import presenters, wording
from sessions_app.workbench.design.component_states.component import LONG, Act, ComponentState, Make
from sessions_app.workbench.design.fixtures import Fixtures


def _rail(availability: str, *acts: Act, problem: str = "") -> Make:
    def specimen(fixtures: Fixtures, request: HttpRequest) -> ComponentState:
        request.agent.availability = availability  # type: ignore[attr-defined]
        context = {"availabilities": DECLARABLE, "try_it": True, "problem": problem}
        return ComponentState(context, list(acts))

    return specimen


RAILS: dict[str, Make] = {
    **{value: _rail(value) for value in Agent.Availability.values},
    "declaring": _rail("away", ("open", "#presence")),
    "not declared": _rail("online", ("open", "#presence"), problem="You still have an offer to answer."),
}


def _plain(*acts: Act, **context: Any) -> Make:
    return lambda fixtures, request: ComponentState(dict(context), list(acts))


CONNECTIONS: dict[str, Make] = {
    state: _plain(("connection", {"state": state, "waits": waits}))
    for state, waits in (("live", 0), ("reconnecting", 0), ("catching", 0), ("caught", 0), ("stale", 0))
} | {"reconnecting, words wait": _plain(("connection", {"state": "reconnecting", "waits": 2}))}


def _views(is_saved: bool = False, is_new: bool = False) -> Make:
    def specimen(fixtures: Fixtures, request: HttpRequest) -> ComponentState:
        counts = {view: number * number for number, view in enumerate(View)}
        saved = [
            {
                "id": 1,
                "name": "Refunds over 100",
                "scope": Sharing.TEAM.label,
                "count": "4",
                "is_open": is_saved,
                "is_kept": True,
            },
            {"id": 2, "name": LONG, "scope": Sharing.PERSONAL.label, "count": "", "is_open": False, "is_kept": True},
        ]
        context = {
            "tabs": presenters.tabs(View.MINE, counts, COUNT_MOST, is_saved=is_saved),
            "saved_views": [] if is_new else saved,
            "scopes": presenters.scopes(fixtures.supervisor),
            "list_query": {"query": "view=mine", "view": "mine"},
        }
        return ComponentState(
            context, [("open", "#delete-view")] if is_saved else [("open", "#save-view")] if is_new else []
        )

    return specimen


VIEWS: dict[str, Make] = {
    "counted": _views(),
    "a saved one is open": _views(is_saved=True),
    "saving one": _views(is_new=True),
}


def _command_results(fixtures: Fixtures, request: HttpRequest) -> ComponentState:
    reply = CannedReply(
        shortcut="/kettle", title="Kettles", text="The copper kettle holds 1.2 l.", tenant=fixtures.tenant
    )
    conversations = [fixtures.conversation(), fixtures.conversation(Controller.QUEUE, customer_name=LONG)]
    context = {
        "offered": [(reply, reply.text)],
        "found": [(row, wording.controller(row.controller)) for row in conversations],
    }
    return ComponentState(context, [("show", "#command"), ("options", "#found")])


DIALOGS: dict[str, Make] = {
    "command bar": _plain(("show", "#command")),
    "command bar: found": _command_results,
    "shortcuts": _plain(("help", None)),
    "sounds and notices": _plain(("show", "#settings")),
    "told in a corner": _plain(("toast", "Jun has taken this conversation."), ("toast", "Not sent: it is too long.")),
    "nothing is open": _plain(nothing=True),
}
