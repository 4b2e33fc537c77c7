"""Every component of the desk in every state, one module per region of the page. A new state is a line of its table.

The tests open every state of these tables, in a browser too, as soon as it is added.

What a template shows comes from the same functions that serve the desk (`presenters`, `offers`, `wording`), so what is
shown here cannot drift from the desk. Names and notes are for those who work on Tandem, and in English.
"""

from __future__ import annotations

from collections.abc import Iterator

from sessions_app.workbench.design.component_states.component import Component, ComponentState, Make
from sessions_app.workbench.design.component_states.composer import COMPOSERS
from sessions_app.workbench.design.component_states.conversation_list import LISTS, ROWS
from sessions_app.workbench.design.component_states.frame import CONNECTIONS, DIALOGS, RAILS, VIEWS
from sessions_app.workbench.design.component_states.head import HEADS
from sessions_app.workbench.design.component_states.offer import OFFERS
from sessions_app.workbench.design.component_states.side import SIDES
from sessions_app.workbench.design.component_states.thread import THREADS

__all__ = ["COMPONENTS", "Component", "ComponentState", "Make", "each"]

COMPONENTS = {
    component.name: component
    for component in (
        Component("row", "A row of the list", 340, 112, ROWS),
        Component("list", "The list", 340, 520, LISTS),
        Component("offer", "An offer", 340, 420, OFFERS),
        Component("head", "The header", 1000, 340, HEADS),
        Component("thread", "What was said", 640, 1300, THREADS),
        Component("composer", "The composer", 640, 300, COMPOSERS),
        Component("side", "The details", 320, 1000, SIDES),
        Component("views", "The views", 200, 620, VIEWS),
        Component("rail", "The rail", 760, 480, RAILS),
        Component("connection", "The connection", 640, 130, CONNECTIONS),
        Component("dialog", "Dialogs", 760, 620, DIALOGS),
    )
}


def each() -> Iterator[tuple[Component, str]]:
    """Every component in every state."""
    for component in COMPONENTS.values():
        for state in component.states:
            yield component, state
