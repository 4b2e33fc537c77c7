"""What the desk shows of customers who wait for nobody's answer, of sessions that end soon, and of what is whose to do."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from agents_app.actors import Actor, agent_actor
from sessions_app import queries
from sessions_app.actions import conversations as marks
from sessions_app.actions import participants, presence, sweep, takeovers
from sessions_app.queries import View, answered
from tests.cast import Later
from tests.workbench.conftest import Desk


@pytest.fixture
def actor(desk: Desk) -> Actor:
    return agent_actor(desk.agents["maya"])


@pytest.fixture
def colleague(desk: Desk) -> Actor:
    return agent_actor(desk.agents["jun"])


def row_of(client: Client, pk: int, view: str = "all") -> str:
    page = client.get(f"/desk/?view={view}").content.decode()
    found = re.search(rf'<li id="c{pk}".*?</li>', page, re.DOTALL)
    return found.group() if found else ""


def test_who_was_forgotten_is_unread_and_unassigned_until_the_agent_opens_it(
    desk: Desk, maya: Client, actor: Actor, colleague: Actor
) -> None:
    conversation = desk.with_bot()
    takeovers.take_over(actor=colleague, conversation_id=conversation.pk)
    desk.hears("hello??", conversation.account_id)
    marks.resolve(actor=colleague, conversation_id=conversation.pk)
    row = row_of(maya, conversation.pk, "unassigned")
    assert "is-unread" in row
    assert "look <time" in row
    page = maya.get(f"/desk/c/{conversation.pk}/").content.decode()
    assert "The customer waits for an answer" in page
    conversation.refresh_from_db()
    maya.post(f"/desk/c/{conversation.pk}/read/", {"seq": conversation.seq})
    row = row_of(maya, conversation.pk, "unassigned")
    assert row
    assert "is-unread" not in row
    maya.post(f"/desk/c/{conversation.pk}/looked/")
    assert row_of(maya, conversation.pk, "unassigned") == ""


def test_resolving_at_the_desk_what_stands_before_ones_eyes_sets_it_aside(
    desk: Desk, maya: Client, actor: Actor
) -> None:
    conversation = desk.with_bot()
    takeovers.take_over(actor=actor, conversation_id=conversation.pk)
    desk.hears("thanks, bye!", conversation.account_id)
    conversation.refresh_from_db()
    maya.post(f"/desk/c/{conversation.pk}/read/", {"seq": conversation.seq})
    maya.post(f"/desk/c/{conversation.pk}/resolve/")
    conversation.refresh_from_db()
    assert (conversation.controller, conversation.needs_human) == ("none", False)


def test_the_owner_sees_that_the_session_ends_soon(
    desk: Desk, maya: Client, jun: Client, actor: Actor, later: Later
) -> None:
    conversation = desk.with_bot()
    takeovers.take_over(actor=actor, conversation_id=conversation.pk)
    presence.heartbeat(actor=actor)
    assert "Ends in" not in row_of(maya, conversation.pk)
    later(8 * 3600 - 900)
    presence.heartbeat(actor=actor)
    sweep.sweep_due()
    assert "Ends in" in row_of(maya, conversation.pk)
    assert "Ends in" not in row_of(jun, conversation.pk)
    page = maya.get(f"/desk/c/{conversation.pk}/").content.decode()
    assert "Ends in" in page
    assert "This session ends by itself soon" in page


def test_rows_tell_who_helps_and_who_can_grab(desk: Desk, maya: Client, actor: Actor, colleague: Actor) -> None:
    helped, other, own, bots, waits = (desk.with_bot(name) for name in ("helped", "other", "own", "bots", "waits"))
    for conversation in (helped, other):
        takeovers.take_over(actor=colleague, conversation_id=conversation.pk)
    takeovers.take_over(actor=actor, conversation_id=own.pk)
    desk.hears("human please", waits.account_id)
    presence.declare_availability(actor=actor, availability="available")
    participants.invite_colleague(actor=colleague, agent_id=actor.pk, conversation_id=helped.pk)
    every = [c.pk for c in (helped, other, own, bots, waits)]

    def told() -> dict[str, set[int]]:
        rows = {row.id: row for row in queries.list_page(actor=actor, view=View.ALL).rows if row.id in every}
        told_by_api = {pk: answered.answer_of(actor, answered.one(actor, pk)) for pk in every}
        for pk, row in rows.items():
            by_api = told_by_api[pk]
            assert (by_api.is_collaborator, by_api.can_grab) == (row.is_collaborator, row.can_grab)
            assert (by_api.is_unread, by_api.owner_name or "") == (row.is_unread, row.owner or "nobody")
        return {
            "helps": {pk for pk, row in rows.items() if row.is_collaborator},
            "can grab": {pk for pk, row in rows.items() if row.can_grab},
            "unread": {pk for pk, row in rows.items() if row.is_unread},
        }

    assert told() == {"helps": {helped.pk}, "can grab": {helped.pk, other.pk}, "unread": {waits.pk, own.pk}}
    assert "You help" in row_of(maya, helped.pk)
    assert "You can grab this" in row_of(maya, other.pk)
    assert "You help" not in row_of(maya, other.pk)
    desk.agents["maya"].max_load = 1
    desk.agents["maya"].save()
    assert told()["can grab"] == set(), "one who is full takes nothing more"
    sam = agent_actor(desk.agents["sam"])
    assert answered.answer_of(sam, answered.one(sam, other.pk)).can_grab
    shown = {row.id: row for row in queries.list_page(actor=actor, view=View.ALL).rows}
    assert shown[helped.pk].is_collaborator


def test_a_program_has_no_standing_even_with_an_agents_number(desk: Desk, actor: Actor, colleague: Actor) -> None:
    conversation = desk.with_bot()
    takeovers.take_over(actor=colleague, conversation_id=conversation.pk)
    answer = answered.answer_of(desk.bot, answered.one(desk.bot, conversation.pk))
    assert (answer.is_unread, answer.is_collaborator, answer.can_grab) == (False, False, False)
    assert answer.owner_kind == "agent"
