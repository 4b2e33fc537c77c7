"""T4.5 to T4.7: what a credential may not read reaches it by no other way."""

from __future__ import annotations

from typing import Any

import pytest

from agents_app.actors import Actor
from sessions_app.actions import flows, lifecycle, recovery
from sessions_app.errors import NotFound
from sessions_app.rights import visible
from sessions_app.states import Kind
from tests.api.world import NOBODY, Caller, bearer, program
from tests.cast import Cast, refused, snapshot

# --- T4.7: a conversation that is not one's own does not exist ---------------------------------------------------


def of_conversation(conversation_id: int) -> dict[str, dict[str, Any] | None]:
    """Every way in which a bot or a customer can name a conversation, and the body to name it with (None: a GET)."""
    at = f"conversations/{conversation_id}"
    named = {"conversation_id": str(conversation_id)}
    return {
        at: None,
        f"{at}/messages": None,
        f"{at}/timeline": None,
        f"{at}/participants": None,
        f"{at}/queue": None,
        f"events?conversation={conversation_id}": None,
        f"{at}/escalate": {},
        f"{at}/raise-hand": {},
        "messages": named | {"content": "Hello.", "epoch": 1},
    }


@pytest.mark.parametrize("state", ["served", "queued", "with_bot", "nobody"])
def test_t4_7_a_foreign_bot_is_told_of_nothing_by_reading_or_writing(cast: Cast, state: str) -> None:
    chat = cast.chat()
    if state != "nobody":
        chat.robot()
        chat.says("My card is 1234")
    if state == "queued":
        chat.escalate()
    if state == "served":
        chat.take()
    faq, before = program(cast, "faq"), snapshot()
    told = answers(faq, of_conversation(chat.id))
    assert told == answers(faq, of_conversation(NOBODY))
    assert {status for status, _ in told} == {404}
    assert snapshot() == before


def test_t4_7_a_foreign_bot_is_told_nothing_of_sessions_transfers_and_flows(cast: Cast) -> None:
    chat = cast.chat()
    chat.robot()
    flow = flows.open_flow(actor=cast.bargain, trigger_id="t", question="Which size?", conversation_id=chat.id)
    chat.escalate()
    faq, before = program(cast, "faq"), snapshot()

    def of_its(session: int, transfer: int, flow: int) -> dict[str, dict[str, Any] | None]:
        commands = ("activate", "pause", "resume", "complete", "cancel", "recover")
        return {
            f"sessions/{session}": None,
            **{f"sessions/{session}/{command}": {} for command in commands},
            f"sessions/{session}/priority": {"priority": 1},
            f"transfers/{transfer}": None,
            f"transfers/{transfer}/withdraw": {},
            f"flows/{flow}": None,
            f"flows/{flow}/move": {"to": "ignored", "version": 1},
        }

    told = answers(faq, of_its(chat.live.pk, chat.pending.pk, flow.pk))
    assert told == answers(faq, of_its(NOBODY, NOBODY, NOBODY))
    assert {status for status, _ in told} == {404}
    assert snapshot() == before


def test_t4_7_a_bot_that_shared_the_conversation_may_still_not_drive_the_others_session(cast: Cast) -> None:
    """Its own session waits, so it knows the conversation; the other's session is not found all the same."""
    chat = cast.chat()
    theirs = chat.robot(cast.bargain, Kind.AUTO_BARGAIN)
    chat.robot(cast.faq, Kind.AUTO_FOLLOW_UP)
    missing = refused("not_found", lifecycle.pause_session, actor=cast.faq, session_id=NOBODY)
    found = refused("not_found", lifecycle.pause_session, actor=cast.faq, session_id=theirs.session_id)
    assert (str(found), found.fields) == (str(missing), missing.fields)
    refused("forbidden", chat.escalate, cast.faq)  # that one is there, it may know


def test_t4_7_a_bot_reopens_no_session_that_was_not_its_own(cast: Cast) -> None:
    chat = cast.chat()
    theirs = chat.robot(cast.bargain)
    lifecycle.complete_session(actor=cast.bargain, session_id=theirs.session_id or 0)
    missing = refused("not_found", chat.robot, cast.faq, previous_id=NOBODY)
    found = refused("not_found", chat.robot, cast.faq, previous_id=theirs.session_id)
    assert str(found) == str(missing)
    chat.robot(cast.bargain, previous_id=theirs.session_id)


def test_t4_7_a_bot_that_may_not_open_is_not_told_who_is_in_its_way(cast: Cast) -> None:
    chat = cast.chat("li").serve()
    refusal = refused("live_session_exists", chat.robot, cast.faq, on_conflict="fail")
    assert (refusal.fields["owner_kind"], refusal.fields["owner_name"]) == ("agent", "")
    place = "conversations/availability?shop_id=shop-1&account_id=li"
    assert program(cast, "faq").get(place).json()["owner_name"] == ""
    assert program(cast, "bargain").get(place).json()["owner_name"] == "Ann"
    assert program(cast, "channel").get(place).json()["owner_name"] == "Ann"


def test_t4_7_a_bot_goes_on_knowing_what_it_worked(cast: Cast) -> None:
    """The failing control: not every bot is refused everything."""
    chat = cast.chat().serve()
    chat.resolve()
    refused("stale_epoch", chat.speaks, cast.bargain)
    assert recovery.recover(actor=cast.bargain, session_id=chat.sessions[0].pk).state == "ended"
    assert visible.conversation(cast.bargain, chat.id).pk == chat.id
    with pytest.raises(NotFound):
        visible.conversation(cast.faq, chat.id)


@pytest.mark.parametrize("who", ["customer", "guest"])
def test_t4_7_a_token_of_another_conversation_is_told_of_nothing(cast: Cast, who: str) -> None:
    chat, elsewhere = cast.chat().queue(), cast.chat().serve()
    holder: Actor = elsewhere.customer if who == "customer" else elsewhere.guest()
    caller, before = bearer(holder), snapshot()
    told = answers(caller, of_conversation(chat.id))
    assert told == answers(caller, of_conversation(NOBODY))
    assert {status for status, _ in told} <= {403, 404}
    withdrawn = [caller.post(f"transfers/{pk}/withdraw").json() for pk in (chat.pending.pk, NOBODY)]
    assert withdrawn[0] == withdrawn[1]
    assert snapshot() == before


def answers(caller: Caller, asked: dict[str, dict[str, Any] | None]) -> list[tuple[int, Any]]:
    """By address, word for word."""
    made = (caller.get(path) if body is None else caller.post(path, body) for path, body in asked.items())
    return [(answer.status_code, answer.json()) for answer in made]
