"""A year of fuzzed conversations on a fake clock: is anybody forgotten, and is every promise kept?

    python -m tests.year.play --days 365 --seed 1 --database postgres://postgres@127.0.0.1:5432/postgres

Two shops (`world`) live on: customers, bots and agents do what they like (`lives`), the beat's tasks run at each moment at
which something happens or becomes due, and an oracle that was told nothing but the rules (`oracle`) looks after each:
at no moment does a customer who spoke last wait unseen for longer than GROUP_AFTER and one sweep. Makes a database of its
own, an SQLite file where no server is named. Ends with 1 when anything is wrong, with the seed and the moment.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

from tests.hostile.day import _database, prepare

SHOWN = 20
BEGAN = datetime(2026, 1, 1, 6, tzinfo=UTC)
MONTH = timedelta(days=30)
TICK = timedelta(milliseconds=1)
BEATS = (
    "note-presence", "sweep-due", "move-on-from-silent-agents", "escalate-from-dead-bots", "group-messages",
    "send-mails", "stamp",
)  # fmt: skip
SHOPS: dict[str, dict[str, str]] = {
    "gives-back": {},
    "asks-again": {"transfer_policy": "requeue", "assignment": "push"},
}
"""The policies of each."""
CONTROLS = {
    "calls": ("sessions_app.promises.unanswered.update_flag", None),
    "promises": ("sessions_app.promises.after_hours.is_promised", False),
    "dead-bots": ("sessions_app.actions.silence.escalate_from_dead_bots", 0),
}
"""By name: the function in which a rule stands, and what it returns when it does nothing."""
CALM = timedelta(seconds=1)
"""How long after something is due the sweep comes that sees it."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m tests.year.play")
    parser.add_argument("--database", default="", help="URL of the server; the database in it is left alone")
    parser.add_argument("--days", type=float, default=365)
    parser.add_argument("--customers", type=float, default=4, help="who write to each shop a day")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--shop",
        choices=sorted(SHOPS),
        action="append",
        help="one of them alone; two processes live the year of both in half the time",
    )
    parser.add_argument("--without", choices=sorted(CONTROLS), help="leave out one rule, whose lack must be seen")
    parser.add_argument("--json", action="store_true", help="the report as JSON, for a test")
    options = parser.parse_args(arguments)
    with _database(options.database) as url:
        prepare(url)
        with _left_out(options.without):
            shops = options.shop or sorted(SHOPS)
            report = run(days=options.days, customers=options.customers, seed=options.seed, shops=shops)
    print(json.dumps(report) if options.json else _table(report))
    return 1 if report["faults"] else 0


def run(*, days: float, customers: float, seed: int, shops: Sequence[str]) -> dict[str, Any]:
    from django.conf import settings

    settings.EMAIL_URL = "memorymail://"
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    began = time.monotonic()
    with FakeClock().ticking() as clock:
        year = Year(seed, customers, clock, shops)
        year.live(timedelta(days=days))
    return {
        "seed": seed,
        "shops": list(shops),
        "days": days,
        "messages": year.messages(),
        "looks": year.oracle.looks,
        "done": dict(year.done.most_common()),
        "refused": dict(year.refused.most_common()),
        "promises_kept": year.oracle.kept,
        "longest_unseen": year.oracle.longest.total_seconds(),
        "faults": year.oracle.faults,
        "seconds": time.monotonic() - began,
    }


@contextmanager
def _left_out(rule: str | None) -> Iterator[None]:
    if rule is None:
        yield
        return
    path, does_nothing = CONTROLS[rule]
    with mock.patch(path, return_value=does_nothing):
        yield


class FakeClock:
    """Stands where the year puts it, in place of the database's: one seed is one year, whenever and however slowly it is lived.

    Whoever looks at it moves it by a millisecond, so that no two verbs have the same moment. What wakes the drain of a
    queue runs it there and then, as in the suite: a thread would have times of its own.
    """

    def __init__(self) -> None:
        self.moment = BEGAN

    def now(self) -> datetime:
        self.moment += TICK
        return self.moment

    @contextmanager
    def ticking(self) -> Iterator[FakeClock]:
        from django.db.models import DateTimeField, Value

        from config import clock
        from sessions_app.actions import sweep
        from sessions_app.core import wake
        from tests.built_anew import statements_built_anew

        before = clock.now, clock.DbNow, wake.wake
        clock.now, wake.wake = self.now, sweep.settle_offers_and_drain
        clock.DbNow = lambda: Value(self.now(), output_field=DateTimeField())  # type: ignore[assignment]
        try:
            with statements_built_anew():
                yield self
        finally:
            clock.now, clock.DbNow, wake.wake = before


class Year:
    def __init__(self, seed: int, customers: float, clock: FakeClock, shops: Sequence[str]) -> None:
        from tests.year import lives
        from tests.year.oracle import Oracle
        from tests.year.world import make_shop

        self._clock, self._lives = clock, lives
        self._numbers = count(1)
        self._heap: list[tuple[datetime, int, Callable[[], object]]] = []
        self._touched: set[int] = set()
        self._beaten: dict[str, datetime] = {}
        self._given_up: set[tuple[str, datetime]] = set()
        self.oracle = Oracle()
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.began: datetime = clock.now()
        self._customers = customers
        first = self.began.date()
        self.shops = [make_shop(slug, seed, first, **SHOPS[slug]) for slug in shops]

    # --- What lives call ---

    def after(self, seconds: float, what: Callable[[], object]) -> None:
        self.at(self._clock.now() + timedelta(seconds=seconds), what)

    def at(self, moment: datetime, what: Callable[[], object]) -> None:
        heapq.heappush(self._heap, (moment, next(self._numbers), what))

    def after_about(self, seconds: float, what: Callable[[], object]) -> None:
        """At the next full quarter of an hour after that: what may as well happen together needs one look."""
        moment = self._clock.now().timestamp() + seconds
        self.at(datetime.fromtimestamp(moment - moment % 900 + 900, UTC), what)

    def number(self) -> int:
        return next(self._numbers)

    def touch(self, chat: Any) -> None:
        self.touch_id(chat.id)

    def touch_id(self, conversation_id: int) -> None:
        self._touched.add(conversation_id)

    def try_(self, what: Callable[[], object]) -> None:
        """One act of somebody: refused or done, and anything else is a fault."""
        from config.errors import DomainError

        try:
            what()
            self.done[what.__qualname__.split(".")[0]] += 1
            self.oracle.hear_who_serves()
        except DomainError as error:
            self.refused[error.code] += 1
        except Exception:
            self.oracle.fault(f"{self._clock.now()}: {_told()}")

    def dismiss(self, shop: Any, name: str) -> None:
        from sessions_app.actions import departure

        departure.dismiss_agent(actor=shop.cast.sue, agent_id=shop.cast.agent(name).pk, reason="moved away")

    def messages(self) -> int:
        from messaging_app.models import Message

        return Message.objects.count()

    # --- The year ---

    def live(self, length: timedelta) -> None:
        end = self.began + length
        for shop in self.shops:
            for name in shop.staff():
                self.begin(shop, name)
            self.after(3600, lambda shop=shop: self._lives.supervise(self, shop))
            self._next_customer(shop)
        while True:
            now = self._clock.now()
            moment = min(filter(None, (self._heap[0][0], self._due(now))))
            if moment > end:
                break
            if (moment - self.began) // MONTH > (now - self.began) // MONTH:
                told = f"{moment:%Y-%m-%d}: {self.oracle.looks} looks, {len(self.oracle.faults)} faults"
                print(told, *self.oracle.faults[-3:], sep="\n  ", file=sys.stderr, flush=True)
            if moment > now:
                self._clock.moment = moment + CALM
            self._moment()
        self.oracle.last_words(self._clock.now())
        self._judge()

    def begin(self, shop: Any, name: str) -> None:
        """An agent's working days, until the agent leaves: on the days the office is open, now and then on others."""
        wall = self._clock.now().astimezone(ZoneInfo("Europe/Berlin"))
        at_nine = wall.replace(hour=9, minute=0, second=0, microsecond=0).astimezone(UTC)
        start = at_nine + timedelta(seconds=shop.random.uniform(-600, 1800))
        if start < self._clock.now():
            start += timedelta(days=1)
        self.at(start, lambda: self._day_of(shop, name))

    def _day_of(self, shop: Any, name: str) -> None:
        if name not in shop.staff():
            return
        self.begin(shop, name)
        is_open = shop.calendar.hours.is_open(self._clock.now() + timedelta(hours=2))
        if shop.random.random() < (0.85 if is_open else 0.05):
            self._lives.come_to_work(self, shop, name)
            self.after(shop.random.uniform(7, 9) * 3600, lambda: self._lives.go_home(self, shop, name))

    def _next_customer(self, shop: Any) -> None:
        self.after(shop.random.expovariate(self._customers / 86_400), lambda: self._customer(shop))

    def _customer(self, shop: Any) -> None:
        self._next_customer(shop)
        self._lives.come(self, shop)

    def _moment(self) -> None:
        """Whoever is there is heard of; then what happens now, then the beat, then the oracle."""
        now = self._clock.now()
        self._heartbeats(now)
        while self._heap and self._heap[0][0] <= now:
            self.try_(heapq.heappop(self._heap)[2])
        self._beat(self._clock.now())
        for shop in self.shops:
            self._lives.hear_offers(self, shop)
        again = self.oracle.look(self._clock.now(), self._touched)
        self._touched = set()
        if again:
            self.at(again, _nothing)
        self._sweep_of_groups(now)

    def _heartbeats(self, now: datetime) -> None:
        from agents_app.models import Agent, ApiClient
        from tests.year.world import BOTS

        agents = [shop.cast.pk(name) for shop in self.shops for name in shop.present]
        Agent.objects.filter(pk__in=agents).update(last_seen_at=now)
        bots = [shop.cast.pk(name) for shop in self.shops for name in BOTS if name not in shop.deaf]
        ApiClient.objects.filter(pk__in=bots).update(last_seen_at=now)

    def _beat(self, now: datetime) -> None:
        """What the beat wakes, as often as it does: a task whose period has passed since the last moment runs once."""
        from django.utils.module_loading import import_string

        from config.celery import BEAT

        for name in BEATS:
            task, period = BEAT[name]
            if int(now.timestamp() / period) == int(self._beaten.get(name, BEGAN).timestamp() / period):
                continue
            self._beaten[name] = now
            try:
                import_string(task)()
            except Exception:
                self.oracle.fault(f"{now}: the beat's {name}: {_told()}")

    def _sweep_of_groups(self, now: datetime) -> None:
        """The beat of the groups comes every minute: words that have just been said are looked at in time."""
        if self.oracle.waits:
            newest = max(self.oracle.waits.values())
            if now - newest < timedelta(seconds=5):
                self.after(61, _nothing)
                self.after(121, _nothing)

    def _due(self, now: datetime) -> datetime | None:
        """When the next deadline of any row is; what stays due although the beat has looked is a fault, told once."""
        from django.db.models import Min

        from sessions_app.models import ChatSession, GuidedFlow, Mail, SlaClock, Transfer
        from sessions_app.states import FLOW_BLOCKING, OPEN, TransferStatus

        open_ones = ChatSession.objects.filter(status__in=sorted(OPEN))
        asked = Transfer.objects.filter(status=TransferStatus.PENDING)
        flows = GuidedFlow.objects.filter(status__in=sorted(FLOW_BLOCKING), conversation__isnull=False)
        columns = {
            "a session": (open_ones, ("expires_at", "reply_due_at")),
            "a transfer": (asked, ("deadline", "offer_expires_at")),
            "a flow": (flows, ("expires_at", "lease_until")),
            "a clock": (SlaClock.objects.all(), ("wakes_at",)),
            "a mail": (Mail.objects.all(), ("due_at",)),
        }
        found = []
        for what, (rows, names) in columns.items():
            for name, moment in rows.aggregate(**{f"m_{n}": Min(n) for n in names}).items():
                if moment is None:
                    continue
                if moment > now:
                    found.append(moment)
                elif now - moment > timedelta(seconds=5) and (what, moment) not in self._given_up:
                    self._given_up.add((what, moment))
                    self.oracle.fault(f"{now}: {what}'s {name[2:]} was due at {moment} and is not applied")
                elif now - moment <= timedelta(seconds=5):
                    found.append(now + timedelta(seconds=1))
        opens = asked.filter(opens_at__gt=now).aggregate(m=Min("opens_at"))["m"]
        return min([*found, *([opens] if opens else [])], default=None)

    def _judge(self) -> None:
        from tests.cast import broken_invariants

        for text in broken_invariants():
            self.oracle.fault(f"invariant {text}")


def _nothing() -> None:
    """A moment at which to look."""


def _told() -> str:
    error = sys.exc_info()[1]
    frame = traceback.extract_tb(error.__traceback__ if error else None)[-1]
    return f"{type(error).__name__}: {str(error)[:300]} in {frame.filename.rpartition('/')[2]}:{frame.lineno}"


def _table(report: dict[str, Any]) -> str:
    lines = [f"{name:>15}: {value}" for name, value in report.items() if name != "faults"]
    faults = report["faults"]
    lines += [f"{'faults':>15}: {len(faults)}", *(f"  {text}" for text in faults[:SHOWN])]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
