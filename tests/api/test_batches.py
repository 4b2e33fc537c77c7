"""Batches by the API: small ones at once, large ones behind the answer, whatever happens in between."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.test import Client
from rest_framework.renderers import JSONRenderer
from rest_framework.serializers import ModelSerializer

from agents_app.credentials.secrets import issue_key
from agents_app.credentials.tokens import issue_token
from agents_app.models import ApiClient, Tenant
from messaging_app.models import Conversation, Message, Operation
from sessions_app.actions import import_queue
from sessions_app.api.batches import BatchResponse
from sessions_app.models import Batch, ChatSession
from tests.cast import Cast, Later

pytestmark = pytest.mark.django_db

DATA = settings.BASE_DIR.parent / "shared" / "data"
NDJSON = "application/x-ndjson"


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


class Program:
    """A program with a key."""

    def __init__(self, row: ApiClient) -> None:
        self._client = Client(headers={"Authorization": f"Bearer {issue_key(row)}"})

    def brings(self, rows: list[Any], *, lines: bool = False, **headers: str) -> Any:
        body = ndjson(rows) if lines else json.dumps({"rows": rows}).encode()
        return self.sends(body, NDJSON if lines else "application/json", **headers)

    def sends(self, body: bytes, content_type: str, **headers: str) -> Any:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.post("/api/v1/batches", body, content_type=content_type, headers=told)

    def asks(self, batch_id: str) -> Any:
        return self._client.get(f"/api/v1/batches/{batch_id}")


@pytest.fixture
def channel(cast: Cast) -> Program:
    return Program(cast.bot_row("channel"))


def row(number: int, **more: Any) -> dict[str, Any]:
    said = {"timestamp": f"2025-01-01T{number % 24:02}:00:00Z", "content": "hello", "sender_type": "customer"}
    return {"message_id": f"m-{number}", "shop_id": "lamps", "account_id": f"a-{number % 5}", **said, **more}


def ndjson(rows: list[Any]) -> bytes:
    return b"".join((line if isinstance(line, str) else json.dumps(line)).encode() + b"\n" for line in rows)


def many(count: int = 1500) -> list[Any]:
    return [row(number) for number in range(count)]


def sessions(tenant: Tenant) -> list[tuple[Any, ...]]:
    """What the batch made of its messages, without ids."""
    said: dict[int | None, list[str]] = {}
    for session_id, message_id in Message.objects.filter(tenant=tenant).values_list("session_id", "message_id"):
        said.setdefault(session_id, []).append(message_id)
    found = ChatSession.objects.filter(tenant=tenant)
    return sorted(
        (s.kind, s.status, s.opened_at, s.ended_at, s.message_count, sorted(said.get(s.pk, []))) for s in found
    )


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


# --- At once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [False, True])
def test_a_row_nested_as_deep_as_json_is_read_stops_no_other(channel: Program, lines: bool) -> None:
    answer = channel.brings([row(1, account_id=nested(900)), row(2, anything=nested(900)), row(3)], lines=lines)
    assert answer.status_code == 200, answer.content
    result = answer.json()["result"]
    assert (result["accepted"], [(one["line"], one["code"]) for one in result["rejections"]]) == (2, [(1, "malformed")])


@pytest.mark.parametrize("lines", [False, True])
def test_a_small_batch_is_answered_with_what_it_did(channel: Program, lines: bool) -> None:
    bad = [row(6, content=""), {"message_id": "m-7"}, 8]
    answer = channel.brings([*many(5), row(0), *bad], lines=lines)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["id"], told["state"], told["progress"]) == (None, "done", 1.0)
    assert told["result"] | {"rejections": []} == {
        "lines": 9,
        "accepted": 5,
        "duplicate": 1,
        "rejected": 3,
        "sessions_created": 5,
        "sessions_extended": 0,
        "sessions_joined": 0,
        "transfers_raised": 0,
        "rejections": [],
    }
    assert told["result"]["rejections"] == [
        {"line": 7, "code": "malformed", "reason": "content is empty"},
        {"line": 8, "code": "malformed", "reason": "account_id is missing"},
        {"line": 9, "code": "malformed", "reason": "a row is a JSON object, not a number"},
    ]
    assert Message.objects.count() == 5
    assert not Batch.objects.exists()


@pytest.mark.parametrize("count", [2, 1500])
def test_the_answer_is_to_the_byte_the_frameworks(
    channel: Program, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[bytes, bytes]] = []
    real = BatchResponse.to_representation

    def both(self: BatchResponse, batch: Batch) -> Any:
        fast, slow = (JSONRenderer().render(write(self, batch)) for write in (real, ModelSerializer.to_representation))
        shown.append((fast, slow))
        return real(self, batch)

    monkeypatch.setattr(BatchResponse, "to_representation", both)
    answer = channel.brings([*many(count), row(0), {}])
    if batch_id := answer.json()["id"]:
        import_queue.work_off(int(batch_id))
        channel.asks(batch_id)
    assert [fast for fast, _ in shown] == [slow for _, slow in shown]
    assert len(shown) == (2 if batch_id else 1)


def test_lines_may_be_blank_or_broken_or_lack_their_end(channel: Program) -> None:
    sent = ndjson([row(1), "", "{", row(2)]).rstrip(b"\n")
    result = channel.sends(sent, NDJSON).json()["result"]
    assert (result["lines"], result["accepted"], result["rejected"]) == (3, 2, 1)
    assert result["rejections"][0]["line"] == 3
    assert result["rejections"][0]["reason"].startswith("not JSON")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("sender_type", {}, "sender_type must be one of"),
        ("sender_type", ["customer"], "sender_type must be one of"),
        ("platform", "a\x00b", "platform holds a control character"),
        ("timestamp", "0001-01-01T00:00:00+14:00", "timestamp '0001-01-01T00:00:00+14:00' is before 2000-01-01"),
    ],
)
def test_a_row_that_no_database_would_take_is_rejected(channel: Program, field: str, value: Any, reason: str) -> None:
    result = channel.brings([row(1), row(2, **{field: value})]).json()["result"]
    assert (result["accepted"], result["rejected"]) == (1, 1)
    assert result["rejections"][0]["reason"].startswith(reason)


def test_of_many_rejections_the_first_are_told_and_all_are_counted(channel: Program) -> None:
    result = channel.brings([{}] * 300).json()["result"]
    assert result["rejected"] == 300
    assert [told["line"] for told in result["rejections"]] == list(range(1, 101))


def test_who_needs_a_human_is_brought_to_one(cast: Cast, channel: Program) -> None:
    from config import clock

    cast.rule("keyword", phrases=["human please"], effect="escalate")
    fresh = row(1, content="human please", timestamp=clock.now().isoformat())
    assert channel.brings([fresh]).json()["result"]["transfers_raised"] == 1
    assert Conversation.objects.get().controller == "queue"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"rows": 3}', b'{"rows": [], "more": 1}'])
def test_what_is_no_batch_is_refused(channel: Program, body: bytes) -> None:
    answer = channel.sends(body, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_a_batch_of_another_type_is_refused(channel: Program) -> None:
    assert channel.sends(b"a,b", "text/csv").status_code == 415


@pytest.mark.parametrize("content_type", ["application/json", NDJSON])
def test_what_is_too_large_is_refused_and_not_stored(
    channel: Program, settings: Any, content_type: str, folder: Path
) -> None:
    settings.BATCH_MAX_BYTES = 10_000
    answer = channel.brings(many(200), lines=content_type == NDJSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "10,000" in answer.json()["detail"]
    assert not Message.objects.exists()
    assert list(folder.iterdir()) == []


# --- Behind the answer -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [False, True])
def test_a_large_batch_is_taken_on_and_worked_off(channel: Program, lines: bool, folder: Path) -> None:
    answer = channel.brings([*many(1500), row(0), {}], lines=lines)
    assert answer.status_code == 202
    batch_id = answer.json()["id"]
    assert answer.headers["Location"] == f"/api/v1/batches/{batch_id}"
    assert (answer.json()["state"], answer.json()["progress"]) == ("waiting", 0.0)
    assert not Message.objects.exists()

    import_queue.work_off(int(batch_id))
    told = channel.asks(batch_id).json()
    assert (told["state"], told["progress"], told["error"]) == ("done", 1.0, "")
    result = told["result"]
    assert (result["lines"], result["accepted"], result["duplicate"], result["rejected"]) == (1502, 1500, 1, 1)
    assert result["rejections"] == [{"line": 1502, "code": "malformed", "reason": "message_id is missing"}]
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    import_queue.work_off(int(batch_id))
    assert channel.asks(batch_id).json() == told


def test_progress_is_told_between_the_parts(channel: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = channel.brings(many(), lines=True).json()["id"]
    seen: list[float] = []
    store = import_queue._store_part

    def watched(*args: Any) -> Any:
        done = store(*args)
        told = channel.asks(batch_id).json()
        seen.append(told["progress"])
        assert told["state"] == "working"
        assert told["result"]["accepted"] == 100 * len(seen)
        return done

    monkeypatch.setattr(import_queue, "_store_part", watched)
    import_queue.work_off(int(batch_id))
    assert len(seen) == 15
    assert seen == sorted(set(seen))
    assert seen[-1] == 1.0


class Killed(BaseException):
    """What no handler sees, as when the process is gone."""


def dying(monkeypatch: pytest.MonkeyPatch, at: int, when: str) -> None:
    """The worker ends in its `at`th part: before or after the rows of the part are stored."""
    store, parts = import_queue.ingest_batch, iter(range(1000))  # type: ignore[attr-defined]

    def kill(**kwargs: Any) -> Any:
        is_last = next(parts) == at
        if is_last and when == "before":
            raise Killed
        report = store(**kwargs)
        if is_last:
            raise Killed
        return report

    monkeypatch.setattr(import_queue, "ingest_batch", kill)


@pytest.mark.parametrize("when", ["before", "after"])
def test_it_goes_on_after_a_kill_and_counts_no_row_twice(
    cast: Cast, others: Cast, channel: Program, later: Later, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    rows = [*many(), {}]
    whole = Program(others.bot_row("channel")).brings(rows, lines=True).json()["id"]
    import_queue.work_off(int(whole))
    batch_id = channel.brings(rows, lines=True).json()["id"]
    for at in (3, 5):
        with monkeypatch.context() as patch:
            dying(patch, at, when)
            with pytest.raises(Killed):
                import_queue.work_off(int(batch_id))
        # Its lease still stands: nobody takes it, and then somebody does.
        before = Message.objects.count()
        import_queue.work_off(int(batch_id))
        assert (Message.objects.count(), list(import_queue._due())) == (before, [])
        later(16)
        assert [batch.pk for batch in import_queue._due()] == [int(batch_id)]
    assert channel.asks(batch_id).json()["result"]["accepted"] == 800
    import_queue.work_off(int(batch_id))

    told = channel.asks(batch_id).json()
    assert told["state"] == "done"
    assert told["result"] == Batch.objects.get(pk=whole).counts | {
        "rejections": [{"line": 1501, "code": "malformed", "reason": "message_id is missing"}]
    }
    assert sessions(cast.tenant) == sessions(others.tenant)


def test_who_lost_the_lease_stores_nothing_more(channel: Program) -> None:
    batch = Batch.objects.get(pk=channel.brings(many(), lines=True).json()["id"])
    lease = import_queue._claim(batch.pk)
    assert lease
    renewed = import_queue._store_part(batch.pk, lease, ndjson(many(10)).splitlines(keepends=True))
    assert renewed
    Batch.objects.filter(pk=batch.pk).update(lease_until=renewed + import_queue.LEASE)
    assert import_queue._store_part(batch.pk, renewed, ndjson(many(20)).splitlines(keepends=True)) is None
    assert Message.objects.count() == 10


def test_an_error_is_told_tried_again_and_given_up_in_the_end(
    channel: Program, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch.objects.get(pk=channel.brings(many(), lines=True).json()["id"])
    default_storage.delete(batch.file)
    for _ in range(import_queue.MOST_FAILURES):
        import_queue.work_off(batch.pk)
        later(6)
    told = channel.asks(str(batch.pk)).json()
    assert told["state"] == "failed"
    assert "FileNotFoundError" in told["error"]
    assert list(import_queue._due()) == []


def test_old_batches_and_files_left_behind_go(channel: Program, later: Later, folder: Path) -> None:
    batch_id = int(channel.brings(many(), lines=True).json()["id"])
    name = Batch.objects.get(pk=batch_id).file
    import_queue.work_off(batch_id)
    default_storage.save(name, BytesIO(b"left"))
    Batch.objects.filter(pk=batch_id).update(file=name)
    assert import_queue.forget() == 0
    assert not default_storage.exists(name)
    later(31 * 24 * 3600)
    assert import_queue.forget() == 1
    assert not Batch.objects.exists()


# --- Who ---------------------------------------------------------------------------------------------------------


def test_a_batch_is_its_senders_alone(cast: Cast, others: Cast, channel: Program) -> None:
    batch_id = channel.brings(many(), lines=True).json()["id"]
    for other in (cast.bot_row("faq"), others.bot_row("channel")):
        assert Program(other).asks(batch_id).status_code == 404
    assert channel.asks("999").json() == Program(cast.bot_row("faq")).asks(batch_id).json()


def test_bots_may_and_people_may_not(cast: Cast, client: Client) -> None:
    assert Program(cast.bot_row("bargain")).brings([row(1, sender_type="bot")]).status_code == 200
    chat = cast.chat()
    token = issue_token(chat.customer)
    answer = client.post(
        "/api/v1/batches",
        json.dumps({"rows": [row(2)]}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert Message.objects.count() == 1


def test_the_scope_is_asked_for(cast: Cast) -> None:
    cast.change("faq", scopes=["conversations:read"])
    answer = Program(cast.bot_row("faq")).brings([row(1)])
    assert (answer.status_code, answer.json()["scope"]) == (403, "messages:write")


# --- Sent again --------------------------------------------------------------------------------------------------


def test_sent_again_with_its_key_it_is_answered_as_the_first_time(channel: Program) -> None:
    for rows, status in ((many(10), 200), (many(), 202)):
        key = f"batch-{status}"
        first = channel.brings(rows, lines=True, Idempotency_Key=key)
        again = channel.brings(rows, lines=True, Idempotency_Key=key)
        assert first.status_code == again.status_code == status
        assert again.json() == first.json()
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.headers.get("Location") == first.headers.get("Location")
        other = channel.brings(rows[1:], lines=True, Idempotency_Key=key)
        assert other.status_code == 422
    assert Batch.objects.count() == 1


def test_sent_again_without_a_key_all_of_it_is_known(channel: Program) -> None:
    channel.brings(many(10))
    before = Operation.objects.count()
    result = channel.brings(many(10), lines=True).json()["result"]
    assert (result["accepted"], result["duplicate"], Operation.objects.count()) == (0, 10, before)


# --- The same as from a file -------------------------------------------------------------------------------------


@pytest.fixture
def from_a_file(others: Cast, tmp_path: Path) -> Callable[[bytes], dict[str, int]]:
    def ingest(data: bytes) -> dict[str, int]:
        path = tmp_path / "messages.ndjson"
        path.write_bytes(data)
        out = StringIO()
        call_command("ingest", str(path), tenant=others.tenant.slug, json=True, stdout=out)
        counts: dict[str, int] = json.loads(out.getvalue())
        del counts["interrupted"]
        return counts

    return ingest


@pytest.mark.skipif(not DATA.exists(), reason="the real conversations (../shared/data) are not here")
@pytest.mark.parametrize(
    ("name", "small"),
    [("edges.jsonl", 1000), ("sample.jsonl", 10), pytest.param("dirty.jsonl.gz", 1000, marks=pytest.mark.slow)],
)
def test_it_equals_the_same_file_read_by_ingest(
    cast: Cast,
    others: Cast,
    from_a_file: Callable[[bytes], dict[str, int]],
    channel: Program,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    small: int,
) -> None:
    monkeypatch.setattr(import_queue, "SMALL", small)
    packed = (DATA / name).read_bytes()
    data = gzip.decompress(packed) if name.endswith(".gz") else packed
    expected = from_a_file(data)
    told = channel.sends(data, NDJSON).json()
    if told["id"]:
        import_queue.work_off(int(told["id"]))
        told = channel.asks(told["id"]).json()
    del told["result"]["rejections"], told["result"]["sessions_extended"], expected["sessions_extended"]
    assert told["result"] == expected  # but how often a session was touched again, which is of the cut
    assert sessions(cast.tenant) == sessions(others.tenant)
