"""The page of what was measured says what the last whole run found, and judges a figure by its limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)


@pytest.fixture(autouse=True)
def _as_a_benchmark_finds_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def test_the_page_is_made_of_the_last_whole_run(tmp_path: Path) -> None:
    from rows import report

    found = json.loads(report.KEPT.read_text(encoding="utf-8"))
    report.write_page(found, tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == report.PAGE.read_text(encoding="utf-8")
    assert not found["about"]["is_quick"]


def test_every_row_of_the_suite_is_in_the_last_whole_run() -> None:
    from rows import report

    rows = {row["row"] for row in json.loads(report.KEPT.read_text(encoding="utf-8"))["rows"]}
    assert rows >= {*map(str, range(1, 16)), "desk", "sustained"}


@pytest.mark.parametrize(
    ("value", "is_less_better", "verdict"),
    [
        (0.5, True, "aim"), (0.51, True, "landed"), (1.01, True, "not reached"), (None, True, "not measured"),
        (2.5, False, "aim"), (1.2, False, "landed"), (0.99, False, "not reached"),
    ],
)  # fmt: skip
def test_a_figure_is_judged_by_what_it_has_to_be(value: float | None, is_less_better: bool, verdict: str) -> None:
    from rows.figures import Figure

    limits: dict[str, Any] = {"land": 1.0, "aim": 0.5 if is_less_better else 2.5}
    figure = Figure("1", "a call", "its peer", value, is_less_better=is_less_better, **limits)
    assert figure.verdict == verdict


def test_peers_take_turns_and_each_round_has_a_ratio_of_its_own() -> None:
    from rows.figures import in_turns, ratio

    order: list[str] = []
    taken = in_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=2, count=2, warm=0)
    assert order == list("aabbbbaa")
    assert [len(of) for of in taken["a"]] == [2, 2]
    assert ratio([[2.0], [4.0], [9.0]], [[1.0], [1.0], [1.0]]) == (4.0, (2.0, 9.0))


@pytest.mark.parametrize(("power", "cost"), [(0, 3.0), (1, 2.0), (2, 0.5)])
def test_the_slope_is_the_power_by_which_a_cost_grows(power: int, cost: float) -> None:
    from rows.growing import slope

    assert slope({str(size): cost * size**power for size in (10, 100, 1000)}) == pytest.approx(power)
    assert slope({"10": 1.0}) is None


@pytest.mark.django_db(transaction=True, reset_sequences=True)  # copies go by the numbers of what they are made of
def test_a_copy_is_what_the_verbs_made_and_the_next_verb_goes_on_from_it() -> None:
    from rows import filling

    from agents_app.actors import customer_actor
    from agents_app.models import Tenant
    from messaging_app.models import Conversation, Message, Operation
    from messaging_app.thread import NewMessage
    from sessions_app.actions.inbound import receive_message
    from sessions_app.models import ChatSession

    people = filling.fill(3 * filling.PLAYED)
    filling.multiply(4 * filling.PLAYED)
    counted = [model._default_manager.count() for model in (Conversation, ChatSession, Message)]
    assert counted == [4 * filling.PLAYED] * 3
    assert len(people.ids) == 2 * filling.PLAYED  # nobody writes into what copies are made of
    original = Operation.objects.filter(conversation=Conversation.objects.earliest("pk")).order_by("seq")
    for pk in (people.ids[0], people.ids[-1], Conversation.objects.latest("pk").pk):
        copied = Operation.objects.filter(conversation=pk).order_by("seq")
        assert [(one.seq, one.type) for one in copied] == [(one.seq, one.type) for one in original]
        said = Message.objects.get(conversation=pk)
        assert {one.message_pk for one in copied} >= {said.pk}
        customer = customer_actor(Tenant.objects.get(slug="bench"))
        outcome = receive_message(actor=customer, conversation_id=pk, words=NewMessage(content="And now?"))
        assert (outcome.controller, outcome.seq) == ("bot", copied[len(original) - 1].seq + 1)
    positions = Operation.objects.exclude(pos=None).values_list("pos", flat=True)
    assert len(set(positions)) == len(positions)


def test_of_memory_the_megabytes_count_and_of_all_else_the_ratio() -> None:
    from suite import _pushed

    record = {
        "row": 8,
        "name": "memory with 1000 idle streams, MB",
        "ratio": 2.1,
        "p50": 128.0,
        "target": 130.0,
        "spread": [2, 3],
    }
    memory = _pushed(record)
    assert (memory.value, memory.unit, memory.land, memory.verdict) == (128.0, "MB", 130.0, "landed")
    fan = _pushed(record | {"row": 7, "name": "fan-out to 1000 streams, last, ms", "target": 0.0})
    assert (fan.row, fan.what, fan.value, fan.spread, fan.land) == (
        "7",
        "fan-out to 1000 streams, last",
        2.1,
        (2, 3),
        None,
    )
