"""T15.1: a bot that nobody has announced, known only by words that were found, answers nobody: who waits for it waits in sight."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents_app.models import Tenant
from config import clock
from messaging_app.batch import BatchRow
from messaging_app.models import Controller, Conversation
from sessions_app import queries
from sessions_app.actions import batches, conversations, sweep
from sessions_app.core.record.replay import Replay
from sessions_app.queries import View
from tests.cast import Cast, Chat, Later

GROUP_AFTER: int = settings.TANDEM["GROUP_AFTER"]

pytestmark = pytest.mark.django_db


def brought(chat: Chat, sender: str, age: float) -> None:
    """The shop's own system reports by batch what was said so many seconds ago."""
    row = chat.row
    told = BatchRow(
        line=1, platform=row.platform, shop_id=row.shop_id, account_id=row.account_id, message_id=f"{sender}-{row.seq}",
        sender_type=sender, content="Hello?", sent_at=clock.now() - timedelta(seconds=age), is_robot=sender == "bot",
    )  # fmt: skip
    batches.ingest_batch(actor=chat.cast.channel, rows=[told])


def is_flagged(chat: Chat) -> bool:
    row = chat.row
    flagged = row.needs_human and (row.need["kind"], row.waiting_since) == ("no_answer", row.unanswered_since)
    for view in (View.UNASSIGNED, View.NEEDS_HUMAN, View.WAITING, View.QUEUE):
        shown = {line.id: line for line in queries.list_page(actor=chat.cast.cat, view=view).rows}
        assert (chat.id in shown) == flagged, view
        assert not flagged or shown[chat.id].is_unread, view
    return flagged


def agrees(chat: Chat) -> None:
    """What the operations say, by themselves, is what the row has."""
    thread = Replay(settings.TANDEM, id=chat.id)
    thread.apply(chat.operations)
    assert thread.faults == []
    row = chat.row
    assert (thread.controller, thread.need, thread.waiting_since, thread.unanswered_since) == (
        row.controller, row.need.get("kind", ""), row.waiting_since, row.unanswered_since,
    )  # fmt: skip


def _found(chat: Chat) -> None:
    brought(chat, "bot", 60)


def _released_to_it(chat: Chat) -> None:
    brought(chat, "bot", 60)
    chat.take()
    chat.speaks(chat.cast.ann)
    chat.release(force=True)


WAYS = pytest.mark.parametrize("way", [_found, _released_to_it])


@WAYS
@pytest.mark.parametrize("first", ["the sweeper", "a verb"])
def test_who_waits_for_a_bot_without_a_name_is_flagged_after_a_minute(
    chat: Chat, later: Later, way: Callable[[Chat], None], first: str
) -> None:
    way(chat)
    assert chat.controller == "bot"
    chat.says()
    since = chat.row.unanswered_since
    later(GROUP_AFTER - 5)
    sweep.sweep_due()
    assert not is_flagged(chat)
    later(5)
    if first == "the sweeper":
        sweep.sweep_due()
    else:
        conversations.pin(actor=chat.cast.ben, conversation_id=chat.id)
    assert (chat.controller, chat.row.unanswered_since) == ("bot", since)
    assert is_flagged(chat)
    agrees(chat)


@WAYS
def test_who_goes_on_writing_stays_flagged(chat: Chat, later: Later, way: Callable[[Chat], None]) -> None:
    way(chat)
    chat.says()
    since = chat.row.unanswered_since
    for number in range(9):
        later(20 * 60)
        sweep.sweep_due()
        assert is_flagged(chat)
        chat.says(f"Hello {number}?")
    assert chat.row.waiting_since == since
    assert chat.event_types.count("attention.raised") == 1
    agrees(chat)


def test_a_turn_that_becomes_its_is_nobodys_at_once(chat: Chat) -> None:
    brought(chat, "bot", 60)
    chat.take()
    chat.says()
    chat.release(force=True)
    assert is_flagged(chat)
    agrees(chat)


def _its_answer_is_brought(chat: Chat) -> None:
    brought(chat, "bot", 1)


def _a_bot_with_a_name_comes(chat: Chat) -> None:
    chat.robot()


def _an_agent_takes_it(chat: Chat) -> None:
    chat.take()


def _an_agent_sets_it_aside(chat: Chat) -> None:
    conversations.acknowledge(actor=chat.cast.ben, conversation_id=chat.id)


@pytest.mark.parametrize(
    "act", [_its_answer_is_brought, _a_bot_with_a_name_comes, _an_agent_takes_it, _an_agent_sets_it_aside]
)
def test_the_flag_goes_when_somebody_answers_takes_it_or_sets_it_aside(
    chat: Chat, later: Later, act: Callable[[Chat], None]
) -> None:
    brought(chat, "bot", 60)
    chat.says()
    later(GROUP_AFTER)
    sweep.sweep_due()
    assert is_flagged(chat)
    act(chat)
    assert not chat.row.needs_human
    sweep.sweep_due()
    assert not chat.row.needs_human
    agrees(chat)


def test_who_waits_for_a_bot_with_a_name_is_the_bots(chat: Chat, later: Later) -> None:
    chat.robot()
    chat.says()
    later(GROUP_AFTER + 5)
    sweep.sweep_due()
    assert not is_flagged(chat)
    assert sweep.due() == set()


def test_a_tenant_may_leave_these_too(chat: Chat, later: Later) -> None:
    chat.cast.policy(unanswered=Tenant.Unanswered.LEAVE)
    brought(chat, "bot", 60)
    chat.says()
    later(GROUP_AFTER + 5)
    sweep.sweep_due()
    assert not is_flagged(chat)
    assert sweep.due() == set()


def test_looking_for_them_costs_the_same_however_many_bots_are_at_work(cast: Cast) -> None:
    """One query by the index of words that nobody has answered."""
    few = _asked()
    rows = (
        Conversation(
            tenant=cast.tenant, shop_id="s", account_id=f"a{n}", controller=Controller.BOT, holder=f"{n}:bot:7"
        )
        for n in range(3000)
    )
    Conversation.objects.bulk_create(rows, batch_size=500)
    assert _asked() == few
    if connection.vendor == "postgresql":  # which plans by what it has counted
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE messaging_app_conversation")
    plan = sweep.forgotten(clock.now()).explain()
    assert "conversation_unanswered" in plan, plan
    Conversation.objects.filter(shop_id="s").delete()


def _asked() -> int:
    with CaptureQueriesContext(connection) as ran:
        sweep.due()
    return len(ran)
