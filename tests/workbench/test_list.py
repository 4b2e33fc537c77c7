"""The list: its order, its views, its pages, and what it costs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from agents_app.actors import agent_actor
from sessions_app import queries
from sessions_app.actions import conversations as marks
from sessions_app.actions import takeovers
from sessions_app.queries import Cursor, View
from tests.workbench.conftest import Desk


def shown(response: Any) -> list[int]:
    return [int(n) for n in re.findall(r'<li id="c(\d+)"', response.content.decode())]


def test_order_is_that_of_the_domain(desk: Desk, maya: Client) -> None:
    sam = agent_actor(desk.agents["sam"])
    resolved, active, flagged, queued, urgent = (desk.with_bot(name) for name in "abcde")
    takeovers.take_over(actor=sam, conversation_id=resolved.pk)
    marks.resolve(actor=sam, conversation_id=resolved.pk)
    marks.raise_flag(actor=sam, conversation_id=flagged.pk)
    desk.hears("human please", queued.account_id)
    marks.mark_urgent(actor=sam, conversation_id=urgent.pk)
    expected = [urgent.pk, queued.pk, flagged.pk, active.pk, resolved.pk]
    assert shown(maya.get("/desk/")) == expected
    assert shown(maya.get("/desk/?view=queue")) == [queued.pk, flagged.pk]
    assert shown(maya.get("/desk/?view=resolved")) == [resolved.pk]


def test_mine_holds_what_i_serve(desk: Desk, maya: Client, jun: Client, act: Any) -> None:
    conversation = desk.queued()
    assert act(maya, conversation.pk, "accept").status_code == 302
    assert shown(maya.get("/desk/?view=mine")) == [conversation.pk]
    assert shown(jun.get("/desk/?view=mine")) == []


def test_the_longest_waiting_comes_first(desk: Desk, maya: Client) -> None:
    first, second = desk.queued("first"), desk.queued("second")
    desk.hears("are you there?", "first")
    assert shown(maya.get("/desk/?view=queue")) == [first.pk, second.pk]


def test_pages_go_on_without_a_gap_or_a_double(desk: Desk) -> None:
    actor = agent_actor(desk.agents["maya"])
    made = {desk.hears("hello").conversation_id for _ in range(7)} | {desk.queued().pk for _ in range(3)}
    seen: list[int] = []
    after = None
    while True:
        page = queries.list_page(actor=actor, view=View.ALL, after=after, limit=3)
        seen += [row.id for row in page.rows]
        after = page.after
        if after is None:
            break
        assert Cursor.read(str(after)) == after
    assert len(seen) == 10
    assert set(seen) == made
    assert seen == [row.id for row in queries.list_page(actor=actor, view=View.ALL).rows]


def test_search_and_controller_narrow_the_list(desk: Desk, maya: Client) -> None:
    desk.with_bot("one", name="First customer")
    other = desk.queued("two", name="Second customer")
    assert shown(maya.get("/desk/?q=SECOND")) == [other.pk]
    assert shown(maya.get("/desk/?controller=queue")) == [other.pk]
    assert "Nothing fits" in maya.get("/desk/?q=nobody-of-that-name").content.decode()


@pytest.mark.parametrize("query", ["view=nonsense", "rows=-3", "rows=x", "controller=x", "q=" + "x" * 500])
def test_a_strange_bookmark_still_shows_the_list(desk: Desk, maya: Client, query: str) -> None:
    conversation = desk.with_bot()
    assert shown(maya.get(f"/desk/?{query}")) == [conversation.pk]


@pytest.mark.parametrize("after", ["x", "1.2", "1.2.3.4", "1.2.99999999999999999999999999"])
def test_a_strange_place_is_refused_or_empty(desk: Desk, maya: Client, after: str) -> None:
    assert maya.get(f"/desk/?after={after}").status_code in (200, 400)


def test_taken_over_from_a_bot_is_orange(desk: Desk, maya: Client, act: Any) -> None:
    conversation = desk.with_bot()
    assert "is-taken" not in maya.get("/desk/").content.decode()
    act(maya, conversation.pk, "take-over")
    assert "is-taken" in maya.get("/desk/").content.decode()


def test_unread_is_what_waits_or_is_mine(desk: Desk, maya: Client, jun: Client, act: Any) -> None:
    bots, queued = desk.with_bot("bots"), desk.queued("queued")

    def unread(client: Client) -> set[int]:
        return {shown.row.id for shown in client.get("/desk/").context["rows"] if shown.row.is_unread}

    assert unread(maya) == {queued.pk}
    act(maya, queued.pk, "accept")
    maya.post(f"/desk/c/{queued.pk}/read/", {"seq": 2**50})
    assert unread(maya) == set()
    desk.hears("and another thing", "queued")
    assert unread(maya) == {queued.pk}
    assert unread(jun) == set()
    assert bots.pk not in unread(maya)


@pytest.mark.parametrize("number", [1, 40])
def test_the_list_costs_the_same_however_long_it_is(
    desk: Desk, maya: Client, number: int, django_assert_max_num_queries: Any
) -> None:
    for place in range(number):
        conversation = desk.queued() if place % 2 else desk.with_bot()
        if place % 4 == 0:
            takeovers.take_over(actor=agent_actor(desk.agents["jun"]), conversation_id=conversation.pk)
    maya.get("/desk/")
    with django_assert_max_num_queries(7):
        assert len(shown(maya.get("/desk/"))) == number
    with django_assert_max_num_queries(7):
        maya.get("/desk/list/?rows=200", headers={"HX-Request": "true"})


def test_the_empty_list_says_what_to_expect(desk: Desk, maya: Client) -> None:
    assert "Nobody is waiting" in maya.get("/desk/?view=queue").content.decode()
