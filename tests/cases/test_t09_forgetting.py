"""T9: what is forgotten on record leaves the rest as well guarded as before."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection

from config import audit_keys, clock
from messaging_app import relay, stream
from messaging_app.models import Conversation, Operation, RecordMark, StreamHead
from sessions_app.actions import departure
from tests.cases.the_record import a_short_story, checked, forget
from tests.cast import Cast, Chat, Later
from tests.unguarded import delete_operations, unguarded


def a_month_later(chat: Chat, later: Later) -> None:
    later(86_400 * 40)
    chat.cast.seen()
    chat.says("I am back.")
    relay.stamp(chat.cast.tenant.pk)
    assert checked() == []


# --- What was unsigned of no conversation ---


def as_before_keys(chat: Chat) -> None:
    """What belongs to no conversation is of the release before, and the migration comes once more."""
    with unguarded():
        for operation in Operation.objects.filter(conversation=None):
            Operation.objects.filter(pk=operation.pk).update(chain=stream.unkeyed_link("", operation))
    RecordMark.objects.all().delete()
    migrate()


def migrate() -> None:
    with connection.schema_editor() as editor:
        import_module("messaging_app.migrations.0017_signed_record").sign_what_is_there(apps, editor)


def forge_an_unsigned_one(chat: Chat) -> None:
    """It needs no key, only the database."""
    tenant = chat.cast.tenant
    head = StreamHead.objects.get(tenant=tenant)
    forged = Operation(
        tenant=tenant, seq=1, type="agent.dismissed", actor_kind="agent", actor_id=1, actor_name="Sue", at=clock.now(),
        data={"agent_id": 1, "name": "Ann", "reason": "forged"}, pos=head.pos + 1,
    )  # fmt: skip
    forged.chain = stream.unkeyed_link("", forged)
    forged.save(force_insert=True)
    StreamHead.objects.filter(tenant=tenant).update(pos=head.pos + 1)


@pytest.fixture
def unsigned(before_keys: Chat) -> Chat:
    """Three operations of no conversation from before there was a key."""
    for name in ("ann", "ben", "cat"):
        departure.drain_agent(actor=before_keys.cast.sue, agent_id=getattr(before_keys.cast, name).id)
    as_before_keys(before_keys)
    relay.stamp(before_keys.cast.tenant.pk)
    assert checked() == []
    return before_keys


@pytest.mark.parametrize("times", [0, 1, 2])
def test_an_unsigned_operation_of_no_conversation_is_found_whatever_was_forgotten(
    unsigned: Chat, times: int, later: Later
) -> None:
    had = Operation.objects.filter(conversation=None).count()
    for _ in range(times):
        a_month_later(unsigned, later)
        forget(clock.now() - timedelta(days=10))
        assert checked() == []
    assert Operation.objects.filter(conversation=None).count() == (had if times == 0 else 0)
    forge_an_unsigned_one(unsigned)
    [told] = checked()
    assert told.startswith("tenant shop: operations that are not signed, of no conversation: expected ")


def test_what_is_left_of_the_unsigned_ones_is_known_by_its_mark(unsigned: Chat, later: Later) -> None:
    """Only the first of them goes: the second has no position yet."""
    first, second, *others = Operation.objects.filter(conversation=None).order_by("pk")
    with unguarded():
        Operation.objects.filter(pk=second.pk).update(pos=None)
    later(86_400 * 40)
    forget(clock.now() - timedelta(days=10))
    assert not Operation.objects.filter(pk=first.pk).exists()
    with unguarded():
        Operation.objects.filter(pk=second.pk).update(pos=second.pos)
    assert checked() == []
    with unguarded():
        second.type = "made.up"
        second.chain = stream.unkeyed_link("", second)
        second.save()
    [told] = checked()
    left = 1 + len(others)
    assert told.startswith(f"tenant shop: operations that are not signed, of no conversation: expected {left}:")


def test_what_was_forged_unsigned_is_not_forgotten(unsigned: Chat, later: Later) -> None:
    forge_an_unsigned_one(unsigned)
    later(86_400 * 40)
    with pytest.raises(CommandError, match="what belongs to no conversation, operations that are not signed"):
        forget(clock.now() - timedelta(days=10))


# --- What stays where others went ---


def test_what_stays_among_what_is_forgotten_is_in_the_next_checkpoint(
    record: Chat, tmp_path: Path, later: Later
) -> None:
    path = str(tmp_path / "kept")
    quiet = a_short_story(record.cast)
    relay.stamp(record.cast.tenant.pk)
    a_month_later(record, later)
    call_command("checkpoint", "--file", path)
    forget(clock.now() - timedelta(days=10))
    call_command("checkpoint", "--file", path)
    assert checked("--checkpoint", path) == []
    [operation] = quiet.operations
    cut = RecordMark.objects.get(conversation_id=quiet.id)
    operation.actor_name = "Somebody else"  # who has the key, too
    operation.chain = stream.link(cut.chain, operation, number=0, key=audit_keys.ring().signing)
    with unguarded():
        operation.save()
    Conversation.objects.filter(pk=quiet.id).update(chain=operation.chain)
    assert checked() == [], "nobody could tell"
    [told] = checked("--checkpoint", path)
    assert told.startswith("tenant shop: operations that stay up to position ")
    assert "those of the checkpoint (line 2, " in told


def test_forgetting_again_and_again_leaves_checkpoints_that_hold(record: Chat, tmp_path: Path, later: Later) -> None:
    path = str(tmp_path / "kept")
    for days in (25, 25, 60, 25, 5):
        a_month_later(record, later)
        call_command("checkpoint", "--file", path)
        forget(clock.now() - timedelta(days=days))
        assert checked("--checkpoint", path) == []
        call_command("checkpoint", "--file", path)
        assert checked("--checkpoint", path) == []


# --- What is broken ---


def test_one_broken_conversation_does_not_keep_the_others(transactional_db: None, later: Later) -> None:
    cast = Cast()
    broken, *whole = (a_short_story(cast) for _ in range(3))
    relay.stamp(cast.tenant.pk)
    a_month_later(whole[0], later)
    with unguarded():
        Operation.objects.filter(conversation_id=broken.id, seq=2).update(actor_name="Somebody else")
    with pytest.raises(CommandError) as raised:
        forget(clock.now() - timedelta(days=10))
    assert f"(1): conversation {broken.id}, operation 2" in str(raised.value)
    assert [chat.operations[0].seq == 1 for chat in (broken, *whole)] == [True, False, False]
    [told] = checked()
    assert told.startswith(f"conversation {broken.id}: operation 2 ")


# --- What was deleted by hand before there were marks ---


@pytest.mark.parametrize("up_to", [1, 2], ids=["the first", "the first two"])
def test_a_conversation_whose_beginning_was_deleted_begins_later(before_keys: Chat, up_to: int, later: Later) -> None:
    """The release before let them go once they were in the index of the search."""
    with unguarded():
        delete_operations(conversation_id=before_keys.id, seq__lte=up_to)
        delete_operations(conversation=None)
    RecordMark.objects.all().delete()
    migrate()
    assert checked() == []
    a_month_later(before_keys, later)
    forget(clock.now() - timedelta(days=10))
    assert checked() == []
    assert before_keys.operations[0].seq == 4


def test_a_conversation_of_which_nothing_is_left_is_not_missed(before_keys: Chat) -> None:
    with unguarded():
        delete_operations()
    RecordMark.objects.all().delete()
    migrate()
    assert checked() == []


def test_what_stands_behind_a_beginning_that_was_deleted_is_checked(before_keys: Chat) -> None:
    with unguarded():
        delete_operations(conversation_id=before_keys.id, seq=1)
    RecordMark.objects.all().delete()
    migrate()
    with unguarded():
        Operation.objects.filter(conversation_id=before_keys.id, seq=3).update(type="made.up")
    [told] = checked()
    assert told.startswith(f"conversation {before_keys.id}: operation 3 ")
