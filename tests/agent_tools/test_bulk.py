"""One action on many conversations: each for itself."""

from __future__ import annotations

from typing import Any

import pytest

from agents_app.actors import Actor
from messaging_app.agent_tools.labels import create_label
from sessions_app.actions import bulk
from sessions_app.actions.bulk import BulkAction, BulkResult, act_on_many
from tests.cast import Cast, Chat, refused, snapshot


def do(actor: Actor, action: str, *chats: Chat, **more: Any) -> list[BulkResult]:
    return act_on_many(actor=actor, conversation_ids=[chat.id for chat in chats], action=action, **more)


def codes(done: list[BulkResult]) -> list[str]:
    return [one.problem.code if one.problem else "ok" for one in done]


def ready(cast: Cast, action: str) -> Chat:
    """A conversation in which Ann may do this."""
    chat = cast.chat()
    if action == BulkAction.ACCEPT:
        return chat.queue()
    if action == BulkAction.TAKE_OVER:
        chat.robot()
        return chat
    return chat.serve()


@pytest.mark.parametrize("action", list(BulkAction))
def test_every_action_is_done_for_each_and_repeating_it_changes_nothing(cast: Cast, action: str) -> None:
    chats = [ready(cast, action) for _ in range(3)]
    label = create_label(actor=cast.sue, name="refund")
    more = {"label_id": label.pk} if "label" in action else {}
    done = do(cast.ann, action, *chats, **more)
    assert codes(done) == ["ok"] * 3
    assert [one.conversation_id for one in done] == [chat.id for chat in chats]
    before = snapshot()
    again = do(cast.ann, action, *chats, **more)
    assert snapshot() == before
    assert set(codes(again)) <= {"ok", "not_serving"}, "what was released is not served any more"


def test_one_refusal_stops_no_other(cast: Cast, others: Cast) -> None:
    mine, bens, foreign, nobodys = cast.chat().serve(), cast.chat(), others.chat().serve(), cast.chat()
    bens.robot()
    bens.take(cast.ben)
    done = do(cast.ann, "resolve", bens, foreign, mine, nobodys, reason="Arrived.")
    assert codes(done) == ["forbidden", "not_found", "ok", "not_serving"]
    assert done[0].problem
    assert done[0].problem.fields["owner_name"] == "Ben"
    assert not mine.has_live
    assert bens.live.agent_id == cast.ben.id
    assert mine.sessions[-1].reason == "Arrived."
    assert foreign.has_live


def test_t2_one_failure_of_our_own_stops_no_other_either(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chats = [cast.chat(), cast.chat(), cast.chat()]
    pin = bulk._VERBS[BulkAction.PIN]

    def mistaken(*, conversation_id: int, **more: Any) -> Any:
        if conversation_id == chats[1].id:
            raise TypeError("nobody thought of this")
        return pin(conversation_id=conversation_id, **more)

    monkeypatch.setitem(bulk._VERBS, BulkAction.PIN, mistaken)
    done = act_on_many(actor=cast.ann, conversation_ids=[chat.id for chat in chats], action="pin")
    assert [chat.row.pinned_at is not None for chat in chats] == [True, False, True]
    told = done[1].problem
    assert told
    assert told.code == "internal_error"
    assert f"error {told.fields['error_id']} in conversation {chats[1].id}" in caplog.text


def test_what_does_not_fit_into_the_agents_capacity_is_told(cast: Cast) -> None:
    cast.change("ann", max_load=2)
    chats = [cast.chat().queue() for _ in range(3)]
    assert codes(do(cast.ann, "accept", *chats)) == ["ok", "ok", "no_capacity"]
    assert chats[2].has_pending


def test_accept_takes_what_waits_and_never_ones_own_offer(cast: Cast) -> None:
    waits, offered, bots, served = cast.chat().queue(), cast.chat().serve(), cast.chat(), cast.chat()
    bots.robot()
    served.robot()
    served.take(cast.ben)
    served.hand_over(cast.ben, to_agent_id=cast.ann.id)
    offered.hand_over(cast.ann, to_agent_id=cast.ben.id)
    done = do(cast.ann, "accept", waits, offered, bots, served)
    assert codes(done) == ["ok", "ok", "not_queued", "ok"]
    assert done[1].outcome
    assert done[1].outcome.is_repeat, "Ann serves it already"
    assert offered.has_pending, "and has offered it to Ben, as before"
    assert served.live.agent_id == cast.ann.id


def test_named_twice_is_done_once(cast: Cast, chat: Chat) -> None:
    assert len(do(cast.ann, "pin", chat, chat)) == 1


def test_what_is_wrong_as_a_whole_does_nothing(cast: Cast, chat: Chat, others: Cast) -> None:
    label = create_label(actor=cast.sue, name="refund")
    refused("malformed", do, cast.ann, "explode", chat)
    refused("malformed", do, cast.ann, "pin")
    refused("malformed", do, cast.ann, "label", chat)
    refused("malformed", do, cast.ann, "pin", chat, label_id=label.pk)
    refused("malformed", act_on_many, actor=cast.ann, conversation_ids=range(101), action="pin")
    foreign = create_label(actor=others.sue, name="theirs")
    assert codes(do(cast.ann, "label", chat, label_id=foreign.pk)) == ["not_found"]


def test_programs_only_label(cast: Cast, chat: Chat) -> None:
    label = create_label(actor=cast.sue, name="refund")
    assert codes(do(cast.channel, "label", chat, label_id=label.pk)) == ["ok"]
    refused("forbidden", do, cast.channel, "pin", chat)
    for actor in (cast.bargain, chat.customer):
        refused("forbidden", do, actor, "pin", chat)
        refused("forbidden", do, actor, "label", chat, label_id=label.pk)


def test_every_action_has_its_verb() -> None:
    assert set(bulk._VERBS) == set(BulkAction)
