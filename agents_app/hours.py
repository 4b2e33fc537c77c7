"""Business time: when a place is open, and how long. Pure: no ORM, and no clock of its own.

One rule: a place is open while the clock on its wall shows a time within its hours. All else follows, also on the two
nights a year in which that clock is put forward and back:

- 09:00–17:00 is eight hours on every day, and midnight to midnight is 23, 24 or 25.
- What lies in the skipped hour does not happen: 02:30–05:00 begins at 03:00 that day, 02:00–03:00 not at all.
- What lies in the repeated hour happens twice: 02:00–03:00 lasts two hours that night, and 01:00–02:30 closes when the
  clock shows 02:30 and opens again when it is put back to 02:00.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

type Span = tuple[time, time]
"""Opens and closes, by the clock on the wall. A closing at 00:00 is midnight, the end of the day."""

MIDNIGHT = time(0)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
HORIZON = timedelta(days=1096)
"""How far ahead a search goes. What does not happen in three years counts as never."""


@dataclass(frozen=True, slots=True)
class Hours:
    """A week of hours (Monday first; several spans a day, which may touch or overlap) and the days that differ."""

    zone: ZoneInfo
    week: tuple[tuple[Span, ...], ...]
    special: Mapping[date, tuple[Span, ...]] = field(default_factory=dict)

    def is_open(self, at: datetime) -> bool:
        wall = at.astimezone(self.zone)
        return any(
            opens <= wall.time() and (wall.time() < closes or closes == MIDNIGHT)
            for opens, closes in self.on(wall.date())
        )

    def next_opening(self, at: datetime) -> datetime | None:
        """The first moment from `at` on at which it is open: `at` itself if it is. None when that is never."""
        return next((start for start, _ in self.openings(at, at + HORIZON)), None)

    def open_between(self, start: datetime, end: datetime) -> timedelta:
        """How long it is open between the two; nothing when `end` comes first."""
        return sum((until - since for since, until in self.openings(start, end)), timedelta(0))

    def after(self, start: datetime, span: timedelta) -> datetime | None:
        """The first moment by which it has been open for `span` since `start`. None when that is never."""
        if span <= timedelta(0):
            return start
        for since, until in self.openings(start, start + HORIZON):
            if span <= until - since:
                return since + span
            span -= until - since
        return None

    def openings(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        """When it is open between the two, in order and without an overlap. An opening may come in pieces that touch."""
        if not any(self.week) and not any(self.special.values()):
            return
        start, end = start.astimezone(UTC), end.astimezone(UTC)
        while start < end:
            until = min(start + _DAY, end)
            for since, to, offset in self._steady(start, until):
                yield from ((a - offset, b - offset) for a, b in self._on_the_wall(since + offset, to + offset))
            start = until

    def on(self, day: date) -> tuple[Span, ...]:
        return self.special[day] if day in self.special else self.week[day.weekday()]

    def _steady(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, timedelta]]:
        """The stretch, cut where the clock on the wall is put forward or back; each part with its offset from UTC."""
        while start < end:
            offset = self._ahead(start)
            low, high = start, end
            if self._ahead(end) != offset:
                while high - low > _SECOND:
                    middle = low + (high - low) / 2
                    low, high = (middle, high) if self._ahead(middle) == offset else (low, middle)
                high = high.replace(microsecond=0)  # clocks are changed on whole seconds
            yield start, high, offset
            start = high

    def _ahead(self, at: datetime) -> timedelta:
        return at.astimezone(self.zone).utcoffset() or timedelta(0)

    def _on_the_wall(self, since: datetime, to: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The openings between two local times, between which the clock is not changed."""
        midnight = since.replace(hour=0, minute=0, second=0, microsecond=0)
        while midnight < to:
            covered = since
            for opens, closes in sorted(self.on(midnight.date())):
                first = max(covered, midnight + _since_midnight(opens))
                last = min(to, midnight + (_since_midnight(closes) or _DAY))
                if first < last:
                    yield first, last
                    covered = last
            midnight += _DAY


def joined(openings: Iterable[tuple[datetime, datetime]]) -> Iterator[tuple[datetime, datetime]]:
    """The same openings, with pieces that touch put together."""
    whole: tuple[datetime, datetime] | None = None
    for since, until in openings:
        if whole and whole[1] == since:
            whole = whole[0], until
            continue
        if whole:
            yield whole
        whole = since, until
    if whole:
        yield whole


def _since_midnight(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond)


ALWAYS = Hours(ZoneInfo("UTC"), (((MIDNIGHT, MIDNIGHT),),) * 7)
"""Every hour counts."""
