"""The types that the tables are made of: a component of the desk, and one of its states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest

from sessions_app.workbench.design.fixtures import Fixtures

LONG = "Wilhelmina Antonia Amalia Brouwer-van der Meulen zu Hohenlohe-Langenburg und Fürstenberg"
ARABIC = "ليلى حدّاد"
"""Names of customers that test a layout: a very long one, and one that is written from right to left."""


@dataclass(slots=True)
class ComponentState:
    """The context of a template; the page's script then carries out the `acts`, one after the other."""

    context: dict[str, Any]
    acts: list[Act] = field(default_factory=list)


type Make = Callable[[Fixtures, HttpRequest], ComponentState]
"""Makes a state at the time of the request, from fixtures of that moment."""

type Act = tuple[str, Any]
"""Something that the script does by the desk's own modules: its name in static/js/pages/design.js, and its argument."""


@dataclass(frozen=True, slots=True)
class Component:
    """`width` and `height` are those of the frame in which the design page shows one of its states."""

    name: str
    title: str
    width: int
    height: int
    states: dict[str, Make]

    @property
    def template(self) -> str:
        return f"design/{self.name}.html"
