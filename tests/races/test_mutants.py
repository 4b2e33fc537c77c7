"""The proof of the proof: with each protection taken out in turn, the fuzz must find something within 10,000 verbs."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from config import clock
from sessions_app.models import ChatSession, Transfer
from sessions_app.states import Kind, Status, TransferKind
from tests import packages
from tests.races import command
from tests.races.cast import make_cast
from tests.races.fuzz import is_clean

# What finds each: an invariant, a constraint that stands behind it, or nothing but verbs that are given up.
CAUGHT_AS = {
    "conversation-lock": "IntegrityError",
    "lock-and-constraints": "invariant 1",
    "agent-lock": "invariant 4",
    "presence-lock": "the event",
    "epoch": "invariant 3",
    "fence": "invariant 3",
    "timers-in-verbs": "invariant 11",
    "look-again": "before its deadline",
    "resume": "invariant 7",
    "unanswered": "invariant 11",
    "repeats": "",  # the same message is tried again and again, and given up
    "pending-transfer": "invariant 5",
    "pending-transfer-and-constraint": "invariant 5",
}


@pytest.fixture(scope="module")
def hunted(postgres: str) -> dict[str, dict[str, Any]]:
    """One hunt for all mutants, and one run in the same arena with nothing taken out."""
    reports = command.run("tests.races.fuzz", "--database", postgres, "--operations", 10_000, "--mutants")
    return {report["mutant"]: report for report in reports}


@pytest.mark.races
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", CAUGHT_AS)
def test_each_protection_is_missed(hunted: dict[str, dict[str, Any]], name: str) -> None:
    report = hunted[name]
    found = [*report["faults"], *report["unexpected"]]
    assert not is_clean(report), f"nobody missed it in {report['operations']} verbs"
    assert not CAUGHT_AS[name] or any(CAUGHT_AS[name] in text for text in found), found[:20]


@pytest.mark.races
@pytest.mark.timeout(900)
def test_with_nothing_taken_out_nothing_is_found(hunted: dict[str, dict[str, Any]]) -> None:
    report = hunted["nothing"]
    assert (report["faults"], report["unexpected"], report["given_up"]) == ([], [], 0)
    assert set(hunted) == {*CAUGHT_AS, "nothing"}, "each mutant has a test"


def _second_rows() -> None:
    """What the database itself refuses, whatever the code does."""
    cast, now = make_cast("constraints"), clock.now()
    where = {"tenant_id": cast.tenant_id, "conversation_id": cast.conversations[0]}
    about = where | {"kind": Kind.AUTO_ASSISTANT, "priority": 3, "rank": 35, "opened_at": now, "last_activity_at": now}
    live = ChatSession.objects.create(status=Status.ACTIVE, **about)
    ChatSession.objects.create(status=Status.PAUSED, **about)
    with pytest.raises(IntegrityError), transaction.atomic():
        ChatSession.objects.create(status=Status.TRANSFERRED, **about)
    asked = where | {"session": live, "kind": TransferKind.ESCALATION, "requested_at": now, "waiting_since": now}
    asked["context"] = packages.plain()
    Transfer.objects.create(**asked)
    with pytest.raises(IntegrityError), transaction.atomic():
        Transfer.objects.create(**asked)
    Transfer.objects.update(status="DECLINED")
    Transfer.objects.create(**asked)


@pytest.mark.django_db
def test_the_database_refuses_a_second_live_session_and_a_second_unanswered_transfer() -> None:
    _second_rows()


@pytest.mark.races
@pytest.mark.django_db
def test_these_databases_refuse_them_too() -> None:
    _second_rows()
