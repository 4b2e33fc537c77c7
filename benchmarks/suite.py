"""Every row of the suite in one run: Tandem beside the FastAPI baseline, bare statements and itself.

    python benchmarks/suite.py [--rows 1,4,9] [--growth] [--quick] [--rounds 3] [--baseline FOLDER] [--json FILE] [--page]

It starts all that it measures by itself, on ports of its own on this machine and in databases of its own on PostgreSQL
(TEST_POSTGRES_URL) and Redis (TEST_REDIS_URL), fills both sides with 10,000 open conversations, and drops all of it
afterwards. Peers take turns. Every load has an end. A row that cannot be measured stays in the table and says why.

The baseline is not in this repository: FOLDER or TANDEM_BASELINE has its `baseline_fastapi.py`. A whole run, of all rows,
becomes docs/performance.json and docs/performance.md. --quick is a smoke run of small sizes, which becomes neither.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from common import ROOT, noise, postgres_of_our_own
from rows import filling, growing, on_database, over_http, part, report, rivals, servers
from rows.figures import Figure
from rows.filling import People
from rows.peers import Baseline, Tandem, fill_baseline

REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
ROWS = ("1", "2", "3", "4", "5", "push", "9", "10", "11", "12", "13", "14", "15", "desk", "sustained", "growth")
PUSH_ROWS = {"6", "7", "8"}
LAYERED = {"1", "2", "4", "desk"}
"""Rows with which the page says where the time goes."""


@dataclass(frozen=True, slots=True)
class Sizes:
    conversations: int
    calls: int
    batches: int
    seconds: float
    due: int
    sweeping: float
    lasting: float
    grown: tuple[int, ...]
    desks: int
    push: tuple[str, ...]


FULL = Sizes(10_000, 120, 10, 6, 100_000, 60, 30, (10_000, 100_000, 1_000_000), 40, ("--streams", "1000", "4000"))
QUICK = Sizes(
    500, 10, 2, 1, 200, 5, 3, (500, 1_000), 5, ("--rounds", "1", "--events", "10", "--streams", "20", "--fans", "2")
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="", help=f"of {', '.join(ROWS)}, by commas; all without it")
    parser.add_argument(
        "--growth",
        action="store_true",
        help="the cost as writers, streams and web processes grow; conversations: row 9",
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=0, help="3 without it, and 1 of a quick run")
    parser.add_argument("--most", type=int, default=1_000_000, help="conversations to which row 9 grows")
    default = os.environ.get("TANDEM_BASELINE", str(ROOT.parent / "shared" / "bench"))
    parser.add_argument("--baseline", type=Path, default=Path(default))
    parser.add_argument("--json", type=Path, default=ROOT / "test-results" / "bench.json")
    parser.add_argument(
        "--page", action="store_true", help="write docs/performance.json and .md, also after a run of some rows"
    )
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    named = {"push" if row in PUSH_ROWS else row for row in options.rows.split(",") if row}
    chosen = named | ({"growth"} if options.growth else set()) or set(ROWS)
    if unknown := chosen - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    os.environ |= {"BENCH_REDIS_URL": REDIS, **{k: v for k, v in servers.settings("", REDIS).items() if k.isupper()}}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # what was started ends too
    with tempfile.TemporaryDirectory() as folder, postgres_of_our_own("bench_suite") as url, ExitStack() as stack:
        run = Run(url, Path(folder), options, QUICK if options.quick else FULL, stack)
        run.is_whole = chosen == set(ROWS)
        run.all(chosen)
        run.tell()


class Run:
    """One run: what is started when a row needs it, what was found, and what went wrong."""

    def __init__(self, url: str, folder: Path, options: argparse.Namespace, sizes: Sizes, stack: ExitStack) -> None:
        self.url, self.folder, self.options, self.sizes, self._stack = url, folder, options, sizes, stack
        self.is_whole = False
        self.figures: list[Figure] = []
        self.grown: dict[str, Any] = {}
        self.layers: dict[str, dict[str, float]] = {}
        self.noise = [noise()]

    # --- Who takes part ---

    @cached_property
    def people(self) -> People:
        return filling.fill(self.sizes.conversations)

    @cached_property
    def web(self) -> servers.Process:
        people = self.people  # before the server, which is warm only if its tenants are there
        assert people.ids
        return self._stack.enter_context(servers.running(*servers.by_wsgi(self.url, REDIS)))

    @cached_property
    def tandem(self) -> Tandem:
        return Tandem("wsgi", self.web.port, self.people)

    @cached_property
    def file(self) -> tuple[str, People]:
        """The embedded server's database, and who calls there."""
        url = f"sqlite:///{self.folder / 'bench.sqlite3'}"
        return url, People(**part.run("fill", url, 900, size=self.sizes.conversations))

    @cached_property
    def embedded_server(self) -> servers.Process:
        return self._stack.enter_context(servers.running(*servers.embedded(self.file[0])))

    @cached_property
    def embedded(self) -> Tandem:
        return Tandem("embedded", self.embedded_server.port, self.file[1])

    @cached_property
    def baseline(self) -> Baseline:
        folder = self.options.baseline.resolve()
        if not (folder / "baseline_fastapi.py").exists():
            raise FileNotFoundError(f"the baseline is not in {folder}: name its folder by --baseline")
        server = self._stack.enter_context(servers.running(*servers.baseline(folder, self.url, REDIS)))
        return Baseline(server.port, fill_baseline(self.url, self.sizes.conversations))

    # --- The rows ---

    def all(self, chosen: set[str]) -> None:
        sizes, rounds = self.sizes, self.options.rounds
        few = max(1, sizes.calls // 3)
        grows = tuple(
            dict.fromkeys((sizes.conversations, *(size for size in sizes.grown if size <= self.options.most)))
        )
        # What fills the database comes last: the first rows are of 10,000 conversations.
        rows: dict[str, Callable[[], list[Figure]]] = {
            "1": lambda: over_http.calls(self.baseline, [self.tandem, self.embedded], rounds, sizes.calls),
            "2": lambda: [over_http.message_beside_bare(self.url, self.tandem, rounds, sizes.calls)],
            "3": lambda: [on_database.ingest(self.url, self.people, rounds, sizes.batches)],
            "4": lambda: over_http.batches(self.baseline, [self.tandem, self.embedded], rounds, sizes.batches),
            "5": lambda: over_http.again(self.url, self.tandem, rounds, sizes.batches),
            "10": lambda: on_database.routing(self.url, self.people.ids, rounds, sizes.calls),
            "11": lambda: on_database.after_a_takeover(self.tandem, few),
            "12": lambda: rivals.one_conversation(self.url, self.web.port, self.people, rounds, sizes.seconds),
            "13": lambda: rivals.one_winner(self.url, self.web.port, self.people, min(few, 5)),
            "desk": self.desk,
            "sustained": self.sustained,
            "push": self.push,
            "15": report.statements,
            "growth": self.growth,
        }
        rows["9"] = lambda: self.pages(grows)
        rows["14"] = lambda: on_database.sweep(self.url, self.tandem, sizes.due, sizes.sweeping)
        for row, measure in rows.items():
            if row in chosen:
                print(f"{datetime.now(UTC):%H:%M:%S} row {row}", file=sys.stderr, flush=True)
                self.figures += tried(row, measure)
                self.keep()  # what was found is not lost with the row that hangs
        order = {row: place for place, row in enumerate(("1", "2", "3", "4", "5", "6", "7", "8", *ROWS[6:]))}
        self.figures.sort(key=lambda one: order.get(one.row, len(order)))
        if LAYERED & chosen:
            self.figures += tried("layers", self.profile)
        self.noise.append(noise())

    def pages(self, grows: tuple[int, ...]) -> list[Figure]:
        found, self.grown["conversations"] = on_database.pages(
            self.url, self.tandem, list(grows), self.options.rounds, self.sizes.calls
        )
        return found

    def desk(self) -> list[Figure]:
        """Server time of the desk's page on the embedded database, without a socket."""
        url, people = self.file
        found = part.run(
            "desk",
            url,
            600,
            cookies={"full": people.viewer, "empty": people.nobody},
            rounds=self.options.rounds,
            calls=self.sizes.desks,
        )
        limits = {"empty": (8.0, 5.0), "full": (30.0, 15.0)}
        names = {"empty": "with nothing on it", "full": f"with {self.sizes.conversations:,} open"}
        return [
            Figure(
                "desk", f"the desk's page {names[name]}, server time p50", "–", min(middles), (min(middles), max(middles)), unit="ms",
                land=limits[name][0], aim=limits[name][1], detail={"times": found["times"][name]},
            )
            for name, middles in sorted(found["p50_ms_by_round"].items())
        ]  # fmt: skip

    def sustained(self) -> list[Figure]:
        people, ids = self.people, self.baseline.ids
        folder = self.options.baseline.resolve()
        with (
            servers.running(*servers.by_wsgi(self.url, REDIS, 2)) as web,
            servers.running(*servers.baseline(folder, self.url, REDIS, 2)) as theirs,
        ):
            ours, baseline = Tandem("wsgi", web.port, people), Baseline(theirs.port, ids)
            for peer in (ours, baseline):
                rivals.at_a_rate(peer, 50, 2)  # all are warm
            return rivals.sustained(ours, baseline, (300, 500), self.sizes.lasting)

    def push(self) -> list[Figure]:
        """Rows 6 to 8 have a benchmark of their own."""
        script = Path(__file__).with_name("push.py")
        if not script.exists():
            return [Figure(row, "push", "–", why_not="benchmarks/push.py is not there") for row in sorted(PUSH_ROWS)]
        result = self.folder / "push.json"
        command = [sys.executable, str(script), "--json", str(result), *self.sizes.push]
        servers.finished(command, 900)
        found = json.loads(result.read_text())
        return [_pushed(one) for one in found if str(one["row"]) in PUSH_ROWS]

    def profile(self) -> list[Figure]:
        """Where the time of the calls goes, which is no figure of the table."""
        people = self.people.as_dict() | {"ids": self.people.ids[:100]}
        self.layers = part.run("layers", self.url, 300, people=people, times=self.sizes.desks)
        return []

    def growth(self) -> list[Figure]:
        """Curves, and no figure of the table."""
        is_quick, seconds = self.options.quick, self.sizes.seconds
        sizes: dict[str, tuple[int, ...]] = {"writers": (1, 4), "streams": (1, 10), "web processes": (1, 2)} if is_quick else {
            "writers": growing.WRITERS, "streams": growing.SOCKETS, "web processes": growing.WORKERS,
        }  # fmt: skip
        measures: dict[str, Callable[[], dict[str, Any]]] = {
            "writers": lambda: growing.writers(self.web.port, self.people, seconds, sizes["writers"]),
            "streams": lambda: growing.sockets(self.embedded_server, self.file[1], sizes["streams"]),
            "web processes": lambda: growing.workers(self.url, REDIS, self.people, seconds, sizes["web processes"]),
        }
        wrong: list[Figure] = []
        for what, measure in measures.items():
            with noted(wrong, f"cost as {what} grow"):
                self.grown[what] = measure()
        return wrong

    # --- What is told ---

    def keep(self) -> str:
        """What was found so far, as JSON, where --json says."""
        about = {
            "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "size": self.sizes.conversations, "rounds": self.options.rounds,
            "python": platform.python_version(), "cores": os.cpu_count(), "noise": self.noise, "is_quick": self.options.quick,
            "share": min(int(of) / 100 for one in self.noise for of in re.findall(r"(\d+)%", one)),
        }  # fmt: skip
        text = report.as_json(self.figures, about, self.grown, growing.slopes(self.grown), self.layers)
        self.options.json.parent.mkdir(parents=True, exist_ok=True)
        self.options.json.write_text(text, encoding="utf-8")
        return text

    def tell(self) -> None:
        report.print_table(self.figures, self.noise, self.grown, growing.slopes(self.grown))
        text = self.keep()
        if self.options.page or (self.is_whole and not self.options.quick):
            report.KEPT.write_text(text, encoding="utf-8")
            report.write_page(json.loads(text))


def _pushed(one: dict[str, Any]) -> Figure:
    """A record of push.py: of memory the megabytes count, of all else the ratio."""
    name, _, unit = one["name"].rpartition(", ")
    detail = {key: value for key, value in one.items() if key not in ("row", "name", "target", "spread")}
    if name.startswith("memory"):
        return Figure(str(one["row"]), name, "–", one["p50"], unit=unit, land=one["target"] or None, detail=detail)
    spread = (one["spread"][0], one["spread"][1])
    what = f"{name}, {unit}" if unit not in ("ms", "s") else name
    return Figure(
        str(one["row"]), what, "its raw peer", one["ratio"], spread, land=one["target"] or None, detail=detail
    )


def tried(row: str, measure: Callable[[], list[Figure]]) -> list[Figure]:
    """What was found, or why it was not."""
    wrong: list[Figure] = []
    found: list[Figure] = []
    with noted(wrong, f"row {row}", row):
        found = measure()
    return found + wrong


@contextmanager
def noted(wrong: list[Figure], what: str, row: str = "growth") -> Iterator[None]:
    try:
        yield
    except Exception as error:
        traceback.print_exc()
        wrong.append(Figure(row, what, "–", why_not=f"{type(error).__name__}: {error}"[:300]))


if __name__ == "__main__":
    main()
