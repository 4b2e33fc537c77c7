"""T15: whoever waits for an answer waits in sight, whichever way the turn became nobody's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.conf import settings
from django.db import connection

from agents_app.models import Tenant
from config import clock
from messaging_app.batch import BatchRow
from messaging_app.models import Conversation, Message
from sessions_app import queries
from sessions_app.actions import batches, conversations, flows, lifecycle, silence, sweep
from sessions_app.core.record.replay import Replay
from sessions_app.queries import View
from sessions_app.states import Kind, Status
from tests.cast import Cast, Chat, Later

HOUR, DAY = 3600, 24 * 3600
GROUP_AFTER: int = settings.TANDEM["GROUP_AFTER"]

pytestmark = pytest.mark.django_db


def is_flagged(chat: Chat) -> bool:
    """It waits: flagged, with the clock of the words, in the views in which agents look, and unread to all of them."""
    row = chat.row
    flagged = row.needs_human and row.need["kind"] == "no_answer"
    assert flagged == (row.waiting_since is not None)
    for view in (View.UNASSIGNED, View.NEEDS_HUMAN, View.WAITING, View.QUEUE):
        for agent in (chat.cast.cat, chat.cast.sue):  # who have not opened it
            shown = {line.id: line for line in queries.list_page(actor=agent, view=view).rows}
            assert (chat.id in shown) == flagged, view
            assert not flagged or shown[chat.id].is_unread, view
    return flagged


# --- The turn becomes nobody's ---------------------------------------------------------------------------------------


def _day_ends(chat: Chat, later: Later, say: Callable[[], object]) -> None:
    chat.human()
    later(8 * HOUR - 30)
    say()
    later(30)


def _robot_idles(chat: Chat, later: Later, say: Callable[[], object]) -> None:
    chat.robot()
    say()
    later(1800)


def _shop_idles(chat: Chat, later: Later, say: Callable[[], object]) -> None:
    chat.robot()
    chat.echo()
    say()
    later(1800)


def _bot_cancels(chat: Chat, later: Later, say: Callable[[], object]) -> None:
    session = chat.robot()
    say()
    lifecycle.cancel_session(actor=chat.cast.bargain, session_id=session.session_id or 0)


def _agent_cancels(chat: Chat, later: Later, say: Callable[[], object]) -> None:
    session = chat.human()
    say()
    conversations.mark_read(actor=chat.cast.ann, conversation_id=chat.id, seq=chat.row.seq)
    lifecycle.cancel_session(actor=chat.cast.ann, session_id=session.session_id or 0)


def _bot_completes(chat: Chat, later: Later, say: Callable[[], object]) -> None:
    session = chat.robot()
    say()
    lifecycle.complete_session(actor=chat.cast.bargain, session_id=session.session_id or 0)


def _channel_completes(chat: Chat, later: Later, say: Callable[[], object]) -> None:
    session = chat.human()
    say()
    lifecycle.complete_session(actor=chat.cast.channel, session_id=session.session_id or 0)


def _unread_resolve(chat: Chat, later: Later, say: Callable[[], object]) -> None:
    chat.human()
    chat.says("One moment.")
    conversations.mark_read(actor=chat.cast.ann, conversation_id=chat.id, seq=chat.row.seq)
    say()
    chat.resolve()


def _bot_pauses(chat: Chat, later: Later, say: Callable[[], object]) -> None:
    session = chat.robot()
    say()
    lifecycle.pause_session(actor=chat.cast.bargain, session_id=session.session_id or 0)


def _agent_pauses(chat: Chat, later: Later, say: Callable[[], object]) -> None:
    session = chat.human()
    say()
    lifecycle.pause_session(actor=chat.cast.ann, session_id=session.session_id or 0)


def _released_to_nobody(chat: Chat, later: Later, say: Callable[[], object]) -> None:
    chat.human()
    say()
    conversations.mark_read(actor=chat.cast.ann, conversation_id=chat.id, seq=chat.row.seq)
    chat.release(force=True)


def _transfer_comes_back_to_a_bot_that_idles(chat: Chat, later: Later, say: Callable[[], object]) -> None:
    chat.serve()
    say()
    chat.release()
    later(1800)


def _lease_of_a_flow_ends(chat: Chat, later: Later, say: Callable[[], object]) -> None:
    chat.robot()
    flows.open_flow(actor=chat.cast.bargain, trigger_id="t", question="Which size?", conversation_id=chat.id)
    later(1800)
    chat.sweep()
    assert chat.controller == "flow"
    say()
    later(DAY)


WAYS = [
    _day_ends, _robot_idles, _shop_idles, _bot_cancels, _agent_cancels, _bot_completes, _channel_completes,
    _unread_resolve, _bot_pauses, _agent_pauses, _released_to_nobody,
    _transfer_comes_back_to_a_bot_that_idles, _lease_of_a_flow_ends,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_who_waits_when_the_turn_becomes_nobodys_is_flagged_with_the_clock_of_the_words(
    chat: Chat, later: Later, way: Callable[..., None]
) -> None:
    way(chat, later, chat.says)
    chat.cast.seen()
    sweep.sweep_due()
    assert chat.controller == "none"
    row = chat.row
    said = next(o.at for o in chat.operations if o.type == "message.created" and o.data["sender_type"] == "customer")
    if way is not _unread_resolve:
        assert row.unanswered_since == said
    assert row.waiting_since == row.unanswered_since
    assert is_flagged(chat)
    raised = [o for o in chat.operations if o.type == "attention.raised"]
    assert [o.data["kind"] for o in raised] == ["no_answer"]


@pytest.mark.parametrize("way", [way for way in WAYS if way is not _unread_resolve])
def test_who_was_answered_does_not_wait(chat: Chat, later: Later, way: Callable[..., None]) -> None:
    def is_answered() -> None:
        """Whoever has the turn answers; a flow's customer says nothing at all."""
        live = chat.live if chat.has_live else None
        if live is None:
            return
        chat.says()
        if live.owner_kind == "bot":
            chat.speaks(chat.cast.bargain)
        elif live.owner_kind == "shop":
            chat.echo("Yes, it is.")
        else:
            chat.speaks(chat.cast.ann)

    way(chat, later, is_answered)
    chat.cast.seen()
    sweep.sweep_due()
    assert (chat.controller, chat.row.unanswered_since) == ("none", None)
    assert not is_flagged(chat)


def test_whoever_comes_first_applies_it(chat: Chat, later: Later) -> None:
    """No sweeper lives: a colleague's pin, eight hours later."""
    chat.human()
    chat.says()
    later(8 * HOUR)
    conversations.pin(actor=chat.cast.ben, conversation_id=chat.id)
    assert is_flagged(chat)


def test_saying_hello_again_changes_nothing_of_the_clock(chat: Chat, later: Later) -> None:
    chat.robot()
    chat.says()
    since = chat.row.unanswered_since
    later(1800)
    sweep.sweep_due()
    later(40)
    chat.says("Hello??")
    assert is_flagged(chat)
    assert chat.row.waiting_since == since
    assert chat.event_types.count("attention.raised") == 1


def test_a_tenant_may_leave_it(chat: Chat, later: Later) -> None:
    chat.cast.policy(unanswered=Tenant.Unanswered.LEAVE)
    chat.robot()
    chat.says()
    later(1800)
    sweep.sweep_due()
    assert chat.controller == "none"
    later(GROUP_AFTER + 1)
    sweep.sweep_due()
    assert not is_flagged(chat)
    assert sweep.due() == set()


# --- What an agent has decided ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["resolve", "complete"])
def test_who_resolves_what_they_have_read_sets_it_aside(chat: Chat, later: Later, end: str) -> None:
    session = chat.human()
    chat.says("Thank you, bye!")
    conversations.mark_read(actor=chat.cast.ann, conversation_id=chat.id, seq=chat.row.seq)
    if end == "resolve":
        chat.resolve()
    else:
        lifecycle.complete_session(actor=chat.cast.ann, session_id=session.session_id or 0)
    later(GROUP_AFTER + 1)
    sweep.sweep_due()
    assert not is_flagged(chat)
    assert chat.row.unanswered_since is None


def test_a_colleague_who_has_read_it_decides_nothing(chat: Chat) -> None:
    chat.human()
    chat.says()
    conversations.mark_read(actor=chat.cast.ben, conversation_id=chat.id, seq=chat.row.seq)
    chat.resolve()
    assert is_flagged(chat)


def test_acknowledging_sets_it_aside_until_the_customer_writes_again(chat: Chat, later: Later) -> None:
    chat.human()
    chat.says()
    chat.resolve()
    assert is_flagged(chat)
    conversations.acknowledge(actor=chat.cast.ben, conversation_id=chat.id)
    later(GROUP_AFTER + 1)
    sweep.sweep_due()
    assert not is_flagged(chat)
    chat.says("And another thing.")
    assert not is_flagged(chat)
    later(GROUP_AFTER)
    sweep.sweep_due()
    assert is_flagged(chat)


def test_acknowledging_while_a_bot_has_the_turn_leaves_the_answer_to_the_bot(chat: Chat, later: Later) -> None:
    chat.robot()
    conversations.raise_flag(actor=chat.cast.ann, conversation_id=chat.id)
    chat.says()
    conversations.acknowledge(actor=chat.cast.ann, conversation_id=chat.id)
    assert not chat.row.needs_human
    later(1800)
    sweep.sweep_due()
    assert is_flagged(chat)


# --- How the flag goes -----------------------------------------------------------------------------------------------


def _agent_opens(chat: Chat) -> None:
    chat.human()


def _bot_opens(chat: Chat) -> None:
    chat.robot()


def _shop_answers(chat: Chat) -> None:
    chat.echo()


@pytest.mark.parametrize("act", [_agent_opens, _bot_opens, _shop_answers])
def test_the_flag_goes_when_somebody_takes_it_or_answers(chat: Chat, later: Later, act: Callable[[Chat], None]) -> None:
    chat.human()
    chat.says()
    chat.resolve()
    assert is_flagged(chat)
    act(chat)
    assert not chat.row.needs_human
    assert chat.row.waiting_since is None


def test_in_the_queue_it_keeps_its_clock(chat: Chat, later: Later) -> None:
    chat.human()
    chat.says()
    since = chat.row.unanswered_since
    chat.resolve()
    later(100)
    chat.escalate(chat.cast.channel)
    assert (chat.controller, chat.row.needs_human, chat.row.waiting_since) == ("queue", False, since)
    assert chat.pending.waiting_since == since


def test_a_bot_that_took_it_and_idles_has_not_answered(chat: Chat, later: Later) -> None:
    chat.human()
    chat.says()
    since = chat.row.unanswered_since
    chat.resolve()
    chat.robot()
    assert not chat.row.needs_human
    later(1800)
    sweep.sweep_due()
    assert is_flagged(chat)
    assert chat.row.waiting_since == since


# --- Words that nobody took (T15.2) ----------------------------------------------------------------------------------


def _after_resolve(chat: Chat) -> None:
    chat.human()
    chat.resolve()
    chat.says()


def _never_taken(chat: Chat) -> None:
    chat.says()


@pytest.mark.parametrize("say", [_after_resolve, _never_taken])
def test_words_that_nobody_took_wait_after_a_minute(chat: Chat, later: Later, say: Callable[[Chat], None]) -> None:
    say(chat)
    later(GROUP_AFTER - 5)
    sweep.sweep_due()
    assert not is_flagged(chat)
    later(5)
    sweep.sweep_due()
    assert is_flagged(chat)
    batches.group_unsessioned()  # they become a session, which is nobody's
    assert is_flagged(chat)
    later(1800)
    sweep.sweep_due()
    assert is_flagged(chat)


def test_who_takes_them_in_time_is_not_called(chat: Chat, later: Later) -> None:
    chat.says()
    later(GROUP_AFTER - 5)
    chat.robot()
    later(10)
    sweep.sweep_due()
    assert not is_flagged(chat)


def _row(chat: Chat, sender: str, age: float, number: int) -> BatchRow:
    row = chat.row
    return BatchRow(
        line=number, platform=row.platform, shop_id=row.shop_id, account_id=row.account_id,
        message_id=f"row-{number}", sender_type=sender, content="Hello?", sent_at=clock.now() - timedelta(seconds=age),
        is_robot=sender == "bot",
    )  # fmt: skip


@pytest.mark.parametrize("cut", [1, 2])
@pytest.mark.parametrize("is_turned", [False, True])
@pytest.mark.parametrize(
    ("senders", "waits"),
    [(("customer",), True), (("customer", "shop"), False), (("shop", "customer"), True)],
    ids=["a question", "answered", "asked again"],
)
def test_fresh_words_of_a_batch_wait_by_who_spoke_last(
    chat: Chat, later: Later, senders: tuple[str, ...], waits: bool, cut: int, is_turned: bool
) -> None:
    rows = [_row(chat, sender, 300 - 60 * n, n) for n, sender in enumerate(senders)]
    rows = rows[::-1] if is_turned else rows
    batches.ingest_batch(actor=chat.cast.channel, rows=rows, size=cut)
    if len(senders) == 2 and cut == 1:  # two batches, not two transactions of one
        assert chat.row.last_sender == senders[-1]
    assert (chat.row.unanswered_since is not None) == waits
    later(2000)
    sweep.sweep_due()
    assert is_flagged(chat) == waits


def test_history_waits_for_nobody(chat: Chat, later: Later) -> None:
    batches.ingest_batch(actor=chat.cast.channel, rows=[_row(chat, "customer", 7200, 1)])
    chat.says("Long ago.", sent_at=clock.now() - timedelta(hours=9))
    later(GROUP_AFTER + 1)
    sweep.sweep_due()
    assert not is_flagged(chat)


def test_an_answer_that_comes_as_history_is_an_answer(chat: Chat, later: Later) -> None:
    chat.says()
    later(GROUP_AFTER)
    sweep.sweep_due()
    assert is_flagged(chat)
    later(HOUR + 60)
    batches.ingest_batch(actor=chat.cast.channel, rows=[_row(chat, "shop", HOUR, 1)])
    assert not is_flagged(chat)


# --- One of several is answered by its name ---------------------------------------------------------------------------


def _said(chat: Chat, *words: str) -> dict[str, datetime]:
    """When each came in."""
    for content in words:
        chat.says(content)
    said = Message.objects.filter(conversation_id=chat.id, content__in=words).values_list("content", "seq")
    at = {operation.seq: operation.at for operation in chat.operations}
    return {content: at[seq] for content, seq in said}


def _answers(chat: Chat, content: str) -> None:
    asked = Message.objects.get(conversation_id=chat.id, content=content)
    chat.speaks(chat.cast.bargain, f"To {content}", f"re-{asked.pk}")


def _is_as_recorded(chat: Chat) -> bool:
    """The record tells the same of the customer's wait as the row."""
    thread = Replay(settings.TANDEM, id=chat.id)
    thread.apply(chat.operations)
    assert thread.faults == []
    return thread.unanswered_since == chat.row.unanswered_since


def test_who_is_answered_one_of_three_waits_since_the_oldest_of_the_others(chat: Chat) -> None:
    chat.robot()
    said = _said(chat, "One", "Two", "Three")
    for content, since in (("Two", "One"), ("One", "Three"), ("Three", None)):
        _answers(chat, content)
        assert chat.row.unanswered_since == (said[since] if since else None)
        assert _is_as_recorded(chat)


@pytest.mark.parametrize("message_id", ["re-", "re-x", "re-0", "re-999999", "re-9" + "9" * 30, "re-\u0663", "mine"])
def test_an_answer_that_names_no_message_of_the_customers_answers_all(chat: Chat, message_id: str) -> None:
    chat.robot()
    _said(chat, "One", "Two")
    chat.speaks(chat.cast.bargain, "To all.", message_id)
    assert chat.row.unanswered_since is None
    assert _is_as_recorded(chat)


def test_what_names_a_message_of_another_conversation_answers_all(cast: Cast, chat: Chat) -> None:
    other = cast.chat()
    other.says("Elsewhere")
    chat.robot()
    _said(chat, "One", "Two")
    chat.speaks(cast.bargain, "To all.", f"re-{Message.objects.get(content='Elsewhere').pk}")
    assert (chat.row.unanswered_since, other.row.unanswered_since is None) == (None, False)


def test_a_bot_that_dies_after_the_first_of_three_leaves_nobody_forgotten(chat: Chat) -> None:
    """Seen: the one answer counted for all, so that nobody was called to the other two."""
    chat.robot()
    _said(chat, "One", "Two", "Three")
    _answers(chat, "One")
    chat.cast.change("bargain", is_active=False)
    assert silence.escalate_from_dead_bots() == 1
    assert chat.controller == "queue"


@pytest.mark.parametrize("end", ["idles", "completes"])
def test_who_is_left_with_two_of_three_unanswered_is_flagged_with_their_clock(
    chat: Chat, later: Later, end: str
) -> None:
    session = chat.robot().session_id or 0
    said = _said(chat, "One", "Two", "Three")
    _answers(chat, "One")
    if end == "idles":
        later(1_800)
        sweep.sweep_due()
    else:
        lifecycle.complete_session(actor=chat.cast.bargain, session_id=session)
    assert is_flagged(chat)
    assert chat.row.waiting_since == said["Two"]
    assert _is_as_recorded(chat)


def test_a_bots_reply_to_one_of_two_gives_it_its_whole_time_for_the_other(chat: Chat, later: Later) -> None:
    chat.cast.change("bargain", turn_timeout=60)
    chat.robot()
    _said(chat, "One", "Two")
    later(50)
    _answers(chat, "One")
    later(50)
    sweep.sweep_due()
    assert not chat.has_pending
    later(10)
    sweep.sweep_due()
    assert chat.has_pending


def test_a_row_that_came_after_the_bots_last_words_waits_though_it_was_said_before_them(
    chat: Chat, later: Later
) -> None:
    """Seen: who spoke last by the senders' clocks decided, and nobody was called."""
    session = chat.robot().session_id or 0
    chat.says("One")
    later(20)
    chat.speaks(chat.cast.bargain, "Yes?")
    later(10)
    chat.brings(("customer", 15, "Two"))
    assert _is_as_recorded(chat)
    lifecycle.complete_session(actor=chat.cast.bargain, session_id=session)
    assert is_flagged(chat)


def test_a_batch_that_answers_the_first_of_two_leaves_the_clock_of_the_second(chat: Chat, later: Later) -> None:
    chat.says("One")
    later(20)
    said = _said(chat, "Two")
    later(20)
    chat.brings(("shop", 30, "To the first."))
    assert chat.row.unanswered_since == said["Two"]
    assert _is_as_recorded(chat)


def test_records_of_before_are_replayed_as_they_were_made(chat: Chat) -> None:
    """An answer by name cleared all then, and a batch said only whether the customer awaits an answer."""
    chat.robot()
    _said(chat, "One", "Two")
    _answers(chat, "One")
    operations = chat.operations
    for name in ("answers_id", "unanswered_since"):
        operations[-1].data.pop(name)
    thread = Replay(settings.TANDEM, id=chat.id)
    thread.apply(operations)
    assert (thread.unanswered_since, thread.faults) == (None, [])


# --- A bot that may not speak is not silent (T15.3) ------------------------------------------------------------------


def test_a_bots_time_stands_still_while_a_flow_has_the_turn(chat: Chat, later: Later) -> None:
    chat.cast.change("bargain", turn_timeout=60)
    chat.robot()
    flow = flows.open_flow(actor=chat.cast.bargain, trigger_id="t", question="Size?", conversation_id=chat.id)
    later(600)
    chat.says("Large.")
    later(100)
    sweep.sweep_due()
    assert (chat.controller, chat.has_pending) == ("flow", False)
    flows.move_flow(actor=chat.cast.bargain, flow_id=flow.id, to="ready_preview", version=chat_flow_version())
    assert chat.controller == "bot"
    later(55)
    sweep.sweep_due()
    assert not chat.has_pending, "its whole time anew"
    later(5)
    sweep.sweep_due()
    assert chat.has_pending


def chat_flow_version() -> int:
    from sessions_app.models import GuidedFlow

    return GuidedFlow.objects.get().version


def test_a_bots_time_stands_still_while_its_session_is_paused(chat: Chat, later: Later) -> None:
    chat.cast.change("follow_up", turn_timeout=60)
    chat.robot(chat.cast.follow_up, Kind.AUTO_FOLLOW_UP)
    chat.says()
    later(50)
    other = chat.robot(chat.cast.bargain)
    assert [s.status for s in chat.sessions] == [Status.PAUSED, Status.ACTIVE]
    later(100)
    sweep.sweep_due()
    assert not chat.has_pending
    lifecycle.complete_session(actor=chat.cast.bargain, session_id=other.session_id or 0)
    later(55)
    sweep.sweep_due()
    assert not chat.has_pending
    later(5)
    sweep.sweep_due()
    assert chat.has_pending


# --- Every death of a bot is seen (T15.4) ----------------------------------------------------------------------------


def _out_of_use(chat: Chat) -> None:
    chat.cast.change("bargain", is_active=False)


def _not_heard_of(chat: Chat) -> None:
    chat.cast.change("bargain", heartbeat_timeout=30, last_seen_at=clock.now() - timedelta(seconds=31))


def _never_heard_of(chat: Chat) -> None:
    chat.cast.change("bargain", heartbeat_timeout=30)


DEATHS = [_out_of_use, _not_heard_of, _never_heard_of]


@pytest.mark.parametrize("die", DEATHS)
def test_the_beat_sees_a_dead_bot_while_a_customer_waits(chat: Chat, die: Callable[[Chat], None]) -> None:
    chat.robot()
    chat.says()
    assert silence.escalate_from_dead_bots() == 0
    die(chat)
    assert silence.escalate_from_dead_bots() == 1
    assert (chat.controller, chat.has_pending) == ("queue", True)


@pytest.mark.parametrize("die", DEATHS)
def test_nobody_is_called_to_a_dead_bot_whose_customer_has_the_answer(chat: Chat, die: Callable[[Chat], None]) -> None:
    chat.robot()
    chat.says()
    chat.speaks(chat.cast.bargain)
    die(chat)
    assert silence.escalate_from_dead_bots() == 0


@pytest.mark.parametrize("die", DEATHS)
def test_a_bot_that_died_while_it_was_paused_is_seen_when_it_gets_the_turn(
    chat: Chat, later: Later, die: Callable[[Chat], None]
) -> None:
    chat.robot()
    chat.human()
    chat.says()
    since = chat.row.unanswered_since
    die(chat)
    chat.resolve()
    assert chat.controller == "bot"
    assert silence.escalate_from_dead_bots() == 1
    assert chat.controller == "queue"
    assert since


# --- The end of a human session (T15.5) ------------------------------------------------------------------------------


@pytest.mark.parametrize("pause", ["on request", "preempted"])
def test_a_pause_does_not_start_the_eight_hours_anew(chat: Chat, later: Later, pause: str) -> None:
    session = chat.human()
    later(7 * HOUR)
    if pause == "on request":
        lifecycle.pause_session(actor=chat.cast.ann, session_id=session.session_id or 0)
        later(HOUR // 2)
        lifecycle.resume_session(actor=chat.cast.ann, session_id=session.session_id or 0)
    else:
        urgent = chat.opens(chat.cast.ben, Kind.MANUAL_URGENT)
        later(HOUR // 2)
        chat.cast.seen()
        lifecycle.complete_session(actor=chat.cast.ben, session_id=urgent.session_id or 0)
    assert chat.live.pk == session.session_id
    later(HOUR // 2 - 5)
    sweep.sweep_due()
    assert chat.has_live
    later(5)
    sweep.sweep_due()
    assert not chat.has_live


def test_who_resumes_with_less_than_the_warning_left_has_the_warning(chat: Chat, later: Later) -> None:
    session = chat.human()
    later(7 * HOUR)
    lifecycle.pause_session(actor=chat.cast.ann, session_id=session.session_id or 0)
    later(10 * HOUR)
    lifecycle.resume_session(actor=chat.cast.ann, session_id=session.session_id or 0)
    sweep.sweep_due()
    assert chat.event_types[-1] == "session.ending_soon"
    later(895)
    sweep.sweep_due()
    assert chat.has_live
    later(5)
    sweep.sweep_due()
    assert not chat.has_live


@pytest.mark.parametrize("first", ["the sweeper", "an agent"])
@pytest.mark.parametrize("begin", ["opens", "takes over", "accepts"])
def test_the_owner_is_told_a_quarter_of_an_hour_before_the_end_and_once(
    chat: Chat, later: Later, begin: str, first: str
) -> None:
    if begin == "opens":
        chat.human()
    elif begin == "takes over":
        chat.serve()
    else:
        chat.queue()
        chat.accept()

    def somebody_comes() -> None:
        if first == "the sweeper":
            sweep.sweep_due()
        else:
            conversations.todo(actor=chat.cast.ben, conversation_id=chat.id)
            conversations.untodo(actor=chat.cast.ben, conversation_id=chat.id)

    later(8 * HOUR - 905)
    somebody_comes()
    assert "session.ending_soon" not in chat.event_types
    later(5)
    somebody_comes()
    somebody_comes()
    told = [o for o in chat.operations if o.type == "session.ending_soon"]
    assert [(o.data["expires_at"], o.data["owner_id"]) for o in told] == [
        (chat.live.expires_at.isoformat(timespec="microseconds"), chat.cast.ann.id)  # type: ignore[union-attr]
    ]


def test_who_is_handed_a_session_that_ends_soon_is_told_too(chat: Chat, later: Later) -> None:
    chat.human()
    later(8 * HOUR - 800)
    sweep.sweep_due()
    chat.grab(chat.cast.ben)
    sweep.sweep_due()
    assert [o.data["owner_id"] for o in chat.operations if o.type == "session.ending_soon"] == [
        chat.cast.ann.id, chat.cast.ben.id,
    ]  # fmt: skip


@pytest.mark.parametrize("turn", ["bot", "queue", "nobody"])
def test_nobody_is_told_of_the_end_of_what_no_agent_serves(chat: Chat, later: Later, turn: str) -> None:
    if turn != "nobody":
        chat.queue() if turn == "queue" else chat.robot()
    later(8 * HOUR)
    sweep.sweep_due()
    assert "session.ending_soon" not in chat.event_types


# --- Nobody is called where a human serves ---------------------------------------------------------------------------


def test_a_flag_where_a_human_serves_is_none(chat: Chat) -> None:
    chat.human()
    before = len(chat.operations)
    answered = conversations.raise_flag(actor=chat.customer, conversation_id=chat.id, reason="I want a human")
    assert (answered.is_repeat, len(chat.operations)) == (True, before)


# --- How the sweeper finds them --------------------------------------------------------------------------------------


def test_the_sweeper_finds_the_forgotten_by_an_index(cast: Cast) -> None:
    """However many conversations there are in which nobody waits."""
    rows = (Conversation(tenant=cast.tenant, shop_id="s", account_id=f"a{number}") for number in range(3000))
    Conversation.objects.bulk_create(rows, batch_size=500)
    if connection.vendor == "postgresql":  # which plans by what it has counted
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE messaging_app_conversation")
    plan = sweep.forgotten(clock.now()).explain()
    assert "conversation_unanswered" in plan, plan
