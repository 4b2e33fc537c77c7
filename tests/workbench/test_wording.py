"""Every code that a verb writes has words at the desk."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from django.conf import settings

from messaging_app.models import NeedRule
from sessions_app.promises import unanswered
from sessions_app.workbench import wording

WRITERS = ("actions", "core", "promises", "unit")
"""The folders of `sessions_app` whose code says why a human is asked for."""


def _triggers() -> Iterator[str]:
    """What stands in the code as a text: `trigger="…"`, `trigger: str = "…"` and `{"trigger": "…"}`."""
    for folder in WRITERS:
        for path in (settings.BASE_DIR / "sessions_app" / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                pairs = [(node.arg, node.value)] if isinstance(node, ast.keyword) else []
                if isinstance(node, ast.Dict):
                    pairs = [
                        (getattr(key, "value", None), value) for key, value in zip(node.keys, node.values, strict=True)
                    ]
                for name, value in pairs:
                    if name == "trigger" and isinstance(value, ast.Constant) and value.value:
                        yield str(value.value)


def test_whatever_makes_a_verb_ask_for_a_human_has_words() -> None:
    """The desk showed `bot_dead` and `no_reply` as they stand in the row."""
    triggers = {*_triggers(), *NeedRule.Kind.values, unanswered.FLAG}
    assert {"bot_dead", "no_reply", "absence"} < triggers
    assert triggers - set(wording.TRIGGERS) == set()
