"""Business time against the clock on the wall, read minute by minute; and what the two nights of the year do to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents_app.hours import ALWAYS, HORIZON, MIDNIGHT, Hours, Span, joined

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai", "America/St_Johns", "Asia/Beirut")
CHANGES = (
    datetime(2026, 3, 8, 7, tzinfo=UTC),  # New York goes forward
    datetime(2026, 3, 28, 22, tzinfo=UTC),  # Beirut: midnight is skipped
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # Berlin
    datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe goes back, by half an hour
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),  # and forward
    datetime(2026, 10, 24, 21, tzinfo=UTC),  # Beirut: midnight comes twice
    datetime(2026, 10, 25, 1, tzinfo=UTC),  # Berlin goes back
    datetime(2010, 11, 7, 2, 31, tzinfo=UTC),  # St John's went back at one past midnight: yesterday came again
    datetime(2026, 11, 1, 6, tzinfo=UTC),  # New York goes back
)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NINE_TO_FIVE: Span = (time(9), time(17))
ALL_DAY: Span = (MIDNIGHT, MIDNIGHT)


def daily(*spans: Span, zone: ZoneInfo = BERLIN, special: dict[date, tuple[Span, ...]] | None = None) -> Hours:
    """The same hours every day."""
    return Hours(zone, (spans,) * 7, special or {})


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> datetime:
    """By the clock on the wall; `fold` 1 is the second time that it shows this. In UTC, where moments can be compared."""
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


# --- Against a reading minute by minute --------------------------------------------------------------------------


def shows_business_hours(hours: Hours, moment: datetime) -> bool:
    """The one rule, in other words than the module's."""
    wall = moment.astimezone(hours.zone)
    minute = wall.hour * 60 + wall.minute
    day = wall.date()
    spans = hours.special[day] if day in hours.special else hours.week[day.weekday()]
    return any(
        o.hour * 60 + o.minute <= minute < (c.hour * 60 + c.minute or 24 * 60)
        for o, c in spans
    )  # fmt: skip


def open_minutes(hours: Hours, start: datetime, end: datetime) -> Iterator[datetime]:
    while start < end:
        if shows_business_hours(hours, start):
            yield start
        start += MINUTE


@st.composite
def some_span(draw: st.DrawFn) -> Span:
    opens = draw(st.integers(0, 24 * 60 - 1))
    closes = draw(st.integers(opens + 1, 24 * 60))
    return time(*divmod(opens, 60)), time(*divmod(closes % (24 * 60), 60))


some_day = st.lists(some_span(), max_size=3).map(tuple)


@st.composite
def some_hours(draw: st.DrawFn) -> tuple[Hours, datetime]:
    """Hours, and a moment within three days of a change of clocks somewhere."""
    near = draw(st.sampled_from(CHANGES))
    start = near + draw(st.integers(-3 * 24 * 60, 24 * 60)) * MINUTE
    week = tuple(draw(st.tuples(*[some_day] * 7)))
    special = draw(st.dictionaries(st.integers(-3, 4).map(lambda n: (near + n * DAY).date()), some_day, max_size=2))
    return Hours(ZoneInfo(draw(st.sampled_from(ZONES))), week, special), start


@settings(max_examples=100, deadline=None)
@given(some_hours(), st.integers(0, 4 * 24 * 60))
def test_how_long_it_is_open_is_what_the_clock_on_the_wall_shows(given: tuple[Hours, datetime], minutes: int) -> None:
    hours, start = given
    end = start + minutes * MINUTE
    assert hours.open_between(start, end) == MINUTE * len(list(open_minutes(hours, start, end)))


@settings(max_examples=100, deadline=None)
@given(some_hours())
def test_the_next_opening_is_the_first_minute_that_is_open(given: tuple[Hours, datetime]) -> None:
    hours, start = given
    first = next(open_minutes(hours, start, start + 14 * DAY), None)
    found = hours.next_opening(start)
    assert found == first or (first is None and (found is None or found >= start + 14 * DAY))
    assert hours.is_open(start) == (found == start)


@settings(max_examples=100, deadline=None)
@given(some_hours(), st.integers(1, 3 * 24 * 60))
def test_what_takes_so_many_open_minutes_ends_with_the_last_of_them(
    given: tuple[Hours, datetime], minutes: int
) -> None:
    hours, start = given
    opened = list(open_minutes(hours, start, start + 8 * DAY))
    end = hours.after(start, minutes * MINUTE)
    if len(opened) >= minutes:
        assert end == opened[minutes - 1] + MINUTE
    else:
        assert end is None or end > start + 8 * DAY


@settings(max_examples=100, deadline=None)
@given(some_hours(), st.integers(0, 10**10))
@example((daily(NINE_TO_FIVE), datetime(2026, 3, 27, 15, 59, 59, 500, tzinfo=UTC)), 28_800 * 10**6 + 1)
def test_there_and_back(given: tuple[Hours, datetime], microseconds: int) -> None:
    """To the microsecond: what `after` finds, `open_between` counts."""
    hours, start = given
    span = timedelta(microseconds=microseconds)
    end = hours.after(start, span)
    assert end is None or hours.open_between(start, end) == span


@settings(max_examples=50, deadline=None)
@given(some_hours(), st.lists(st.integers(1, 3 * 24 * 60), max_size=4))
def test_time_that_is_counted_in_pieces_is_the_same_time(given: tuple[Hours, datetime], cuts: list[int]) -> None:
    hours, start = given
    moments = [start, *sorted(start + cut * MINUTE for cut in cuts)]
    pieces = sum((hours.open_between(a, b) for a, b in pairwise(moments)), timedelta(0))
    assert pieces == hours.open_between(moments[0], moments[-1])


# --- The two nights, one by one ----------------------------------------------------------------------------------

FORWARD, BACK = "2026-03-29", "2026-10-25"
"""In Berlin: from 02:00 to 03:00, and from 03:00 to 02:00."""


@pytest.mark.parametrize(
    ("day", "span", "lasts"),
    [
        (FORWARD, NINE_TO_FIVE, 8),
        (BACK, NINE_TO_FIVE, 8),
        (FORWARD, ALL_DAY, 23),
        (BACK, ALL_DAY, 25),
        (FORWARD, (time(2), time(3)), 0),
        (BACK, (time(2), time(3)), 2),
        (FORWARD, (time(1), time(4)), 2),
        (BACK, (time(1), time(4)), 4),
        (FORWARD, (time(22), MIDNIGHT), 2),
        (BACK, (time(2, 30), time(3, 30)), 1.5),
    ],
)
def test_how_long_a_day_is_open(day: str, span: Span, lasts: float) -> None:
    next_day = date.fromisoformat(day) + DAY
    assert daily(span).open_between(at(f"{day}T00:00"), at(f"{next_day}T00:00")) == lasts * HOUR


def test_what_would_open_in_the_skipped_hour_opens_after_it() -> None:
    assert daily((time(2, 30), time(5))).next_opening(at(f"{FORWARD}T00:00")) == at(f"{FORWARD}T03:00")


def test_what_lies_wholly_in_the_skipped_hour_opens_the_day_after() -> None:
    assert daily((time(2), time(3))).next_opening(at(f"{FORWARD}T00:00")) == at("2026-03-30T02:00")


def test_what_closes_in_the_repeated_hour_opens_again_when_the_clock_is_put_back() -> None:
    hours = daily((time(1), time(2, 30)))
    assert hours.next_opening(at(f"{BACK}T02:45")) == at(f"{BACK}T02:00", fold=1)
    assert not hours.is_open(at(f"{BACK}T02:30"))
    assert hours.is_open(at(f"{BACK}T02:15", fold=1))
    assert not hours.is_open(at(f"{BACK}T02:30", fold=1))


def test_an_hour_and_a_half_of_work_over_the_change() -> None:
    """From Saturday half an hour before the close: the rest on Sunday, by the clock as it is then."""
    hours = daily(NINE_TO_FIVE)
    for saturday, sunday in (("2026-03-28", FORWARD), ("2026-10-24", BACK)):
        assert hours.after(at(f"{saturday}T16:30"), 1.5 * HOUR) == at(f"{sunday}T10:00")


def test_lord_howe_changes_by_half_an_hour() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    night = daily((time(1), time(3)), zone=zone)
    for day, lasts in (("2026-04-05", 2.5), ("2026-10-04", 1.5), ("2026-06-01", 2)):
        assert night.open_between(at(f"{day}T00:00", zone), at(f"{day}T12:00", zone)) == lasts * HOUR


def test_a_day_that_a_place_has_skipped() -> None:
    """Samoa had no 30 December 2011."""
    zone = ZoneInfo("Pacific/Apia")
    hours = daily(NINE_TO_FIVE, zone=zone)
    assert hours.after(at("2011-12-29T16:00", zone), 2 * HOUR) == at("2011-12-31T10:00", zone)


# --- Ordinary days -----------------------------------------------------------------------------------------------


def test_a_closing_is_not_open_any_more_and_an_opening_is() -> None:
    hours = daily(NINE_TO_FIVE)
    assert hours.is_open(at("2026-05-04T09:00"))
    assert hours.is_open(at("2026-05-04T16:59:59.999999"))
    assert not hours.is_open(at("2026-05-04T17:00"))
    assert not hours.is_open(at("2026-05-04T08:59:59.999999"))
    assert hours.next_opening(at("2026-05-04T12:00")) == at("2026-05-04T12:00")


def test_midnight_ends_the_day_and_the_night_goes_on_in_the_next() -> None:
    hours = Hours(BERLIN, (((time(22), MIDNIGHT),), ((MIDNIGHT, time(6)),), (), (), (), (), ()))
    monday = at("2026-05-04T00:00")
    assert hours.next_opening(monday) == at("2026-05-04T22:00")
    assert hours.after(monday, 8 * HOUR) == at("2026-05-05T06:00")
    assert hours.open_between(monday, monday + 7 * DAY) == 8 * HOUR


def test_a_holiday_is_closed_and_a_special_day_has_its_own_hours() -> None:
    hours = daily(NINE_TO_FIVE, special={date(2026, 12, 24): ((time(9), time(12)),), date(2026, 12, 25): ()})
    assert hours.after(at("2026-12-24T11:00"), 2 * HOUR) == at("2026-12-26T10:00")
    assert hours.next_opening(at("2026-12-24T12:00")) == at("2026-12-26T09:00")


def test_a_special_day_opens_what_is_closed_all_week() -> None:
    hours = Hours(BERLIN, ((),) * 7, {date(2026, 12, 6): (NINE_TO_FIVE,)})
    assert hours.next_opening(at("2026-12-01T00:00")) == at("2026-12-06T09:00")
    assert hours.next_opening(at("2026-12-06T17:00")) is None


def test_spans_that_overlap_or_touch_count_once() -> None:
    twice = daily((time(9), time(13)), (time(12), time(17)), (time(17), time(18)), (time(10), time(11)))
    assert twice.open_between(at("2026-05-04T00:00"), at("2026-05-05T00:00")) == 9 * HOUR


def test_what_never_opens_has_no_next_opening_and_nothing_is_ever_due() -> None:
    never = daily()
    start = at("2026-05-04T00:00")
    assert (never.is_open(start), never.next_opening(start), never.after(start, HOUR)) == (False, None, None)
    assert never.open_between(start, start + HORIZON) == timedelta(0)


def test_no_time_at_all_is_over_at_once_even_when_it_is_closed() -> None:
    start = at("2026-05-04T20:00")
    assert daily(NINE_TO_FIVE).after(start, timedelta(0)) == start


def test_between_a_moment_and_an_earlier_one_nothing_is_open() -> None:
    assert ALWAYS.open_between(at("2026-05-04T20:00"), at("2026-05-04T10:00")) == timedelta(0)


@pytest.mark.parametrize("span", [HOUR, 40 * DAY, HORIZON])
def test_always_is_elapsed_time(span: timedelta) -> None:
    start = at("2026-03-28T22:00").astimezone(UTC)
    assert ALWAYS.after(start, span) == start + span
    assert ALWAYS.open_between(start, start + span) == span


def test_pieces_that_touch_are_one_opening() -> None:
    start = at("2026-03-28T12:00")
    assert list(joined(daily((time(1), time(4)), NINE_TO_FIVE).openings(start, start + 30 * HOUR))) == [
        (start, at("2026-03-28T17:00")),
        (at("2026-03-29T01:00"), at("2026-03-29T04:00")),
        (at("2026-03-29T09:00"), at("2026-03-29T17:00")),
    ]
    assert list(joined(ALWAYS.openings(start, start + 9 * DAY))) == [(start, start + 9 * DAY)]
    assert list(joined([])) == []
