"""Batches become messages and sessions, whatever way they are cut, and doing it again changes nothing."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from agents_app.actors import client_actor, customer_actor, system_actor
from agents_app.models import ApiClient, Tenant
from config import clock
from messaging_app import stream
from messaging_app.batch import read_line
from messaging_app.detection.defaults import install
from messaging_app.models import Conversation, Message, Operation
from messaging_app.thread import NewMessage
from sessions_app.actions import batches, inbound, lifecycle, messages
from sessions_app.actions.batch_rows import Report
from sessions_app.management.commands import loadsample
from sessions_app.management.sample import __file__ as _sample
from sessions_app.models import ChatSession, Transfer

pytestmark = pytest.mark.django_db

DATA = settings.BASE_DIR.parent / "shared" / "data"
OWN = Path(_sample).parent / "conversations.ndjson"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the real conversations (../shared/data) are not here")


@pytest.fixture
def tenant() -> Tenant:
    made = Tenant.objects.create(slug="batch", name="Batch")
    install(made)
    return made


def ingest(tenant: Tenant, lines: Iterable[bytes], size: int) -> Report:
    rows = (read_line(number, line) for number, line in enumerate(lines, 1))
    return batches.ingest_batch(actor=system_actor(tenant.pk), rows=rows, size=size)


def sessions(tenant: Tenant) -> list[tuple[Any, ...]]:
    """All that a session is, without the ids that depend on the order of storing."""
    said: dict[int | None, list[str]] = {}
    for session_id, message_id in Message.objects.filter(tenant=tenant).values_list("session_id", "message_id"):
        said.setdefault(session_id, []).append(message_id)
    return sorted(
        (
            session.conversation.shop_id,
            session.conversation.account_id,
            session.kind,
            session.status,
            session.owner_kind,
            session.opened_at,
            session.ended_at,
            session.first_message_at,
            session.last_message_at,
            session.message_count,
            json.dumps(session.context),
            sorted(said.get(session.pk, [])),
        )
        for session in ChatSession.objects.filter(tenant=tenant).select_related("conversation")
    )


def chains_are_whole(tenant: Tenant) -> bool:
    broken = (
        stream.first_broken_link(Operation.objects.filter(conversation=c).order_by("seq"))
        for c in Conversation.objects.filter(tenant=tenant)
    )
    return not any(broken)


def lines_of(name: str) -> list[bytes]:
    path = DATA / name
    packed = path.read_bytes()
    return (gzip.decompress(packed) if name.endswith(".gz") else packed).splitlines()


def rows_at(start: datetime, *said: tuple[float, str, str]) -> list[bytes]:
    """Rows of one conversation: seconds after `start`, who, what."""
    return [
        json.dumps(
            {
                "message_id": f"m{number}",
                "account_id": "anna",
                "shop_id": "lamps",
                "sender_type": who,
                "content": what,
                "timestamp": (start + timedelta(seconds=after)).isoformat(),
            }
        ).encode()
        for number, (after, who, what) in enumerate(said)
    ]


def test_the_shipped_sample_becomes_one_session_a_conversation(tenant: Tenant) -> None:
    report = ingest(tenant, OWN.read_bytes().splitlines(), 100)
    assert (report.accepted, report.duplicate, report.rejected) == (73, 0, 0)
    assert report.sessions_created == ChatSession.objects.count() == 12
    assert chains_are_whole(tenant)


def test_a_second_run_changes_nothing(tenant: Tenant) -> None:
    lines = OWN.read_bytes().splitlines()
    ingest(tenant, lines, 7)
    before = sessions(tenant), Operation.objects.count()
    report = ingest(tenant, lines, 11)
    assert (report.accepted, report.duplicate, report.sessions_created) == (0, 73, 0)
    assert (sessions(tenant), Operation.objects.count()) == before


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_the_sessions_do_not_depend_on_order_or_cut(tenant: Tenant, size: int) -> None:
    other = Tenant.objects.create(slug="other", name="Other")
    lines = OWN.read_bytes().splitlines()
    if DATA.exists():
        lines += lines_of("edges.jsonl")
    ingest(tenant, lines, 10_000)
    shuffled = random.Random(size).sample(lines, len(lines))
    report = ingest(other, shuffled, size)
    assert sessions(other) == sessions(tenant)
    assert report.sessions_created == ChatSession.objects.filter(tenant=other).count()
    assert chains_are_whole(other)


@needs_data
def test_the_edges_are_where_the_independent_count_has_them(tenant: Tenant) -> None:
    ingest(tenant, lines_of("edges.jsonl"), 10)
    expected = json.loads((DATA / "edges_expected.json").read_text())
    wanted = sorted(sorted(ids) for case in expected["cases"] for ids in case["sessions"])
    assert sorted(found[-1] for found in sessions(tenant)) == wanted


@needs_data
def test_dirty_rows_are_accepted_known_and_rejected_as_the_independent_count_has_them(tenant: Tenant) -> None:
    report = ingest(tenant, lines_of("dirty.jsonl.gz"), 1000)
    assert (report.lines, report.accepted, report.duplicate, report.rejected) == (7107, 6187, 640, 280)
    assert report.sessions_created == ChatSession.objects.count() == 951
    assert Message.objects.count() == 6187
    assert Conversation.objects.count() == 679


def _named_sets() -> list[str]:
    if not DATA.exists():
        return ["craigslist_bot"]
    return sorted(path.name.removesuffix(".jsonl.gz") for path in DATA.glob("*.jsonl.gz") if "dirty" not in path.name)


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("name", _named_sets())
def test_every_set_of_real_conversations_gives_the_counts_that_were_computed_independently(
    tenant: Tenant, name: str
) -> None:
    expected = json.loads((DATA / "expected_counts.json").read_text())[name]
    lines = lines_of(f"{name}.jsonl.gz")
    report = ingest(tenant, lines, 5000)
    assert (report.accepted, report.duplicate, report.rejected) == (expected["messages"], 0, 0)
    assert report.sessions_created == ChatSession.objects.count() == expected["sessions_gap_gt_1800s"]
    assert Conversation.objects.count() == expected["account_shop_pairs"]
    robots = ChatSession.objects.filter(kind="AUTO_ASSISTANT").count()
    assert robots == expected["sessions_gap_gt_1800s_with_a_bot_message"]
    again = ingest(tenant, lines, 5000)
    assert (again.accepted, again.sessions_created, again.sessions_joined) == (0, 0, 0)


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_dirty_rows_shuffled_and_cut_give_the_same_sessions(tenant: Tenant, size: int) -> None:
    # Of rows with one id the first wins, so only rows whose repeats are the same row may change places.
    other = Tenant.objects.create(slug="other", name="Other")
    lines = lines_of("dirty.jsonl.gz")
    verdicts = gzip.decompress((DATA / "dirty_key.tsv.gz").read_bytes()).decode().splitlines()
    good = [lines[int(v.split("\t")[0]) - 1] for v in verdicts if v.split("\t")[1] == "accept"]
    ingest(tenant, good, 10_000)
    ingest(other, random.Random(size).sample(good, len(good)), size)
    assert sessions(other) == sessions(tenant)


def test_a_late_message_joins_two_stretches_on_record(tenant: Tenant) -> None:
    start = clock.now() - timedelta(days=3)
    first, last, late = rows_at(start, (0, "customer", "a"), (3000, "customer", "b"), (1500, "bot", "c"))
    assert ingest(tenant, [first, last], 1).sessions_created == 2
    report = ingest(tenant, [late], 1)
    assert (report.sessions_created, report.sessions_joined) == (0, 1)
    session = ChatSession.objects.get()
    assert (session.message_count, session.kind) == (3, "AUTO_ASSISTANT")
    assert set(Message.objects.values_list("session_id", flat=True)) == {session.pk}
    told = Operation.objects.order_by("-seq").first()
    assert told is not None
    assert told.data["joined"] == [[session.pk + 1, session.pk]]


def test_a_person_of_the_shop_in_a_robots_stretch_is_a_takeover_inside_it(tenant: Tenant) -> None:
    start = clock.now() - timedelta(days=3)
    ingest(tenant, rows_at(start, (0, "bot", "a"), (10, "customer", "b"), (20, "agent", "c")), 2)
    session = ChatSession.objects.get()
    assert session.kind == "AUTO_ASSISTANT"
    assert session.context["human_since"] == clock.utc(start + timedelta(seconds=20))


@pytest.mark.parametrize(
    ("who", "owner", "controller"), [("bot", "bot", "bot"), ("agent", "shop", "human"), ("customer", "", "none")]
)
def test_a_fresh_stretch_is_alive_and_belongs_to_whoever_spoke_for_the_shop(
    tenant: Tenant, who: str, owner: str, controller: str
) -> None:
    ingest(tenant, rows_at(clock.now() - timedelta(seconds=60), (0, "customer", "hi"), (5, who, "hello")), 100)
    session = ChatSession.objects.get()
    assert (session.status, session.owner_kind) == ("ACTIVE", owner)
    assert Conversation.objects.get().controller == controller


def test_an_announced_robot_takes_the_place_of_a_stretch_that_was_only_found(tenant: Tenant) -> None:
    ingest(tenant, rows_at(clock.now() - timedelta(seconds=60), (0, "customer", "hi")), 100)
    bot = client_actor(ApiClient.objects.create(tenant=tenant, name="bot"))
    outcome = lifecycle.open_session(actor=bot, conversation_id=Conversation.objects.get().pk, robot=True)
    assert (outcome.rule, outcome.status, outcome.controller) == ("C0", "ACTIVE", "bot")


def test_a_robot_waits_where_a_person_of_the_shop_is_speaking(tenant: Tenant) -> None:
    ingest(tenant, rows_at(clock.now() - timedelta(seconds=60), (0, "customer", "hi"), (5, "shop", "hello")), 100)
    bot = client_actor(ApiClient.objects.create(tenant=tenant, name="bot"))
    outcome = lifecycle.open_session(actor=bot, conversation_id=Conversation.objects.get().pk, robot=True)
    assert (outcome.rule, outcome.status, outcome.controller) == ("C2", "PENDING", "human")


def test_a_fresh_call_for_a_human_raises_a_transfer_and_an_old_one_does_not(tenant: Tenant) -> None:
    said = ((0, "bot", "Hello"), (5, "customer", "I want to talk to a human agent"))
    assert ingest(tenant, rows_at(clock.now() - timedelta(days=2), *said), 100).transfers_raised == 0
    fresh = [
        line.replace(b"anna", b"ben").replace(b'"m0', b'"n0').replace(b'"m1', b'"n1')
        for line in rows_at(clock.now() - timedelta(seconds=60), *said)
    ]
    assert ingest(tenant, fresh, 100).transfers_raised == 1
    transfer = Transfer.objects.get()
    assert (transfer.kind, transfer.status) == ("escalation", "PENDING")
    assert Conversation.objects.get(account_id="ben").controller == "queue"


@pytest.mark.parametrize("size", [1, 2, 3, 5000])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_call_for_a_human_that_was_answered_raises_nothing_wherever_a_transaction_ends(
    tenant: Tenant, size: int, order: tuple[int, ...]
) -> None:
    said = (
        (0, "customer", "I want to talk to a human"),
        (120, "agent", "Hello, I am Ana"),
        (300, "customer", "Thanks"),
    )
    lines = rows_at(clock.now() - timedelta(minutes=20), *said)
    report = ingest(tenant, [lines[n] for n in order], size)
    assert (report.accepted, report.transfers_raised, report.sessions_created) == (3, 0, 1)
    conversation = Conversation.objects.get()
    assert (conversation.controller, conversation.needs_human) == ("human", False)
    assert [(s.status, s.owner_kind, s.message_count) for s in ChatSession.objects.all()] == [("ACTIVE", "shop", 3)]


@pytest.mark.parametrize("size", [1, 2, 5000])
def test_what_is_kept_back_is_stored_once_and_told_by_its_line(
    tenant: Tenant, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more of it than is kept back, too: the same id twice, far apart, and one id for two things."""
    monkeypatch.setattr(batches, "HELD", 2)
    said = [(n, "customer", f"{n}") for n in range(6)]
    lines = rows_at(clock.now() - timedelta(minutes=20), *said)
    other = lines[1].replace(b'"1"', b'"something else"')
    report = ingest(tenant, [*lines, lines[0], other, b"[]"], size)
    assert (report.lines, report.accepted, report.duplicate, report.rejected) == (9, 6, 2, 1)
    assert [one.line for one in report.rejections] == [8, 9]
    assert Message.objects.count() == 6


def test_a_row_inside_an_opened_session_belongs_to_it_and_leaves_it_as_it_was(tenant: Tenant) -> None:
    bot = client_actor(ApiClient.objects.create(tenant=tenant, name="bot"))
    conversation = lifecycle.conversation_for(actor=bot, shop_id="lamps", account_id="anna")
    opened = lifecycle.open_session(actor=bot, conversation_id=conversation.pk, robot=True)
    report = ingest(tenant, rows_at(clock.now(), (0.5, "customer", "hi"), (-7200, "customer", "long ago")), 1)
    assert report.sessions_created == 1
    assert Message.objects.get(message_id="m0").session_id == opened.session_id
    assert ChatSession.objects.get(pk=opened.session_id).status == "ACTIVE"
    assert ChatSession.objects.get(origin="grouped").status == "COMPLETED"


def test_the_beat_puts_messages_that_nobody_had_a_session_for_into_sessions(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = customer_actor(tenant)
    said = inbound.receive_message(actor=actor, words=NewMessage(content="anyone there?"), shop_id="s", account_id="c")
    assert said.controller == "none"
    assert batches.group_unsessioned().sessions_created == 0, "whoever was told of it may still open a session"
    monkeypatch.setattr(clock, "offset", timedelta(seconds=61))
    assert batches.group_unsessioned().sessions_created == 1
    session = ChatSession.objects.get()
    assert Message.objects.get().session_id == session.pk
    assert (session.message_count, session.status, session.origin) == (1, "ACTIVE", "grouped")
    assert batches.group_unsessioned().sessions_created == 0
    more = inbound.receive_message(
        actor=actor, words=NewMessage(content="hello?"), conversation_id=said.conversation_id
    )
    assert more.session_id == session.pk


def test_a_found_session_ends_by_silence_and_a_later_message_begins_a_new_one(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(tenant, rows_at(clock.now() - timedelta(seconds=60), (0, "customer", "hi"), (5, "bot", "hello")), 100)
    conversation = Conversation.objects.get()
    monkeypatch.setattr(clock, "offset", timedelta(seconds=1800))
    said = inbound.receive_message(
        actor=customer_actor(tenant), words=NewMessage(content="back again"), conversation_id=conversation.pk
    )
    assert said.controller == "none"
    assert ChatSession.objects.get().status == "TIMEOUT"
    monkeypatch.setattr(clock, "offset", timedelta(seconds=1861))
    batches.group_unsessioned()
    assert ChatSession.objects.filter(status="ACTIVE").count() == 1


def test_a_message_the_bot_posted_live_is_known_to_a_batch(tenant: Tenant) -> None:
    bot = client_actor(ApiClient.objects.create(tenant=tenant, name="bot"))
    conversation = lifecycle.conversation_for(actor=bot, shop_id="lamps", account_id="anna")
    opened = lifecycle.open_session(actor=bot, conversation_id=conversation.pk, robot=True)
    words = NewMessage(content="hello", message_id="m0")
    messages.post_message(actor=bot, conversation_id=conversation.pk, words=words, epoch=opened.epoch)
    report = ingest(tenant, rows_at(clock.now(), (0, "bot", "hello")), 100)
    assert (report.accepted, report.duplicate) == (0, 1)


# --- The command -----------------------------------------------------------------------------------------------------


def run(*args: str) -> dict[str, Any]:
    out = StringIO()
    call_command("ingest", *args, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_prints_one_object_and_writes_rejected_rows_with_line_and_reason(
    tenant: Tenant, tmp_path: Path
) -> None:
    file, rejects = tmp_path / "chat.ndjson", tmp_path / "bad.ndjson"
    good, bad = rows_at(clock.now() - timedelta(days=2), (0, "customer", "a"), (1, "customer", ""))
    file.write_bytes(b"\n".join([good, b"", bad, b"nonsense"]))
    told = run(str(file), "--tenant", tenant.slug, "--rejects", str(rejects))
    assert (told["lines"], told["accepted"], told["rejected"], told["sessions_created"]) == (3, 1, 2, 1)
    assert [(r["line"], r["reason"][:8]) for r in map(json.loads, rejects.read_text().splitlines())] == [
        (3, "content "),
        (4, "not JSON"),
    ]


def test_the_command_reads_packed_files(tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "chat.ndjson.gz"
    file.write_bytes(gzip.compress(OWN.read_bytes()))
    assert run(str(file), "--batch-size", "10")["accepted"] == 73


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("/nowhere.ndjson",), "There is no file"),
        (("/",), "is a folder"),
        (("-", "--tenant", "nobody"), "There is no tenant 'nobody'"),
        (("-", "--batch-size", "0"), "--batch-size must be at least 1"),
    ],
)
def test_the_command_says_what_is_wrong_with_its_arguments(tenant: Tenant, args: tuple[str, ...], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        call_command("ingest", *args)


def test_a_damaged_packed_file_is_named_and_what_came_before_the_damage_is_stored(
    tenant: Tenant, tmp_path: Path
) -> None:
    file = tmp_path / "chat.ndjson.gz"
    noise = b"\n".join(b"%d" % random.Random(7).getrandbits(4000) for _ in range(200))
    file.write_bytes(gzip.compress(OWN.read_bytes() + noise)[:-2000])
    with pytest.raises(CommandError, match="damaged"):
        call_command("ingest", str(file), "--batch-size", "10", "--rejects", str(tmp_path / "bad"))
    assert Message.objects.count() >= 70


def test_what_make_run_loads_is_there() -> None:
    assert loadsample.OWN_SAMPLE.is_file()
