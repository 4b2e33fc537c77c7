"""Every code that stands in a row has words at the desk; one without would be shown as it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from messaging_app.models import Controller, Message, NeedRule
from sessions_app.promises import unanswered
from sessions_app.states import FlowStatus, Kind
from sessions_app.workbench.wording import happenings, people, states


def _triggers() -> Iterator[str]:
    """What verbs write as a text: `trigger="…"` and `{"trigger": "…"}`. The API only describes the field."""
    app = settings.BASE_DIR / "sessions_app"
    for path in set(app.rglob("*.py")) - set((app / "api").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named: list[tuple[Any, Any]] = [(node.arg, node.value)] if isinstance(node, ast.keyword) else []
            if isinstance(node, ast.Dict):
                named = [
                    (getattr(key, "value", None), value) for key, value in zip(node.keys, node.values, strict=True)
                ]
            yield from (
                str(v.value) for name, v in named if name == "trigger" and isinstance(v, ast.Constant) and v.value
            )


CODES = {
    "what makes a verb ask for a human": (happenings.TRIGGERS, {*_triggers(), *NeedRule.Kind.values, unanswered.FLAG}),
    "whose turn it is": (states.CONTROLLERS, Controller.values),
    "the type of a session": (states.SESSION_TYPES, [*Kind]),
    "what a session is about": (states.WORK, [*Kind]),
    "the state of a flow": (states.FLOWS, [*FlowStatus]),
    "who speaks": (people.SPEAKERS, Message.Sender.values),
}


@pytest.mark.parametrize("code", CODES)
def test_each_code_has_words(code: str) -> None:
    """The desk showed `bot_dead` and `no_reply`."""
    words, codes = CODES[code]
    assert codes
    assert {str(one) for one in codes} - {str(one) for one in words} == set()


def test_the_triggers_are_read_from_the_code() -> None:
    assert {"bot_dead", "no_reply", "absence", "handover"} < set(_triggers())
