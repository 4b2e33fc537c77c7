"""Canned replies, labels, saved views, mentions and bulk actions, as the API tells and takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging_app.agent_tools import canned_replies, labels, mentions
from messaging_app.models import Conversation, Operation
from messaging_app.thread import NewMessage
from sessions_app.actions import labels as labelling
from sessions_app.actions import messages, saved_views
from tests.api.world import Caller, agent, bearer, program
from tests.cast import Cast, Chat, snapshot

pytestmark = pytest.mark.django_db


def _results(caller: Caller, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = caller.get(path, **query)
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def _pages(caller: Caller, path: str) -> Iterator[list[str]]:
    """Follow `next` to the end."""
    address: str | None = path
    while address:
        answer = caller.get(address).json()
        yield [row["id"] for row in answer["results"]]
        address = answer["next"]


# --- Canned replies ----------------------------------------------------------------------------------------------


def test_a_reply_is_kept_found_filled_in_changed_and_deleted(cast: Cast) -> None:
    ann, chat = agent(cast, "ann"), cast.chat("li.wei")
    made = ann.post("canned-replies", {"shortcut": "Refund", "title": "Soon", "text": "Hello {customer}."}, key="k")
    assert made.status_code == 201
    assert (
        ann.post("canned-replies", {"shortcut": "Refund", "title": "Soon", "text": "Hello {customer}."}, key="k").json()
        == made.json()
    )
    one = f"canned-replies/{made.json()['id']}"
    assert {name: made.json()[name] for name in ("scope", "shortcut", "rendered")} == {
        "scope": "personal",
        "shortcut": "/refund",
        "rendered": None,
    }
    (found,) = _results(ann, "canned-replies", q="soon", scope="personal", conversation_id=chat.id)
    assert found["rendered"] == "Hello li.wei."
    assert ann.post(f"{one}/render", {"conversation_id": str(chat.id)}).json() == {"text": "Hello li.wei."}
    assert ann.send("PATCH", one, {"title": "Later"}).json()["title"] == "Later"
    assert ann.get(one).json()["text"] == "Hello {customer}."
    assert ann.send("DELETE", one).status_code == 204
    assert ann.get(one).status_code == 404


def test_an_unknown_variable_is_answered_with_the_known_ones(cast: Cast) -> None:
    told = agent(cast, "ann").post("canned-replies", {"shortcut": "x", "title": "x", "text": "Hello {name}"}).json()
    assert (told["code"], told["status"], told["variable"]) == ("malformed", 400, "name")
    assert "{first_name}" in told["detail"]


def test_pages_of_what_was_found_go_on_without_a_gap_or_a_double(cast: Cast) -> None:
    for number in range(7):
        canned_replies.create_reply(actor=cast.ann, shortcut=f"/refund-{number}", title="x", text="x")
        canned_replies.create_reply(
            actor=cast.sue, shortcut=f"/thanks-{number}", title="refund", text="x", scope="tenant"
        )
    ann = agent(cast, "ann")
    pages = list(_pages(ann, "canned-replies?q=refund&limit=3"))
    assert [len(page) for page in pages] == [3, 3, 3, 3, 2]
    assert [pk for page in pages for pk in page] == [row["id"] for row in _results(ann, "canned-replies", q="refund")]
    assert [row["scope"] for row in _results(ann, "canned-replies", q="refund")] == ["personal"] * 7 + ["tenant"] * 7


def test_a_strange_query_is_answered(cast: Cast) -> None:
    ann = agent(cast, "ann")
    for query, status in (
        ({"conversation_id": "999999"}, 404),
        ({"conversation_id": "x"}, 400),
        ({"scope": "galaxy"}, 400),
        ({"q": "%_\\"}, 200),
        ({"cursor": "x"}, 400),
    ):
        assert ann.get("canned-replies", **query).status_code == status, query


def test_a_reply_is_filled_in_for_no_conversation_of_others(cast: Cast, others: Cast) -> None:
    canned_replies.create_reply(actor=cast.sue, shortcut="/x", title="x", text="{customer}", scope="tenant")
    foreign = others.chat()
    mine, theirs = cast.chat(), cast.chat()
    mine.robot(cast.bargain)
    bot = program(cast, "bargain")
    assert bot.get("canned-replies", conversation_id=mine.id).status_code == 200
    for chat in (theirs, foreign):
        assert bot.get("canned-replies", conversation_id=chat.id).status_code == 404


# --- Labels ------------------------------------------------------------------------------------------------------


def test_labels_are_told_with_the_conversation_and_found_by(cast: Cast) -> None:
    one, other = cast.chat(), cast.chat()
    sue, channel = agent(cast, "sue"), program(cast, "channel")
    label = sue.post("labels", {"name": "refund", "colour": "teal"}).json()
    assert channel.post(f"conversations/{one.id}/label", {"label_id": label["id"]}).status_code == 200
    assert channel.get(f"conversations/{one.id}").json()["labels"] == [label]
    assert [row["id"] for row in _results(sue, "conversations", label=label["id"])] == [str(one.id)]
    assert _results(sue, "conversations", label="999999") == []
    assert sue.send("DELETE", f"labels/{label['id']}").json()["code"] == "label_in_use"
    again = channel.post(f"conversations/{one.id}/label", {"label_id": label["id"]}).json()
    assert again["is_repeat"]
    channel.post(f"conversations/{one.id}/unlabel", {"label_id": label["id"]})
    assert channel.get(f"conversations/{one.id}").json()["labels"] == []
    assert channel.post(f"conversations/{other.id}/label", {"label_id": "999999"}).status_code == 404


def test_customers_and_participants_see_no_labels(cast: Cast, chat: Chat) -> None:
    label = labels.create_label(actor=cast.sue, name="difficult")
    chat.serve()
    labelling.label(actor=cast.ann, conversation_id=chat.id, label_id=label.pk)
    for outsider in (bearer(chat.customer), bearer(chat.guest())):
        assert outsider.get(f"conversations/{chat.id}").json()["labels"] == []
        assert "difficult" not in outsider.get(f"conversations/{chat.id}/timeline").content.decode()
        assert outsider.get("labels").status_code == 403


@pytest.mark.parametrize("with_labels", [True, False])
def test_a_list_costs_the_same_however_many_labels(cast: Cast, with_labels: bool) -> None:
    ann, costs = agent(cast, "ann"), []
    names = [labels.create_label(actor=cast.sue, name=f"label {number}").pk for number in range(3)]
    for count in (1, 10):
        for _ in range(count):
            chat = cast.chat()
            for pk in names if with_labels else ():
                labelling.label(actor=cast.ann, conversation_id=chat.id, label_id=pk)
        with CaptureQueriesContext(connection) as queries:
            _results(ann, "conversations")
        costs.append(len(queries))
    assert costs[0] == costs[1]


# --- Saved views -------------------------------------------------------------------------------------------------


def test_a_view_is_saved_and_shown_in_the_desks_order(cast: Cast) -> None:
    ann = agent(cast, "ann")
    chats = [cast.chat().queue() if number % 2 else cast.chat() for number in range(6)]
    made = ann.post("saved-views", {"name": "Waits", "filter": {"view": "queue"}}, key="k").json()
    assert made["filter"] == {"view": "queue"}
    order = Conversation.objects.filter(controller="queue").order_by("tier", "desk_order", "id")
    expected = [str(pk) for pk in order.values_list("pk", flat=True)]
    assert len(expected) == 3
    assert [row["id"] for row in _results(ann, "conversations", saved_view=made["id"])] == expected
    assert list(_pages(ann, f"conversations?saved_view={made['id']}&limit=2")) == [expected[:2], expected[2:]]
    narrower = ann.get("conversations", saved_view=made["id"], account_id=chats[1].row.account_id)
    assert [row["id"] for row in narrower.json()["results"]] == [str(chats[1].id)]
    assert ann.get("conversations", saved_view=made["id"], cursor="nonsense").status_code == 400
    assert ann.get("conversations", saved_view="999999").status_code == 404
    assert ann.get("conversations", saved_view="x").status_code == 400
    changed = ann.send("PATCH", f"saved-views/{made['id']}", {"filter": {"owner": "me"}}).json()
    assert (changed["name"], changed["filter"]) == ("Waits", {"owner": "me"})
    assert _results(ann, "conversations", saved_view=made["id"]) == []
    assert ann.send("DELETE", f"saved-views/{made['id']}").status_code == 204
    assert _results(ann, "saved-views") == []


def test_what_is_wrong_with_a_filter_is_told_by_field(cast: Cast) -> None:
    ann = agent(cast, "ann")
    for filter, field in (
        ({"colour": "red"}, "filter.colour"),
        ({"tier": [9]}, "filter.tier.0"),
        ({"labels": ["999999"]}, "labels"),
        ({"owner": "Ann"}, "filter.owner"),
        ({"waiting_over": "5"}, "filter.waiting_over"),
    ):
        told = ann.post("saved-views", {"name": "x", "filter": filter}).json()
        assert (told["code"], list(told["errors"])) == ("malformed", [field])


def test_ids_in_a_filter_come_back_as_they_were_sent(cast: Cast) -> None:
    label, team = labels.create_label(actor=cast.sue, name="refund"), cast.team("Returns")
    filter = {"labels": [str(label.pk)], "team_id": str(team.pk), "owner": str(cast.agent("ben").pk), "tier": [2]}
    made = agent(cast, "ann").post("saved-views", {"name": "x", "filter": filter}).json()
    assert made["filter"] == filter


def test_a_supervisors_team_view_is_seen_by_its_members(cast: Cast) -> None:
    team = cast.team("Returns", "ben")
    body = {"scope": "team", "team_id": str(team.pk), "name": "Ours", "filter": {"team_id": str(team.pk)}}
    assert agent(cast, "sue").post("saved-views", body).status_code == 201
    assert [row["name"] for row in _results(agent(cast, "ben"), "saved-views")] == ["Ours"]
    assert _results(agent(cast, "ann"), "saved-views") == []
    assert _results(program(cast, "channel"), "saved-views") == []


def test_a_view_costs_the_same_however_long(cast: Cast) -> None:
    view, ann, costs = (
        saved_views.create_view(actor=cast.ann, name="x", filter={"view": "queue"}),
        agent(cast, "ann"),
        [],
    )
    for count in (1, 8):
        for _ in range(count):
            cast.chat().queue()
        with CaptureQueriesContext(connection) as queries:
            assert _results(ann, "conversations", saved_view=view.pk)
        costs.append(len(queries))
    assert costs[0] == costs[1]


# --- Mentions ----------------------------------------------------------------------------------------------------


def test_the_mentioned_finds_the_note_and_reads_it(cast: Cast, chat: Chat) -> None:
    ben, ann = agent(cast, "ben"), agent(cast, "ann")
    told = ben.post(f"conversations/{chat.id}/notes", {"content": "@Ann look, @Cat too"})
    assert told.status_code == 201
    (mention,) = _results(ann, "mentions", unread="true")
    assert (mention["message"]["content"], mention["message"]["sender_name"]) == ("@Ann look, @Cat too", "Ben")
    assert _results(ben, "mentions") == []
    first = ann.post(f"mentions/{mention['id']}/read").json()["read_at"]
    assert first
    assert ann.post(f"mentions/{mention['id']}/read").json()["read_at"] == first
    assert _results(ann, "mentions", unread="true") == []
    assert len(_results(ann, "mentions", unread="false")) == len(_results(ann, "mentions")) == 1
    assert agent(cast, "cat").get("mentions", unread="maybe").status_code == 400


def test_reading_the_conversation_reads_its_mentions(cast: Cast, chat: Chat) -> None:
    messages.post_note(actor=cast.sue, conversation_id=chat.id, words=NewMessage(content="@Ann"))
    agent(cast, "ann").post(f"conversations/{chat.id}/read", {"seq": chat.row.seq})
    assert mentions.mentions_of(cast.ann).get().read_at


# --- Many at once ------------------------------------------------------------------------------------------------


def _bulk(caller: Caller, action: str, *ids: int, key: str = "", **more: Any) -> Any:
    return caller.post("conversations/bulk", {"ids": [str(pk) for pk in ids], "action": action, **more}, key=key)


def test_each_conversation_is_told_what_became_of_it(cast: Cast, others: Cast) -> None:
    mine, bens, foreign = cast.chat().serve(), cast.chat(), others.chat().serve()
    bens.robot()
    bens.take(cast.ben)
    answer = _bulk(agent(cast, "ann"), "resolve", mine.id, bens.id, foreign.id, 999999)
    assert answer.status_code == 200
    told = answer.json()
    assert told["done"] == 1
    first, second, *missing = told["results"]
    assert (first["is_done"], first["outcome"]["status"], first["problem"]) == (True, "COMPLETED", None)
    assert (second["is_done"], second["outcome"], second["problem"]["code"]) == (False, None, "forbidden")
    assert second["problem"]["owner_name"] == "Ben"
    assert missing[0]["problem"] == missing[1]["problem"], "another tenant's is not told from what does not exist"


def test_sent_again_with_its_key_nothing_is_done_again(cast: Cast) -> None:
    chats, ann = [cast.chat().serve() for _ in range(2)], agent(cast, "ann")
    first = _bulk(ann, "release", *(chat.id for chat in chats), key="k")
    assert first.json()["done"] == 2
    before = Operation.objects.count()
    again = _bulk(ann, "release", *(chat.id for chat in chats), key="k")
    assert (again.status_code, again.json(), again["Idempotent-Replayed"]) == (200, first.json(), "true")
    assert Operation.objects.count() == before
    assert _bulk(ann, "pin", *(chat.id for chat in chats), key="k").status_code == 422


def test_what_is_wrong_as_a_whole_is_refused(cast: Cast, chat: Chat) -> None:
    ann, before = agent(cast, "ann"), None
    label = labels.create_label(actor=cast.sue, name="refund")
    before = snapshot()
    for body in (
        {"ids": [], "action": "pin"},
        {"ids": [str(chat.id)], "action": "explode"},
        {"ids": [str(n) for n in range(1, 102)], "action": "pin"},
        {"ids": [chat.id], "action": "pin"},
        {"ids": [str(chat.id)], "action": "label"},
        {"ids": [str(chat.id)], "action": "pin", "label_id": str(label.pk)},
    ):
        assert ann.post("conversations/bulk", body).status_code == 400, body
    assert snapshot() == before


@pytest.mark.django_db(transaction=True)
def test_each_conversation_has_a_transaction_of_its_own() -> None:
    """A failure in the middle leaves what was done before it done."""
    cast = Cast()
    chats, ann = [cast.chat().serve() for _ in range(3)], agent(cast, "ann")
    breaking = chats[1].row.pk

    def breaks(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith('UPDATE "messaging_app_conversation"') and params[-1] == breaking:
            raise RuntimeError("the machine fails")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(breaks):
        told = _bulk(ann, "pin", *(chat.id for chat in chats), key="k").json()
    assert (told["done"], [bool(chat.row.pinned_at) for chat in chats]) == (2, [True, False, True])
    assert _bulk(ann, "pin", *(chat.id for chat in chats), key="k").json() == told
    assert _bulk(ann, "pin", *(chat.id for chat in chats), key="again").json()["done"] == 3
    assert [chat.event_types.count("conversation.pinned") for chat in chats] == [1, 1, 1]
