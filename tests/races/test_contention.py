"""Many who want the same thing in the same moment: real threads, real commits, on the database of this run."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from agents_app.actors import Actor, agent_actor, client_actor, customer_actor
from agents_app.models import Agent, ApiClient, Tenant
from config import clock
from config.db import lock_rows
from config.errors import DomainError
from messaging_app import relay
from messaging_app.models import Conversation, Message, Operation
from messaging_app.thread import NewMessage
from sessions_app.actions import inbound, lifecycle, silent_ends, sweep, takeovers, transfers
from sessions_app.core.locked_conversation import lock_conversation
from sessions_app.models import ChatSession, Transfer
from sessions_app.states import TransferStatus
from tests.patience import PATIENCE
from tests.races import invariants
from tests.races.cast import Cast, make_cast

pytestmark = [pytest.mark.races, pytest.mark.django_db(transaction=True)]

RIVALS = 32


@pytest.fixture
def cast() -> Iterator[Cast]:
    """A tenant; when the test is over, nothing it left breaks an invariant."""
    made = make_cast("contention")
    yield made
    while relay.stamp(made.tenant_id):
        pass
    clock.offset = timedelta(0)
    found = invariants.check(made.tenant_id, only=made.conversations, sweeper_lived=False)
    assert [str(fault) for fault in found if "overdue" not in fault.text] == []


@pytest.fixture
def rivals(cast: Cast) -> list[Actor]:
    """Agents with room enough, who all want the same."""
    tenant = Tenant.objects.get(pk=cast.tenant_id)
    return [agent_actor(Agent.objects.create(tenant=tenant, name=f"Rival {n}")) for n in range(RIVALS)]


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Let all of them begin in the same moment; what each returned, or the refusal it met. Anything else is raised."""
    gate = threading.Barrier(len(calls), timeout=PATIENCE)

    def one(call: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            gate.wait()
            return call()
        except DomainError as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def _winners(answers: list[Any]) -> tuple[list[Any], list[DomainError]]:
    lost = [answer for answer in answers if isinstance(answer, DomainError)]
    return [answer for answer in answers if not isinstance(answer, DomainError)], lost


def test_of_rival_opens_one_wins_and_the_others_are_told_who(cast: Cast, rivals: list[Actor]) -> None:
    where = cast.conversations[0]
    answers = at_once(
        [lambda who=who: lifecycle.open_session(actor=who, conversation_id=where, robot=False) for who in rivals]
    )
    (won,), lost = _winners(answers)
    winner = ChatSession.objects.get(pk=won.session_id).agent
    assert winner is not None
    assert {(refusal.code, refusal.fields["owner_name"]) for refusal in lost} == {("human_serves", winner.name)}


def test_of_rival_accepts_one_wins_and_the_others_are_told_who(cast: Cast, rivals: list[Actor]) -> None:
    asked = transfers.request_transfer(actor=cast.customer, conversation_id=cast.conversations[0])
    assert asked.transfer_id is not None
    answers = at_once(
        [lambda who=who: transfers.accept_transfer(actor=who, transfer_id=asked.transfer_id or 0) for who in rivals]
    )
    (_,), lost = _winners(answers)
    winner = Transfer.objects.get(pk=asked.transfer_id).accepted_by
    assert winner is not None
    assert {(refusal.code, refusal.fields["owner_name"]) for refusal in lost} == {("already_taken", winner.name)}


def test_of_rival_robots_one_is_live_and_the_others_wait(cast: Cast) -> None:
    where, tenant = cast.conversations[0], Tenant.objects.get(pk=cast.tenant_id)
    bots = [client_actor(ApiClient.objects.create(tenant=tenant, name=f"Bot {n}", kind="bot")) for n in range(RIVALS)]
    answers = at_once(
        [lambda bot=bot: lifecycle.open_session(actor=bot, conversation_id=where, robot=True) for bot in bots]
    )
    assert Counter(answer.status for answer in answers) == {"ACTIVE": 1, "PENDING": RIVALS - 1}


def test_one_robot_that_opens_many_times_at_once_has_one_session(cast: Cast) -> None:
    where, bot = cast.conversations[0], cast.bots[0]
    answers = at_once(
        [lambda: lifecycle.open_session(actor=bot, conversation_id=where, robot=True) for _ in range(RIVALS)]
    )
    assert len({answer.session_id for answer in answers}) == 1
    assert Counter(answer.is_repeat for answer in answers) == {False: 1, True: RIVALS - 1}


def test_one_agent_takes_no_more_than_fits(cast: Cast) -> None:
    """One agent with room for two, whom six conversations want at once."""
    cem = cast.agents[2]
    answers = at_once(
        [
            lambda where=where: lifecycle.open_session(actor=cem, conversation_id=where, robot=False)
            for where in cast.conversations
        ]
    )
    won, lost = _winners(answers)
    assert (len(won), {refusal.code for refusal in lost}) == (2, {"no_capacity"})


def test_agents_who_grab_from_each_other_do_not_stand_still(cast: Cast) -> None:
    """Each lock order meets its mirror image here, hundreds of times."""
    ana, bo = cast.agents[2], cast.agents[3]
    here, there = cast.conversations[:2]
    lifecycle.open_session(actor=ana, conversation_id=here, robot=False)
    lifecycle.open_session(actor=bo, conversation_id=there, robot=False)

    def grabs(who: Actor, where: int) -> int:
        count = 0
        for _ in range(15):
            try:
                takeovers.grab(actor=who, conversation_id=where, reason="mine")
                count += 1
            except DomainError as refusal:
                assert refusal.code in ("conflict", "no_capacity"), refusal  # noqa: PT017
        return count

    wishes = [(ana, there), (bo, here), (ana, here), (bo, there)] * 2
    counts = at_once([lambda who=who, where=where: grabs(who, where) for who, where in wishes])
    assert sum(counts) > 0
    moves = Transfer.objects.filter(kind="grab", status=TransferStatus.ACCEPTED)
    assert moves.count() == sum(counts)


def test_each_due_transfer_is_asked_again_once_however_many_sweepers_come(cast: Cast) -> None:
    """F7, the short form: three sweepers and 300 transfers that are due."""
    tenant = Tenant.objects.get(pk=cast.tenant_id)
    account = "due"
    made = [Conversation(tenant=tenant, shop_id="s", account_id=f"{account} {number}") for number in range(300)]
    Conversation.objects.bulk_create(made)
    for row in Conversation.objects.filter(tenant=tenant, account_id__startswith=account):
        transfers.request_transfer(actor=cast.customer, conversation_id=row.pk)
    clock.offset = timedelta(seconds=301)
    at_once([sweep.sweep_due] * 3)
    asked = Operation.objects.filter(tenant=tenant, type="transfer.asked_again")
    assert asked.count() == 300
    assert Transfer.objects.filter(tenant=tenant).count() == 300, "the same ones"
    assert Transfer.objects.filter(tenant=tenant, status=TransferStatus.PENDING, asked_again=1).count() == 300


def test_the_same_message_from_sixteen_sides_is_one_message(cast: Cast) -> None:
    words = NewMessage(content="hello?", message_id="once")
    where = cast.conversations[0]
    lifecycle.open_session(actor=cast.bots[0], conversation_id=where, robot=True)
    answers = at_once(
        [lambda: inbound.receive_message(actor=cast.customer, conversation_id=where, words=words) for _ in range(16)]
    )
    assert Message.objects.filter(message_id="once").count() == 1
    assert sum(not answer.is_repeat for answer in answers) == 1
    assert len({repr(replace(answer, is_repeat=True)) for answer in answers}) == 1


def test_a_new_customer_who_writes_sixteen_times_at_once_has_one_conversation(cast: Cast) -> None:
    tenant = Tenant.objects.get(pk=cast.tenant_id)
    answers = at_once(
        [
            lambda n=n: inbound.receive_message(
                actor=customer_actor(tenant),
                words=NewMessage(content=f"word {n}", message_id=f"first-{n}"),
                shop_id="s",
                account_id="new",
            )
            for n in range(16)
        ]
    )
    assert len({answer.conversation_id for answer in answers}) == 1
    assert sorted(answer.seq for answer in answers) == list(range(1, 17))


def test_what_is_refused_beside_a_new_customers_first_words_takes_none_of_them_away(cast: Cast) -> None:
    """Each of the refused takes back the conversation that it made; whoever waited for it makes it anew."""
    tenant = Tenant.objects.get(pk=cast.tenant_id)

    def say(number: int, attachments: tuple[int, ...]) -> Any:
        words = NewMessage(content=f"word {number}", attachments=attachments)
        return inbound.receive_message(actor=customer_actor(tenant), words=words, shop_id="s", account_id="newer")

    made, unknown = Conversation.objects.filter(tenant=tenant, account_id="newer"), (2**40,)
    lost = at_once([lambda n=n: say(n, unknown) for n in range(16)])
    assert {refusal.code for refusal in lost} == {"attachment_not_found"}
    assert not made.exists()
    answers = at_once([lambda n=n: say(n, unknown if n % 2 else ()) for n in range(16)])
    won, lost = _winners(answers)
    assert (sorted(answer.seq for answer in won), len(lost)) == (list(range(1, 9)), 8)
    assert made.get().seq == 8


def test_who_waited_for_the_lock_reads_the_clock_after_the_wait(cast: Cast) -> None:
    """Else a transfer could be accepted by somebody who began to wait before its deadline and got the lock after it."""
    where = cast.conversations[0]
    transfers.request_transfer(actor=cast.customer, conversation_id=where)
    holds, waited = threading.Event(), 0.5

    def holder() -> Any:
        with transaction.atomic():
            lock_rows(Conversation.objects.filter(pk=where)).get()
            holds.set()
            threading.Event().wait(waited)
            return clock.now()

    def waiter() -> Any:
        assert holds.wait(PATIENCE)
        with transaction.atomic():
            return lock_conversation(cast.system, where).now

    released, now = at_once([holder, waiter])
    assert now >= released - timedelta(milliseconds=5)


def test_whoever_holds_a_conversation_holds_up_no_sweep(cast: Cast) -> None:
    """One that is held is left to the next look; the others end at once."""
    places = [(cast.tenant_id, conversation_id) for conversation_id in cast.conversations]
    for _, conversation_id in places:
        lifecycle.open_session(actor=cast.bots[0], conversation_id=conversation_id, robot=True)
    clock.offset += timedelta(days=40)
    held, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            lock_conversation(cast.system, places[0][1])
            held.set()
            assert is_over.wait(PATIENCE)

    def sweep_others() -> set[int]:
        assert held.wait(PATIENCE)
        try:
            return silent_ends.end_silent(places, loop=sweep.LOOP)
        finally:
            is_over.set()

    _, done = at_once([hold, sweep_others])
    assert done == {conversation_id for _, conversation_id in places[1:]}
    assert sweep.sweep_due() == 1
