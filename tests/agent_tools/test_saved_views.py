"""Saved views: what a filter may hold, whose a view is, and what it shows."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from agents_app.actors import Actor
from messaging_app import relay, search
from messaging_app.agent_tools.labels import create_label
from messaging_app.models import Conversation
from messaging_app.models.agent_tools import SavedView
from sessions_app import queries
from sessions_app.actions import conversations, labels, saved_views
from sessions_app.actions.saved_views import change_view, create_view, delete_view
from sessions_app.queries import View, view_counts
from sessions_app.queries.view_counts import views_of
from sessions_app.queries.view_filters import Filter, checked, stored
from tests.cast import Cast, Chat, Later, refused


def save(actor: Actor, name: str = "Waits", filter: Any = None, **more: Any) -> SavedView:
    return create_view(actor=actor, name=name, filter=filter or {}, **more)


def shows(actor: Actor, **wanted: Any) -> set[int]:
    kept = checked(wanted, tenant_id=actor.tenant_id)
    return set(view_counts.matching(actor, kept).values_list("pk", flat=True))


# --- What a filter may hold --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter", "field", "word"),
    [
        ({"colour": "red"}, "colour", "Unknown"),
        ({"view": "inbox"}, "view", "queue"),
        ({"view": ["queue"]}, "view", "queue"),
        ({"controller": "bot"}, "controller", "a list"),
        ({"controller": ["robot"]}, "controller", "human"),
        ({"controller": [["bot"]]}, "controller", "human"),
        ({"tier": [9]}, "tier", "1, 2"),
        ({"tier": [True]}, "tier", "1, 2"),
        ({"tier": ["1"]}, "tier", "1, 2"),
        ({"labels": [1]}, "labels", "an id"),
        ({"labels": ["999999"]}, "labels", "no such label"),
        ({"labels": ["1"] * 21}, "labels", "at most 20"),
        ({"owner": "Ann"}, "owner", "an id"),
        ({"owner": "999999"}, "owner", "no such agent"),
        ({"team_id": "999999"}, "team_id", "no such team"),
        ({"team_id": "x"}, "team_id", "an id"),
        ({"platform": 1}, "platform", "text"),
        ({"shop_id": "x" * 192}, "shop_id", "191"),
        ({"needs_human": "yes"}, "needs_human", "true or false"),
        ({"waiting_over": -1}, "waiting_over", "seconds"),
        ({"waiting_over": "5"}, "waiting_over", "seconds"),
        ({"waiting_over": True}, "waiting_over", "seconds"),
        ({"search": "x" * 201}, "search", "200"),
        ({"search": "nul\x00"}, "search", "200"),
    ],
)
def test_what_a_filter_may_not_hold_is_refused_by_field(cast: Cast, filter: Any, field: str, word: str) -> None:
    told = refused("malformed", save, cast.ann, filter=filter)
    assert word in told.fields["errors"][field][0]


@pytest.mark.parametrize("filter", [[], "view=queue", 1, None])
def test_a_filter_is_an_object(cast: Cast, filter: Any) -> None:
    refused("malformed", create_view, actor=cast.ann, name="x", filter=filter)


def test_nothing_of_another_tenant_is_named(cast: Cast, others: Cast) -> None:
    label = create_label(actor=others.sue, name="theirs")
    refused("malformed", save, cast.ann, filter={"labels": [str(label.pk)]})
    refused("malformed", save, cast.ann, filter={"owner": str(others.agent("ann").pk)})
    refused("malformed", save, cast.ann, filter={"team_id": str(others.team("Theirs").pk)})


def test_what_is_saved_is_what_is_read(cast: Cast) -> None:
    label = create_label(actor=cast.sue, name="refund")
    whole = {
        "view": "queue",
        "controller": ["queue", "bot"],
        "tier": [1, 2],
        "labels": [str(label.pk)],
        "owner": "me",
        "team_id": str(cast.team("Returns").pk),
        "platform": "default",
        "shop_id": "shop-1",
        "needs_human": False,
        "waiting_over": 0,
        "search": "refund",
    }
    view = save(cast.ann, filter=whole)
    view.refresh_from_db()
    assert view.filter == whole
    assert stored(view.filter).as_dict() == whole
    assert stored(view.filter | {"of a later version": 1}) == stored(view.filter)


# --- Whose it is -------------------------------------------------------------------------------------------------


def test_an_agent_keeps_its_own_and_supervisors_what_others_use(cast: Cast, others: Cast) -> None:
    team = cast.team("Returns", "ben")
    own = save(cast.ann, "Own")
    save(cast.sue, "Team", scope="team", team_id=team.pk)
    all_see = save(cast.sue, "All", scope="tenant")
    save(others.sue, "Elsewhere", scope="tenant")
    assert {view.name for view in views_of(cast.ann)} == {"Own", "All"}
    assert {view.name for view in views_of(cast.ben)} == {"Team", "All"}
    assert {view.name for view in views_of(cast.channel)} == {"All"}
    refused("forbidden", views_of, cast.chat().customer)
    refused("forbidden", save, cast.ann, "x", scope="tenant")
    refused("forbidden", save, cast.channel, "x")
    refused("forbidden", change_view, actor=cast.ann, view_id=all_see.pk, name="Mine")
    refused("forbidden", delete_view, actor=cast.ann, view_id=all_see.pk)
    refused("not_found", change_view, actor=cast.ben, view_id=own.pk, name="Mine")
    refused("not_found", delete_view, actor=others.sue, view_id=all_see.pk)
    assert change_view(actor=cast.ann, view_id=own.pk, name="Other").name == "Other"
    delete_view(actor=cast.ann, view_id=own.pk)
    delete_view(actor=cast.sue, view_id=all_see.pk)


def test_a_name_is_there_once_for_each_holder(cast: Cast) -> None:
    save(cast.ann)
    save(cast.ben)
    save(cast.sue, scope="tenant")
    refused("name_taken", save, cast.ann, " Waits ")
    refused("name_taken", save, cast.sue, scope="tenant")
    refused("malformed", save, cast.ann, "  ")
    refused("malformed", save, cast.ann, "x" * 61)


def test_there_are_not_endlessly_many(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_views, "MOST_VIEWS", 1)
    save(cast.ann)
    refused("conflict", save, cast.ann, "More")


# --- What it shows -----------------------------------------------------------------------------------------------


def test_each_part_narrows(cast: Cast, later: Later) -> None:
    queued, bot, served, flagged = cast.chat("q").queue(), cast.chat("b"), cast.chat("s").serve(), cast.chat("f")
    bot.robot(cast.faq)
    flagged.robot(cast.follow_up)
    conversations.raise_flag(actor=cast.ann, conversation_id=flagged.id)
    everything = {queued.id, bot.id, served.id, flagged.id}
    assert shows(cast.ann) == everything
    assert shows(cast.ann, view="queue") == {queued.id, flagged.id}
    assert shows(cast.ann, view="mine") == {served.id}
    assert shows(cast.ben, view="mine") == set()
    assert shows(cast.ann, controller=["queue", "human"]) == {queued.id, served.id}
    assert shows(cast.ann, tier=[3]) == {flagged.id}
    assert shows(cast.ann, needs_human=True) == {flagged.id}
    assert shows(cast.ann, needs_human=False) == everything - {flagged.id}
    assert shows(cast.ann, owner="me") == {served.id}
    assert shows(cast.ben, owner=str(cast.agent("ann").pk)) == {served.id}
    assert shows(cast.ann, owner="none") == {queued.id}
    assert shows(cast.ann, shop_id="shop-1") == everything
    assert shows(cast.ann, shop_id="Shop-1") == set()
    assert shows(cast.ann, platform="default", view="queue", tier=[2]) == {queued.id}
    later(60)
    assert shows(cast.ann, waiting_over=50) == {queued.id, flagged.id}
    assert shows(cast.ann, waiting_over=70) == set()


def test_labels_mean_any_of_them(cast: Cast) -> None:
    one, other = cast.chat(), cast.chat()
    cast.chat()
    kept = [create_label(actor=cast.sue, name=name) for name in ("a", "b")]
    for chat, label in zip((one, other), kept, strict=True):
        labels.label(actor=cast.ann, conversation_id=chat.id, label_id=label.pk)
    assert shows(cast.ann, labels=[str(label.pk) for label in kept]) == {one.id, other.id}
    assert shows(cast.ann, labels=[str(kept[0].pk)]) == {one.id}


def test_a_teams_is_what_waits_for_it_or_is_served_by_a_member(cast: Cast) -> None:
    team = cast.team("Returns", "ann")
    asked, served, neither = cast.chat(), cast.chat().serve(), cast.chat()
    asked.robot()
    asked.escalate(to_team_id=team.pk)
    neither.robot(cast.faq)
    assert shows(cast.ben, team_id=str(team.pk)) == {asked.id, served.id}


# MariaDB's full-text index shows a row once it is committed, even to the transaction that wrote it.
@pytest.mark.django_db(transaction=connection.vendor == "mysql")
def test_words_are_looked_for_as_everywhere(cast: Cast) -> None:
    said, named = cast.chat("first"), cast.chat("refund-friend")
    said.robot()
    said.says("Where is my refund?")
    named.robot(cast.faq)
    relay.stamp(cast.tenant.pk)
    while search.index(cast.tenant.pk):
        pass
    assert shows(cast.ann, search="refund") == {said.id, named.id}
    assert shows(cast.ann, search="where refund") == {said.id}
    assert shows(cast.ann, search="shop-1") == {said.id, named.id}


def test_another_tenants_are_never_shown(cast: Cast, others: Cast) -> None:
    others.chat().queue()
    assert shows(cast.ann) == shows(cast.ann, view="queue") == set()


def test_a_program_sees_through_it_what_it_sees_anyway(cast: Cast) -> None:
    mine, other = cast.chat(), cast.chat()
    mine.robot(cast.bargain)
    other.robot(cast.faq)
    view = save(cast.sue, filter={"view": "all"}, scope="tenant")
    own = save(cast.sue, "Own", filter={"owner": "me"}, scope="tenant")
    assert {row.pk for row in view_counts.within(cast.bargain, view.pk)} == {mine.id}
    assert {row.pk for row in view_counts.within(cast.channel, view.pk)} == {mine.id, other.id}
    assert not view_counts.within(cast.channel, own.pk).exists()


def test_it_has_the_desks_order_and_goes_on_from_keys(cast: Cast) -> None:
    for number in range(5):
        cast.chat().queue() if number % 2 else cast.chat().robot(cast.faq)
    view = save(cast.ann, filter={"controller": ["queue", "bot"]})
    whole = queries.list_page(actor=cast.ann, view=View.ALL, within=view_counts.within(cast.ann, view.pk))
    assert [row.id for row in whole.rows] == list(
        Conversation.objects.order_by("tier", "desk_order", "id").values_list("pk", flat=True)
    )
    seen, after = [], None
    while True:
        page = queries.list_page(
            actor=cast.ann, view=View.ALL, within=view_counts.within(cast.ann, view.pk), after=after, limit=2
        )
        seen += [row.id for row in page.rows]
        if (after := page.after) is None:
            break
    assert seen == [row.id for row in whole.rows]


def test_counts_stop_and_are_bounded(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(queries, "COUNT_MOST", 3)
    monkeypatch.setattr(view_counts, "COUNTED", 2)
    for _ in range(4):
        cast.chat()
    for name in "abcd":
        save(cast.ann, name)
    with django_assert_num_queries(2):
        counted = view_counts.counted(cast.ann)
    assert [(view.name, count) for view, count in counted] == [("a", 3), ("b", 3), ("c", None), ("d", None)]


def test_every_part_at_once_is_still_one_query(cast: Cast, chat: Chat, django_assert_num_queries: Any) -> None:
    label = create_label(actor=cast.sue, name="refund")
    wanted = Filter(
        view="queue",
        controller=("queue",),
        labels=(str(label.pk),),
        owner="me",
        team_id="1",
        waiting_over=5,
        search="x",
    )
    with django_assert_num_queries(2):  # one of them asks the database for the time
        list(view_counts.matching(cast.ann, wanted))
