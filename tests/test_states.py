"""The one table of transitions: all pairs, through the one function that writes a status and past it."""

from __future__ import annotations

from contextlib import suppress
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from sessions_app import states
from sessions_app.core import oplog
from sessions_app.errors import IllegalTransition
from sessions_app.models import ChatSession
from sessions_app.states import Derived, Kind, Owner, Priority, Status
from sessions_app.unit.unit_of_work import locked_conversation
from tests.cast import Cast, Chat, snapshot

# Written out here once more, so that a slip in the code's table is told: docs/rules.md, States and ranks
LEGAL = {
    ("PENDING", "ACTIVE"),
    ("ACTIVE", "PAUSED"),
    ("PAUSED", "ACTIVE"),
    ("PAUSED", "TRANSFERRED"),
    ("ACTIVE", "TRANSFERRED"),
    ("TRANSFERRED", "ACTIVE"),
    ("TRANSFERRED", "PAUSED"),
    ("ACTIVE", "COMPLETED"),
    ("TRANSFERRED", "COMPLETED"),
    *(
        (open_status, end)
        for open_status in ("PENDING", "ACTIVE", "PAUSED", "TRANSFERRED")
        for end in ("CANCELLED", "TIMEOUT")
    ),
}
PAIRS = [(before, after) for before in Status for after in Status]

# How a robot session gets into each status.
STEPS = {
    Status.PENDING: [],
    Status.ACTIVE: [Status.ACTIVE],
    Status.PAUSED: [Status.ACTIVE, Status.PAUSED],
    Status.TRANSFERRED: [Status.ACTIVE, Status.TRANSFERRED],
    Status.COMPLETED: [Status.ACTIVE, Status.COMPLETED],
    Status.CANCELLED: [Status.CANCELLED],
    Status.TIMEOUT: [Status.TIMEOUT],
}


def test_the_table_in_code_is_that_of_the_design() -> None:
    assert {(b.value, a.value) for b, row in states.TRANSITIONS.items() for a in row} == LEGAL
    assert len(LEGAL) == 17
    assert len(PAIRS) == 49


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=lambda status: status.value)
def test_a_session_goes_along_the_table_and_nowhere_else(chat: Chat, before: Status, after: Status) -> None:
    cast = chat.cast
    with suppress(Undone), locked_conversation(cast.system, chat.id) as turn:
        session = oplog.create_session(
            turn,
            kind=Kind.AUTO_BARGAIN,
            task=states.TaskType.NEGOTIATION,
            status=Status.PENDING,
            bot=cast.bot_row("bargain"),
        )
        for step in STEPS[before]:
            oplog.transition(turn, session, step)
        rows, made = snapshot(), len(turn.operations)
        if (before.value, after.value) in LEGAL:
            oplog.transition(turn, session, after, reason="tested")
            assert ChatSession.objects.get(pk=session.pk).status == after
            operation = turn.operations[-1]
            assert len(turn.operations) == made + 1
            assert (operation.data["before"], operation.data["after"], operation.data["reason"]) == (
                before.value,
                after.value,
                "tested",
            )
        else:
            with pytest.raises(IllegalTransition) as refusal:
                oplog.transition(turn, session, after)
            assert (refusal.value.code, refusal.value.status) == ("illegal_transition", 409)
            assert refusal.value.fields == {"session_id": session.pk, "status": before.value}
            assert session.status == before
            assert (snapshot(), len(turn.operations)) == (rows, made)
        raise Undone


class Undone(Exception):
    """Ends the transaction: what these steps leave behind no verb would."""


@pytest.mark.parametrize("status", ["", "active", "DONE", "ACTIVE "])
def test_the_database_refuses_an_unknown_status(chat: Chat, status: str) -> None:
    session = chat.robot()
    with pytest.raises(IntegrityError), transaction.atomic():
        ChatSession.objects.filter(pk=session.session_id).update(status=status)


@pytest.mark.parametrize("status", [s for s in Status if s not in (Status.ACTIVE, Status.PENDING)])
def test_a_session_opens_active_or_pending_only(chat: Chat, status: Status) -> None:
    with pytest.raises(IllegalTransition), locked_conversation(chat.cast.system, chat.id) as turn:
        oplog.create_session(turn, kind=Kind.AUTO_BARGAIN, task=states.TaskType.NEGOTIATION, status=status)
    assert not ChatSession.objects.exists()


@pytest.mark.parametrize("paused_from", [Status.ACTIVE, Status.TRANSFERRED])
def test_a_session_resumes_to_the_status_it_was_paused_from(cast: Cast, paused_from: Status) -> None:
    chat = cast.chat()
    if paused_from == Status.ACTIVE:
        chat.human()
    else:
        chat.serve()
    chat.opens(cast.ben, Kind.MANUAL_URGENT)
    assert {s.status for s in chat.sessions} == {Status.ACTIVE, Status.PAUSED}
    chat.resolve(cast.ben)
    assert chat.live.status == paused_from


# --- What other systems call it ---

R, H = Kind.AUTO_BARGAIN, Kind.MANUAL_CUSTOMER_SERVICE
DERIVED = [
    (Status.ACTIVE, R, Owner.BOT, "ai_handling", "bot_active"),
    (Status.TRANSFERRED, R, Owner.NOBODY, "queued", "pending_manual"),
    (Status.ACTIVE, H, Owner.NOBODY, "queued", "pending_manual"),
    (Status.PENDING, H, Owner.NOBODY, "queued", "pending_manual"),
    (Status.TRANSFERRED, R, Owner.AGENT, "serving", "manual_live"),
    (Status.ACTIVE, H, Owner.AGENT, "serving", "manual_live"),
    (Status.TRANSFERRED, R, Owner.SHOP, "serving", "manual_live"),
    (Status.PENDING, R, Owner.BOT, "waiting", "waiting"),
    *((Status.PAUSED, kind, owner, "waiting", "waiting") for kind in (R, H) for owner in Owner),
    *(
        (end, kind, owner, "resolved", "closed")
        for end in sorted(states.TERMINAL)
        for kind in (R, H)
        for owner in Owner
    ),
]


@pytest.mark.parametrize(("status", "kind", "owner", "name", "alias"), DERIVED)
def test_the_derived_name_follows_from_status_kind_and_owner(
    status: Status, kind: Kind, owner: Owner, name: str, alias: str
) -> None:
    derived = states.derived(status, kind, owner)
    assert (derived.value, derived.alias) == (name, alias)


def test_every_combination_has_a_derived_name() -> None:
    for status in Status:
        for kind in Kind:
            for owner in Owner:
                assert states.derived(status, kind, owner) in Derived


# --- Ranks ---


def test_by_default_the_ranks_are_those_of_the_design() -> None:
    order = sorted(Kind, key=lambda kind: states.rank(kind, states.PRIORITY[kind]))
    assert [kind.value for kind in order] == [
        "MANUAL_URGENT", "MANUAL_CUSTOMER_SERVICE", "MANUAL_COMPLAINT", "AUTO_BARGAIN", "AUTO_ASSISTANT", "AUTO_FOLLOW_UP",
    ]  # fmt: skip
    assert [states.PRIORITY[kind].value for kind in order] == [1, 2, 2, 3, 3, 4]


def test_priority_goes_before_type_and_no_two_ranks_are_equal() -> None:
    ranks = {(p, k): states.rank(k, p) for p in Priority for k in Kind}
    assert len(set(ranks.values())) == len(ranks)
    for (p, _), rank in ranks.items():
        for (other, _), other_rank in ranks.items():
            if p < other:
                assert rank < other_rank


# --- The page that is made from the table ---


def test_docs_states_is_fresh() -> None:
    call_command("states_doc", "--check", stdout=StringIO())


def test_a_stale_page_is_told_and_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(states.TRANSITIONS, Status.COMPLETED, {Status.ACTIVE: "a miracle"})
    with pytest.raises(CommandError) as stale:
        call_command("states_doc", "--check", stdout=StringIO())
    assert stale.value.returncode == 1
