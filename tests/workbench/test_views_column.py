"""The column of views: what each shows, how many it counts, by which index it is found, and the cards of what is offered."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import Client

from agents_app.actors import Actor, ActorKind, agent_actor
from agents_app.models import Agent, Tenant
from config import clock
from messaging_app.models import Conversation
from messaging_app.thread import NewMessage
from sessions_app import queries
from sessions_app.actions import conversations as marks
from sessions_app.actions import lifecycle, messages, participants, presence, saved_views, takeovers, transfers
from sessions_app.models import Transfer
from sessions_app.queries import COUNT_MOST, Cursor, View, view_counts, view_filters
from sessions_app.queries.listing import BY_WAIT, keyset_page
from sessions_app.workbench import wording
from sessions_app.workbench.offers import package_lines
from tests.cast import Later
from tests.workbench.conftest import Desk

SCRIPT = {"HX-Request": "true"}


def shown(client: Client, query: str) -> list[int]:
    page = client.get(f"/desk/?{query}").content.decode()
    return [int(n) for n in re.findall(r'<li id="c(\d+)"', page)]


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


def counted(client: Client) -> dict[str, str]:
    return {tab["view"]: tab["count"] for tab in client.get("/desk/").context["tabs"] if tab["count"]}


@pytest.fixture
def actor(desk: Desk) -> Actor:
    return agent_actor(desk.agents["maya"])


@pytest.fixture
def colleague(desk: Desk) -> Actor:
    return agent_actor(desk.agents["jun"])


# --- What each shows ---------------------------------------------------------------------------------------------


def test_every_view_shows_what_it_says_and_counts_as_many(
    desk: Desk, maya: Client, actor: Actor, colleague: Actor
) -> None:
    everything = {
        name: desk.with_bot(name).pk for name in ("bot", "mine", "helped", "named", "todo", "flagged", "done")
    }
    everything |= {name: desk.queued(name).pk for name in ("waits", "offered")}
    everything["paused"] = desk.with_bot("paused").pk
    its = {name: {"conversation_id": pk} for name, pk in everything.items()}
    takeovers.take_over(actor=actor, **its["mine"])
    takeovers.take_over(actor=colleague, **its["helped"])
    presence.declare_availability(actor=actor, availability="available")
    participants.invite_colleague(actor=colleague, agent_id=actor.pk, **its["helped"])
    messages.post_note(actor=colleague, words=NewMessage(content="@Maya look"), **its["named"])
    marks.todo(actor=colleague, **its["todo"])
    marks.raise_flag(actor=colleague, **its["flagged"])
    takeovers.take_over(actor=colleague, **its["done"])
    marks.resolve(actor=colleague, **its["done"])
    lifecycle.open_session(actor=colleague, robot=False, urgent=True, **its["paused"])
    asked = Transfer.objects.get(conversation_id=everything["offered"])
    Transfer.objects.filter(status="PENDING").update(offered_to=None)
    Transfer.objects.filter(pk=asked.pk).update(
        offered_to=actor.pk, offer_expires_at=clock.now() + timedelta(minutes=9)
    )

    def only(*names: str) -> set[int]:
        return {everything[name] for name in names}

    expected = {
        "offered": only("offered"),
        "mine": only("mine"),
        "unassigned": only("waits", "offered"),
        "waiting": only("waits", "offered", "flagged"),
        "needs_human": {c.pk for c in Conversation.objects.filter(needs_human=True)},
        "bot_active": only("bot", "named", "todo", "flagged"),
        "paused_bots": only("paused"),
        "collaborating": only("helped"),
        "mentions": only("named"),
        "todo": only("todo"),
        "all": set(everything.values()),
        "resolved": only("done"),
    }
    assert everything["flagged"] in expected["needs_human"]
    assert {view: set(shown(maya, f"view={view}")) for view in expected} == expected
    assert counted(maya) == {view: str(len(ids)) for view, ids in expected.items()}
    assert set(shown(maya, "view=queue")) == only("waits", "offered", "flagged")


def test_the_old_addresses_are_still_addresses(desk: Desk, maya: Client) -> None:
    for view in ("queue", "mine", "all", "resolved", "mentions"):
        [tab] = [tab for tab in maya.get(f"/desk/?view={view}").context["tabs"] if tab["is_open"]]
        assert tab["view"] == view
    assert "queue" not in [tab["view"] for tab in maya.get("/desk/").context["tabs"]]


def test_a_saved_filter_may_name_every_view(desk: Desk, actor: Actor) -> None:
    assert set(view_filters.VIEWS) == {view.value for view in View}
    queued = desk.queued()
    for view in View:
        saved = saved_views.create_view(actor=actor, name=view.value, filter={"view": view.value})
        found = set(view_counts.within(actor, saved.pk).values_list("pk", flat=True))
        assert found == set(queries.in_view(actor, view).values_list("pk", flat=True))
    assert queued.pk in view_counts.within(actor, saved.pk).values_list("pk", flat=True)


def test_whoever_is_no_agent_has_nothing_of_its_own(desk: Desk, actor: Actor) -> None:
    """A program's id may be that of an agent, who serves something."""
    conversation = desk.queued()
    transfers.accept_transfer(actor=actor, transfer_id=Transfer.objects.get(conversation=conversation).pk)
    program = replace(actor, kind=ActorKind.INTEGRATOR)
    assert queries.in_view(actor, View.MINE).exists()
    assert not queries.in_view(program, View.MINE).exists()


def test_the_longest_wait_comes_first_however_urgent(desk: Desk, maya: Client, actor: Actor, later: Later) -> None:
    first = desk.queued("first")
    later(60)
    second = desk.queued("second")
    later(60)
    urgent = desk.queued("urgent")
    marks.mark_urgent(actor=actor, conversation_id=urgent.pk)
    assert shown(maya, "view=waiting") == [first.pk, second.pk, urgent.pk]
    assert shown(maya, "view=unassigned") == [urgent.pk, first.pk, second.pk]


def test_pages_by_wait_go_on_without_a_gap_or_a_double(desk: Desk, maya: Client, later: Later) -> None:
    made = []
    for number in range(7):
        made.append(desk.queued(f"customer-{number}").pk)
        later(1 if number % 2 else 0)
    since = Conversation.objects.get(pk=made[2]).waiting_since
    Conversation.objects.filter(pk__in=made[2:5]).update(waiting_since=since)  # several at the same moment
    seen: list[int] = []
    query = "view=waiting&rows=2"
    while True:
        page = maya.get(f"/desk/list/?{query}", headers=SCRIPT)
        seen += [row.row.id for row in page.context["rows"]]
        if page.context["after"] is None:
            break
        query = f"view=waiting&rows=2&after={page.context['after']}"
    assert seen == made


@pytest.mark.parametrize("after", ["0.99999999999999999999999.1", "4.1700000000000000.3", "x"])
def test_a_strange_place_in_the_wait_is_refused_or_empty(desk: Desk, maya: Client, after: str) -> None:
    assert maya.get(f"/desk/?view=waiting&after={after}").status_code in (200, 400)


def test_every_empty_view_says_what_to_expect(desk: Desk, maya: Client) -> None:
    told = {view: maya.get(f"/desk/?view={view}").context for view in View}
    assert len({context["empty_heading"] for context in told.values()}) == len(View)
    assert all(context["empty_hint"] for context in told.values())
    assert {context["list_name"] for context in told.values()} == {str(name) for name in wording.VIEWS.values()}


def test_the_first_look_at_an_empty_desk_shows_the_way(desk: Desk, maya: Client, settings: Any) -> None:
    assert "Play the customer" in text(maya.get("/desk/"))
    assert "Play the customer" not in text(maya.get("/desk/?q=nobody"))
    settings.TRY_IT = False
    assert "Play the customer" not in text(maya.get("/desk/"))


# --- By which index ----------------------------------------------------------------------------------------------


def plan(rows: QuerySet[Any]) -> list[str]:
    sql, params = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        return [line[-1] for line in cursor.fetchall()]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plan")
@pytest.mark.parametrize("view", View)
def test_no_view_looks_through_all_conversations(desk: Desk, actor: Actor, view: View) -> None:
    desk.queued()
    found = queries.in_view(actor, view)
    order = ("waiting_since", "id") if view in BY_WAIT else ("tier", "desk_order", "id")
    plans = {"counted": plan(found[:COUNT_MOST]), "a page": plan(found.order_by(*order)[:51])}
    few = {View.OFFERED, View.MINE, View.COLLABORATING, View.MENTIONS, View.TODO, View.PAUSED_BOTS}
    for name, lines in plans.items():
        assert not [line for line in lines if line.startswith("SCAN")], (name, lines)
        if view in few:  # found by their ids; what is left is sorted
            assert any("USING INTEGER PRIMARY KEY" in line for line in lines), (name, lines)
        else:  # in the order of an index, so that reading stops where nobody reads on
            assert not [line for line in lines if "TEMP B-TREE" in line], (name, lines)
            assert len(lines) == 1, (name, lines)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plan")
@pytest.mark.parametrize("view", [View.MINE, View.PAUSED_BOTS, View.UNASSIGNED])
def test_few_are_found_by_an_index_where_statistics_say_that_all_rows_are_alike(
    desk: Desk, actor: Actor, view: View
) -> None:
    desk.with_bot()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("SELECT rowid, stat FROM sqlite_stat1")
        alike = [(" ".join(["10000"] * len(stat.split())), row) for row, stat in cursor.fetchall()]
        cursor.executemany("UPDATE sqlite_stat1 SET stat = %s WHERE rowid = %s", alike)
        cursor.execute("ANALYZE sqlite_schema")  # the statistics are read anew
    lines = plan(queries.in_view(actor, view)[:COUNT_MOST])
    assert not [line for line in lines if line.startswith("SCAN")], lines


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plan")
def test_the_check_of_plans_finds_what_is_not_bounded(desk: Desk, actor: Actor) -> None:
    """The failing control: a question without an index is seen."""
    lines = plan(Conversation.objects.filter(customer_name="nobody"))
    assert [line for line in lines if line.startswith("SCAN")]


def test_counting_stops(desk: Desk, maya: Client, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        desk.with_bot()
    monkeypatch.setattr("sessions_app.queries.listing.COUNT_MOST", 3)
    monkeypatch.setattr("sessions_app.workbench.views.COUNT_MOST", 3)
    assert counted(maya) == {"bot_active": "2+", "all": "2+"}


def test_a_page_by_wait_is_asked_for_by_that_order_alone(desk: Desk, actor: Actor) -> None:
    desk.queued(), desk.queued()
    rows, after = keyset_page(queries.in_view(actor, View.WAITING), None, 1, by_wait=True)
    assert after
    assert (after.tier, after.id) == (0, rows[0].pk)
    assert Cursor.read(str(after)) == after


# --- A row -------------------------------------------------------------------------------------------------------


def row(client: Client, conversation_id: int) -> str:
    page = text(client.get("/desk/"))
    return page.split(f'<li id="c{conversation_id}">')[1].split("</li>")[0]


def test_a_row_says_where_from_what_about_and_why_it_waits(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot("account-77", name="Ada")
    transfers.request_transfer(
        actor=desk.bot, conversation_id=conversation.pk, reason="The parcel is lost", trigger="bot"
    )
    Conversation.objects.filter(pk=conversation.pk).update(platform="telegram")
    its = row(maya, conversation.pk)
    for told in ("Ada", "account-77", "shop", "telegram", "The parcel is lost", "Assistant", "waits"):
        assert told in its, told
    assert '<span class="badge" title="telegram">T</span>' in its


def test_a_row_of_a_queue_names_what_made_the_bot_ask(desk: Desk, maya: Client) -> None:
    assert "The customer asked" in row(maya, desk.queued().pk) or "human please" in row(maya, desk.queued().pk)


def test_pins_and_todos_are_set_and_taken_off_from_the_row(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot()
    for verb, column, other in (("pin", "pinned_at", "unpin"), ("todo", "todo_at", "untodo")):
        for pressed, is_set in ((verb, True), (verb, True), (other, False), (other, False)):
            address = f"/desk/c/{conversation.pk}/{pressed}/"
            assert address in row(maya, conversation.pk) or bool(getattr(conversation, column)) == is_set
            assert maya.post(address, headers=SCRIPT).status_code == 200
            conversation.refresh_from_db()
            assert bool(getattr(conversation, column)) == is_set
    assert conversation.operations.filter(type__in=["conversation.pinned", "conversation.unpinned"]).count() == 2


# --- What is offered ---------------------------------------------------------------------------------------------


@pytest.fixture
def pushes(desk: Desk, actor: Actor) -> Actor:
    """The tenant offers what waits to whoever is available: to Maya alone."""
    Tenant.objects.filter(pk=desk.tenant.pk).update(assignment="push")
    presence.declare_availability(actor=actor, availability="available")
    return actor


def cards(client: Client, path: str = "/desk/") -> list[Any]:
    found: list[Any] = client.get(path).context["offers"]
    return found


def test_an_offer_is_a_card_with_reason_urgency_and_two_lines_of_the_package(
    desk: Desk, maya: Client, jun: Client, pushes: Actor
) -> None:
    conversation = desk.with_bot("account-1", name="Ada")
    transfers.request_transfer(
        actor=desk.bot,
        conversation_id=conversation.pk,
        reason="A refund beyond my limit",
        trigger="bot",
        context={"suggestion": "Offer a voucher", "promises": ["an answer today"], "urgency": 2},
    )
    [card] = cards(maya)
    assert (card.row.id, card.why, card.urgency) == (conversation.pk, "A refund beyond my limit", "high")
    assert card.lines == [("Suggestion", "Offer a voucher", None), ("Promised", "an answer today", None)]
    assert 0 < card.left <= card.whole == 30
    assert card.announcement == f"Offered to you: Ada. A refund beyond my limit. {card.left} seconds to answer."
    page = text(maya.get(f"/desk/c/{desk.with_bot('elsewhere').pk}/"))
    assert "Offer a voucher" in page.split('id="offers"')[1]
    fragment = text(maya.get("/desk/list/?view=resolved", headers=SCRIPT))
    assert "Offer a voucher" in fragment.split('id="fresh-offers"')[1]
    assert cards(jun) == []
    assert "Offer a voucher" not in text(jun.get("/desk/"))


def test_an_emergency_is_one_whatever_the_package_says(
    desk: Desk, maya: Client, colleague: Actor, pushes: Actor
) -> None:
    conversation = desk.queued()
    assert [card.urgency for card in cards(maya)] == ["medium"]
    marks.mark_urgent(actor=colleague, conversation_id=conversation.pk)
    assert [card.urgency for card in cards(maya)] == ["emergency"]


def test_a_team_says_how_long_there_is_to_answer(desk: Desk, maya: Client, pushes: Actor, later: Later) -> None:
    desk.queued()
    Transfer.objects.update(offer_expires_at=clock.now() + timedelta(seconds=25))
    [card] = cards(maya)
    assert (card.whole, card.left in range(20, 26)) == (30, True)
    later(10)
    [card] = cards(maya)
    assert (card.whole, card.left in range(10, 16)) == (30, True)


def test_a_handover_to_me_is_an_offer_too(
    desk: Desk, maya: Client, sam: Client, colleague: Actor, actor: Actor
) -> None:
    conversation = desk.queued()
    transfers.accept_transfer(actor=colleague, transfer_id=Transfer.objects.get().pk)
    transfers.hand_over(actor=colleague, conversation_id=conversation.pk, to_agent_id=actor.pk, reason="She knows you")
    [card] = cards(maya)
    assert (card.sender, card.why, card.whole) == ("Jun", "She knows you", 300)
    assert shown(maya, "view=offered") == [conversation.pk]
    assert cards(sam) == []


def test_an_answer_ends_the_card(desk: Desk, maya: Client, pushes: Actor) -> None:
    accepted, declined = desk.queued("accepted"), desk.queued("declined")
    for card in cards(maya):
        verb = "accept" if card.row.id == accepted.pk else "decline"
        sent = {"transfer": card.move.id, "reason": "lunch"} | (
            {"epoch": card.row.conversation.epoch} if verb == "accept" else {}
        )
        assert maya.post(f"/desk/c/{card.row.id}/{verb}/", sent, headers=SCRIPT).status_code == 200
    assert cards(maya) == []
    assert shown(maya, "view=mine") == [accepted.pk]
    assert declined.pk in shown(maya, "view=unassigned")


def test_the_loser_of_a_race_is_told_who_won(desk: Desk, maya: Client, sam: Client, pushes: Actor) -> None:
    conversation = desk.queued()
    [card] = cards(maya)
    sent = {"transfer": card.move.id, "epoch": conversation.epoch}
    assert sam.post(f"/desk/c/{conversation.pk}/accept/", sent, headers=SCRIPT).status_code == 200
    lost = maya.post(f"/desk/c/{conversation.pk}/accept/", sent, headers=SCRIPT)
    assert lost.status_code == 409
    assert "Sam has taken this conversation." in text(lost)
    assert cards(maya) == []


def test_only_the_few_most_pressing_offers_are_cards(desk: Desk, maya: Client, pushes: Actor) -> None:
    Agent.objects.update(max_load=100)
    made = [desk.queued().pk for _ in range(7)]
    Transfer.objects.update(offered_to=pushes.pk)
    for place, pk in enumerate(reversed(made)):
        Transfer.objects.filter(conversation=pk).update(offer_expires_at=clock.now() + timedelta(minutes=1 + place))
    assert [card.row.id for card in cards(maya)] == made[::-1][:5]
    assert counted(maya)["offered"] == "7"


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        ({}, [("Customer", "the last words", None)]),
        (
            {"task_state": {"order": "A-1", "nested": {"x": 1}}},
            [("Customer", "the last words", None), ("Task", "order: A-1", None)],
        ),
        ({"messages": [{"sender_type": "customer", "content": "where is it?"}]}, [("Customer", "where is it?", None)]),
        ({"messages": [{"sender_type": "bot", "content": "hello"}]}, [("Customer", "the last words", None)]),
        (
            {"suggestion": "x" * 900, "messages": []},
            [("Suggestion", "x" * 200, None), ("Customer", "the last words", None)],
        ),
    ],
)
def test_a_package_is_told_in_lines(package: dict[str, Any], expected: list[tuple[str, str, None]]) -> None:
    assert package_lines(package, "the last words") == expected


def test_a_line_says_who_said_it_where_that_was_not_whoever_asks() -> None:
    who = {"by": "bot", "name": "bargain", "at": "2026-03-01T10:02:00Z"}
    ann = {"by": "agent", "name": "Ann", "at": "2026-03-01T10:05:00Z"}
    package = {
        "suggestion": "Pay.",
        "promises": ["tea", "cake"],
        "said": {"suggestion": who, "promises": [who, ann], "task_state": {}},
    }
    (_, _, suggested), (_, _, promised) = package_lines(package, "", "Ann")
    assert suggested is not None
    assert promised is not None
    assert (suggested.by, f"{suggested.at:%H:%M}") == ("Bot · bargain", "10:02")
    assert (promised.by, promised.at) == ("Bot · bargain, Agent · Ann", None)
    assert package_lines(package, "", "bargain")[0][2] is None
