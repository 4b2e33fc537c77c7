"""What the database itself refuses of hours, service levels and e-mails. Raw writes; the same on every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from agents_app.models import Calendar, Holiday, OpeningHours, SlaPolicy
from config import clock
from sessions_app.models import Mail, SlaClock
from tests.cast import Cast, Chat
from tests.office import calendar, levels


def refuses(write: Callable[[], object]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        write()


@pytest.mark.parametrize(
    ("opens", "closes", "is_taken"),
    [
        (time(9), time(17), True),
        (time(9), time(0), True),
        (time(0), time(0), True),
        (time(23, 59, 59), time(0), True),
        (time(9), time(9), False),
        (time(17), time(9), False),
    ],
)
def test_hours_open_before_they_close_and_midnight_is_the_end(
    cast: Cast, opens: time, closes: time, is_taken: bool
) -> None:
    made = calendar(cast, days=())

    def weekday() -> object:
        return OpeningHours.objects.create(calendar=made, weekday=1, opens=opens, closes=closes)

    def special() -> object:
        return Holiday.objects.create(calendar=made, date="2026-12-24", name="Eve", opens=opens, closes=closes)

    for write in (weekday, special):
        if is_taken:
            write()
        else:
            refuses(write)
    if is_taken:
        row = OpeningHours.objects.get()
        assert (row.opens, row.closes) == (opens, closes)


@pytest.mark.parametrize(("opens", "closes"), [(time(9), None), (None, time(17)), (None, time(0))])
def test_a_special_day_has_both_times_or_neither(cast: Cast, opens: time | None, closes: time | None) -> None:
    made = calendar(cast, days=())
    refuses(lambda: Holiday.objects.create(calendar=made, date="2026-12-24", name="Eve", opens=opens, closes=closes))
    Holiday.objects.create(calendar=made, date="2026-12-24", name="Eve")
    refuses(lambda: Holiday.objects.create(calendar=made, date="2026-12-24", name="Eve again"))


def test_names_are_taken_once_in_a_tenant(cast: Cast, others: Cast) -> None:
    calendar(cast, "office")
    levels(cast)
    refuses(lambda: calendar(cast, "office"))
    refuses(lambda: levels(cast))
    calendar(cast, "Office")
    calendar(others, "office")
    assert Calendar.objects.count() == 3
    refuses(lambda: SlaPolicy.objects.create(tenant=cast.tenant, name="eager", warn_at=101))
    refuses(lambda: OpeningHours.objects.create(calendar_id=1, weekday=7, opens=time(9), closes=time(17)))


def clock_row(chat: Chat, **fields: Any) -> SlaClock:
    given = {"kind": "first_response", "state": "running", "started_at": clock.now()} | fields
    span = timedelta(minutes=1)
    return SlaClock.objects.create(
        tenant=chat.cast.tenant,
        conversation_id=chat.id,
        session=chat.sessions[0],
        target=span,
        warn_after=span,
        **given,
    )


def test_two_clocks_never_wait_for_the_same(chat: Chat) -> None:
    chat.serve()
    first = clock_row(chat)
    assert first.open_key == first.session_id
    for state in ("running", "paused", "breached"):
        refuses(lambda state=state: clock_row(chat, state=state))
    clock_row(chat, kind="resolution")
    SlaClock.objects.filter(pk=first.pk).update(state="breached", ended_at=clock.now())
    clock_row(chat)
    refuses(lambda: SlaClock.objects.filter(pk=first.pk).update(state="running", ended_at=None))


@pytest.mark.parametrize(
    "fields",
    [{"kind": "second_response"}, {"state": "slow"}, {"state": "met"}, {"state": "stopped"}, {"state": "running", "ended": True}],
    ids=str,
)  # fmt: skip
def test_a_clock_is_what_it_can_be(chat: Chat, fields: dict[str, Any]) -> None:
    chat.serve()
    more = dict(fields)
    if more.pop("ended", False):
        more["ended_at"] = clock.now()
    refuses(lambda: clock_row(chat, **more))


def test_an_unknown_status_of_an_email_is_refused(chat: Chat) -> None:
    chat.queue()
    asked = chat.pending
    refuses(
        lambda: Mail.objects.create(
            tenant=chat.cast.tenant,
            conversation_id=chat.id,
            session=asked.session,
            transfer=asked,
            to="desk@example.org",
            status="lost",
            created_at=clock.now(),
        )
    )
