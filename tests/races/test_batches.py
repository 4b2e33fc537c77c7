"""Batches that hold the same rows, brought in the same moment: each row is stored once, and nobody is told that it failed."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

import pytest

from agents_app.actors import system_actor
from config import clock
from messaging_app import stream
from messaging_app.batch import BatchRow, read_line
from messaging_app.models import Conversation, Message, Operation
from sessions_app.actions.batch_rows import Report
from sessions_app.actions.batches import ingest_batch
from sessions_app.models import ChatSession
from tests.races.cast import make_cast
from tests.races.test_contention import at_once

pytestmark = [pytest.mark.races, pytest.mark.django_db(transaction=True)]

RIVALS, ROWS = 8, 60


def row(number: int, account: str) -> BatchRow:
    said = {
        "message_id": f"m{number}",
        "account_id": account,
        "shop_id": "lamps",
        "sender_type": "customer",
        "content": f"No. {number}",
        "timestamp": (clock.now() - timedelta(days=3, hours=number)).isoformat(),
    }
    made = read_line(number, json.dumps(said))
    assert isinstance(made, BatchRow)
    return made


def brought(batches: list[list[BatchRow]]) -> list[Report]:
    actor = system_actor(make_cast("batches").tenant_id)
    return at_once([lambda rows=rows: ingest_batch(actor=actor, rows=rows) for rows in batches])


def is_whole() -> bool:
    operations = (Operation.objects.filter(conversation=c).order_by("seq") for c in Conversation.objects.all())
    counted = sum(ChatSession.objects.values_list("message_count", flat=True))
    return counted == Message.objects.count() and not any(map(stream.first_broken_link, operations))


@pytest.mark.parametrize("shift", [0, 5])
def test_rows_of_several_batches_are_stored_once(shift: int, caplog: pytest.LogCaptureFixture) -> None:
    """`shift`: by how many rows each batch begins later than the one before it."""
    with caplog.at_level(logging.ERROR):
        reports = brought([
            [row(number, f"a{number % 7}") for number in range(shift * rival, shift * rival + ROWS)] for rival in range(RIVALS)
        ])  # fmt: skip
    assert caplog.records == []
    assert [(report.accepted + report.duplicate, report.rejections) for report in reports] == [(ROWS, [])] * RIVALS
    assert sum(report.accepted for report in reports) == Message.objects.count() == ROWS + shift * (RIVALS - 1)
    assert is_whole()


def test_an_id_in_two_conversations_is_the_first_ones(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        reports = brought([[row(number, f"{rival}-{number % 7}") for number in range(ROWS)] for rival in range(RIVALS)])
    assert caplog.records == []
    assert sum(report.accepted for report in reports) == Message.objects.count() == ROWS
    assert [len(report.rejections) for report in reports] == [report.duplicate for report in reports]
    assert {rejected.code for report in reports for rejected in report.rejections} == {"message_id_taken"}
    assert is_whole()
