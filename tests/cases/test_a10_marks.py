"""A10: people type without marks and find what was written with them; what is exactly as typed comes first."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client

from messaging_app import search, tasks
from messaging_app.agent_tools import canned_replies
from messaging_app.folding import without_marks
from messaging_app.models import Conversation, MessageTerms
from messaging_app.models.agent_tools import CannedReply
from tests.api.world import agent, program
from tests.cast import Cast, Chat

# MariaDB's full-text index shows a row once it is committed, even to the transaction that wrote it.
pytestmark = pytest.mark.django_db(transaction=connection.vendor == "mysql")


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("café noël envío señor garçon", "cafe noel envio senor garcon"),
        ("đơn hàng của nguyễn thị hằng ở đâu", "don hang cua nguyen thi hang o dau"),
        ("łódź ørsted æsop œuvre ħal þor", "lodz orsted aesop oeuvre hal thor"),
        ("ǿre", "ore"),
        ("καλημέρα αϋπνία", "καλημερα αυπνια"),
        ("ёлка", "елка"),
        ("шалом שָׁלוֹם مُحَمَّد أحمد", "шалом שלום محمد احمد"),
        ("за\u0301мок", "замок"),  # an accent to show the stress
    ],
)
def test_a10_marks_that_people_leave_out_are_folded(written: str, typed: str) -> None:
    assert without_marks(written) == typed
    assert without_marks(typed) == typed


@pytest.mark.parametrize("text", ["мой", "їжак", "がぎぐ パパ", "น้ำ สวัสดี", "한국어", "हिन्दी में", "退款", "cafe 123"])
def test_a10_marks_that_carry_meaning_stay(text: str) -> None:
    assert without_marks(text) == text


def tick() -> None:
    tasks.stamp()
    tasks.index_search()


SAID = {
    "café": "Un café, por favor",
    "noël": "Joyeux Noël !",
    "envío": "¿Dónde está mi envío?",
    "đơn hàng": "Đơn hàng của tôi đâu rồi?",
    "がく": "がくせいです",
    "น้ำ": "ขอน้ำหน่อย",
}
ASKED = {
    "cafe": ["café"], "CAFÉ": ["café"], "caf": ["café"], "cafe favor": ["café"],
    "Noel": ["noël"], "envio": ["envío"], "donde envio": ["envío"], "don hang": ["đơn hàng"], "đon hang": ["đơn hàng"],
    "don han": ["đơn hàng"], "がく": ["がく"], "かく": [], "น้ำ": ["น้ำ"], "นา": [],
}  # fmt: skip


def test_a10_words_are_found_without_their_marks_and_with(cast: Cast) -> None:
    chats = {}
    for name, words in SAID.items():
        chats[name] = cast.chat()
        chats[name].says(words)
    tick()
    ann = agent(cast, "ann")
    for question, names in ASKED.items():
        answer = ann.get("conversations", search=question)
        assert answer.status_code == 200
        found = {int(row["id"]) for row in answer.json()["results"]}
        assert found == {chats[name].id for name in names}, question


def test_a10_a_customer_is_found_by_a_name_without_its_marks_in_every_place(cast: Cast) -> None:
    channel = program(cast, "channel")
    body = {"shop_id": "s", "account_id": "hằng.88", "customer_name": "Nguyễn Thị Hằng", "content": "Alo"}
    wanted = int(channel.post("inbound", body).json()["conversation_id"])
    channel.post("inbound", body | {"account_id": "x", "customer_name": "Nguyen Van An"})
    tick()
    ann = agent(cast, "ann")
    for question in ("nguyen thi hang", "Nguyễn thi hằng", "hang.88", "nguyen thi h"):
        answer = ann.get("conversations", search=question).json()["results"]
        assert [int(row["id"]) for row in answer] == [wanted], question
        assert ids(ann.client, "/desk/list/", q=question, view="all") == [wanted], question
        assert ids(ann.client, "/desk/command/", q=question) == [wanted], question


def ids(browser: Client, path: str, **asked: str) -> list[int]:
    answer = browser.get(path, asked, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    return [int(n) for n in dict.fromkeys(re.findall(r'data-conversation="(\d+)"', answer.content.decode()))]


@pytest.mark.parametrize(("typed", "first"), [("café", "café"), ("cafe", "cafe")])
def test_a10_what_is_exactly_as_typed_comes_first(cast: Cast, typed: str, first: str) -> None:
    chats = {words: cast.chat() for words in ("café", "cafe")}
    for words, chat in (*chats.items(), *reversed(chats.items())):
        chat.says(f"Un {words}")
    tick()
    order = ids(agent(cast, "ann").client, "/desk/command/", q=typed)
    assert order == [chats[first].id, *(chat.id for words, chat in chats.items() if words != first)]


def test_a10_a_canned_reply_is_found_without_marks_and_the_exact_one_first(cast: Cast) -> None:
    for shortcut, text in (("/a", "Ihr Kafe"), ("/b", "Ihr Kafé"), ("/c", "Đơn hàng của bạn")):
        canned_replies.create_reply(actor=cast.ann, shortcut=shortcut, title="Title", text=text)
    ann = agent(cast, "ann")

    def found(text: str) -> list[str]:
        return [row["shortcut"] for row in ann.get("canned-replies", q=text).json()["results"]]

    assert found("kafe") == ["/a", "/b"]
    assert found("kafé") == ["/b", "/a"]
    assert found("don hang") == ["/c"]


def test_a10_what_is_indexed_already_is_indexed_again_in_the_clocks_steps(chat: Chat) -> None:
    chat.says("Un café")
    tick()
    row = MessageTerms.objects.get()
    row.terms = search._stored(chat.cast.tenant.pk, "un") + " " + search._stored(chat.cast.tenant.pk, "café")
    row.save()
    reply = canned_replies.create_reply(actor=chat.cast.ann, shortcut="/a", title="Title", text="Un café")
    CannedReply.objects.filter(pk=reply.pk).update(sought="/a title un café")
    ann = agent(chat.cast, "ann")

    def found() -> int:
        return len(ann.get("conversations", search="cafe").json()["results"])

    assert found() == 0
    import_module("messaging_app.migrations.0012_search_without_marks").begin_again(apps, None)
    tick()
    assert found() == 1
    assert CannedReply.objects.get().sought.endswith("un cafe")


def test_a10_no_page_asks_more_for_it(cast: Cast, django_assert_max_num_queries: Any) -> None:
    chat = cast.chat()
    chat.says("Un café")
    Conversation.objects.filter(pk=chat.id).update(customer_name="Noël")
    tick()
    ann = agent(cast, "ann")
    ids(ann.client, "/desk/command/", q="noel")
    with django_assert_max_num_queries(12):
        assert ids(ann.client, "/desk/list/", q="noel", view="all") == [chat.id]
