"""A hostile day: strangers send, through every door and as every role, whatever there is, beside innocent conversations.

    python -m tests.hostile.day --database postgres://postgres@127.0.0.1:5432/postgres --operations 20000

Makes a database of its own (an SQLite file where no server is named) and drops it. What must hold:

1. no answer is a 5xx, nothing under the API is anything but valid JSON, no door raises what is no refusal of the domain;
2. no innocent conversation lives differently or later than on the same day without strangers (`tests.hostile.innocents`);
3. sessions are equal however the same messages were cut, in whichever order and by whichever door they came;
4. the invariants (docs/rules.md, Invariants) hold, and
5. nothing is set by whoever may not set it (`tests.hostile.oracle`, which is told from the rules);
6. what people look at all day opens.

Ends with 1 and prints what failed, with the seed and the number of the operation, when one does not.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.races.servers import Server

STEPS = 36
"""Of the day, 70 s each: longer than the clocks of the innocents (30 minutes) and shorter than a test may take."""
SHOWN = 40


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m tests.hostile.day")
    parser.add_argument("--database", default="", help="URL of the server; the database in it is left alone")
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="the report as JSON, for a test")
    options = parser.parse_args(arguments)
    with _database(options.database) as url:
        prepare(url)
        report = run(options.operations, options.seed)
    print(json.dumps(report) if options.json else _table(report))
    return 1 if report["faults"] else 0


@contextmanager
def _database(url: str) -> Iterator[str]:
    if url:
        with Server(url).database(f"tandem_hostile_{os.getpid()}") as made:
            yield made
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/hostile.sqlite3"


def prepare(url: str) -> None:
    """Set Django up on a fresh database. Everything that reads settings is imported after this."""
    os.environ |= {"DATABASE_URL": url, "REDIS_URL": "", "CELERY_BROKER_URL": "", "LOG_LEVEL": "CRITICAL"}
    # As many calls as an hour of a busy floor, within minutes: the limits have tests of their own.
    os.environ |= {"API_RATE": "1000000/min", "ANONYMOUS_RATE": "1000000/min"}
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    logging.disable(logging.CRITICAL)
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    call_command("migrate", verbosity=0)


def run(operations: int, seed: int) -> dict[str, Any]:
    """The day with strangers, then the same without, on one database in tenants of the same names."""
    began = time.monotonic()
    hostile = _Day(seed, operations)
    hostile.live()
    faults = hostile.faults + hostile.judged()
    quiet = _without_strangers(seed)
    faults += _differences(hostile.innocent_days, quiet)
    return {
        "seed": seed,
        "operations": operations,
        "answers": {str(status): count for status, count in sorted(hostile.statuses.items())},
        "doors": dict(hostile.doors.most_common()),
        "faults": faults,
        "seconds": time.monotonic() - began,
    }


class _Day:
    """One day: the innocents' scripts, the cuts, and so many tries of strangers in each step."""

    def __init__(self, seed: int, operations: int) -> None:
        from config import clock
        from tests.hostile.cuts import Cuts
        from tests.hostile.innocents import Innocents
        from tests.hostile.values import Stranger
        from tests.hostile.world import make_world

        self._clock = clock
        clock.offset = timedelta(0)
        self._seed, self._operations = seed, operations
        self.stranger = Stranger(seed)
        self.began: datetime = clock.now()
        self.world = make_world()
        self.innocents = Innocents(self.world)
        self.cuts = Cuts(seed) if operations else None
        self.faults: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.doors: Counter[str] = Counter()
        self.innocent_days: dict[str, list[tuple[int, str]]] = {}

    def live(self) -> None:
        from tests.hostile.innocents import STEP

        for step in range(STEPS):
            # Set anew for each step: how long a step took must not add up over the day.
            self._clock.offset = timedelta(0)
            self._clock.offset = self.began + timedelta(seconds=step * STEP + 1) - self._clock.now()
            self._beat(step)
            self._tried(f"step {step}, innocents", lambda step=step: self.innocents.play(step))
            if self.cuts:
                self._tried(f"step {step}, cuts", lambda cuts=self.cuts: cuts.feed(self._clock.now()))
            if self._operations and step >= 1:
                self._strangers(step)
        self.innocent_days = self.innocents.days(self.began)

    def _beat(self, step: int) -> None:
        """What the beat wakes, each by itself; it must never fail."""
        from agents_app import tasks as of_people
        from messaging_app import tasks as of_words
        from sessions_app import tasks

        for task in (
            tasks.sweep_due, tasks.move_on_from_silent_agents, tasks.escalate_from_dead_bots, tasks.note_presence,
            tasks.group_messages, tasks.store_batches, tasks.send_notices, tasks.send_mails, tasks.forget_batches,
            of_words.stamp, of_words.index_search, of_words.forget_attachments, of_people.forget_answers,
        ):  # fmt: skip
            self._tried(f"step {step}, the beat's {task.name}", task)

    def _tried(self, what: str, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:
            self._fault(f"{what}: {_told()}")

    def _strangers(self, step: int) -> None:
        from tests.hostile.doors import DOORS, look_everywhere

        doors, shares = list(DOORS), list(DOORS.values())
        callers = list(self.world.callers.values())
        for number in range(self._operations // (STEPS - 1)):
            door = self.stranger.random.choices(doors, shares)[0]
            caller = self.stranger.one_of(*callers)
            try:
                self._take(door(self.stranger, self.world, caller), f"step {step}, operation {number}")
            except Exception:
                self._fault(f"step {step}, operation {number}: {door.__name__} as {caller.name}: {_told()}")
        if step % 7 == 0 or step == STEPS - 1:
            for answer in look_everywhere(self.world):
                self._take(answer, f"step {step}, looking")

    def _take(self, answer: Any, where: str) -> None:
        self.statuses[answer.status] += 1
        self.doors[answer.door.split(" ")[0]] += 1
        if answer.status >= 500:
            self._fault(f"{where}: {answer.door} as {answer.caller}: {answer.status} to {answer.sent}")
        elif answer.problem:
            self._fault(f"{where}: {answer.door} as {answer.caller}: {answer.problem}; sent {answer.sent}")

    def _fault(self, text: str) -> None:
        if len(self.faults) < 500:
            self.faults.append(text)

    def judged(self) -> list[str]:
        """What is wrong with the rows that the day left."""
        from agents_app.models import Backoff
        from messaging_app import relay
        from tests.cast import broken_invariants
        from tests.hostile import oracle

        while relay.stamp_all():
            pass
        faults = [f"rights: {text}" for text in oracle.wrongs()]
        faults += [f"invariant: {text}" for text in broken_invariants()]
        faults += [f"the beat: {row} is put off: {row.error}" for row in Backoff.objects.all()]
        if self.cuts:
            faults += [f"cuts: {text}" for text in self.cuts.differences()]
        return faults


def _told() -> str:
    """The error that is being handled, and where it was raised, on one line."""
    kind, error, trace = sys.exc_info()
    assert kind is not None
    where = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)[:-5:-1])
    return f"{kind.__name__}: {str(error)[:160]} at {where}"


def _without_strangers(seed: int) -> dict[str, list[tuple[int, str]]]:
    """The same innocents on the same database, after the tenants of the first day were given other names."""
    from django.contrib.auth import get_user_model

    from agents_app.models import Tenant

    for tenant in Tenant.objects.all():
        Tenant.objects.filter(pk=tenant.pk).update(slug=f"{tenant.slug}-before")
    for user in get_user_model().objects.all():
        get_user_model().objects.filter(pk=user.pk).update(username=f"{user.username}-before")
    quiet = _Day(seed, 0)
    quiet.live()
    return quiet.innocent_days


def _differences(hostile: dict[str, Any], quiet: dict[str, Any]) -> list[str]:
    return [
        f"innocent {name}: with strangers {hostile.get(name)}; without {quiet[name]}"
        for name in quiet
        if hostile.get(name) != quiet[name]
    ]


def _table(report: dict[str, Any]) -> str:
    lines = [
        f"seed {report['seed']}: {report['operations']} operations in {report['seconds']:.0f} s",
        f"answers: {report['answers']}",
        f"doors: {report['doors']}",
        f"faults: {len(report['faults'])}",
    ]
    lines += [f"  {fault}" for fault in report["faults"][:SHOWN]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
