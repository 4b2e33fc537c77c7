"""The stream: one operation per change, numbered without a gap, chained, replayable, announced after commit only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import example, given
from hypothesis import strategies as st

from agents_app.actors import system_actor
from config.db import lock_rows
from config.errors import DomainError
from messaging_app import live, relay, stream
from messaging_app.batch import BatchRow
from messaging_app.models import Conversation, Message, Operation, StreamHead
from messaging_app.thread import NewMessage
from sessions_app.actions import conversations, flows, lifecycle, messages, participants
from sessions_app.states import Kind
from tests.cast import Cast, Chat, Later, refused
from tests.patience import PATIENCE

on_sqlite = pytest.mark.skipif(
    "sqlite" not in connection.settings_dict["ENGINE"], reason="writers are serial on SQLite only"
)

on_postgresql = pytest.mark.skipif(
    "postgresql" not in connection.settings_dict["ENGINE"], reason="positions with the commit on PostgreSQL only"
)


@pytest.fixture
def stamped() -> Callable[[], None]:
    """Give every operation its position, as the relay does; on SQLite each has it already."""

    def stamp() -> None:
        for tenant_id in Operation.objects.values_list("tenant_id", flat=True).distinct():
            relay.stamp(tenant_id)

    return stamp


@given(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=20)] * 3)
@example("\x00\x1f\x7f\u2028", '"\\/\b\f\n\r\t', "👍🏽 e\u0301 \ufffd")
def test_a_messages_proof_is_over_its_canonical_json(message_id: str, name: str, content: str) -> None:
    at = datetime(2026, 3, 1, 8, 30, tzinfo=timezone(timedelta(hours=2)))
    row = BatchRow(1, "p", "s", "a", message_id, Message.Sender.CUSTOMER, content, at, "7", name)
    fields = ["p", message_id, "customer", "7", name, False, "2026-03-01T06:30:00.000000+00:00", content]
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    assert stream.message_proof(row) == hashlib.sha256(text.encode()).hexdigest()[:32]


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(ANY_TEXT, ANY_JSON, max_size=5))
@example({"b": 1, "a": [{"z": 1, "é": 2, "\uffff": 3, "\U00010000": 4}], "": '\x00\x1f\x7f\u2028"\\/'})
@example({"fractions": [1e16, 1e-7, 0.1, -0.0, 1e22], "large": [2**63, 2**64, -(2**63)], "kind": Kind.AUTO_BARGAIN})
def test_an_operations_link_is_over_its_canonical_json(data: dict[str, Any]) -> None:
    fields = [1, None, "type", stream._plain(data)]
    text = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert stream._canonical(fields) == text.encode()


@given(ANY_JSON)
@example([1, "a", None, [2.0]])
@example({"a": [True, 2**63, {"b": 1e22}]})
@example({"a": [{"b": Kind.AUTO_BARGAIN}], "c": (1, 2)})
def test_plain_json_is_what_the_databases_give_back(value: Any) -> None:
    def by_rule(it: Any) -> Any:
        if isinstance(it, dict):
            return {name: by_rule(item) for name, item in it.items()}
        if isinstance(it, list | tuple):
            return [by_rule(item) for item in it]
        it = int(it) if isinstance(it, float) and it.is_integer() else it
        return None if isinstance(it, int) and not -(2**63) <= it < 2**63 else it

    assert json.dumps(stream._plain(value)) == json.dumps(by_rule(value))


def a_long_story(cast: Cast, later: Later) -> Chat:
    """Everything happens to one conversation that can."""
    chat = cast.chat()
    chat.robot()
    chat.says("Hello")
    chat.speaks(cast.bargain, "Hi")
    flow = flows.open_flow(actor=cast.bargain, trigger_id=f"t-{chat.id}", question="Size?", conversation_id=chat.id)
    chat.says("Large")
    flow.refresh_from_db()
    flows.move_flow(actor=cast.bargain, flow_id=flow.pk, to="ready_preview", version=flow.version)
    chat.escalate(to_agent_id=cast.ann.id)
    chat.decline(cast.ann)
    chat.escalate()
    later(301)
    chat.escalate()
    chat.accept(cast.ann)
    cast.seen()
    participants.invite_colleague(actor=cast.ann, conversation_id=chat.id, agent_id=cast.agent("ben").pk)
    chat.guest()
    messages.post_note(actor=cast.ann, conversation_id=chat.id, words=NewMessage(content="Note"))
    conversations.pin(actor=cast.ann, conversation_id=chat.id)
    chat.hand_over(to_agent_id=cast.ben.id)
    chat.accept(cast.ben)
    chat.opens(cast.cat, Kind.MANUAL_URGENT)
    chat.resolve(cast.cat)
    chat.grab(cast.ann)
    chat.reassign()
    chat.accept(cast.ben)
    chat.release(cast.ben)
    lifecycle.set_priority(actor=cast.bargain, session_id=chat.live.pk, priority=2)
    chat.echo()
    later(1801)
    chat.sweep()
    return chat


def test_the_numbers_of_a_conversation_run_without_a_gap_and_the_chain_holds(cast: Cast, later: Later) -> None:
    chats = [a_long_story(cast, later) for _ in range(2)]
    for chat in chats:
        operations = chat.operations
        assert [o.seq for o in operations] == list(range(1, chat.row.seq + 1))
        assert len(operations) > 30
        assert stream.first_broken_link(operations) is None
        assert operations[-1].chain == chat.row.chain


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("data", {"reason": "another"}), ("type", "session.cancelled"), ("actor_id", 4711), ("actor_kind", "customer"),
        ("session_id", 4711), ("chain", "0" * 64), ("seq", 99),
    ],
)  # fmt: skip
def test_the_chain_tells_where_somebody_tampered(chat: Chat, field: str, value: Any) -> None:
    chat.serve()
    chat.says()
    operations = chat.operations
    setattr(operations[1], field, value)
    assert stream.first_broken_link(operations) is operations[1]


@pytest.mark.parametrize("gone", [0, 1])
def test_the_chain_tells_that_an_operation_is_missing(chat: Chat, gone: int) -> None:
    chat.serve()
    chat.says()
    operations = chat.operations
    after = operations[gone + 1]
    del operations[gone]
    assert stream.first_broken_link(operations) is after


def test_the_chain_holds_when_the_words_are_erased(chat: Chat) -> None:
    from messaging_app.models import Message

    chat.says("My name is Carla.")
    Message.objects.update(content="", sender_name="")
    assert stream.first_broken_link(chat.operations) is None


CHANGES: dict[str, tuple[Callable[[Chat], Any], Callable[[Chat], Any], list[str]]] = {
    "open": (lambda c: None, lambda c: c.robot(), ["session.opened"]),
    "wait": (lambda c: c.human(), lambda c: c.robot(), ["session.opened"]),
    "preempt": (
        lambda c: c.robot(c.cast.faq, Kind.AUTO_ASSISTANT),
        lambda c: c.robot(),
        ["session.paused", "session.opened"],
    ),
    "message": (lambda c: c.robot(), lambda c: c.says(), ["message.created"]),
    "escalate": (lambda c: c.robot(), lambda c: c.escalate(), ["transfer.requested", "session.transferred"]),
    "accept": (lambda c: c.queue(), lambda c: c.accept(), ["transfer.accepted", "ownership.changed"]),
    "accept a manual one": (
        lambda c: c.escalate(c.cast.channel),
        lambda c: c.accept(),
        ["transfer.accepted", "session.activated"],
    ),
    "decline": (
        lambda c: c.queue(),
        lambda c: c.decline(c.cast.sue),
        ["transfer.declined", "attention.raised", "session.returned"],
    ),
    "take over": (lambda c: c.robot(), lambda c: c.take(), ["transfer.accepted", "session.transferred"]),
    "grab": (lambda c: c.serve(), lambda c: c.grab(c.cast.ben), ["transfer.accepted", "ownership.changed"]),
    "hand over": (lambda c: c.serve(), lambda c: c.hand_over(to_agent_id=c.cast.ben.id), ["transfer.requested"]),
    "release": (lambda c: c.serve(), lambda c: c.release(), ["transfer.accepted", "session.returned"]),
    "reassign": (lambda c: c.serve(), lambda c: c.reassign(), ["transfer.requested", "ownership.changed"]),
    "resolve": (lambda c: c.serve(), lambda c: c.resolve(), ["session.completed"]),
    "resolve over a paused one": (
        lambda c: (c.robot(), c.human()),
        lambda c: c.resolve(),
        ["session.completed", "session.resumed"],
    ),
    "pause": (
        lambda c: c.robot(),
        lambda c: lifecycle.pause_session(actor=c.cast.bargain, session_id=c.live.pk),
        ["session.paused"],
    ),
    "priority": (
        lambda c: c.robot(),
        lambda c: lifecycle.set_priority(actor=c.cast.bargain, session_id=c.live.pk, priority=2),
        ["session.priority_set"],
    ),
    "pin": (
        lambda c: None,
        lambda c: conversations.pin(actor=c.cast.ann, conversation_id=c.id),
        ["conversation.pinned"],
    ),
    "nothing due": (lambda c: c.robot(), lambda c: c.sweep(), []),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_has_exactly_one_operation(chat: Chat, change: str) -> None:
    prepare, happens, told = CHANGES[change]
    prepare(chat)
    before = len(chat.operations)
    happens(chat)
    assert chat.event_types[before:] == told


def test_a_priority_set_again_to_what_it_is_changes_nothing(chat: Chat) -> None:
    cast = chat.cast
    chat.robot()
    for _ in range(2):
        lifecycle.set_priority(actor=cast.bargain, session_id=chat.live.pk, priority=2)
    assert chat.event_types.count("session.priority_set") == 1


# --- The tenant's stream ---


@on_sqlite
def test_on_sqlite_the_position_is_given_at_once(cast: Cast, later: Later) -> None:
    a_long_story(cast, later)
    operations = Operation.objects.order_by("id")
    assert [o.pos for o in operations] == list(range(1, len(operations) + 1))
    assert StreamHead.objects.get().pos == len(operations)


@on_postgresql
def test_a_position_comes_with_the_commit_where_nothing_stands_unstamped_before_it(
    cast: Cast, stamped: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = cast.chat()
    chat.says("the first one finds no head")
    stamped()
    chat.says("second")
    with monkeypatch.context() as patch:
        patch.setattr(relay, "positions_if_free", lambda operations: ["NULL"] * len(operations))
        chat.says("left to the relay")
    chat.says("must not come before it")
    stored = Operation.objects.filter(conversation_id=chat.id).order_by("seq").values_list("pos", flat=True)
    assert list(stored) == [1, 2, None, None]
    stamped()
    assert list(stored.all()) == [1, 2, 3, 4]
    chat.says("again")
    assert list(stored.all()) == [1, 2, 3, 4, 5]


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_whoever_finds_the_head_locked_waits_for_nobody_and_leaves_it_to_the_relay() -> None:
    cast = Cast()
    chat = cast.chat()
    chat.says("first")
    relay.stamp(cast.tenant.pk)
    locked, go_on = Event(), Event()

    def holds() -> None:
        try:
            with transaction.atomic():
                lock_rows(StreamHead.objects.filter(tenant=cast.tenant)).get()
                locked.set()
                go_on.wait(PATIENCE)
        finally:
            connection.close()

    other = Thread(target=holds)
    other.start()
    assert locked.wait(PATIENCE)
    chat.says("second")
    go_on.set()
    other.join()
    stored = Operation.objects.filter(conversation_id=chat.id).order_by("seq").values_list("pos", flat=True)
    assert list(stored) == [1, None]
    assert relay.stamp(cast.tenant.pk) == 1
    assert list(stored.all()) == [1, 2]


@on_postgresql
def test_a_rollback_gives_the_positions_back(cast: Cast, stamped: Callable[[], None]) -> None:
    chat = cast.chat()
    chat.says("first")
    stamped()
    with transaction.atomic():
        chat.says("undone")
        transaction.set_rollback(True)
    chat.says("second")
    assert list(Operation.objects.order_by("pos").values_list("pos", flat=True)) == [1, 2]
    assert StreamHead.objects.get().pos == 2


def test_positions_run_without_a_gap_in_each_tenant_however_often_it_is_stamped(
    cast: Cast, others: Cast, stamped: Callable[[], None]
) -> None:
    for _ in range(3):
        cast.chat().queue()
        stamped()
        others.chat().says()
        stamped()
        stamped()
    for tenant in (cast.tenant, others.tenant):
        positions = list(Operation.objects.filter(tenant=tenant).order_by("pos").values_list("pos", flat=True))
        assert positions == list(range(1, len(positions) + 1))
        assert StreamHead.objects.get(tenant=tenant).pos == len(positions)


def test_the_order_of_positions_is_that_of_each_conversations_numbers(cast: Cast, stamped: Callable[[], None]) -> None:
    chats = [cast.chat().queue() for _ in range(3)]
    for chat in chats:
        chat.accept()
    stamped()
    for chat in chats:
        assert [o.seq for o in Operation.objects.filter(conversation_id=chat.id).order_by("pos")] == list(
            range(1, chat.row.seq + 1)
        )


def test_a_reader_goes_on_from_its_cursor_and_misses_nothing(
    cast: Cast, others: Cast, stamped: Callable[[], None]
) -> None:
    """Whatever page size it reads with, and whenever it stopped."""
    for _ in range(3):
        cast.chat().queue()
        others.chat().queue()
    stamped()
    everything = [o.pk for o in stream.replay(cast.tenant.pk, after=0)]
    assert len(everything) == Operation.objects.filter(tenant=cast.tenant).count()
    for limit in (1, 2, 500):
        seen: list[int] = []
        cursor = 0
        while page := stream.replay(cast.tenant.pk, after=cursor, limit=limit):
            seen += [o.pk for o in page]
            cursor = page[-1].pos or 0
        assert seen == everything
    assert stream.replay(cast.tenant.pk, after=cursor) == []
    cast.chat().says()
    stamped()
    assert [o.type for o in stream.replay(cast.tenant.pk, after=cursor)] == ["message.created"]


def test_no_operation_of_another_tenant_is_in_the_stream(cast: Cast, others: Cast, stamped: Callable[[], None]) -> None:
    cast.chat().queue()
    others.chat().queue()
    stamped()
    assert {o.tenant_id for o in stream.replay(cast.tenant.pk, after=0)} == {cast.tenant.pk}


# --- One transaction ---


def test_a_rollback_gives_the_numbers_back(chat: Chat) -> None:
    chat.robot()
    seq, chain, made = chat.row.seq, chat.row.chain, Operation.objects.count()
    with transaction.atomic():
        chat.says("Never said.")
        chat.escalate()
        assert chat.row.seq > seq
        transaction.set_rollback(True)
    assert (chat.row.seq, chat.row.chain, Operation.objects.count(), chat.said) == (seq, chain, made, [])
    chat.says("Said.")
    assert chat.operations[-1].seq == seq + 1


def test_a_refused_verb_leaves_no_operation(chat: Chat) -> None:
    chat.serve()
    refused("forbidden", chat.resolve, chat.cast.ben)


def test_rows_and_operations_are_written_together_or_not_at_all(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that dies at the worst moment: after the rows, before the operations."""
    chat.robot()
    seq = chat.row.seq

    def dies(operations: list[Operation]) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(stream, "write", dies)
        with pytest.raises(ConnectionError):
            chat.take()
    assert (chat.controller, chat.live.status, chat.row.seq, chat.transfers) == ("bot", "ACTIVE", seq, [])
    assert chat.take().controller == "human"


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[live.ChangeNotification]:
    heard: list[live.ChangeNotification] = []
    monkeypatch.setattr(live, "announce", heard.extend)
    return heard


def test_word_goes_out_after_the_commit_and_once(
    chat: Chat, hints: list[live.ChangeNotification], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        chat.robot()
        chat.take()
        assert hints == []  # not yet committed
    told = [(h.tenant_id, h.conversation_id, h.seq) for h in hints]
    assert told == [(chat.cast.tenant.pk, chat.id, 1), (chat.cast.tenant.pk, chat.id, chat.row.seq)]


def test_no_word_goes_out_of_what_was_refused_or_changed_nothing(
    chat: Chat, hints: list[live.ChangeNotification], django_capture_on_commit_callbacks: Any
) -> None:
    chat.serve()
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        for act in (lambda: chat.resolve(chat.cast.ben), lambda: chat.speaks(chat.cast.bargain)):
            with pytest.raises(DomainError):
                act()
        chat.sweep()
    assert (hints, callbacks) == ([], [])


def test_no_word_goes_out_of_what_is_rolled_back(transactional_db: None, hints: list[live.ChangeNotification]) -> None:
    """With real commits."""
    chat = Cast().chat()
    with transaction.atomic():
        chat.robot()
        transaction.set_rollback(True)
    assert hints == []
    with transaction.atomic():
        chat.robot()
        assert hints == []
    assert [(h.conversation_id, h.seq) for h in hints] == [(chat.id, 1)]


def test_a_hint_that_cannot_be_sent_undoes_nothing(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(hints: object) -> None:
        raise RuntimeError("no network")

    monkeypatch.setattr(live, "announce", broken)
    chat = Cast().chat()
    assert chat.robot().controller == "bot"
    assert (chat.controller, chat.event_types) == ("bot", ["session.opened"])


def test_the_timers_of_a_refused_verb_are_announced_all_the_same(
    chat: Chat, later: Later, hints: list[live.ChangeNotification], django_capture_on_commit_callbacks: Any
) -> None:
    chat.queue()
    asked = chat.pending
    later(301)
    from sessions_app.actions import transfers
    from sessions_app.errors import TransferEnded

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(TransferEnded):
        transfers.accept_transfer(actor=chat.cast.ann, transfer_id=asked.pk)
    assert [h.seq for h in hints] == [chat.row.seq]


def test_many_operations_of_one_conversation_make_one_hint(
    chat: Chat, hints: list[live.ChangeNotification], django_capture_on_commit_callbacks: Any
) -> None:
    actor = system_actor(chat.cast.tenant.pk)
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        row = Conversation.objects.select_for_update().get(pk=chat.id)
        made = [stream.entry(row, actor=actor, type="tested", at=row.created_at) for _ in range(5)]
        stream.seal(row, made)
        row.save()
        stream.write(made)
        stream.write([])
    assert [h.seq for h in hints] == [5]
