"""T10: what waits stays one transfer, is asked again with growing pauses, and grows nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agents_app.actors import agent_actor
from messaging_app.models import Operation
from sessions_app import queries
from sessions_app.actions import conversations, flows, lifecycle, sweep
from sessions_app.models import GuidedFlow, Transfer
from sessions_app.states import Kind
from sessions_app.workbench import wording
from tests.cast import Cast, Chat, Later

MINUTE, HOUR = 60, 3600


def waits(chat: Chat, how: str) -> None:
    """Each way to wait that has no sender to go back to, or whose tenant wants it to wait."""
    if how == "requeue":
        chat.cast.policy(transfer_policy="requeue")
        chat.queue()
    elif how == "a reassignment":
        chat.serve()
        chat.reassign()
    elif how == "a human session":
        chat.opens(chat.cast.channel, Kind.MANUAL_CUSTOMER_SERVICE)
    elif how == "a silent bot":
        chat.queue()
        chat.cast.change("bargain", heartbeat_timeout=60)
    else:
        chat.queue()
        chat.cast.change("bargain", is_active=False)


WAYS = ["requeue", "a reassignment", "a human session", "a silent bot", "a bot out of use"]


def passes(later: Later, seconds: int, step: int = MINUTE) -> None:
    for _ in range(0, seconds, step):
        later(step)
        sweep.sweep_due()


@pytest.mark.parametrize("how", WAYS)
def test_two_hours_of_waiting_are_one_transfer_and_five_operations(chat: Chat, later: Later, how: str) -> None:
    waits(chat, how)
    asked, before = chat.pending, len(chat.operations)
    count = len(chat.transfers)
    passes(later, 2 * HOUR)
    now = chat.pending
    assert (now.pk, len(chat.transfers), now.asked_again) == (asked.pk, count, 5)
    assert chat.event_types[before:] == ["transfer.asked_again"] * 5
    assert (now.waiting_since, now.requested_at, now.context) == (
        asked.waiting_since,
        asked.requested_at,
        asked.context,
    )
    assert chat.row.waiting_since == asked.waiting_since


def test_the_pauses_grow_to_an_hour(chat: Chat, later: Later) -> None:
    waits(chat, "a human session")
    pauses = []
    for _ in range(8):
        before = chat.pending.deadline
        assert before
        later.until(before)
        chat.sweep()
        after = chat.pending.deadline
        assert after
        pauses.append(round((after - before) / timedelta(minutes=5)))
    assert pauses == [1, 2, 4, 8, 12, 12, 12, 12]


def test_a_longer_time_out_than_an_hour_stays_what_it_is(chat: Chat, later: Later, settings: object) -> None:
    settings.TANDEM = settings.TANDEM | {"TRANSFER_TIMEOUT": 2 * HOUR}  # type: ignore[attr-defined]
    waits(chat, "a human session")
    later(2 * HOUR + 1)
    chat.sweep()
    deadline, asked_at = chat.pending.deadline, chat.operations[-1].at
    assert deadline == asked_at + timedelta(hours=2)


def test_asking_again_does_not_write_the_package(chat: Chat, later: Later, django_assert_num_queries: object) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    waits(chat, "requeue")
    later(5 * MINUTE + 1)
    with CaptureQueriesContext(connection) as ran:
        chat.sweep()
    said = (one["sql"].replace("`", '"') for one in ran)
    written = [sql for sql in said if 'UPDATE "sessions_app_transfer" SET' in sql]
    assert len(written) == 1
    assert '"context"' not in written[0]


def test_each_round_asks_those_again_who_had_refused(cast: Cast, chat: Chat, later: Later) -> None:
    cast.policy(transfer_policy="requeue", assignment="push")
    for name in ("ben", "cat", "sue"):
        cast.change(name, availability="away")
    chat.queue()
    assert chat.pending.offered_to_id == cast.ann.id
    later(31)
    sweep.sweep_due()
    assert (chat.pending.offered_to_id, chat.pending.refused_by) == (None, [cast.ann.id])
    later(5 * MINUTE)
    cast.seen()
    sweep.sweep_due()
    assert (chat.pending.asked_again, chat.pending.offered_to_id, chat.pending.refused_by) == (1, cast.ann.id, [])


def test_the_deadline_takes_no_open_offer_away(cast: Cast, chat: Chat, later: Later) -> None:
    cast.policy(transfer_policy="requeue", assignment="push")
    for name in ("ann", "ben", "cat", "sue"):
        cast.change(name, availability="away")
    chat.queue()
    later(5 * MINUTE - 10)
    cast.seen()
    cast.change("ann", availability="available")
    sweep.sweep_due()
    assert chat.pending.offered_to_id == cast.ann.id
    later(11)
    sweep.sweep_due()
    assert (chat.pending.asked_again, chat.pending.offered_to_id) == (1, cast.ann.id)
    chat.accept(cast.ann)


# --- A bot that is silent, and gets its turn back ----------------------------------------------------------------


@pytest.fixture
def silent(chat: Chat) -> Chat:
    """The bot promised an answer within a minute, the tenant returns what nobody accepts, and nobody does either."""
    chat.cast.change("bargain", turn_timeout=MINUTE)
    chat.robot()
    chat.says("Is it still to be had?")
    return chat


def test_what_a_silent_bot_leaves_unanswered_is_asked_for_once(silent: Chat, later: Later) -> None:
    since = silent.row.unanswered_since
    passes(later, 26 * HOUR, 5 * MINUTE)
    assert [(t.trigger, t.status) for t in silent.transfers] == [("bot_silent", "TIMED_OUT")]
    assert silent.event_types == [
        "session.opened", "message.created", "transfer.requested", "session.transferred", "transfer.timed_out",
        "attention.raised", "session.returned", "session.timed_out",
    ]  # fmt: skip
    row = silent.row
    assert (row.controller, row.needs_human, row.need["kind"]) == ("none", True, "unanswered")
    assert row.unanswered_since == since
    [asked] = silent.transfers
    assert row.waiting_since == asked.waiting_since


def test_its_session_ends_in_its_own_time_after_the_return(silent: Chat, later: Later) -> None:
    passes(later, 6 * MINUTE)
    assert (silent.controller, silent.row.needs_human, silent.live.reply_due_at) == ("bot", True, None)
    expires_at, came_back = silent.live.expires_at, silent.operations[-1].at
    assert expires_at == came_back + timedelta(seconds=1800)
    later.until(expires_at)
    sweep.sweep_due()
    assert (silent.has_live, silent.row.needs_human) == (False, True)


def test_its_time_runs_again_from_the_customers_next_words(silent: Chat, later: Later) -> None:
    for times in (1, 2, 3):
        passes(later, 15 * MINUTE)
        assert (silent.controller, len(silent.transfers), silent.live.reply_due_at) == ("bot", times, None)
        silent.says("Hello?")
        assert silent.live.reply_due_at == silent.operations[-1].at + timedelta(minutes=1)


def test_after_the_next_words_a_flow_gives_it_its_whole_time_anew(silent: Chat, later: Later) -> None:
    passes(later, 7 * MINUTE)
    flows.open_flow(actor=silent.cast.bargain, trigger_id="t", question="Which size?", conversation_id=silent.id)
    silent.says("Large.")
    assert (silent.controller, silent.live.reply_due_at) == ("flow", None)
    later(100)
    flow = GuidedFlow.objects.get()
    flows.move_flow(actor=silent.cast.bargain, flow_id=flow.pk, to="ready_preview", version=flow.version)
    assert silent.controller == "bot"
    assert silent.live.reply_due_at == silent.operations[-1].at + timedelta(minutes=1)


@pytest.mark.parametrize("act", ["a pin", "looked at", "a pause"])
def test_nobody_but_the_customer_makes_it_run_again(silent: Chat, later: Later, act: str) -> None:
    passes(later, 7 * MINUTE)
    if act == "a pin":
        conversations.pin(actor=silent.cast.ben, conversation_id=silent.id)
    elif act == "looked at":
        conversations.acknowledge(actor=silent.cast.ben, conversation_id=silent.id)
    else:
        session = silent.live.pk
        lifecycle.pause_session(actor=silent.cast.bargain, session_id=session)
        lifecycle.resume_session(actor=silent.cast.bargain, session_id=session)
    assert (silent.controller, silent.live.reply_due_at) == ("bot", None)


def test_what_the_bot_itself_asked_for_in_vain_is_asked_for_once_too(silent: Chat, later: Later) -> None:
    silent.escalate(to_agent_id=silent.cast.ben.id)
    silent.decline(silent.cast.ben)
    passes(later, HOUR)
    assert [t.status for t in silent.transfers] == ["DECLINED"]
    assert silent.row.needs_human


@pytest.mark.parametrize("back", ["released", "withdrawn"])
def test_who_gets_the_turn_back_by_a_persons_will_owes_an_answer_in_time(silent: Chat, later: Later, back: str) -> None:
    passes(later, 7 * MINUTE)
    if back == "released":
        silent.take()
        silent.release()
    else:
        silent.escalate()
        silent.withdraw(silent.cast.sue)
    assert silent.live.reply_due_at == silent.operations[-1].at + timedelta(minutes=1)


# --- One line that says so ---------------------------------------------------------------------------------------


def again_lines(chat: Chat) -> list[Operation]:
    page = queries.thread_page(actor=agent_actor(chat.cast.agent("ann")), conversation_id=chat.id)
    return [item.operation for item in page.items if item.operation and item.operation.type == "transfer.asked_again"]


def test_the_thread_says_it_in_one_line(chat: Chat, later: Later) -> None:
    waits(chat, "requeue")
    since = chat.pending.waiting_since
    passes(later, HOUR)
    chat.says("Is anybody there?")
    passes(later, HOUR)
    [line] = again_lines(chat)
    assert wording.event(line) == "Asked again 5 times, waits since"
    assert wording.since(line) == since
    assert len([one for one in chat.operations if one.type == "transfer.asked_again"]) == 5


def test_a_page_that_is_open_gets_the_line_that_takes_the_place_of_the_one_before(
    chat: Chat, later: Later, client: object
) -> None:
    from sessions_app.workbench import presenters

    waits(chat, "requeue")
    runs = []
    for _ in range(2):
        seq = chat.row.seq
        later(5 * MINUTE + 1)
        chat.sweep()
        page = queries.thread_news(actor=agent_actor(chat.cast.agent("ann")), conversation_id=chat.id, after=seq)
        runs += [line.run for line in presenters.lines(page.items, page.conversation)]
    assert runs == [f"again{chat.pending.pk}"] * 2


def test_one_declined_line_names_who_and_why(chat: Chat) -> None:
    chat.cast.policy(transfer_policy="requeue")
    chat.robot()
    chat.escalate(to_agent_id=chat.cast.ben.id)
    chat.decline(chat.cast.ben, reason="At lunch.")
    [line] = again_lines(chat)
    assert wording.event(line) == "Ben declined, so it waits for everybody: At lunch."
    assert wording.since(line) is None


# --- The figures -------------------------------------------------------------------------------------------------


def test_transfers_by_outcome_count_one(chat: Chat, later: Later) -> None:
    waits(chat, "requeue")
    passes(later, HOUR)
    chat.cast.seen()
    chat.accept(chat.cast.ann)
    assert list(Transfer.objects.values_list("kind", "status", "asked_again")) == [("escalation", "ACCEPTED", 4)]
