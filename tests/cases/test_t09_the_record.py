"""T9: the record is signed, held against the rows that it describes, and kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

import config.settings
from agents_app.actors import ActorKind
from config import audit_keys, clock
from config.consistency import errors
from messaging_app import record_marks, relay, stream
from messaging_app.models import Conversation, Message, Operation, RecordMark, StreamHead
from messaging_app.record import checkpoints
from messaging_app.tasks import checkpoint
from sessions_app.models import ChatSession, Participant, Transfer
from tests.cases.the_record import checked, forget
from tests.cast import Cast, Chat, Later
from tests.unguarded import delete_operations, unguarded

ONE, TWO = f"1:{'11' * 32}", f"2:{'22' * 32}"


def first_wrong(chat: Chat) -> int | None:
    wrong = stream.first_broken_link(chat.operations)
    return wrong.seq if wrong else None


# --- The chain has a key ---


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tenant_id", 99), ("conversation_id", 99), ("type", "made.up"), ("session_id", 99), ("actor_kind", "agent"),
        ("actor_id", 99), ("actor_name", "Somebody else"), ("at", datetime(2020, 1, 1, tzinfo=UTC)), ("data", {"made": "up"}),
    ],
)  # fmt: skip
def test_every_column_that_is_shown_is_in_the_hash(chat: Chat, field: str, value: Any) -> None:
    chat.says("Hello")
    operations = chat.operations
    setattr(operations[0], field, value)
    assert stream.first_broken_link(operations) is operations[0]


def test_without_the_key_nobody_makes_a_chain_that_holds(chat: Chat, settings: LazySettings) -> None:
    chat.says("Hello")
    chat.says("Is anybody there?")
    operations, row = chat.operations, chat.row
    operations[0].data["digest"] = "another"
    settings.SECRET_KEY = "what somebody with the database guesses instead of the key"
    row.chain = ""
    stream.seal(row, operations)
    assert stream.first_broken_link(operations) is None, "by their own key"
    settings.SECRET_KEY = settings.DEVELOPMENT_KEY
    assert stream.first_broken_link(operations) is operations[0]


def test_nobody_goes_back_to_a_chain_without_a_key(chat: Chat) -> None:
    for text in ("Hello", "Is anybody there?", "Hello?"):
        chat.says(text)
    operations = chat.operations
    operations[2].chain = stream.unkeyed_link(operations[1].chain, operations[2])
    assert stream.first_broken_link(operations) is operations[2]
    assert "is not signed" in stream.wrong_link(operations[1].chain, operations[2])


def test_the_newest_key_signs_and_older_ones_still_verify(settings: LazySettings, chat: Chat) -> None:
    for keys in ([], [ONE], [ONE, TWO], [TWO, ONE]):
        settings.AUDIT_KEYS = keys
        chat.says(f"With {len(keys)} keys")
        assert first_wrong(chat) is None
    assert [operation.chain.partition(":")[0] for operation in chat.operations] == ["0", "1", "2", "2"]
    settings.AUDIT_KEYS = [TWO]
    assert first_wrong(chat) == 2
    assert "key 1, which AUDIT_KEYS does not have" in stream.wrong_link(*_pair(chat, 2))
    settings.AUDIT_KEYS = [TWO, f"1:{'33' * 32}"]
    assert first_wrong(chat) == 2
    settings.AUDIT_KEYS = [ONE, TWO]


def _pair(chat: Chat, seq: int) -> tuple[str, Operation]:
    before, operation = chat.operations[seq - 2 : seq]
    return before.chain, operation


def test_a_replaced_secret_key_verifies_while_it_is_a_fallback_or_named_as_key_0(
    settings: LazySettings, chat: Chat
) -> None:
    chat.says("Hello")
    before = settings.SECRET_KEY
    settings.SECRET_KEY = "another key of more than fifty characters, as Django's check wants"
    assert first_wrong(chat) == 1
    settings.SECRET_KEY_FALLBACKS = [before]
    assert first_wrong(chat) is None
    settings.SECRET_KEY_FALLBACKS = []
    settings.AUDIT_KEYS = [f"0:{audit_keys.derived(before).hex()}", ONE]
    assert first_wrong(chat) is None
    chat.says("Still there?")
    assert first_wrong(chat) is None


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["11" * 32], "no number"), (["-1:" + "11" * 32], "no number"), (["10000:" + "11" * 32], "no number"),
        (["1:" + "11" * 31], "or more hex digits for key 1"), (["1:" + "xy" * 32], "or more hex digits for key 1"),
        ([ONE, f"1:{'22' * 32}"], "one number to two keys"), ([ONE, f"01:{'22' * 32}"], "one number to two keys"),
    ],
)  # fmt: skip
def test_keys_that_cannot_be_used_are_refused_at_the_start(settings: LazySettings, keys: list[str], said: str) -> None:
    whole = {name: getattr(settings, name) for name in vars(config.settings) if name.isupper()}
    [problem] = errors(whole | {"AUDIT_KEYS": keys})
    assert said in problem
    assert keys[0].partition(":")[2] not in problem or not keys[0].partition(":")[2]
    assert list(errors(whole | {"AUDIT_KEYS": [ONE, TWO]})) == []


ODD: list[dict[str, Any]] = [
    {"n": 1.0}, {"n": 1e22}, {"n": 1.2345678901234567e21}, {"n": -0.0}, {"n": 1e300}, {"n": 0.1}, {"n": 1.5e-7},
    {"n": 2**80}, {"b": [1.0, {"z": 2.0, "a": None}], "a": True}, {"text": "é 🙂 \u2028"}, {"10": 1, "9": 2}, {},
]  # fmt: skip


@pytest.mark.parametrize("data", ODD, ids=str)
def test_what_was_signed_fits_what_the_database_gives_back(chat: Chat, data: dict[str, Any]) -> None:
    row = chat.row
    actor = chat.cast.system
    at = datetime(2026, 11, 28, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=8)))
    made = stream.entry(row, actor=actor, type="tested", at=at, data=data)
    made.actor_name, made.actor_kind = "Zoë ", ActorKind.AGENT.value
    stream.seal(row, [made])
    stream.write([made])
    row.save()
    assert first_wrong(chat) is None


# --- What was written before there was a key ---


def test_the_old_chain_still_verifies_and_the_new_one_goes_on_from_it(before_keys: Chat) -> None:
    before_keys.says("Now with a key")
    operations = before_keys.operations
    assert first_wrong(before_keys) is None
    assert [stream.is_keyed(operation.chain) for operation in operations] == [False] * 3 + [True]
    operations[1].type = "made.up"
    assert stream.first_broken_link(operations) is operations[1]


def test_the_migration_signs_how_the_record_stood(before_keys: Chat) -> None:
    mark = RecordMark.objects.get()
    assert (mark.kind, mark.tenant_id, mark.conversation_id) == ("unkeyed", before_keys.row.tenant_id, None)
    assert mark.count == Operation.objects.exclude(conversation=None).count()
    assert record_marks.is_signed(mark)
    mark.count -= 1
    assert not record_marks.is_signed(mark)


def test_the_check_takes_the_old_part_for_what_it_is(before_keys: Chat) -> None:
    before_keys.says("Now with a key")
    assert checked() == []


@pytest.mark.parametrize("with_mark", [True, False], ids=["with its mark", "the mark deleted"])
def test_a_record_made_anew_without_a_key_is_found(before_keys: Chat, with_mark: bool) -> None:
    """Somebody changes it, and gives all of it the chain of the release before."""
    before_keys.says("Now with a key")
    chain = ""
    with unguarded():
        for operation in before_keys.operations:
            operation.actor_id = 99
            chain = operation.chain = stream.unkeyed_link(chain, operation)
            operation.save()
    Conversation.objects.update(chain=chain)
    if not with_mark:
        RecordMark.objects.all().delete()
    [told] = [line for line in checked() if "not signed" in line]
    assert told.startswith("tenant shop: operations that are not signed: expected ")


# --- The record is held against the rows ---


def _first(chat: Chat, **fields: Any) -> Any:
    return Message.objects.filter(conversation_id=chat.id, **fields).order_by("pk")[0]


def content_changed(chat: Chat) -> str:
    message = _first(chat)
    Message.objects.filter(pk=message.pk).update(content="What nobody said")
    return f"conversation {chat.id}: message {message.pk} ({message.message_id}), words: expected "


def brought_content_changed(chat: Chat) -> str:
    message = Message.objects.get(message_id="old-2")
    Message.objects.filter(pk=message.pk).update(content="What nobody said")
    return f"conversation {message.conversation_id}: messages of operation 1, proof: expected "


def message_deleted(chat: Chat) -> str:
    message = _first(chat)
    message.delete()
    return (
        f"conversation {chat.id}: message {message.message_id}: expected to be there: operation {message.seq} says so"
    )


def message_added(chat: Chat) -> str:
    message = _first(chat)
    message.pk, message.message_id, message.seq = None, "made-up", 5
    message.save(force_insert=True)
    return f"conversation {chat.id}: message {message.pk} (made-up): expected an operation that says it was said"


def sender_changed(chat: Chat) -> str:
    message = _first(chat)
    Message.objects.filter(pk=message.pk).update(sender_name="Somebody else")
    return f"conversation {chat.id}: message {message.pk} ({message.message_id}), sender, time and words: expected "


def actor_changed(chat: Chat) -> str:
    Operation.objects.filter(conversation_id=chat.id, seq=3).update(actor_name="Somebody else")
    return f"conversation {chat.id}: operation 3 "


def status_changed(chat: Chat) -> str:
    session = chat.live
    ChatSession.objects.filter(pk=session.pk).update(status="CANCELLED")
    return f"conversation {chat.id}: session {session.pk}: expected {session.kind} TRANSFERRED"


def ended_status_changed(chat: Chat) -> str:
    session = ChatSession.objects.filter(status="TIMEOUT").order_by("pk")[0]
    ChatSession.objects.filter(pk=session.pk).update(status="COMPLETED")
    return f"conversation {session.conversation_id}: session {session.pk}: expected {session.kind} TIMEOUT"


def transfer_changed(chat: Chat) -> str:
    transfer = chat.transfers[-1]
    Transfer.objects.filter(pk=transfer.pk).update(accepted_by=chat.cast.ben.id)
    return f"conversation {chat.id}: transfer {transfer.pk}: expected "


def participant_changed(chat: Chat) -> str:
    participant = Participant.objects.order_by("pk")[0]
    Participant.objects.filter(pk=participant.pk).update(status="joined")
    return f"conversation {participant.conversation_id}: participant {participant.pk}: expected "


def flag_changed(chat: Chat) -> str:
    Conversation.objects.filter(pk=chat.id).update(is_urgent=True)
    return f"conversation {chat.id}: urgent: expected False, found True"


def epoch_changed(chat: Chat) -> str:
    Conversation.objects.filter(pk=chat.id).update(epoch=77)
    return f"conversation {chat.id}: epoch: expected "


def one_deleted(chat: Chat) -> str:
    delete_operations(conversation_id=chat.id, seq=3)
    return f"conversation {chat.id}: operation 3: expected to be there, found operation 4 "


def end_deleted(chat: Chat) -> str:
    delete_operations(conversation_id=chat.id, seq__gt=chat.row.seq - 3)
    return (
        f"conversation {chat.id}: the last operation: expected number {chat.row.seq}, found number {chat.row.seq - 3}"
    )


def all_deleted(chat: Chat) -> str:
    delete_operations(tenant=chat.cast.tenant)
    return f"conversation {chat.id}: the last operation: expected number {chat.row.seq}, found number 0"


def one_inserted(chat: Chat) -> str:
    row = chat.row
    one = Operation.objects.get(conversation=row, seq=row.seq)
    one.pk, one.seq, one.pos, one.chain = None, row.seq + 1, None, "0:" + "A" * 43
    one.save(force_insert=True)
    Conversation.objects.filter(pk=row.pk).update(seq=one.seq, chain=one.chain)
    return f"conversation {chat.id}: operation {one.seq} "


def two_swapped(chat: Chat) -> str:
    for before, after in ((2, 1000), (3, 2), (1000, 3)):
        Operation.objects.filter(conversation_id=chat.id, seq=before).update(seq=after)
    return f"conversation {chat.id}: operation 2 "


def time_changed(chat: Chat) -> str:
    one = chat.operations[3]
    Operation.objects.filter(pk=one.pk).update(at=one.at - timedelta(microseconds=1))
    return f"conversation {chat.id}: operation 4 "


def session_moved(chat: Chat) -> str:
    session, other = chat.live, chat.cast.chat()
    ChatSession.objects.filter(pk=session.pk).update(conversation_id=other.id)
    return f"conversation {other.id}: session {session.pk}: expected nothing, found "


def chain_recomputed(chat: Chat) -> str:
    operations, row = chat.operations, chat.row
    operations[1].data["digest"], row.chain = "another", ""
    for operation in operations:
        made = stream.link(row.chain, operation, number=0, key=b"guessed" * 8)
        row.chain = operation.chain = made
        operation.save()
    row.save()
    return f"conversation {chat.id}: operation 1 "


TAMPERING: list[Callable[[Chat], str]] = [
    content_changed, brought_content_changed, message_deleted, message_added, sender_changed, actor_changed, status_changed,
    ended_status_changed, transfer_changed, participant_changed, flag_changed, epoch_changed, one_deleted, end_deleted,
    all_deleted, one_inserted, two_swapped, time_changed, session_moved, chain_recomputed,
]  # fmt: skip


@pytest.mark.parametrize("tamper", TAMPERING, ids=lambda tamper: tamper.__name__)
def test_whoever_tampers_past_the_triggers_is_found_and_the_row_is_named(
    record: Chat, tamper: Callable[[Chat], str]
) -> None:
    with unguarded():
        expected = tamper(record)
    told = checked()
    assert any(line.startswith(expected) for line in told), (expected, told)
    conversations = [line.partition(":")[0] for line in told if line.startswith("conversation ")]
    assert len(conversations) == len(set(conversations)), "only the first of each conversation"


def test_a_tenant_is_checked_by_itself(record: Chat) -> None:
    elsewhere = Cast("elsewhere").chat()
    elsewhere.says("Hello")
    Message.objects.filter(conversation_id=elsewhere.id).update(content="What nobody said")
    assert checked("--tenant", "shop") == []
    assert len(checked("--tenant", "elsewhere")) == len(checked()) == 1


def test_what_was_erased_on_record_is_not_wrong(record: Chat) -> None:
    message, row = _first(record), record.row
    Message.objects.filter(pk=message.pk).update(content="", sender_name="")
    assert len(checked()) == 1
    at = record.operations[-1].at
    told = stream.entry(row, actor=record.cast.system, type="messages.erased", at=at, data={"messages": [message.pk]})
    stream.seal(row, [told])
    stream.write([told])
    row.save()
    assert checked() == []


def test_a_type_that_the_check_does_not_know_is_not_wrong(record: Chat) -> None:
    row = record.row
    told = stream.entry(row, actor=record.cast.system, type="something.new", at=record.operations[-1].at, data={"x": 1})
    stream.seal(row, [told])
    stream.write([told])
    row.save()
    assert checked() == []


# --- Checkpoints ---


def test_a_line_is_the_same_whether_it_goes_on_from_the_one_before_or_not(kept: Path) -> None:
    gone_on, anew = checkpoints.read(kept.read_text().splitlines()[-1]), checkpoints.read(checkpoints.taken())
    assert gone_on is not None
    assert anew is not None
    assert gone_on["tenants"] == anew["tenants"]


def test_a_record_that_was_cut_so_that_all_fits_is_behind_its_checkpoint(record: Chat, kept: Path) -> None:
    last = cut(record)
    assert checked() == [], "nobody could tell"
    [told] = checked("--checkpoint", str(kept))
    there = last.pos or 0
    assert told.startswith(
        f"tenant shop: line 2, {_at(kept, 2)}: expected {there} operations, found {there - 1}, behind"
    )


def cut(chat: Chat) -> Operation:
    """Take back the last thing that was said, everywhere."""
    last = chat.operations[-1]
    with unguarded():
        Message.objects.filter(conversation_id=chat.id, seq=last.seq).delete()
        delete_operations(pk=last.pk)
        Conversation.objects.filter(pk=chat.id).update(
            seq=last.seq - 1, chain=chat.operations[-1].chain, unanswered_since=None
        )
        StreamHead.objects.filter(tenant=chat.cast.tenant).update(pos=(last.pos or 0) - 1)
    return last


def _at(path: Path, line: int) -> str:
    return str(json.loads(path.read_text().splitlines()[line - 1])["at"])


def test_a_record_made_anew_with_the_key_is_other_than_its_checkpoint(record: Chat, kept: Path) -> None:
    operations, row = record.operations, record.row
    operations[-1].actor_name, row.chain = "Somebody else", ""
    with unguarded():
        stream.seal(row, operations)
        for operation in operations:
            operation.save()
    row.save()
    assert checked() == [], "nobody could tell"
    before, after = (checkpoints.read(line)["tenants"][0]["pos"] for line in kept.read_text().splitlines())  # type: ignore[index]
    [told] = checked("--checkpoint", str(kept))
    assert told.startswith(
        f"tenant shop: operations after position {before} up to {after}: expected those of the checkpoint"
    )


def test_a_tenant_that_is_gone_is_missed(kept: Path) -> None:
    lines = kept.read_text().splitlines()
    told = checkpoints.read(lines[-1])
    assert told is not None
    told["tenants"].append({"id": 4711, "name": "gone", "pos": 48, "hash": "x"})
    signed = told | {"signature": audit_keys.signature(checkpoints.PURPOSE, checkpoints._text(told))}
    kept.write_text("\n".join([*lines, json.dumps(signed)]))
    [wrong] = checked("--checkpoint", str(kept))
    assert wrong == f"tenant gone: line 3, {told['at']}: expected 48 operations, found that the tenant is gone"


def test_a_line_that_somebody_changed_is_no_checkpoint(kept: Path) -> None:
    first, last = kept.read_text().splitlines()
    kept.write_text(f"{first.replace('shop', 'shap')}\n{last}\nnonsense\n[]\n")
    told = checked("--checkpoint", str(kept))
    assert told == [
        f"line {number}: the signature: expected that of one of AUDIT_KEYS, found another, or none"
        for number in (1, 3, 4)
    ]


def test_a_day_has_one_line(record: Chat, settings: LazySettings, tmp_path: Path, later: Later) -> None:
    assert checkpoint() is False, "nothing is set"
    settings.AUDIT_CHECKPOINT_FILE = str(tmp_path / "daily")
    assert [checkpoint(), checkpoint()] == [True, False]
    later(86_400)
    assert [checkpoint(), checkpoint()] == [True, False]
    assert checked("--checkpoint", settings.AUDIT_CHECKPOINT_FILE) == []


def test_a_checkpoint_goes_to_public_addresses_only(db: None) -> None:
    for address in ("http://example.org/", "https://127.0.0.1/", "https://10.0.0.1/"):
        with pytest.raises(CommandError, match="The checkpoint is not kept"):
            call_command("checkpoint", "--webhook", address)


# --- Operations are kept, but for what is forgotten on record ---


def test_what_is_forgotten_leaves_a_record_that_holds(kept: Path, record: Chat, later: Later) -> None:
    later(86_400 * 40)
    record.says("I am back.")
    relay.stamp(record.cast.tenant.pk)
    before, seq = Operation.objects.count(), record.row.seq
    assert " 0 operations of 0 conversations" in " " + forget(clock.now() - timedelta(days=60))
    told = forget(clock.now() - timedelta(days=10))
    assert told.endswith(" are gone, on record.\n")
    assert Operation.objects.count() < before
    newest = record.operations[-1].seq
    assert newest == seq
    assert record.operations[0].seq > 1
    call_command("checkpoint", "--file", str(kept))
    assert checked("--checkpoint", str(kept)) == []
    record.says("Anybody?")
    relay.stamp(record.cast.tenant.pk)
    assert checked("--checkpoint", str(kept)) == []
    with unguarded():
        Operation.objects.filter(conversation_id=record.id, seq=seq).update(actor_name="Somebody else")
    assert len(checked()) == 1


def test_a_forged_mark_lets_operations_go_and_is_named(record: Chat) -> None:
    mark = RecordMark.objects.create(
        tenant=record.cast.tenant, kind="forgotten", conversation_id=record.id, seq=3, chain=record.operations[2].chain,
        count=3, at=clock.now(), signature="0:" + "0" * 64,
    )  # fmt: skip
    Operation.objects.filter(conversation_id=record.id, seq__lte=3).delete()
    told = checked()
    assert told[0].startswith(f"tenant shop: mark {mark.pk} ")
    assert told[1].startswith(f"conversation {record.id}: operation 1: expected to be there, found operation 4")


def test_what_is_broken_is_not_forgotten(record: Chat, later: Later) -> None:
    with unguarded():
        Operation.objects.filter(conversation_id=record.id, seq=2).update(actor_name="Somebody else")
    later(86_400 * 40)
    record.says("I am back.")
    relay.stamp(record.cast.tenant.pk)
    with pytest.raises(CommandError, match=rf"not whole.*conversation {record.id}, operation 2"):
        forget(clock.now() - timedelta(days=10))
    assert record.operations[0].seq == 1
