"""T18: a bot that was away asks once what has become of its session, and can answer its customer from what it is told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agents_app.scopes import Scope
from config import clock
from messaging_app.models import Message
from messaging_app.thread import NewMessage
from sessions_app.actions import conversations, flows, inbound, lifecycle, messages, recovery
from sessions_app.actions.recovery import RecoveryState
from sessions_app.manager import AutoSessionManager
from tests.api.world import Caller, program
from tests.cast import Cast, Chat, Later, refused

BLIND = sorted(frozenset(Scope) - {Scope.READ})


def blind(cast: Cast, name: str = "bargain") -> Caller:
    """The same program with a key that may do everything but read."""
    cast.change(name, scopes=BLIND)
    return program(cast, name)


def owed(chat: Chat) -> list[str]:
    """What the bot is told that it has to answer."""
    truth = recovery.recover(actor=chat.cast.bargain, session_id=chat.live.pk)
    return [message.content for message in truth.unanswered]


# --- Page by page ---


@pytest.mark.parametrize("limit", [1, 3, 7, 8])
def test_what_was_missed_comes_in_pages_that_say_whether_there_are_more(chat: Chat, limit: int) -> None:
    session = chat.robot().session_id or 0
    for number in range(6):
        chat.says(f"Word {number}")
    seen: list[int] = []
    words: list[str] = []
    after, has_more = 0, True
    while has_more:
        truth = recovery.recover(actor=chat.cast.bargain, session_id=session, after_seq=after, limit=limit)
        assert len(truth.missed) <= limit
        seen += [operation.seq for operation in truth.missed]
        words += [message.content for message in truth.messages]
        after, has_more = truth.next_after_seq, truth.has_more
    assert seen == list(range(1, 8))
    assert words == [f"Word {number}" for number in range(6)]
    assert after == chat.row.seq
    assert recovery.recover(actor=chat.cast.bargain, session_id=session, after_seq=after).missed == []


def test_more_than_a_page_holds_is_not_lost_in_silence(chat: Chat) -> None:
    session = chat.robot().session_id or 0
    while chat.row.seq <= recovery.MOST:
        lifecycle.pause_session(actor=chat.cast.bargain, session_id=session)
        lifecycle.resume_session(actor=chat.cast.bargain, session_id=session)
    truth = recovery.recover(actor=chat.cast.bargain, session_id=session)
    assert (len(truth.missed), truth.has_more, truth.next_after_seq) == (500, True, 500)
    rest = recovery.recover(actor=chat.cast.bargain, session_id=session, after_seq=500)
    assert ([o.seq for o in rest.missed], rest.has_more) == (list(range(501, chat.row.seq + 1)), False)


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_page_has_bounds(chat: Chat, limit: int) -> None:
    session = chat.robot().session_id or 0
    refused("malformed", recovery.recover, actor=chat.cast.bargain, session_id=session, limit=limit)
    answer = program(chat.cast, "bargain").post(f"sessions/{session}/recover", {"limit": limit})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["limit"])


def test_the_cursor_never_goes_back(chat: Chat) -> None:
    session = chat.robot().session_id or 0
    truth = recovery.recover(actor=chat.cast.bargain, session_id=session, after_seq=1000)
    assert (truth.missed, truth.has_more, truth.next_after_seq) == ([], False, 1000)


# --- The words, and who may read them ---


def test_over_the_api_one_answer_is_enough_to_go_on(chat: Chat) -> None:
    chat.robot()
    chat.says("Is 20 possible?")
    bot = program(chat.cast, "bargain")
    told = bot.post(f"sessions/{chat.live.pk}/recover", {}).json()
    assert [m["content"] for m in told["messages"]] == ["Is 20 possible?"]
    assert (told["state"], told["controller"], told["has_more"]) == ("yours", "bot", False)
    (word,) = told["unanswered"]
    answer = {"message_id": "re-" + word["id"], "content": "25 is my last word."}
    for is_repeat in (False, True):
        said = bot.post("messages", answer | {"conversation_id": told["conversation_id"], "epoch": told["epoch"]})
        assert (said.status_code, said.json()["is_repeat"]) == (201, is_repeat)
    again = bot.post(f"sessions/{chat.live.pk}/recover", {"after_seq": told["next_after_seq"]}).json()
    assert (again["unanswered"], [m["content"] for m in again["messages"]]) == ([], ["25 is my last word."])


def test_a_key_that_may_not_read_is_told_what_happened_and_no_words(chat: Chat) -> None:
    session = chat.robot().session_id or 0
    chat.says("My card is 4111")
    told = blind(chat.cast).post(f"sessions/{session}/recover", {})
    assert (told.json()["messages"], told.json()["unanswered"]) == ([], [])
    assert len(told.json()["missed"]) == 2
    assert b"4111" not in told.content


def test_an_agents_note_is_among_the_words_for_agents_only(chat: Chat) -> None:
    chat.serve()
    session = chat.live.pk
    messages.post_note(actor=chat.cast.ann, conversation_id=chat.id, words=NewMessage(content="an angry one"))
    by = {
        a: recovery.recover(actor=a, session_id=session) for a in (chat.cast.ann, chat.cast.bargain, chat.cast.channel)
    }
    assert [[m.content for m in truth.messages] for truth in by.values()] == [["an angry one"], [], []]


def test_of_an_ended_session_a_bot_reads_what_was_said_in_it_and_nothing_behind(chat: Chat) -> None:
    session = chat.robot().session_id or 0
    chat.says("In it")
    lifecycle.complete_session(actor=chat.cast.bargain, session_id=session)
    chat.human()
    chat.says("Behind it")
    truth = recovery.recover(actor=chat.cast.bargain, session_id=session)
    assert (truth.state, [m.content for m in truth.messages], truth.unanswered) == ("ended", ["In it"], [])


# --- What has to be answered ---


def test_what_was_said_before_the_session_began_is_to_be_answered_too(chat: Chat) -> None:
    chat.says("Is anybody there?")
    chat.robot()
    chat.says("Hello?")
    assert owed(chat) == ["Is anybody there?", "Hello?"]


def test_an_answer_settles_all_before_it_but_one_by_name_only_its_own(chat: Chat) -> None:
    bot = chat.cast.bargain
    chat.robot()
    for word in ("One", "Two", "Three"):
        chat.says(word)
    second = Message.objects.get(content="Two")
    chat.speaks(bot, "To the second.", f"re-{second.pk}")
    assert owed(chat) == ["One", "Three"]
    chat.speaks(bot, "To all of it.", "mine-1")
    assert owed(chat) == []
    chat.says("Four")
    assert owed(chat) == ["Four"]


def test_what_an_agent_or_the_shops_people_answered_is_answered(chat: Chat) -> None:
    chat.robot()
    chat.says("One")
    chat.take()
    chat.speaks(chat.cast.ann, "I have looked into it.")
    chat.release()
    assert owed(chat) == []
    chat.says("Two")
    assert owed(chat) == ["Two"]


@pytest.mark.parametrize(("deal", "left"), [("re-", ["Thanks!"]), ("done-", [])], ids=["by name", "to all of it"])
def test_what_an_earlier_session_left_unanswered_is_still_owed(chat: Chat, deal: str, left: list[str]) -> None:
    """The next bot is told of just what a human was called to when the session ended; an answer to all of it leaves nothing."""
    bot = chat.cast.bargain
    first = chat.robot().session_id or 0
    chat.says("Thanks!")
    chat.says("30?")
    chat.speaks(bot, "Done: 30.", f"{deal}{Message.objects.get(content='30?').pk}")
    lifecycle.complete_session(actor=bot, session_id=first)
    assert chat.row.needs_human == bool(left)
    chat.robot()
    chat.says("Me again")
    assert owed(chat) == [*left, "Me again"]


def test_a_guests_answer_is_an_answer(chat: Chat) -> None:
    """Seen: the customer waited for nobody any more, and the bot was told to answer again."""
    chat.serve()
    guest = chat.guest()
    chat.says("Is it dimmable?")
    chat.speaks(guest, "It is; I put it up.")
    chat.release()
    assert (chat.row.unanswered_since, owed(chat)) == (None, [])


def test_what_an_agent_has_set_aside_is_not_owed(chat: Chat) -> None:
    chat.human()
    chat.says("Thank you, bye!")
    conversations.mark_read(actor=chat.cast.ann, conversation_id=chat.id, seq=chat.row.seq)
    chat.resolve()
    chat.robot()
    assert owed(chat) == []
    chat.says("Me again")
    assert owed(chat) == ["Me again"]


@pytest.mark.parametrize("bring", ["the shop's", "a bot's own"])
def test_history_that_is_brought_answers_nothing_that_was_said_after_it(chat: Chat, bring: str) -> None:
    """Seen: last week's answer, brought after today's question, answered it."""
    chat.robot()
    chat.says("Is 20 possible?")
    if bring == "the shop's":
        chat.brings(("customer", 700_000, "Thanks last week"), ("shop", 600_000, "Hello, last week"))
    else:
        chat.brings(("bot", 600_000, "My old answer"), actor=chat.cast.bargain)
    assert owed(chat) == ["Is 20 possible?"]
    assert chat.row.unanswered_since is not None


def test_history_pushes_nothing_out_of_what_is_owed(chat: Chat) -> None:
    chat.robot()
    chat.says("Is 20 possible?")
    chat.brings(*(("customer", 600_000 + n, f"old {n}") for n in range(200)))
    assert owed(chat) == ["Is 20 possible?"]


def test_a_row_of_two_hours_ago_is_history_to_a_batch_and_owed_no_answer(chat: Chat) -> None:
    chat.robot()
    chat.brings(("customer", 7_200, "An hour or two ago"), ("customer", 60, "Just now"))
    assert owed(chat) == ["Just now"]


def test_a_row_that_came_after_an_answer_is_owed_one_whatever_its_time(chat: Chat, later: Later) -> None:
    """It was said before the bot spoke and came after it: the bot cannot have answered it."""
    chat.robot()
    chat.says("One")
    later(20)
    chat.speaks(chat.cast.bargain, "Yes?")
    later(10)
    chat.brings(("customer", 15, "Two"))
    assert owed(chat) == ["Two"]


@pytest.mark.parametrize("who", ["a batch", "an echo"])
def test_what_the_shops_people_said_in_their_app_answers_what_they_saw_there(
    chat: Chat, later: Later, who: str
) -> None:
    """They see the customer's words in the channel, before a batch brings them here."""
    later(100)
    if who == "a batch":
        chat.brings(("shop", 30, "It is."))
    else:
        chat.echo("It is.")
        later(30)
    chat.brings(("customer", 40, "Is it dimmable?"), ("customer", 20, "And black?"))
    assert chat.row.unanswered_since is not None
    chat.brings(("shop", 10, "Yes."))
    assert chat.row.unanswered_since is None


@pytest.mark.parametrize("whose", ["a human's", "the queue's", "a flow's", "a better bot's"])
def test_nothing_is_to_be_answered_while_the_turn_is_somebody_elses(chat: Chat, whose: str) -> None:
    cast = chat.cast
    session = chat.robot(cast.follow_up, "AUTO_FOLLOW_UP").session_id or 0
    chat.says("Hello?")
    assert len(recovery.recover(actor=cast.follow_up, session_id=session).unanswered) == 1
    {
        "a human's": chat.take,
        "the queue's": lambda: chat.escalate(cast.follow_up),
        "a flow's": lambda: flows.open_flow(
            actor=cast.follow_up, trigger_id="t", question="Which?", conversation_id=chat.id
        ),
        "a better bot's": chat.robot,
    }[whose]()
    truth = recovery.recover(actor=cast.follow_up, session_id=session)
    assert (truth.unanswered, [m.content for m in truth.messages]) == ([], ["Hello?"])


def test_an_agent_who_was_away_is_told_too(chat: Chat) -> None:
    chat.serve()
    chat.says("Are you there?")
    truth = recovery.recover(actor=chat.cast.ann, session_id=chat.live.pk)
    assert [m.content for m in truth.unanswered] == ["Are you there?"]


def test_a_word_that_the_channel_brings_with_an_earlier_time_is_not_taken_for_answered(chat: Chat) -> None:
    """By its sender's clock it was said before the answer; it came after it."""
    chat.robot()
    chat.says("One")
    chat.speaks(chat.cast.bargain, "Yes?")
    chat.says("Two", sent_at=clock.now() - timedelta(seconds=30))
    assert owed(chat) == ["Two"]


def test_history_is_answered_by_nobody(chat: Chat) -> None:
    chat.robot()
    chat.says("Yesterday's", sent_at=clock.now() - timedelta(hours=20))
    chat.says("Today's")
    assert owed(chat) == ["Today's"]


def test_the_newest_200_of_what_is_owed_are_told(chat: Chat) -> None:
    chat.robot()
    chat.says("0")
    row = Message.objects.get(conversation_id=chat.id)
    for number in range(1, 205):
        row.pk, row.message_id, row.content = None, f"w-{number}", str(number)
        row.save(force_insert=True)
    assert owed(chat) == [str(number) for number in range(5, 205)]
    for number in range(100, 205):
        chat.speaks(chat.cast.bargain, "To one.", f"re-{Message.objects.get(content=str(number)).pk}")
    assert owed(chat) == [str(number) for number in range(100)], "none is lost behind those that were answered"


# --- A bot that does not know its session any more ---


def test_opening_again_answers_with_the_open_session(chat: Chat) -> None:
    bot, asked = program(chat.cast, "bargain"), {"conversation_id": str(chat.id), "task": "negotiation"}
    first, again = bot.post("sessions", asked), bot.post("sessions", asked)
    assert (first.status_code, again.status_code, again.json()["is_repeat"]) == (201, 200, True)
    assert first.json()["session_id"] == again.json()["session_id"]


def test_a_bot_lists_its_own_open_sessions_and_no_others(cast: Cast) -> None:
    live, paused, ended, foreign = (cast.chat() for _ in range(4))
    live.robot()
    paused.robot()
    paused.human()
    lifecycle.complete_session(actor=cast.bargain, session_id=ended.robot().session_id or 0)
    foreign.robot(cast.faq)
    opened = "?status=ACTIVE&status=PAUSED&status=PENDING&status=TRANSFERRED"
    found = program(cast, "bargain").get(f"sessions{opened}").json()["results"]
    assert {row["conversation_id"]: row["status"] for row in found} == {
        str(live.id): "ACTIVE",
        str(paused.id): "PAUSED",
    }


def test_the_facade_finds_its_sessions_and_recovers_them(cast: Cast) -> None:
    manager = AutoSessionManager(tenant="shop")
    opened = manager.create_robot_session(shop_id=1, user_id="li.wei")
    ended = manager.create_robot_session(shop_id=1, user_id="noor")
    manager.complete_session(session_id=ended.session_id)
    inbound.receive_message(
        actor=cast.channel, conversation_id=opened.conversation_id, words=NewMessage(content="Is it dimmable?")
    )
    (found,) = AutoSessionManager(tenant="shop").open_sessions()
    assert (found.session_id, found.status) == (opened.session_id, "ACTIVE")
    truth: RecoveryState = AutoSessionManager(tenant="shop").recover(session_id=found.session_id, limit=1)
    assert ([m.content for m in truth.unanswered], truth.has_more) == (["Is it dimmable?"], True)


# --- Names, and keys that do not read them ---


def test_recover_names_the_owner_to_whoever_may_read_names(chat: Chat) -> None:
    session = chat.robot().session_id or 0
    chat.take()
    path = f"sessions/{session}/recover"
    assert program(chat.cast, "bargain").post(path, {}).json()["owner_name"] == "Ann"
    assert blind(chat.cast).post(path, {}).json()["owner_name"] == ""


def test_no_refusal_names_anybody_to_a_key_that_does_not_read(chat: Chat) -> None:
    session = chat.robot().session_id or 0
    epoch = chat.epoch
    transfer = chat.escalate().transfer_id
    chat.accept()
    bot = blind(chat.cast)
    asked = {
        f"sessions/{session}/complete": ({"outcome": "success"}, "forbidden"),
        f"sessions/{session}/pause": ({"expected_epoch": epoch}, "stale_epoch"),
        f"transfers/{transfer}/withdraw": ({}, "already_taken"),
    }
    for path, (body, code) in asked.items():
        answer = bot.post(path, body)
        assert (answer.json()["code"], answer.json()["owner_name"]) == (code, ""), path
        assert b"Ann" not in answer.content
    channel = blind(chat.cast, "channel")
    opened = channel.post(
        "sessions", {"conversation_id": str(chat.id), "bot_id": str(chat.cast.faq.id), "on_conflict": "fail"}
    )
    assert (opened.status_code, opened.json()["owner_name"]) == (409, "")


def test_who_may_read_is_told_by_a_refusal_who_has_it(chat: Chat) -> None:
    chat.robot()
    epoch = chat.epoch
    chat.take()
    own = {"actor": chat.cast.bargain, "session_id": chat.live.pk}
    stale = refused("stale_epoch", lifecycle.pause_session, **own, expected_epoch=epoch)
    error = refused("forbidden", lifecycle.complete_session, **own)
    assert (stale.fields["owner_name"], error.fields["owner_name"]) == ("Ann", "Ann")
