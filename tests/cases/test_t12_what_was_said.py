"""Trust, T12: what customers have said already is stored, whatever it holds; names and ids alike at every door."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import Malformed
from config.limits import MAX_CONTENT
from messaging_app import incoming, relay, search
from messaging_app.models import Conversation, Message, Operation
from sessions_app.manager import AutoSessionManager
from tests.api.world import Caller, program
from tests.cast import Cast, Chat

pytestmark = pytest.mark.django_db

KEY = {"shop_id": "lamps", "account_id": "anna"}
OLD = "2025-01-01T08:00:00Z"
HEX = {
    "nul": ("a\x00b", "a\ufffdb"),
    "half an emoji": ("x\ud83dy", "x\ufffdy"),
    "an emoji": ("\ud83d\ude00", "\U0001f600"),
}


@pytest.fixture
def channel(cast: Cast) -> Caller:
    return program(cast, "channel")


def row(content: str, **more: Any) -> dict[str, Any]:
    return {**KEY, "message_id": "m-1", "timestamp": OLD, "sender_type": "customer", "content": content, **more}


def sends(channel: Caller, path: str, body: bytes, content_type: str = "application/json") -> Any:
    return channel.client.post(f"/api/v1/{path}", body, content_type=content_type)


# --- Texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sent", "kept"), HEX.values(), ids=HEX)
def test_t12_what_no_database_holds_is_replaced_and_the_rest_is_kept(
    cast: Cast, channel: Caller, sent: str, kept: str, tmp_path: Path
) -> None:
    assert channel.post("inbound", {**KEY, "content": sent, "message_id": "live"}).status_code == 201
    assert channel.post("inbound", {**KEY, "content": sent, "message_id": "live"}).json()["is_repeat"]
    assert channel.post("batches", {"rows": [row(sent, message_id="batch")]}).json()["result"]["accepted"] == 1
    lines = json.dumps(row(sent, message_id="lines")).encode()
    assert sends(channel, "batches", lines, "application/x-ndjson").json()["result"]["accepted"] == 1
    assert AutoSessionManager("shop").process_chat_messages([row(sent, message_id="facade")]).processed_count == 1
    file = tmp_path / "chat.ndjson"
    file.write_text(json.dumps(row(sent, message_id="file")))
    call_command("ingest", str(file), "--tenant", "shop", stdout=StringIO())
    assert dict(Message.objects.values_list("message_id", "content")) == dict.fromkeys(
        ["live", "batch", "lines", "facade", "file"], kept
    )
    assert channel.get(f"conversations/{Conversation.objects.get().pk}/messages").status_code == 200


def test_t12_a_long_text_is_taken_at_every_door_and_one_letter_more_at_none(cast: Cast, channel: Caller) -> None:
    text = "é" * MAX_CONTENT
    assert MAX_CONTENT >= 65_536
    assert channel.post("inbound", {**KEY, "content": text, "message_id": "live"}).status_code == 201
    assert channel.post("inbound", {**KEY, "content": text + "x"}).status_code == 400
    told = channel.post("batches", {"rows": [row(text, message_id="a"), row(text + "x", message_id="b")]}).json()
    assert (told["result"]["accepted"], told["result"]["rejected"]) == (1, 1)
    assert {len(content) for content in Message.objects.values_list("content", flat=True)} == {MAX_CONTENT}
    chat = cast.chat()
    chat.human()
    from tests.api.world import agent

    body = {"conversation_id": str(chat.id), "content": text}
    assert agent(cast, "ann").post("messages", body).status_code == 201
    assert agent(cast, "ann").post(f"conversations/{chat.id}/notes", {"content": text}).status_code == 201
    page = agent(cast, "ann").client.get(f"/desk/c/{chat.id}/").content.decode()
    assert f'maxlength="{MAX_CONTENT}"' in page


@pytest.mark.parametrize("path", ["inbound", "batches", "lines", "file"])
def test_t12_a_byte_order_mark_is_no_part_of_what_was_sent(channel: Caller, path: str, tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    live, line = json.dumps({**KEY, "content": "hello"}).encode(), json.dumps(row("hello")).encode()
    if path == "inbound":
        assert sends(channel, "inbound", mark + live).status_code == 201
    elif path == "batches":
        assert sends(channel, "batches", mark + b'{"rows": [' + line + b"]}").json()["result"]["accepted"] == 1
    elif path == "lines":
        body = mark + line + b"\n" + mark + b"\n"
        told = sends(channel, "batches", body, "application/x-ndjson").json()["result"]
        assert (told["accepted"], told["rejected"]) == (1, 0)
    else:
        file = tmp_path / "chat.ndjson"
        file.write_bytes(mark + line)
        call_command("ingest", str(file), "--tenant", "shop", stdout=StringIO())
    assert Message.objects.get().content == "hello"


# --- Names -----------------------------------------------------------------------------------------------------------


def test_t12_a_name_that_comes_later_is_set_and_the_newest_counts_on_record(cast: Cast, channel: Caller) -> None:
    names = []
    for number, name in enumerate(("", "Anna", "", " Anna  \n", "Anna Lee", None)):
        body = {**KEY, "content": f"{number}"} | ({} if name is None else {"customer_name": name})
        assert channel.post("inbound", body).status_code == 201
        names.append(Conversation.objects.get().customer_name)
    assert names == ["", "Anna", "Anna", "Anna", "Anna Lee", "Anna Lee"]
    told = list(Operation.objects.filter(type="customer.renamed").order_by("seq"))
    assert [bool(one.data["replaces"]) for one in told] == [False, True]
    assert told[1].data["replaces"] == told[0].data["digest"]
    assert all("Anna" not in json.dumps(one.data) for one in told)
    events = channel.get("events", after=0).json()["events"]
    assert [one["type"] for one in events].count("customer.renamed") == 2


@pytest.mark.django_db(transaction=True)  # MariaDB's index shows what is committed
def test_t12_a_customer_is_found_by_the_newest_name(cast: Cast, channel: Caller) -> None:
    for name in ("Anna", "Bella Lee"):
        channel.post("inbound", {**KEY, "content": name[:1], "customer_name": name})
        relay.stamp(cast.tenant.pk)
        while search.index(cast.tenant.pk):
            pass
    found = {text: channel.get("conversations", search=text).json()["results"] for text in ("anna", "lee")}
    assert [one["customer_name"] for one in found["lee"]] == ["Bella Lee"]
    assert Conversation.objects.get().customer_name == "Bella Lee"


def test_t12_a_customers_own_token_does_not_rename_and_old_words_do_not_either(chat: Chat, channel: Caller) -> None:
    from tests.api.world import bearer

    body = {"conversation_id": str(chat.id), "content": "hello"}
    channel.post("inbound", body | {"customer_name": "Anna"})
    bearer(chat.customer).post("inbound", body | {"customer_name": "The King"})
    channel.post("inbound", body | {"customer_name": "Anne", "sent_at": OLD})
    assert chat.row.customer_name == "Anna"


# --- Ids -------------------------------------------------------------------------------------------------------------

SPELLINGS = (" café", "cafe\u0301", "café\n", "\u00a0cafe\u0301 ")


def test_ids_name_the_same_conversation_however_they_are_written(cast: Cast, channel: Caller) -> None:
    channel.post("inbound", {"shop_id": "café", "account_id": "café", "platform": "café", "content": "hello"})
    for number, spelling in enumerate(SPELLINGS):
        key = {"shop_id": spelling, "account_id": spelling, "platform": spelling}
        assert channel.post("inbound", {**key, "content": "again"}).status_code == 201
        sent = row("batch", message_id=f"b-{number}") | key
        assert channel.post("batches", {"rows": [sent]}).json()["result"]["accepted"] == 1
        assert channel.post("sessions", {**key, "robot": False}).status_code in (200, 201, 409)
        assert channel.get("conversations/availability", **key).json()["conversation_id"] is not None
        assert len(channel.get("conversations", **key).json()["results"]) == 1
        facade = AutoSessionManager("shop", platform=spelling)
        assert facade.check_availability(shop_id=spelling, user_id=spelling).conversation_id is not None
        assert facade.process_chat_messages([sent | {"message_id": f"f-{number}"}]).processed_count == 1
    assert Conversation.objects.count() == 1


@pytest.mark.parametrize("bad", ["", " ", "\u3000\n", "a\x00b", "a\x07b", "a\u2028b", "x" * 192, "x\ud800"])
def test_ids_that_cannot_be_are_refused_at_every_door(cast: Cast, channel: Caller, bad: str) -> None:
    for name in ("shop_id", "account_id", "platform", "message_id"):
        assert channel.post("inbound", {**KEY, "content": "hello", name: bad}).status_code == 400, name
        assert channel.post("batches", {"rows": [row("hello", **{name: bad})]}).json()["result"]["rejected"] == 1, name
    for name in ("shop_id", "account_id"):
        with pytest.raises(Malformed):
            AutoSessionManager("shop").check_availability(**{"shop_id": "s", "user_id": "a"} | {_FACADE[name]: bad})
    assert not Message.objects.exists()


_FACADE = {"shop_id": "shop_id", "account_id": "user_id"}


def test_a_facades_odd_rows_stop_nothing(cast: Cast) -> None:
    rows: list[Any] = [5, None, {"sender_type": []}, {"content": "\ud800"}, {"user_id": True}, row("good", shop_id=7)]
    told = AutoSessionManager("shop").process_chat_messages(rows, shop_id=1)
    assert (told.processed_count, told.rejected_count) == (1, 5)


# --- Whatever comes --------------------------------------------------------------------------------------------------

letters = st.characters(codec=None)
texts = st.text(letters, max_size=30) | st.sampled_from(["\x00", "\ud800", "\udc00\ud800", " ", "\u202e", "e\u0301"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(texts)
def test_a_text_is_clean_once_it_is_cleaned(text: str) -> None:
    kept = incoming.clean(text)
    kept.encode()
    assert "\x00" not in kept
    assert incoming.clean(kept) == kept
    assert len(kept) <= len(text)


@given(texts)
def test_an_id_that_is_taken_is_taken_as_it_is_kept(text: str) -> None:
    try:
        kept = incoming.identifier(text, "it")
    except Malformed:
        return
    kept.encode()
    assert incoming.identifier(kept, "it") == incoming.identifier(f" {text}\t", "it") == kept


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    field=st.sampled_from([*row("x"), "platform", "sender_name", "sender_id", "is_robot", "epoch", "other"]),
    value=values,
    live=st.booleans(),
)
def test_no_value_of_any_field_is_an_error_of_ours_or_stops_the_next_row(
    cast: Cast, field: str, value: Any, live: bool
) -> None:
    channel = program(cast, "channel")
    if live:
        body = {**KEY, "content": "hello"} | ({field: value} if field not in ("timestamp", "sender_type") else {})
        assert channel.post("inbound", body).status_code in (201, 400, 409)
    else:
        good = row("good", message_id=f"good-{Message.objects.count()}")
        answer = channel.post("batches", {"rows": [row("x") | {field: value}, good]})
        assert answer.status_code == 200, answer.content
        told = answer.json()["result"]
        assert told["lines"] == told["accepted"] + told["duplicate"] + told["rejected"] == 2
        assert Message.objects.filter(message_id=good["message_id"]).exists()
