"""T18: the programs of the guides, as they are printed, where clocks lag, history is brought in and sessions end under them.

They run in the test's own process: their requests go through the API, their pauses are the test's.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from config import clock
from messaging_app.models import Message
from sessions_app.actions import sweep
from sessions_app.models import GuidedFlow
from tests.api.serving import ROOT
from tests.api.world import Caller, program
from tests.cast import Cast, Chat, Later

type Load = Callable[[str, Caller], Any]


class Api:
    """What the programs use of httpx.Client."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        if method == "GET":
            answer = self.caller.get(path.removeprefix("/"), **(params or {}))
        else:
            answer = self.caller.post(
                path.removeprefix("/"), json or {}, key=(headers or {}).get("Idempotency-Key", "")
            )

        def checked() -> Any:
            assert answer.status_code < 400, (method, path, json, answer.content)
            return told

        told = SimpleNamespace(
            status_code=answer.status_code, json=answer.json, headers=answer.headers, raise_for_status=checked
        )
        return told


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    def loaded(name: str, caller: Caller) -> ModuleType:
        monkeypatch.setenv("TANDEM_URL", "http://tandem")
        monkeypatch.setenv("TANDEM_KEY", "a key")
        spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.api = Api(caller)  # type: ignore[attr-defined]
        return module

    return loaded


def ago(seconds: float) -> datetime:
    return clock.now() - timedelta(seconds=seconds)


def answers(chat: Chat) -> list[str]:
    said = Message.objects.filter(conversation_id=chat.id, sender_type="bot").order_by("seq")
    return list(said.values_list("content", flat=True))


# --- The bargaining bot ---


@pytest.fixture
def serve(load: Load, chat: Chat) -> Callable[[], None]:
    module = load("bargain_bot", program(chat.cast, "bargain"))
    return lambda: module.serve(str(chat.id))


def test_the_bot_answers_what_came_late_behind_an_agents_words(
    chat: Chat, later: Later, serve: Callable[[], None]
) -> None:
    """Seen: by its sender's clock it was said before the agent spoke, and was never answered."""
    chat.robot()
    chat.says("Hello")
    serve()
    chat.take()
    later(10)
    chat.speaks(chat.cast.ann, "I look into it.")
    later(3)
    chat.release()
    chat.says("Is 30 ok?", sent_at=ago(5))
    serve()
    assert answers(chat) == ["It is 40. Your offer?", "Done: 30."]


def test_the_bot_answers_what_came_late_behind_its_last_session(
    chat: Chat, later: Later, serve: Callable[[], None]
) -> None:
    chat.robot()
    chat.says("30?")
    later(5)
    serve()
    assert (answers(chat), chat.has_live) == (["Done: 30."], False)
    later(2)
    chat.says("And 27 for another?", sent_at=ago(4))
    chat.robot()
    serve()
    assert answers(chat) == ["Done: 30.", "Done: 27."]


def test_the_bot_makes_no_deal_with_history(chat: Chat, serve: Callable[[], None]) -> None:
    """Seen: an old price, brought in by a batch, was taken for an offer."""
    chat.brings(("customer", 600_000, "I paid 40 last week"))
    chat.robot()
    chat.says("35 is fine", sent_at=ago(20 * 3600))
    serve()
    assert answers(chat) == []
    chat.says("Hello?")
    serve()
    assert (answers(chat), chat.live.status) == (["It is 40. Your offer?"], "ACTIVE")


def test_the_bot_says_nothing_to_what_a_person_has_answered(chat: Chat, serve: Callable[[], None]) -> None:
    chat.serve()
    guest = chat.guest()
    chat.says("Is it dimmable?")
    chat.speaks(guest, "It is; I put it up.")
    chat.release()
    serve()
    assert answers(chat) == []


def test_the_bot_leaves_nobody_unanswered_at_its_deal(chat: Chat, serve: Callable[[], None]) -> None:
    chat.robot()
    for words in ("Hello?", "30?", "Thanks!"):
        chat.says(words)
    serve()
    assert answers(chat) == ["It is 40. Your offer?", "Done: 30.", "Thank you."]
    assert (chat.sessions[-1].status, chat.row.needs_human) == ("COMPLETED", False)


def test_a_bot_that_was_killed_behind_its_deal_completes_it(chat: Chat, serve: Callable[[], None]) -> None:
    session = chat.robot().session_id
    chat.says("30?")
    chat.speaks(chat.cast.bargain, "Done: 30.", f"re-{Message.objects.get(content='30?').pk}")
    serve()
    assert answers(chat) == ["Done: 30."]
    assert [s.status for s in chat.sessions if s.pk == session] == ["COMPLETED"]


def test_the_bot_leaves_another_bots_turn_alone(cast: Cast, chat: Chat, serve: Callable[[], None]) -> None:
    chat.robot()
    chat.says("Hello?")
    chat.robot(cast.faq, "AUTO_BARGAIN", priority=1)
    assert chat.live.bot_id == cast.faq.id
    serve()
    assert answers(chat) == []


# --- The guided flow ---


@pytest.fixture
def ask(load: Load, cast: Cast) -> Callable[..., Chat]:
    """Run the flow for mara; each of `pauses` is what happens while it waits, and there is none after the last."""

    def run(*pauses: Callable[[Chat], None]) -> Chat:
        chat = cast.chat("mara")
        module, left = load("size_flow", program(cast, "follow_up")), list(pauses)

        def sleep(seconds: float) -> None:
            if seconds:
                assert left, "it asks for ever"
                left.pop(0)(chat)

        module.time = SimpleNamespace(sleep=sleep)
        module.main("shop-1", "mara", "size")
        return chat

    return run


def test_the_flow_finds_the_answer_of_a_channel_whose_clock_lags(ask: Callable[..., Chat], later: Later) -> None:
    """Seen: by its sender's clock it was said before the question, and was asked for for ever."""

    def answered(chat: Chat) -> None:
        later(1)
        chat.says("Order 7712, size M.", sent_at=ago(5))

    chat = ask(answered)
    assert answers(chat) == ["Noted: order 7712 in size M."]
    assert [s.status for s in chat.sessions] == ["COMPLETED"]


def test_the_flow_takes_no_answer_from_before_its_question(cast: Cast, ask: Callable[..., Chat]) -> None:
    cast.chat("mara").says("Order 1234, size L.")
    chat = ask(lambda chat: chat.says("It is order 7712, size M."))
    assert answers(chat) == ["Noted: order 7712 in size M."]


def test_the_flow_goes_on_after_its_session_has_idled_out(ask: Callable[..., Chat], later: Later) -> None:
    """Seen: it could read the answer no more, and asked for ever."""

    def idles_and_answers_half(chat: Chat) -> None:
        later(2_000)
        sweep.sweep_due()
        assert not chat.has_live
        assert chat.says("Order 7712.").controller == "flow"

    chat = ask(idles_and_answers_half, lambda chat: chat.says("Size M."))
    assert answers(chat) == ["Noted: order 7712 in size M."]
    assert [s.status for s in chat.sessions] == ["TIMEOUT", "COMPLETED"]
    assert GuidedFlow.objects.get().status == "applied"


def test_the_flow_that_nobody_answers_ends(ask: Callable[..., Chat], later: Later) -> None:
    def a_day(chat: Chat) -> None:
        later(24 * 3600 + 1)
        sweep.sweep_due()

    with pytest.raises(SystemExit, match="The flow is expired"):
        ask(a_day)


def test_the_flow_begun_again_finds_its_answer_in_a_long_thread(ask: Callable[..., Chat], later: Later) -> None:
    """Seen: it read the newest 50 messages."""

    def talks(chat: Chat) -> None:
        chat.says("Order 7712, size M.")
        for number in range(60):
            chat.says(f"What about {number}?")

    assert answers(ask(talks)) == ["Noted: order 7712 in size M."]
