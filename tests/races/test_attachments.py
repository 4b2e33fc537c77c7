"""Several who want one file: two messages, and the clock that forgets it. Real threads, on the database of this run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config import clock
from config.errors import DomainError
from messaging_app.attachments import rows
from messaging_app.models import Message
from messaging_app.models.attachments import Attachment
from messaging_app.thread import NewMessage
from sessions_app.actions import inbound
from tests.races.cast import Cast, make_cast
from tests.races.test_contention import at_once
from tests.uploads import upload

pytestmark = [pytest.mark.races, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def cast(settings: Any, tmp_path: Path) -> Iterator[Cast]:
    where = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = settings.STORAGES | {"attachments": where}
    yield make_cast("files")
    clock.offset = timedelta(0)


def sends(cast: Cast, *ids: int, message_id: str = "") -> Any:
    words = NewMessage(content="", attachments=ids, message_id=message_id)
    return inbound.receive_message(actor=cast.integrator, conversation_id=cast.conversations[0], words=words)


def test_of_messages_that_race_for_one_file_one_has_it_and_the_others_are_not_stored(cast: Cast) -> None:
    row = upload(cast.integrator, cast.conversations[0])
    answers = at_once([lambda: sends(cast, row.pk) for _ in range(8)])
    codes = Counter(answer.code if isinstance(answer, DomainError) else "sent" for answer in answers)
    assert codes == {"sent": 1, "attachment_sent": 7}
    assert Message.objects.get().attachments.get() == row


def test_a_message_sent_from_many_sides_at_once_takes_its_file_once(cast: Cast) -> None:
    row = upload(cast.integrator, cast.conversations[0])
    answers = at_once([lambda: sends(cast, row.pk, message_id="m-1") for _ in range(8)])
    assert {answer.seq for answer in answers} == {1}
    assert sum(not answer.is_repeat for answer in answers) == 1
    assert Message.objects.get().attachments.get() == row


def test_an_upload_from_many_sides_at_once_is_one_row_and_one_file(cast: Cast, tmp_path: Path) -> None:
    where = cast.conversations[0]
    answers = at_once([lambda: upload(cast.integrator, where, client_id="u-1") for _ in range(8)])
    assert len({answer.pk for answer in answers}) == 1
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 2


def test_a_file_that_is_forgotten_while_it_is_sent_is_one_or_the_other(cast: Cast, tmp_path: Path) -> None:
    files = [upload(cast.integrator, cast.conversations[0]) for _ in range(10)]
    clock.offset = timedelta(days=2)
    answers = at_once([*(lambda pk=row.pk: sends(cast, pk) for row in files), rows.forget, rows.forget])
    refused = [answer for answer in answers if isinstance(answer, DomainError)]
    assert {answer.code for answer in refused} <= {"attachment_not_found"}
    assert len(refused) + Attachment.objects.exclude(message=None).count() == len(files)
    kept = {path.name.partition(".")[0] for path in tmp_path.rglob("*") if path.is_file()}
    assert kept == {row.storage_key.partition("/")[2] for row in Attachment.objects.all()}
