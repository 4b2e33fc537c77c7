"""What the tests of the record (T9) share: stories to spoil, and the commands that find it."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from messaging_app import relay, stream
from messaging_app.batch import BatchRow
from messaging_app.models import Conversation, Operation
from sessions_app.actions import batches
from tests.cast import Cast, Chat, Later
from tests.test_stream import a_long_story
from tests.unguarded import unguarded


@pytest.fixture
def before_keys(transactional_db: None) -> Chat:
    """A conversation of the release before, as the migration finds it."""
    cast = Cast()
    chat = cast.chat()
    for text in ("Hello", "Is anybody there?", "Hello?"):
        chat.says(text)
    relay.stamp(cast.tenant.pk)  # what was deleted had its position: it was in the index of the search
    chain = ""
    with unguarded():
        for operation in chat.operations:
            chain = stream.unkeyed_link(chain, operation)
            Operation.objects.filter(pk=operation.pk).update(chain=chain)
        for operation in Operation.objects.filter(conversation=None):
            Operation.objects.filter(pk=operation.pk).update(chain=stream.unkeyed_link("", operation))
    Conversation.objects.filter(pk=chat.id).update(chain=chain)
    with connection.schema_editor() as editor:
        import_module("messaging_app.migrations.0017_signed_record").sign_what_is_there(apps, editor)
    return chat


def checked(*arguments: str) -> list[str]:
    """What `check_stream` says is wrong; it ends with 1 exactly if anything is."""
    out = StringIO()
    try:
        call_command("check_stream", *arguments, stdout=out, stderr=StringIO())
        code = 0
    except SystemExit as end:
        code = int(str(end.code))
    *wrong, last = out.getvalue().splitlines()
    assert last.endswith(f"{len(wrong)} wrong.")
    assert code == bool(wrong)
    return wrong


@pytest.fixture
def record(transactional_db: None, later: Later) -> Chat:
    """A conversation with a bit of everything, another one, and one that a batch brought."""
    cast = Cast()
    a_long_story(cast, later)
    batches.ingest_batch(actor=cast.channel, rows=[brought(number) for number in range(4)], size=100)
    chat = a_short_story(cast)
    relay.stamp(cast.tenant.pk)
    assert checked() == []
    return chat


def a_short_story(cast: Cast) -> Chat:
    chat = cast.chat()
    chat.robot()
    for text in ("Hello", "Is anybody there?", "Hello?"):
        chat.says(text)
    chat.escalate()
    chat.accept()
    chat.speaks(cast.ann, "I am.")
    return chat


def brought(number: int) -> BatchRow:
    return BatchRow(
        line=number,
        platform="default",
        shop_id="s-1",
        account_id="brought",
        message_id=f"old-{number}",
        sender_type="customer",
        content=f"Old words {number}",
        sent_at=datetime(2026, 1, 1, 12, number, tzinfo=UTC),
    )


@pytest.fixture
def kept(record: Chat, tmp_path: Path) -> Path:
    """A file with a line for the record as it is, and one for a little later."""
    path = tmp_path / "checkpoints"
    call_command("checkpoint", "--file", str(path))
    record.says("And then?")
    relay.stamp(record.cast.tenant.pk)
    call_command("checkpoint", "--file", str(path))
    assert len(path.read_text().splitlines()) == 2
    assert checked("--checkpoint", str(path)) == []
    return path


def forget(before: datetime) -> str:
    out = StringIO()
    call_command("forget_operations", "--tenant", "shop", "--before", before.strftime("%Y-%m-%d"), stdout=out)
    return out.getvalue()
