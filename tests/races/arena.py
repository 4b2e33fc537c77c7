"""Where the players meet: forks them, sweeps and stamps beside them, checks what they left.

Children are forked from a process that has Django ready and no connection open, so a run starts in no time; each opens
connections of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

from django.db import connection, connections

from agents_app.models import Backoff
from messaging_app import relay
from sessions_app.actions import departure, presence, sweep
from tests.patience import PATIENCE
from tests.races import invariants
from tests.races.cast import Cast, make_cast
from tests.races.fuzz import is_clean
from tests.races.mutants import CONTROL, MUTANTS, Mutant
from tests.races.player import DESK_MOVES, MOVES, Player, Tally
from tests.races.servers import Server

_fork = multiprocessing.get_context("fork")
LIMIT = 900.0
"""Seconds that any one child may take."""
PARTS = 20
"""Into how many runs the hunt for one mutant is cut: most are missed in the first, `epoch` and `agent-lock` in nine of ten."""
QUIET = 2.5
"""Seconds for which only the sweeper works on at the end."""


class Child:
    """A forked process that runs one function and sends back what it returns, or how it failed."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        connections.close_all()
        self._answer, theirs = _fork.Pipe(duplex=False)
        self._process = _fork.Process(target=_child, args=(theirs, function, arguments), daemon=True)
        self._process.start()
        theirs.close()

    def result(self) -> Any:
        try:
            if not self._answer.poll(LIMIT):
                raise TimeoutError("a child did not answer")
            failed, value = self._answer.recv()
        finally:
            self._answer.close()
            self._process.join(PATIENCE)
            if self._process.is_alive():
                self._process.kill()
        if failed:
            raise RuntimeError(value)
        return value


def _child(answer: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    random.seed()  # forked twins would wait the same random times before they try again
    try:
        answer.send((False, function(*arguments)))
    except BaseException:
        answer.send((True, traceback.format_exc()))
    finally:
        connections.close_all()
        answer.close()


def fuzz(options: argparse.Namespace, seed: int, mutant: Mutant | None = None) -> dict[str, Any]:
    """One run with one seed; a plain report."""
    began = time.monotonic()
    name = f"{mutant.name if mutant else connection.vendor} {seed}"
    policy = ("return", "requeue")[seed % 2 == 0]
    assignment = ("pull", "push")[options.desk or seed % 3 == 0]
    slug = f"fuzz-{name.replace(' ', '-')}-{random.randrange(10**9)}"
    cast: Cast = Child(_set_up, slug, policy, assignment, mutant).result()
    stop = _fork.Event()
    sweeper = Child(_sweep, cast, stop, mutant)
    stamper = Child(_stamp, cast, stop)
    share = -(-options.operations // options.workers)
    moves = (mutant and mutant.moves) or (DESK_MOVES if options.desk else MOVES)
    workers = [Child(_play, cast, seed, index, share, mutant, moves) for index in range(options.workers)]
    tally, unexpected = Tally(), []
    for worker in workers:
        try:
            tally.add(worker.result())
        except RuntimeError as error:
            unexpected.append(str(error))
    if mutant is None:
        time.sleep(QUIET)
    quiet_at = datetime.now(UTC)
    stop.set()
    snapshots: list[dict[str, Any]] = []
    for helper in (sweeper, stamper):
        try:
            snapshots += helper.result()
        except RuntimeError as error:
            unexpected.append(str(error))
    faults = Child(_check, cast, tally.acknowledged, snapshots, quiet_at).result()
    return {
        "name": name,
        "operations": tally.operations,
        "accepted": dict(tally.accepted),
        "refused": dict(tally.refused),
        "retried": tally.retried,
        "given_up": tally.given_up.total(),
        "given_up_for": dict(tally.given_up),
        "unexpected": tally.unexpected + unexpected,
        "faults": faults,
        "snapshots": len(snapshots),
        "acknowledged": len(tally.acknowledged),
        "seconds": time.monotonic() - began,
    }


def hunt(server: Server, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Take out each protection in turn, each in a copy of the database, until it is missed or all operations are done."""
    base = connection.settings_dict["NAME"]
    reports = []
    for mutant in [CONTROL, *(MUTANTS[name] for name in options.mutants or MUTANTS)]:
        copy = f"{base}_m"
        with server.database(copy, template=base):
            connection.settings_dict["NAME"] = copy
            report = _hunt_one(options, mutant)
            connection.settings_dict["NAME"] = base
        reports.append(report)
    return reports


def _hunt_one(options: argparse.Namespace, mutant: Mutant) -> dict[str, Any]:
    step = argparse.Namespace(
        workers=options.workers, desk=options.desk, operations=max(1, options.operations // PARTS)
    )
    done = 0
    for seed in range(options.first_seed, options.first_seed + PARTS):
        report = fuzz(step, seed, mutant)
        done += report["operations"]
        if not is_clean(report) or mutant is CONTROL:
            break
    return report | {"operations": done, "mutant": mutant.name}


def _set_up(slug: str, policy: str, assignment: str, mutant: Mutant | None) -> Cast:
    if mutant:
        mutant.prepare_database()
    return make_cast(slug, policy=policy, assignment=assignment)


def _play(cast: Cast, seed: int, index: int, operations: int, mutant: Mutant | None, moves: dict[str, int]) -> Tally:
    if mutant:
        mutant.apply("worker")
    return Player(cast, seed, index, moves).play(operations)


def _sweep(cast: Cast, stop: Any, mutant: Mutant | None) -> list[dict[str, Any]]:
    """The sweeper, who notes too who has come and gone; takes snapshots between its rounds."""
    if mutant:
        mutant.apply("sweeper")
    snapshots: list[dict[str, Any]] = []
    next_snapshot = time.monotonic() + 0.5
    while not stop.wait(0.1):
        sweep.sweep_due()
        presence.note_changes()
        departure.finish_departures()
        if time.monotonic() > next_snapshot and len(snapshots) < 30:
            snapshots.append(invariants.snapshot(random.choice(cast.conversations)))
            next_snapshot = time.monotonic() + 1
    return snapshots


def _stamp(cast: Cast, stop: Any) -> list[dict[str, Any]]:
    while not stop.wait(0.03):
        relay.stamp(cast.tenant_id)
    while relay.stamp(cast.tenant_id):
        pass
    return []


def put_off_by_mistake() -> list[str]:
    """What a loop's guard would hide. That it was too busy is no mistake here."""
    rows = Backoff.objects.exclude(error__startswith="Busy")
    return [f"{row} is put off: {row.error}" for row in rows]


def _check(
    cast: Cast, acknowledged: list[invariants.Acknowledged], snapshots: list[dict[str, Any]], quiet_at: datetime
) -> list[str]:
    while relay.stamp(cast.tenant_id):
        pass
    faults = invariants.check(cast.tenant_id, acknowledged=acknowledged, snapshots=snapshots, quiet_at=quiet_at)
    return [str(fault) for fault in faults] + put_off_by_mistake()
