"""T11: every way to own counts under the lock; where a rule lets it exceed, the record says so, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agents_app.actors import Actor
from agents_app.models import PresenceChange
from messaging_app.models import Operation
from sessions_app.actions import departure, lifecycle, presence, silence, takeovers
from sessions_app.core.capacity import load
from sessions_app.states import Kind, Owner
from sessions_app.workbench import wording
from tests.cast import Cast, Chat, Later, refused


def full(cast: Cast, name: str) -> None:
    """Has one conversation, and takes on no more."""
    cast.busy(name, 1)
    cast.change(name, max_load=1)


def drained(cast: Cast, name: str) -> None:
    departure.drain_agent(actor=cast.system, agent_id=cast.agent(name).pk)


def accepts(chat: Chat, actor: Actor, **more: Any) -> None:
    chat.accept(actor, **more)


def takes_over(chat: Chat, actor: Actor, **more: Any) -> None:
    chat.take(actor, **more)


def grabs(chat: Chat, actor: Actor, **more: Any) -> None:
    chat.grab(actor, **more)


def opens(chat: Chat, actor: Actor, **more: Any) -> None:
    chat.opens(actor, Kind.MANUAL_CUSTOMER_SERVICE, **more)


def opens_urgently(chat: Chat, actor: Actor, **_: Any) -> None:
    chat.opens(actor, Kind.MANUAL_URGENT)


def reopens(chat: Chat, actor: Actor, **more: Any) -> None:
    ended = chat.sessions[-1].pk
    lifecycle.open_session(actor=actor, conversation_id=chat.id, robot=False, previous_id=ended, **more)


def queued(chat: Chat) -> None:
    chat.queue()


def with_bot(chat: Chat) -> None:
    chat.robot()


def served(chat: Chat) -> None:
    chat.human(chat.cast.ben)


def handed_over(chat: Chat) -> None:
    chat.human(chat.cast.ben)
    team = chat.cast.team("Returns", "ann", "sue")
    chat.hand_over(chat.cast.ben, to_team_id=team.pk)


def reassigned(chat: Chat) -> None:
    chat.human(chat.cast.ben)
    chat.reassign()


def ended(chat: Chat) -> None:
    chat.human(chat.cast.ben)
    chat.resolve(chat.cast.ben)


def nothing(chat: Chat) -> None:
    """Nobody has asked for anything yet."""


WAYS: dict[str, tuple[Callable[[Chat], None], Callable[..., None]]] = {
    "accept": (queued, accepts),
    "accept a handover": (handed_over, accepts),
    "accept a reassignment": (reassigned, accepts),
    "take over": (with_bot, takes_over),
    "grab": (served, grabs),
    "open": (nothing, opens),
    "open over a bot": (with_bot, opens),
    "open urgently": (served, opens_urgently),
    "reopen": (ended, reopens),
}
LET_THROUGH = ("accept", "accept a handover", "accept a reassignment", "take over", "grab", "open urgently")
"""By a supervisor. What is only opened, nobody waits for."""


@pytest.mark.parametrize("how", ["full", "drained"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_own_counts(chat: Chat, way: str, how: str) -> None:
    comes_about, owns = WAYS[way]
    comes_about(chat)
    {"full": full, "drained": drained}[how](chat.cast, "ann")
    before = load(chat.cast.agent("ann"))
    code = {"full": "no_capacity", "drained": "gets_nothing_new"}[how]
    refused(code, owns, chat, chat.cast.ann)
    assert load(chat.cast.agent("ann")) == before


@pytest.mark.parametrize("how", ["full", "drained"])
@pytest.mark.parametrize("way", LET_THROUGH)
def test_a_supervisor_may_on_record_and_the_timeline_says_so(chat: Chat, way: str, how: str) -> None:
    comes_about, owns = WAYS[way]
    comes_about(chat)
    {"full": full, "drained": drained}[how](chat.cast, "sue")
    owns(chat, chat.cast.sue, override=True)
    assert (chat.live.owner_kind, chat.live.agent_id) == (Owner.AGENT, chat.cast.sue.id)
    told = [o for o in chat.operations if o.data.get("override")]
    assert [(o.type, o.data["override_why"]) for o in told] == [("transfer.accepted", how)]
    assert "a supervisor decided so" in wording.event(told[0])


@pytest.mark.parametrize("way", LET_THROUGH)
def test_with_room_an_override_overrides_nothing(chat: Chat, way: str) -> None:
    comes_about, owns = WAYS[way]
    comes_about(chat)
    owns(chat, chat.cast.sue, override=True)
    assert not any(o.data.get("override") for o in chat.operations)
    assert "decided" not in " ".join(wording.happened(o) for o in chat.operations)


def after_an_urgent_one(chat: Chat) -> None:
    chat.human()
    chat.opens(chat.cast.ben, Kind.MANUAL_URGENT)
    full(chat.cast, "ann")
    chat.resolve(chat.cast.ben)


def after_an_urgent_one_was_released(chat: Chat) -> None:
    chat.robot()
    chat.take()
    chat.opens(chat.cast.ben, Kind.MANUAL_URGENT)
    full(chat.cast, "ann")
    takeovers.release_to_bot(actor=chat.cast.ben, conversation_id=chat.id, force=True)


def after_an_urgent_one_was_cancelled(chat: Chat) -> None:
    chat.human()
    urgent = chat.opens(chat.cast.ben, Kind.MANUAL_URGENT)
    full(chat.cast, "ann")
    lifecycle.cancel_session(actor=chat.cast.ben, session_id=urgent.session_id or 0)


def by_hand(chat: Chat) -> None:
    mine = chat.human()
    lifecycle.pause_session(actor=chat.cast.ann, session_id=mine.session_id or 0)
    full(chat.cast, "ann")
    lifecycle.resume_session(actor=chat.cast.ann, session_id=mine.session_id or 0)


@pytest.mark.parametrize(
    "back", [after_an_urgent_one, after_an_urgent_one_was_released, after_an_urgent_one_was_cancelled, by_hand]
)
def test_what_comes_back_after_a_pause_comes_back_and_says_that_it_is_one_too_many(
    chat: Chat, back: Callable[[Chat], None]
) -> None:
    back(chat)
    assert (chat.live.agent_id, load(chat.cast.agent("ann"))) == (chat.cast.ann.id, 2)
    resumed = [o for o in chat.operations if o.type == "session.resumed"][-1]
    assert (resumed.data["override"], resumed.data["override_why"]) == (True, "came_back")
    assert "it came back after a pause" in wording.event(resumed)


def test_a_declined_handover_was_never_given_away_and_adds_nothing(chat: Chat) -> None:
    cast = chat.cast
    chat.human()
    cast.change("ann", max_load=1)
    chat.hand_over(to_agent_id=cast.ben.id)
    chat.decline(cast.ben)
    assert (chat.live.agent_id, load(cast.agent("ann"))) == (cast.ann.id, 1)
    assert not any(o.data.get("override") for o in chat.operations)


# --- Drained -------------------------------------------------------------------------------------------------------


def test_the_drained_keep_what_they_have_and_it_comes_back_to_them(chat: Chat) -> None:
    cast = chat.cast
    chat.human()
    drained(cast, "ann")
    assert chat.live.agent_id == cast.ann.id
    chat.opens(cast.ben, Kind.MANUAL_URGENT)
    chat.resolve(cast.ben)
    assert chat.live.agent_id == cast.ann.id
    chat.speaks(cast.ann, "I am here still.")


def test_nothing_is_asked_of_the_drained_alone(chat: Chat) -> None:
    cast = chat.cast
    chat.human()
    drained(cast, "ben")
    refused("gets_nothing_new", chat.hand_over, to_agent_id=cast.ben.id)
    other = cast.chat()
    other.robot()
    refused("gets_nothing_new", other.escalate, to_agent_id=cast.ben.id)


def test_what_was_asked_of_the_drained_before_is_asked_of_the_team(chat: Chat) -> None:
    cast = chat.cast
    chat.robot()
    chat.escalate(to_agent_id=cast.ben.id)
    drained(cast, "ben")
    assert (chat.pending.to_agent_id, chat.event_types[-1]) == (None, "transfer.readdressed")
    chat.accept(cast.ann)


def test_the_drained_are_offered_nothing_and_what_was_offered_goes_on(cast: Cast) -> None:
    cast.policy(assignment="push")
    for name in ("cat", "sue"):
        cast.change(name, availability="away")
    chat = cast.chat()
    chat.queue()
    first = chat.pending.offered_to
    assert first is not None
    other = {"Ann": "ben", "Ben": "ann"}[first.name]
    drained(cast, first.name.lower())
    chat.sweep()
    assert chat.pending.offered_to_id == cast.agent(other).pk
    drained(cast, other)
    chat.sweep()
    assert chat.pending.offered_to_id is None
    assert "drained" in chat.pending.decisions.order_by("-pk")[0].candidates
    departure.undrain_agent(actor=cast.sue, agent_id=cast.agent(other).pk)
    chat.sweep()
    assert chat.pending.offered_to_id == cast.agent(other).pk


def test_it_is_on_record_and_on_the_presence_log(cast: Cast) -> None:
    departure.drain_agent(actor=cast.sue, agent_id=cast.agent("ann").pk, reason="Goes home.")
    departure.drain_agent(actor=cast.sue, agent_id=cast.agent("ann").pk)  # a repeat
    departure.undrain_agent(actor=cast.sue, agent_id=cast.agent("ann").pk)
    told = Operation.objects.filter(type__startswith="agent.").order_by("pk")
    assert [(o.type, o.data.get("is_drained")) for o in told] == [
        ("agent.drained", None), ("agent.presence", True), ("agent.undrained", None), ("agent.presence", False),
    ]  # fmt: skip
    assert told[0].data["reason"] == "Goes home."
    logged = PresenceChange.objects.filter(agent=cast.ann.pk).order_by("pk")
    assert list(logged.values_list("is_drained", "by")) == [(True, "Sue"), (False, "Sue")]


def test_only_supervisors_drain(cast: Cast, others: Cast) -> None:
    refused("forbidden", departure.drain_agent, actor=cast.ann, agent_id=cast.agent("ben").pk)
    refused("not_found", departure.drain_agent, actor=cast.sue, agent_id=others.agent("ben").pk)
    refused("forbidden", departure.undrain_agent, actor=cast.channel, agent_id=cast.agent("ben").pk)


def test_the_silent_drained_lose_what_they_have_all_the_same(chat: Chat, later: Later) -> None:
    chat.serve()
    drained(chat.cast, "ann")
    later(301)
    chat.cast.seen("ben", "sue")
    assert silence.move_on_from_silent_agents() == 1


def test_what_a_drained_agent_declares_changes_nothing_of_it(cast: Cast) -> None:
    drained(cast, "ann")
    presence.declare_availability(actor=cast.ann, availability="available")
    assert cast.agent("ann").is_drained
