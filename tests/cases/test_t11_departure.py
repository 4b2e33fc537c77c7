"""T11: somebody leaves, or is not there, and nothing of theirs waits for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client

from agents_app.actors import Actor, agent_actor
from agents_app.models import Agent, Backoff
from config import buckets, clock
from messaging_app.models import Operation
from sessions_app.actions import departure, participants, silence, sweep
from sessions_app.actions.presence import declare_availability
from sessions_app.core.capacity import load
from sessions_app.models import Participant
from sessions_app.states import Kind, Owner, ParticipantStatus, Status, TransferKind
from sessions_app.tasks import finish_departures
from tests.api.world import login_of
from tests.cast import Cast, Chat, Later, refused
from tests.races.invariants import check


def dismiss(cast: Cast, name: str = "ann", by: Actor | None = None, **more: Any) -> departure.Departure:
    return departure.dismiss_agent(actor=by or cast.sue, agent_id=cast.agent(name).pk, **more)


def owns_nothing(cast: Cast, name: str = "ann") -> bool:
    return not departure.holdings(Agent.objects.filter(pk=cast.agent(name).pk))


# --- Dismissal -----------------------------------------------------------------------------------------------------


def test_a_dismissal_moves_every_live_session_on_at_once(cast: Cast) -> None:
    chats = [cast.chat().serve() for _ in range(3)]
    answer = dismiss(cast, reason=" Moves away. ")
    assert (answer.moved, answer.left, answer.is_repeat) == (3, 0, False)
    for chat in chats:
        assert (chat.controller, chat.live.owner_kind, chat.pending.kind) == ("queue", Owner.NOBODY, "reassignment")
        assert chat.operations[-1].data["rule"] == "C5"
        assert chat.operations[-1].actor_id == cast.sue.id
    assert owns_nothing(cast)
    assert load(cast.agent("ann")) == 0


def test_it_is_on_record_with_who_did_it_and_why(cast: Cast) -> None:
    dismiss(cast, reason=" Moves away. ")
    told = Operation.objects.get(type="agent.dismissed")
    assert (told.conversation_id, told.actor_id, told.actor_name) == (None, cast.sue.id, "Sue")
    assert told.data == {"agent_id": cast.ann.id, "name": "Ann", "reason": "Moves away."}
    logged = Operation.objects.filter(type="agent.presence").order_by("-pk")[0]
    assert (logged.data["agent_id"], logged.data["availability"]) == (cast.ann.id, "offline")


def test_dismissed_again_it_is_a_repeat_and_not_on_record_twice(cast: Cast) -> None:
    dismiss(cast)
    assert dismiss(cast).is_repeat
    assert Operation.objects.filter(type="agent.dismissed").count() == 1


def test_a_session_that_was_paused_for_an_urgent_one_is_nobodys_and_asked_for_when_its_turn_comes(chat: Chat) -> None:
    cast = chat.cast
    mine = chat.human()
    chat.opens(cast.ben, Kind.MANUAL_URGENT)
    dismiss(cast)
    paused = chat.session(mine)
    assert (paused.status, paused.owner_kind, paused.agent_id) == (Status.PAUSED, Owner.NOBODY, None)
    chat.resolve(cast.ben)
    assert (chat.live.pk, chat.live.owner_kind, chat.controller) == (mine.session_id, Owner.NOBODY, "queue")
    assert (chat.pending.kind, chat.pending.trigger) == (TransferKind.REASSIGNMENT, "departure")


def test_a_session_that_they_had_paused_waits_for_its_turn_and_not_for_them(chat: Chat) -> None:
    """Nothing is live: the customer's session is in the queue as soon as its agent has gone."""
    from sessions_app.actions import lifecycle

    mine = chat.human()
    lifecycle.pause_session(actor=chat.cast.ann, session_id=mine.session_id)
    assert chat.controller == "none"
    dismiss(chat.cast)
    assert (chat.live.pk, chat.controller, chat.pending.kind) == (mine.session_id, "queue", TransferKind.REASSIGNMENT)


def test_what_was_asked_of_them_is_asked_of_the_team(cast: Cast) -> None:
    team = cast.team("Returns", "ben")
    cast.policy(default_team=team)
    chat = cast.chat()
    chat.robot()
    chat.escalate(to_agent_id=cast.ann.id)
    dismiss(cast)
    assert (chat.pending.to_agent_id, chat.pending.to_team_id, len(chat.transfers)) == (None, team.pk, 1)
    assert chat.event_types[-1] == "transfer.readdressed"
    chat.accept(cast.ben)


def test_a_handover_to_them_is_anybodys_and_its_sender_serves_on(chat: Chat) -> None:
    cast = chat.cast
    chat.human(cast.ben)
    chat.hand_over(cast.ben, to_agent_id=cast.ann.id)
    dismiss(cast)
    assert (chat.live.agent_id, chat.pending.to_agent_id, chat.pending.kind) == (cast.ben.id, None, "handover")
    chat.accept(cast.cat)
    assert chat.live.agent_id == cast.cat.id


def test_whom_they_had_wanted_to_hand_over_to_is_asked_still(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    chat.hand_over(to_agent_id=cast.ben.id)
    dismiss(cast)
    assert [t.status for t in chat.transfers][-2:] == ["WITHDRAWN", "PENDING"]
    assert (chat.pending.kind, chat.pending.to_agent_id) == (TransferKind.REASSIGNMENT, cast.ben.id)


def test_a_handover_between_two_who_leave_is_everybodys(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    chat.hand_over(to_agent_id=cast.ben.id)
    dismiss(cast, "ben")
    dismiss(cast)
    assert (chat.pending.kind, chat.pending.to_agent_id) == (TransferKind.REASSIGNMENT, None)


def test_an_offer_to_them_is_withdrawn_and_goes_to_the_next(cast: Cast) -> None:
    cast.policy(assignment="push")
    cast.change("cat", availability="away")
    cast.change("sue", availability="away")
    chat = cast.chat()
    chat.queue()
    first = chat.pending.offered_to
    assert first is not None
    other = {"Ann": "ben", "Ben": "ann"}[first.name]
    dismiss(cast, first.name.lower())
    assert chat.pending.offered_to_id == cast.agent(other).pk
    assert "transfer.offer_withdrawn" in chat.event_types


def test_collaborations_end(chat: Chat) -> None:
    cast = chat.cast
    chat.human(cast.ben)
    participants.invite_colleague(actor=cast.ben, conversation_id=chat.id, agent_id=cast.ann.id)
    dismiss(cast)
    assert Participant.objects.get(agent=cast.ann.id).status == ParticipantStatus.ENDED
    assert chat.event_types[-1] == "collaborator.ended"


def test_what_fails_in_one_conversation_stops_no_other_and_the_clock_finishes_it(
    cast: Cast, later: Later, monkeypatch: pytest.MonkeyPatch, failures_are_meant: None
) -> None:
    chats = [cast.chat().serve() for _ in range(3)]
    real = departure.move_on  # type: ignore[attr-defined]

    def move_on(turn: Any, *args: Any, **kwargs: Any) -> Any:
        if turn.conversation.pk == chats[0].id:
            raise ZeroDivisionError
        return real(turn, *args, **kwargs)

    monkeypatch.setattr(departure, "move_on", move_on)
    answer = dismiss(cast)
    assert (answer.moved, answer.left) == (2, 1)
    assert [chat.controller for chat in chats] == ["human", "queue", "queue"]
    assert finish_departures() == 0
    monkeypatch.undo()
    later(2)
    assert finish_departures() == 1
    assert [chat.controller for chat in chats] == ["queue"] * 3
    assert finish_departures() == 0


def put_off(cast: Cast, chat: Chat) -> None:
    """It has failed for somebody who left before."""
    now = clock.now()
    later = now + timedelta(hours=1)
    Backoff.objects.create(
        loop=departure.LOOP, tenant=cast.tenant, key=chat.id, first_failed_at=now, retry_at=later, attempts=12
    )


def test_an_order_tries_what_is_put_off_and_mends_it(cast: Cast) -> None:
    chat = cast.chat().serve()
    put_off(cast, chat)
    answer = dismiss(cast)
    assert (answer.moved, answer.left, chat.controller) == (1, 0, "queue")
    assert not Backoff.objects.exists()


def test_an_order_to_give_somebody_nothing_new_tries_it_too(cast: Cast) -> None:
    chat = cast.chat()
    chat.robot()
    chat.escalate(to_agent_id=cast.ann.id)
    put_off(cast, chat)
    departure.drain_agent(actor=cast.sue, agent_id=cast.ann.id)
    assert chat.pending.to_agent_id is None


def test_the_clock_respects_the_pause_and_an_order_that_fails_does_not_shorten_it(
    cast: Cast, later: Later, monkeypatch: pytest.MonkeyPatch, failures_are_meant: None
) -> None:
    chat = cast.chat().serve()
    put_off(cast, chat)
    before = Backoff.objects.get().retry_at

    def fails(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(departure, "move_on", fails)
    answer = dismiss(cast)
    assert (answer.moved, answer.left) == (0, 1)
    row = Backoff.objects.get()
    assert (row.retry_at, row.attempts, row.error) == (before, 12, "ZeroDivisionError: ")
    monkeypatch.undo()
    assert finish_departures() == 0
    later(3601)
    assert finish_departures() == 1
    assert chat.controller == "queue"


def test_whoever_was_marked_as_gone_past_the_verb_is_found_by_the_clock(chat: Chat) -> None:
    """By an import, or by hand in the database."""
    chat.serve()
    chat.cast.change("ann", is_active=False)
    assert finish_departures() == 1
    assert (chat.controller, chat.pending.kind) == ("queue", TransferKind.REASSIGNMENT)


def test_another_tenants_agents_are_not_there(cast: Cast, others: Cast) -> None:
    refused("not_found", departure.dismiss_agent, actor=cast.sue, agent_id=others.ann.pk)


# --- Who may -------------------------------------------------------------------------------------------------------


def test_agents_and_programs_dismiss_nobody_and_nobody_dismisses_themselves(cast: Cast) -> None:
    refused("forbidden", dismiss, cast, "ann", cast.ben)
    refused("forbidden", dismiss, cast, "ann", cast.channel)
    refused("forbidden", dismiss, cast, "sue", cast.sue)


def test_nobody_dismisses_a_higher_role(cast: Cast) -> None:
    cast.hire("ada", role=Agent.Role.ADMIN)
    cast.hire("ian", role=Agent.Role.ADMIN)
    refused("forbidden", dismiss, cast, "ada", cast.sue)
    dismiss(cast, "ada", agent_actor(cast.agent("ian")))
    assert not cast.agent("ada").is_active


@pytest.mark.parametrize("kind", ["superuser", "permission"])
def test_nobody_dismisses_a_stronger_login(cast: Cast, kind: str) -> None:
    login_of(cast, "sue")
    user = login_of(cast, "ann")
    if kind == "superuser":
        User.objects.filter(pk=user.pk).update(is_superuser=True)
    else:
        user.user_permissions.add(Permission.objects.get(codename="change_apiclient"))
    refused("forbidden", dismiss, cast, "ann", cast.sue)


def test_the_last_administrator_stays(cast: Cast) -> None:
    cast.hire("ada", role=Agent.Role.ADMIN)
    refused("conflict", departure.dismiss_agent, actor=cast.system, agent_id=cast.agent("ada").pk)
    cast.hire("ian", role=Agent.Role.ADMIN)
    dismiss(cast, "ada", cast.system)
    refused("conflict", departure.dismiss_agent, actor=cast.system, agent_id=cast.agent("ian").pk)


# --- The doors -----------------------------------------------------------------------------------------------------


def test_the_api_dismisses_and_the_dismissed_is_let_in_nowhere(cast: Cast) -> None:
    buckets.forget()  # others of this process have used up what an address may ask
    chat = cast.chat().serve()
    ann, sue = Client(), Client()
    ann.force_login(login_of(cast, "ann"))
    sue.force_login(login_of(cast, "sue"))
    assert ann.get("/api/v1/agents/me").status_code == 200
    answer = sue.post(f"/api/v1/agents/{cast.ann.id}/dismiss", {"reason": "x"}, content_type="application/json")
    assert (answer.status_code, answer.json()) == (
        200,
        {"agent_id": str(cast.ann.id), "name": "Ann", "moved": 1, "left": 0, "is_repeat": False},
    )
    assert chat.controller == "queue"
    assert ann.get("/api/v1/agents/me").status_code == 401
    assert ann.get("/").status_code in (302, 403)


@pytest.mark.django_db(transaction=True)
def test_each_conversation_has_its_own_transaction_also_behind_an_idempotency_key(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats = [cast.chat().serve() for _ in range(2)]
    inside: list[bool] = []
    real = departure._clear

    def clear(*args: Any) -> bool:
        inside.append(connection.in_atomic_block)
        return real(*args)

    monkeypatch.setattr(departure, "_clear", clear)
    sue = Client()
    sue.force_login(login_of(cast, "sue"))
    path, headers = f"/api/v1/agents/{cast.ann.id}/dismiss", {"Idempotency-Key": "once"}
    answers = [sue.post(path, {}, content_type="application/json", headers=headers) for _ in range(2)]
    assert [answer.json()["moved"] for answer in answers] == [2, 2], "the second is the first one's answer"
    assert inside == [False, False]
    assert [chat.controller for chat in chats] == ["queue", "queue"]


# --- The silent ----------------------------------------------------------------------------------------------------


def test_somebody_never_heard_of_counts_as_silent_from_the_moment_they_own_something(cast: Cast, later: Later) -> None:
    cast.change("ann", last_seen_at=None, is_heard=False)
    later(4000)
    chat = cast.chat().serve()
    later(299)
    assert silence.move_on_from_silent_agents() == 0
    later(2)
    assert silence.move_on_from_silent_agents() == 1
    assert (chat.controller, chat.pending.kind) == ("queue", TransferKind.REASSIGNMENT)


def test_what_the_never_heard_of_got_later_moves_on_with_the_rest(cast: Cast, later: Later) -> None:
    cast.change("ann", last_seen_at=None, is_heard=False)
    first = cast.chat().serve()
    later(200)
    second = cast.chat().serve()
    later(101)
    assert silence.move_on_from_silent_agents() == 2
    assert (first.controller, second.controller) == ("queue", "queue")


def test_who_is_heard_of_then_is_not_silent(cast: Cast, later: Later) -> None:
    cast.change("ann", last_seen_at=None, is_heard=False)
    chat = cast.chat().serve()
    later(299)
    declare_availability(actor=cast.ann, availability="available")
    later(2)
    assert silence.move_on_from_silent_agents() == 0
    assert chat.controller == "human"


@pytest.mark.parametrize("never", [False, True])
def test_a_paused_session_that_comes_back_to_somebody_silent_goes_on(cast: Cast, later: Later, never: bool) -> None:
    chat = cast.chat()
    mine = chat.human()
    chat.opens(cast.ben, Kind.MANUAL_URGENT)
    if never:
        cast.change("ann", last_seen_at=None, is_heard=False)
    later(301)
    cast.seen("ben")
    chat.resolve(cast.ben)
    if never:  # since when they own something the clock finds; of the others it is known at once
        assert silence.move_on_from_silent_agents() == 1
    assert (chat.live.pk, chat.controller, chat.pending.kind) == (mine.session_id, "queue", TransferKind.REASSIGNMENT)


def test_a_handover_taken_back_for_an_urgent_one_is_not_since_when_the_customer_waits(
    cast: Cast, chat: Chat, later: Later
) -> None:
    """Whom Ann served until the urgent one came has waited for nobody; the record is held against the same clock."""
    chat.human(cast.ann)
    chat.hand_over(cast.ann, to_agent_id=cast.ben.id)
    chat.opens(cast.sue, Kind.MANUAL_URGENT)
    later(301)
    cast.seen("sue")
    chat.resolve(cast.sue)
    assert (chat.pending.kind, chat.pending.waiting_since) == (TransferKind.REASSIGNMENT, chat.pending.requested_at)
    later(601)
    sweep.sweep_due()
    assert chat.pending.asked_again == 1
    assert check(cast.tenant.pk, stamped=False, sweeper_lived=False) == []
