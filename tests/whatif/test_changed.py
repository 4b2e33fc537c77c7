"""What is changed makes the difference that it should, and no other."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from agents_app.models import Membership, Team
from config import clock
from messaging_app import relay
from sessions_app.actions import presence, sweep
from sessions_app.whatif import Comparison, compare
from sessions_app.whatif.changes import BadChange
from tests.cast import Cast, Chat, Later


class Morning:
    """Five customers ask within a minute; Ann can serve one at a time, answers in 5 s and needs 60 s for each."""

    def __init__(self, cast: Cast, later: Later) -> None:
        self.cast = cast
        self.team = Team.objects.create(tenant=cast.tenant, name="first", assignment="push", strategy="round_robin")
        self.spare = Team.objects.create(tenant=cast.tenant, name="spare", assignment="push")
        for team, name in ((self.team, "ann"), (self.spare, "ben")):
            Membership.objects.create(team=team, agent=cast.agent(name))
            presence.change_capacity(actor=cast.sue, agent_id=cast.agent(name).pk, max_load=1)
        presence.declare_availability(actor=cast.ann, availability="available")
        presence.declare_availability(actor=cast.ben, availability="available")
        self.start = clock.now()
        self.chats: list[Chat] = []
        for step in range(80):
            later(5)
            cast.seen()
            if step in (2, 4, 6, 8, 10):
                self._asks()
            self._works()
            sweep.sweep_due()
        self.end = clock.now()
        while relay.stamp(cast.tenant.pk):
            pass

    def _asks(self) -> None:
        chat = self.cast.chat()
        chat.robot()
        chat.escalate(to_team_id=self.team.pk)
        self.chats.append(chat)

    def _works(self) -> None:
        """Whenever Ann looks, every five seconds: she takes what was offered before, and ends what is a minute old."""
        now = clock.now()
        for chat in self.chats:
            if chat.has_pending:
                expires_at = chat.pending.offer_expires_at
                if expires_at and expires_at - now <= timedelta(seconds=25):
                    chat.accept(self.cast.ann)
            elif chat.live.owner_kind == "agent" and now - chat.transfers[-1].ended_at >= timedelta(seconds=60):  # type: ignore[operator]
                chat.release(self.cast.ann)

    def if_(self, **changes: Any) -> Comparison:
        self.cast.tenant.refresh_from_db()
        return compare(self.cast.tenant, self.start, self.end, changes)


@pytest.fixture
def morning(cast: Cast, later: Later) -> Morning:
    cast.policy(transfer_policy="requeue")
    return Morning(cast, later)


pytestmark = pytest.mark.django_db(transaction=True)


def test_with_nothing_changed_nothing_is_otherwise(morning: Morning) -> None:
    compared = morning.if_()
    assert (compared.unlike, compared.then, compared.again) == (0, compared.changed, compared.changed)
    assert (compared.then.asked, compared.then.taken, compared.then.timed_out) == (5, 5, 0)


def test_a_period_is_played_as_far_as_it_is_past(morning: Morning) -> None:
    """What waits now has not timed out yet."""
    chat = morning.cast.chat()
    chat.robot()
    chat.escalate(to_team_id=morning.spare.pk)
    while relay.stamp(morning.cast.tenant.pk):
        pass
    compared = compare(morning.cast.tenant, morning.start, clock.now() + timedelta(days=1), {})
    assert (compared.unlike, compared.then.asked, compared.again.timed_out) == (0, 6, 0)


def test_one_more_agent_halves_the_wait_and_works_as_long_on_each_as_it_took_then(morning: Morning) -> None:
    compared = morning.if_(add=[{"team": "first", "max_load": 1}])
    assert compared.then.wait_longest > timedelta(seconds=200) > compared.changed.wait_longest
    assert compared.changed.wait_median < compared.then.wait_median / 2
    assert compared.changed.taken == 5
    assert sorted(compared.changed.served) == [-1, morning.cast.ann.pk]


def test_more_capacity_leaves_nobody_waiting(morning: Morning) -> None:
    compared = morning.if_(agents={"Ann": {"max_load": 5}})
    assert compared.changed.wait_longest < timedelta(seconds=10)


def test_an_agent_who_is_not_there_serves_nobody(morning: Morning) -> None:
    compared = morning.if_(agents={"Ann": {"is_there": False}})
    assert (compared.changed.taken, compared.changed.offers) == (0, 0)
    assert compared.changed.waiting_at_end > 0


def test_an_overflow_reaches_the_other_team_after_its_time(morning: Morning) -> None:
    compared = morning.if_(teams={"first": {"overflow_to": "spare", "overflow_after": 30}})
    assert (compared.then.overflow, compared.changed.overflow > 0) == (0, True)
    assert compared.changed.wait_longest < compared.then.wait_longest


def test_less_patience_asks_again_for_what_waits(morning: Morning) -> None:
    compared = morning.if_(tenant={"transfer_timeout": 30})
    assert compared.then.asked_again == 0 < compared.changed.asked_again


def test_what_was_offered_can_be_left_to_the_agents(morning: Morning) -> None:
    compared = morning.if_(teams={"first": {"assignment": "pull"}})
    assert (compared.changed.offers, compared.changed.taken > 0) == (0, True)


def test_a_shorter_countdown_runs_out_before_the_answer(morning: Morning) -> None:
    compared = morning.if_(teams={"first": {"offer_timeout": 3}})
    assert compared.changed.ran_out > 0
    assert compared.changed.taken == 0


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown part": ({"team": {}}, "use tenant, teams, agents, add"),
    "an unknown team": ({"teams": {"third": {}}}, "there are: 'first', 'spare'"),
    "an unknown field": ({"teams": {"first": {"size": 3}}}, "'size' cannot be changed; use assignment, strategy"),
    "an unknown strategy": ({"teams": {"first": {"strategy": "best"}}}, "use one of 'round_robin'"),
    "a number that is none": ({"teams": {"first": {"offer_timeout": "soon"}}}, "a whole number from 0"),
    "an unknown agent": ({"agents": {"Zoe": {}}}, "There is no agent 'Zoe'."),
    "a skill beyond the levels": ({"add": [{"skills": {"zh": 9}}]}, "whole number from 1 to 5"),
    "too many": ({"add": [{"count": 1001}]}, "At most 1000"),
    "no list": ({"add": {"count": 1}}, '"add" must be a list'),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_change_that_cannot_be_made_is_named(cast: Cast, wrong: str) -> None:
    cast.team("first")
    cast.team("spare")
    changes, told = WRONG[wrong]
    with pytest.raises(BadChange, match=told):
        compare(cast.tenant, clock.now() - timedelta(hours=1), clock.now(), changes)


# --- The command -------------------------------------------------------------------------------------------------


def whatif(*options: str, start: str = "2026-11-20T08:00", end: str = "2026-11-20T18:00") -> str:
    out = StringIO()
    call_command("whatif", "--from", start, "--to", end, *options, stdout=out)
    return out.getvalue()


def test_the_command_compares_what_happened_with_what_would_have(morning: Morning, tmp_path: Path) -> None:
    period = {"start": morning.start.isoformat(), "end": morning.end.isoformat()}
    file = tmp_path / "changes.json"
    file.write_text(json.dumps({"add": [{"team": "first", "max_load": 1}]}))
    told = whatif("--changes", str(file), **period)
    assert "played again unchanged, 0 of" in told
    assert "longest wait" in told
    figures = json.loads(whatif("--changes", str(file), "--json", **period))
    assert (figures["unlike"], figures["then"]["taken"], figures["changed"]["taken"]) == (0, 5, 5)
    assert figures["changed"]["wait_longest"] < figures["then"]["wait_longest"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--changes", "/nowhere.json"), "cannot be read"),
        (("--changes", "{"), "is no JSON"),
        (("--changes", '{"teams": {"x": {}}}'), "There is no team 'x'"),
        (("--from", "yesterday"), "is no moment"),
        (("--to", "2020-01-01"), "ends before it begins"),
        (("--tenant", "nobody"), "There is no tenant 'nobody'"),
    ],
)
def test_the_command_says_what_is_wrong(cast: Cast, options: tuple[str, ...], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        whatif(*options)
