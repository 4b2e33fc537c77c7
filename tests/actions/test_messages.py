"""What is said: stored in every state, routed by the one table, fenced by the epoch, and never stored twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from config import clock
from config.limits import MAX_CONTENT, MAX_ID
from messaging_app.models import Controller, Message
from messaging_app.thread import NewMessage
from sessions_app.actions import flows, inbound, lifecycle, shop_messages
from sessions_app.actions import messages as talk
from sessions_app.states import Kind, Owner, Status, TransferStatus
from tests.cast import Cast, Chat, Later, refused
from tests.unguarded import delete_operations


def _flow(chat: Chat) -> None:
    chat.robot()
    flows.open_flow(actor=chat.cast.bargain, trigger_id=f"t-{chat.id}", question="Which size?", conversation_id=chat.id)


def _rerunning(chat: Chat) -> None:
    _flow(chat)
    chat.says("Large.")


def _held(chat: Chat) -> None:
    robot = chat.robot()
    lifecycle.pause_session(actor=chat.cast.bargain, session_id=robot.session_id or 0)


def _flow_and_agent(chat: Chat) -> None:
    _flow(chat)
    chat.take()


def _flow_and_queue(chat: Chat) -> None:
    _flow(chat)
    chat.escalate()


def _only_a_flow(chat: Chat) -> None:
    flows.open_flow(actor=chat.cast.channel, trigger_id=f"t-{chat.id}", question="Which size?", conversation_id=chat.id)


def _ended(chat: Chat) -> None:
    chat.serve()
    chat.resolve()


ROUTES: dict[str, tuple[Callable[[Chat], Any], Controller]] = {
    "an agent serves a robot session": (lambda c: c.serve(), Controller.HUMAN),
    "an agent serves a session of their own": (lambda c: c.human(), Controller.HUMAN),
    "an emergency is served": (lambda c: c.opens(c.cast.ann, Kind.MANUAL_URGENT), Controller.HUMAN),
    "the shop's own people answer": (lambda c: (c.robot(), c.echo()), Controller.HUMAN),
    "an agent serves although a flow waits": (_flow_and_agent, Controller.HUMAN),
    "a robot session is escalated": (lambda c: c.queue(), Controller.QUEUE),
    "a session is reassigned": (lambda c: (c.serve(), c.reassign()), Controller.QUEUE),
    "a manual session is pending": (lambda c: c.escalate(c.cast.channel), Controller.QUEUE),
    "an emergency waits for an agent": (lambda c: c.opens(c.cast.channel, Kind.MANUAL_URGENT), Controller.QUEUE),
    "the queue, although a flow waits": (_flow_and_queue, Controller.QUEUE),
    "a flow waits for the reply": (_flow, Controller.FLOW),
    "a flow is running again": (_rerunning, Controller.FLOW),
    "a flow waits and no session is open": (_only_a_flow, Controller.FLOW),
    "a robot session is active": (lambda c: c.robot(), Controller.BOT),
    "nothing has happened yet": (lambda c: None, Controller.NONE),
    "a robot session is on hold": (_held, Controller.NONE),
    "all has ended": (_ended, Controller.NONE),
}


@pytest.mark.parametrize("state", ROUTES)
def test_what_a_customer_says_is_stored_and_routed_in_every_state(chat: Chat, state: str) -> None:
    prepare, route = ROUTES[state]
    prepare(chat)
    seq = chat.row.seq
    answer = chat.says("Is anybody there?", "m-1")

    assert answer.controller == chat.controller == route
    assert Message.objects.get(message_id="m-1").content == "Is anybody there?"
    created = chat.operations[seq]
    assert (created.type, created.data["answer"]["controller"]) == ("message.created", route.value)
    assert created.data["message_id"] == "m-1"
    assert (chat.row.last_text, chat.row.last_sender) == ("Is anybody there?", "customer")
    assert answer.detail.get("queue_position") == (1 if route == Controller.QUEUE else None)
    if chat.has_live:
        assert answer.session_id == chat.live.pk == Message.objects.get(message_id="m-1").session_id
        assert chat.live.message_count >= 1


@pytest.mark.parametrize("state", [state for state, (_, route) in ROUTES.items() if route != Controller.BOT])
def test_no_bot_speaks_where_the_turn_is_not_the_bots(chat: Chat, state: str) -> None:
    """Invariant 3, whatever epoch the bot names. One that never worked here is not told that there is a conversation."""
    ROUTES[state][0](chat)
    worked = {session.bot_id for session in chat.sessions}
    for bot in (chat.cast.bargain, chat.cast.faq):
        if bot.id not in worked:
            refused("not_found", chat.speaks, bot)
            continue
        refused("malformed", chat.speaks, bot, epoch=None)
        for epoch in (chat.epoch, chat.epoch - 1):
            error = refused("stale_epoch", chat.speaks, bot, epoch=epoch)
            assert (error.status, error.fields["epoch"], error.fields["controller"]) == (
                409,
                chat.epoch,
                chat.controller,
            )


def test_queue_positions_count_who_waits_longer(cast: Cast, later: Later) -> None:
    chats = []
    for _ in range(3):
        chats.append(cast.chat().queue())
        later(10)
    assert [chat.says().detail["queue_position"] for chat in chats] == [1, 2, 3]
    chats[0].accept()
    assert [chat.says().detail["queue_position"] for chat in chats[1:]] == [1, 2]
    urgent = cast.chat()
    urgent.escalate(cast.channel, urgent=True)
    assert urgent.says().detail["queue_position"] == 1
    assert chats[1].says().detail["queue_position"] == 2


def test_another_tenants_queue_does_not_count(chat: Chat, others: Cast) -> None:
    others.chat().queue()
    assert chat.queue().says().detail["queue_position"] == 1


# --- The epoch ---


@pytest.mark.parametrize("epoch", ["before", "after"])
def test_a_bot_speaks_only_with_the_present_epoch(chat: Chat, epoch: str) -> None:
    chat.robot()
    named = {"before": chat.epoch - 1, "after": chat.epoch + 1}[epoch]
    refused("stale_epoch", chat.speaks, chat.cast.bargain, epoch=named)
    assert chat.speaks(chat.cast.bargain).epoch == chat.epoch


def test_an_answer_the_bot_was_still_writing_does_not_go_out(chat: Chat) -> None:
    cast = chat.cast
    chat.robot()
    heard = chat.says("A person, please.")
    chat.escalate(cast.channel)
    refused("stale_epoch", chat.speaks, cast.bargain, "Sorry for the wait.", epoch=heard.epoch)
    chat.accept()
    chat.release()  # the turn is the bot's again, and the old words are old all the same
    refused("stale_epoch", chat.speaks, cast.bargain, "Sorry for the wait.", epoch=heard.epoch)
    assert chat.said == ["A person, please."]


@pytest.mark.parametrize("who", ["faq", "follow_up"])
def test_only_the_bot_whose_session_it_is_speaks(chat: Chat, who: str) -> None:
    chat.robot(chat.cast.bargain)
    refused("not_found", chat.speaks, getattr(chat.cast, who))


def test_a_bot_of_a_waiting_session_does_not_speak_for_the_live_one(chat: Chat) -> None:
    cast = chat.cast
    chat.robot(cast.bargain)
    chat.robot(cast.faq, Kind.AUTO_ASSISTANT)
    refused("stale_epoch", chat.speaks, cast.faq)
    chat.speaks(cast.bargain)


# --- Failed answers ---


def test_three_failed_answers_in_a_row_ask_for_a_human(chat: Chat) -> None:
    cast = chat.cast
    cast.rule("failure", phrases=["I cannot help"], threshold=3)
    robot = chat.robot()
    chat.speaks(cast.bargain, "I cannot help with that.")
    chat.speaks(cast.bargain, "I cannot help with that.")
    assert (chat.live.failed_answers, chat.controller) == (2, "bot")
    chat.speaks(cast.bargain, "It costs 42.")
    assert chat.live.failed_answers == 0
    for count in (1, 2):
        chat.speaks(cast.bargain, "I cannot help with that.")
        assert (chat.live.failed_answers, chat.controller) == (count, "bot")
    answer = chat.speaks(cast.bargain, "I cannot help with that.")
    assert (answer.controller, chat.controller, chat.live.pk) == ("queue", "queue", robot.session_id)
    assert (chat.pending.trigger, chat.row.needs_human, chat.row.need["evidence"]) == ("failure", True, "3")
    assert len(chat.said) == 6  # the third failure is said, too


def test_failed_answers_are_counted_per_session(chat: Chat) -> None:
    cast = chat.cast
    cast.rule("failure", phrases=["I cannot help"], threshold=2)
    first = chat.robot()
    chat.speaks(cast.bargain, "I cannot help.")
    lifecycle.complete_session(actor=cast.bargain, session_id=first.session_id or 0)
    chat.robot()
    chat.speaks(cast.bargain, "I cannot help.")
    assert chat.controller == "bot"


@pytest.mark.parametrize("effect", ["flag", "escalate"])
def test_what_a_customer_says_may_flag_or_escalate(chat: Chat, effect: str) -> None:
    chat.cast.rule("keyword", phrases=["a human"], effect=effect)
    chat.robot()
    answer = chat.says("Give me a human!")
    assert answer.controller == chat.controller == ("queue" if effect == "escalate" else "bot")
    assert chat.row.needs_human
    assert "evidence" not in str(chat.operations[-1].data)  # the customer's words are not in the stream


def test_a_need_is_not_looked_for_where_a_human_reads_anyway(chat: Chat) -> None:
    chat.cast.rule("keyword", phrases=["a human"], effect="escalate")
    chat.serve()
    chat.says("Give me a human!")
    assert (chat.row.needs_human, chat.has_pending) == (False, False)


def test_it_fails_closed_when_the_decision_cannot_be_made(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    chat.robot()
    before = chat.row.seq

    def broken(tenant_id: int) -> None:
        raise RuntimeError("the rules cannot be read")

    monkeypatch.setattr(inbound, "detector_for", broken)
    with pytest.raises(RuntimeError):
        chat.says("Hello")
    assert (chat.said, chat.row.seq) == ([], before)


# --- The shop's own app ---


def test_a_person_who_answers_from_the_shops_own_app_silences_the_bot(chat: Chat) -> None:
    cast = chat.cast
    robot = chat.robot()
    epoch = chat.epoch
    answer = chat.echo("I will see to it.")
    assert (answer.controller, chat.epoch) == ("human", epoch + 1)
    assert (chat.live.pk, chat.live.owner_kind, chat.live.status) == (robot.session_id, Owner.SHOP, Status.TRANSFERRED)
    assert [(t.kind, t.status) for t in chat.transfers] == [("takeover", "ACCEPTED")]
    assert Message.objects.get().sender_type == "shop"
    refused("stale_epoch", chat.speaks, cast.bargain, epoch=epoch)
    assert chat.says("Thank you").controller == "human"


@pytest.mark.parametrize("is_manual", [True, False])
def test_it_takes_the_conversation_from_the_queue_too(chat: Chat, is_manual: bool) -> None:
    if not is_manual:
        chat.robot()
    waits = chat.escalate(chat.cast.channel)
    chat.echo()
    assert (chat.live.pk, chat.live.owner_kind, chat.controller, chat.has_pending) == (
        waits.session_id,
        "shop",
        "human",
        False,
    )
    assert chat.transfers[-1].status == TransferStatus.ACCEPTED


def test_it_does_not_disturb_an_agent_who_serves(chat: Chat) -> None:
    chat.serve()
    epoch = chat.epoch
    chat.echo()
    assert (chat.live.agent_id, chat.epoch, len(chat.said)) == (chat.cast.ann.id, epoch, 1)


def test_it_is_stored_where_nothing_is_going_on(chat: Chat) -> None:
    answer = chat.echo("We are closed today.")
    assert (answer.controller, chat.said, chat.has_live) == ("none", ["We are closed today."], False)


def test_a_second_word_from_the_shop_changes_no_turn(chat: Chat) -> None:
    chat.robot()
    chat.echo()
    epoch = chat.epoch
    chat.echo("And another thing.")
    assert (chat.epoch, len(chat.transfers)) == (epoch, 1)


# --- Notes ---


def test_a_note_is_for_agents_and_does_not_count_as_talk(chat: Chat) -> None:
    cast = chat.cast
    chat.robot()
    chat.says("Hello")
    live = chat.live
    talk.post_note(actor=cast.ben, conversation_id=chat.id, words=NewMessage(content="Regular customer."))
    note = Message.objects.get(is_note=True)
    assert (note.sender_type, note.sender_name, note.session_id) == ("agent", "Ben", live.pk)
    assert (chat.row.last_text, chat.live.message_count, chat.live.expires_at) == (
        "Hello",
        live.message_count,
        live.expires_at,
    )
    assert chat.controller == "bot"


def test_who_speaks_is_taken_from_the_credential(chat: Chat) -> None:
    cast = chat.cast
    chat.robot()
    chat.speaks(cast.bargain)
    chat.take(cast.ben)
    chat.speaks(cast.ben)
    said = list(Message.objects.order_by("pk").values_list("sender_type", "sender_id", "sender_name"))
    assert said == [("bot", str(cast.bargain.id), "bargain"), ("agent", str(cast.ben.id), "Ben")]


# --- The same message again ---


def _same(first: Any, again: Any) -> None:
    assert again.is_repeat
    for name in ("conversation_id", "controller", "epoch", "session_id", "status", "message_id", "rule", "seq"):
        assert getattr(again, name) == getattr(first, name), name


SPEAKERS: dict[str, Callable[[Chat], Any]] = {
    "customer": lambda c: c.says("Once.", "m-1"),
    "bot": lambda c: c.speaks(c.cast.bargain, "Once.", "m-1", epoch=1),
    "agent": lambda c: c.speaks(c.cast.ann, "Once.", "m-1"),
    "shop": lambda c: c.echo("Once.", "m-1"),
    "note": lambda c: talk.post_note(
        actor=c.cast.ann, conversation_id=c.id, words=NewMessage(content="Once.", message_id="m-1")
    ),
}


@pytest.mark.parametrize("moved_on", ["not yet", "taken", "queued", "ended"])
@pytest.mark.parametrize("speaker", SPEAKERS)
def test_a_message_sent_again_answers_as_the_first_time(chat: Chat, speaker: str, moved_on: str) -> None:
    cast = chat.cast
    chat.human() if speaker == "agent" else chat.robot()
    first = SPEAKERS[speaker](chat)
    if moved_on == "taken":
        chat.grab(cast.sue) if chat.controller == "human" else chat.take(cast.sue)
    elif moved_on == "queued":
        if chat.controller == "human" and chat.live.owner_kind == Owner.AGENT:
            chat.reassign()
        elif chat.controller == "bot":
            chat.escalate()
    elif moved_on == "ended":
        lifecycle.cancel_session(actor=cast.system, session_id=chat.live.pk)
    before = chat.row.seq
    again = SPEAKERS[speaker](chat)
    _same(first, again)
    assert Message.objects.count() == 1
    assert chat.row.seq == before


def test_a_repeated_message_that_escalated_answers_with_the_queue_and_escalates_once(chat: Chat) -> None:
    cast = chat.cast
    cast.rule("failure", phrases=["sorry"], threshold=1)
    chat.robot()
    first = chat.speaks(cast.bargain, "Sorry.", "m-1", epoch=1)
    assert first.controller == "queue"
    chat.accept()
    chat.release()
    _same(first, chat.speaks(cast.bargain, "Sorry.", "m-1", epoch=1))
    assert [t.kind for t in chat.transfers] == ["escalation", "return"]


def test_a_repeat_after_its_operation_was_cleared_away_is_still_a_repeat(cast: Cast) -> None:
    """Events are kept for a while; messages for ever."""
    from messaging_app.models import Conversation, Operation, StreamHead

    chat = cast.chat()
    chat.says("Once.", "m-1")
    delete_operations(conversation_id=chat.id)
    again = chat.says("Once.", "m-1")
    assert again.is_repeat
    assert (again.controller, chat.said) == ("none", ["Once."])
    Conversation.objects.filter(pk=chat.id).update(seq=0, chain="")  # so that what is left fits together
    StreamHead.objects.update(pos=Operation.objects.exclude(pos=None).count())
    Message.objects.filter(conversation=chat.id).delete()


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_an_id_of_another_conversation_is_refused(cast: Cast, speaker: str) -> None:
    other = cast.chat()
    other.says("Mine.", "m-1")
    chat = cast.chat()
    chat.human() if speaker == "agent" else chat.robot()
    refused("message_id_taken", SPEAKERS[speaker], chat)


def test_ids_are_compared_byte_by_byte_and_per_tenant_and_platform(cast: Cast, others: Cast) -> None:
    chat = cast.chat()
    for message_id in ("abc", "ABC", "äbc", "abc"):
        chat.says(f"<{message_id}>", message_id)
    others.chat().says("Theirs.", "abc")
    inbound.receive_message(
        actor=cast.channel,
        shop_id="s",
        account_id="a",
        platform="other",
        words=NewMessage(content="There.", message_id="abc"),
    )
    assert Message.objects.count() == 5
    assert chat.said == ["<abc>", "<ABC>", "<äbc>"]


def test_conversations_are_told_apart_by_their_full_key(cast: Cast) -> None:
    keys = [
        ("default", "s1", "carl"),
        ("default", "s2", "carl"),
        ("web", "s1", "carl"),
        ("default", "s1", "Carl"),
    ]
    answers = [
        inbound.receive_message(
            actor=cast.channel, platform=platform, shop_id=shop, account_id=account, words=NewMessage(content="Hello")
        )
        for platform, shop, account in (*keys, keys[0])
    ]
    assert len({a.conversation_id for a in answers}) == len(keys)
    assert answers[0].conversation_id == answers[-1].conversation_id


# --- What cannot be said ---


@pytest.mark.parametrize(
    "words",
    [
        NewMessage(content=""),
        NewMessage(content=" \n\t"),
        NewMessage(content="x" * (MAX_CONTENT + 1)),
        NewMessage(content="Hello", message_id="x" * (MAX_ID + 1)),
        NewMessage(content="Hello", message_id="a\x00"),
    ],
    ids=["empty", "blank", "too long", "long id", "NUL in id"],
)
@pytest.mark.parametrize("by", ["customer", "bot", "agent", "note", "shop"])
def test_what_is_not_a_message_is_refused(chat: Chat, words: NewMessage, by: str) -> None:
    cast = chat.cast
    chat.human() if by == "agent" else chat.robot()
    verb, actor = {
        "customer": (inbound.receive_message, cast.channel),
        "bot": (talk.post_message, cast.bargain),
        "agent": (talk.post_message, cast.ann),
        "note": (talk.post_note, cast.ann),
        "shop": (shop_messages.echo_message, cast.channel),
    }[by]
    more = {"epoch": chat.epoch} if verb is talk.post_message else {}
    refused("malformed", verb, actor=actor, conversation_id=chat.id, words=words, **more)


@pytest.mark.parametrize(
    "key",
    [
        {"shop_id": "", "account_id": "a"},
        {"shop_id": "s", "account_id": " "},
        {"shop_id": "s" * 192, "account_id": "a"},
    ],
)
def test_a_conversation_needs_its_whole_key(cast: Cast, key: dict[str, str]) -> None:
    refused("malformed", inbound.receive_message, actor=cast.channel, words=NewMessage(content="Hello"), **key)


def test_words_from_the_future_are_said_now(chat: Chat) -> None:
    """A sender's clock ahead of ours must not put words behind everything that follows."""
    chat.says("first", sent_at=clock.now() + timedelta(hours=2))
    chat.says("second")
    messages = Message.objects.order_by("sent_at", "pk").values_list("content", flat=True)
    assert list(messages) == ["first", "second"]


def test_operations_hold_digests_and_not_the_words(chat: Chat) -> None:
    chat.says("My secret is kingfisher.")
    assert "kingfisher" not in str([o.data for o in chat.operations])
    assert chat.operations[-1].data["digest"]
