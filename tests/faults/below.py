"""What lies below the server fails under load (T7): a table of what was answered, what was lost, and when it was whole again.

    python -m tests.faults.below                         every fault, a few seconds each
    python -m tests.faults.below --seconds 60            in full
    python -m tests.faults.below pool backends-ended     some of them

Each row is a real server (`manage.py serve`, that is daphne) with a database of its own, and customers' words that come in by the
API from many clients. A client sends the same again, under the same id, until it is acknowledged. `lost` is what was
acknowledged and is not stored, `html` are answers that are no JSON: both must be 0, and so must `5xx` other than 503.
Needs PostgreSQL (TEST_POSTGRES_URL), and redis-server; the disk that is full is mounted by root,
and a bound on the length of files where that cannot be.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.api.serving import Served
from tests.faults.servers import Redis
from tests.patience import PATIENCE, until
from tests.races.servers import Server, server_url

AGAIN = 0.1
"""Seconds that a client waits before it sends the same again; less than Retry-After, so that more is in the way."""
DISK = 16 * 1024 * 1024
STORED = """
import collections, json
from messaging_app.models import Message
print(json.dumps(collections.Counter(Message.objects.filter(sender_type="customer").values_list("message_id", flat=True))))
"""


@dataclass
class Load:
    """Customers of one server, each on a thread. `statuses` holds what was answered; 'none' for no answer at all."""

    url: str
    key: str
    statuses: Counter[str] = field(default_factory=Counter)
    acknowledged: list[str] = field(default_factory=list)
    html: int = 0
    slowest: float = 0.0
    last_failure: float = 0.0
    first_success_since: float | None = None

    def __post_init__(self) -> None:
        self._done, self._lock = threading.Event(), threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self, clients: int) -> None:
        self._threads = [threading.Thread(target=self._talk, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def say(self, client: httpx.Client, account: str, message_id: str) -> bool:
        """Send once; True when it was acknowledged."""
        body = {
            "platform": "below",
            "shop_id": "s",
            "account_id": account,
            "content": "Hello? " * 20,
            "message_id": message_id,
        }
        began = time.monotonic()
        try:
            answer = client.post("/api/v1/inbound", json=body)
        except httpx.HTTPError:
            status, is_json = "none", True
        else:
            status, is_json = str(answer.status_code), "json" in answer.headers.get("Content-Type", "")
        ended = time.monotonic()
        with self._lock:
            self.statuses[status] += 1
            self.html += not is_json
            self.slowest = max(self.slowest, ended - began)
            if status in ("200", "201"):
                self.acknowledged.append(message_id)
                return True
            self.last_failure = ended
            return False

    def _talk(self, number: int) -> None:
        with httpx.Client(
            base_url=self.url, timeout=PATIENCE, headers={"Authorization": f"Bearer {self.key}"}
        ) as client:
            number_of_words = 0
            while not self._done.is_set():
                if self.say(client, f"customer-{number}", f"{number}-{number_of_words}"):
                    number_of_words += 1
                else:
                    time.sleep(AGAIN)

    def recovers(self) -> float:
        """Seconds until one customer is answered again, asked from now."""
        began = time.monotonic()
        with httpx.Client(
            base_url=self.url, timeout=PATIENCE, headers={"Authorization": f"Bearer {self.key}"}
        ) as client:
            tries = count()
            until(lambda: self.say(client, "afterwards", f"afterwards-{next(tries)}"), "it did not recover")
            return time.monotonic() - began


# --- Installations -----------------------------------------------------------------------------------------------


@contextmanager
def served(folder: Path, **env: str) -> Iterator[Served]:
    made = Served(folder, LOG_LEVEL="CRITICAL", API_RATE="1000000/min", **env)
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def postgres() -> Iterator[str]:
    """A database of PostgreSQL's, like the one that TEST_POSTGRES_TEMPLATE names: without it, an empty one."""
    like = os.environ.get("TEST_POSTGRES_TEMPLATE")
    with Server(server_url("TEST_POSTGRES_URL")).database(f"tandem_below_{os.getpid()}", like) as url:
        yield url


def row(name: str, load: Load, made: Served, recovered: float, **more: Any) -> dict[str, Any]:
    """A line of the table. `recovered`: seconds from the end of the fault until somebody was answered."""
    load.stop()
    stored: dict[str, int] = json.loads(made.run("manage.py", "shell", "--no-imports", "-c", STORED).splitlines()[-1])
    return {
        "fault": name,
        "answers": dict(sorted(load.statuses.items())),
        "html": load.html,
        "acknowledged": len(load.acknowledged),
        "lost": sum(message_id not in stored for message_id in load.acknowledged),
        "doubled": sum(count - 1 for count in stored.values()),
        "slowest": round(load.slowest, 2),
        "recovered": round(recovered, 2),
    } | more


# --- Faults ------------------------------------------------------------------------------------------------------


def _redis(
    name: str, begin: Callable[[Redis], None], end: Callable[[Redis], None], seconds: float, folder: Path
) -> Any:
    with Redis() as redis, postgres() as url, served(folder, DATABASE_URL=url, REDIS_URL=redis.url) as made:
        load = Load(made.url, made.key("channel", "integrator"))
        load.start(4)
        time.sleep(1)
        begin(redis)
        time.sleep(seconds)
        ready = httpx.get(f"{made.url}/api/v1/health/ready", timeout=PATIENCE)
        end(redis)
        return row(name, load, made, load.recovers(), ready=f"{ready.status_code} {ready.json()['status']}")


def redis_stopped(seconds: float, folder: Path) -> Any:
    return _redis("redis-stopped", Redis.stop, Redis.start, seconds, folder)


def redis_hanging(seconds: float, folder: Path) -> Any:
    return _redis("redis-hanging", Redis.hang, Redis.go_on, seconds, folder)


def redis_flushed(seconds: float, folder: Path) -> Any:
    return _redis("redis-flushed", Redis.flush, lambda redis: None, seconds / 4, folder)


def backends_ended(seconds: float, folder: Path) -> Any:
    """50 backends of this database are terminated while they work."""
    ended = 0
    with postgres() as url, served(folder, DATABASE_URL=url) as made, psycopg.connect(url, autocommit=True) as mine:
        load = Load(made.url, made.key("channel", "integrator"))
        load.start(8)
        time.sleep(1)
        while ended < 50:
            ended += mine.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE datname = "
                "current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' LIMIT 5) AS chosen"
            ).fetchone()[0]  # type: ignore[index]
            time.sleep(seconds / 10)  # for as long they are made anew and work
        return row("backends-ended", load, made, load.recovers(), ended=ended)


def pool(seconds: float, folder: Path) -> Any:
    """A pool of 5 under 50 clients."""
    with postgres() as url, served(folder, DATABASE_URL=url, DATABASE_POOL_MAX="5") as made:
        load = Load(made.url, made.key("channel", "integrator"))
        load.start(50)
        most, ends = 0, time.monotonic() + seconds
        with psycopg.connect(url, autocommit=True) as mine:
            while time.monotonic() < ends:
                most = max(most, _open(mine))
                time.sleep(0.1)
        return row("pool of 5, 50 clients", load, made, load.recovers(), connections=most)


def _open(mine: psycopg.Connection) -> int:
    found = mine.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    ).fetchone()
    assert found
    return int(found[0])


class Disk:
    """A disk of 16 MB for a server's files; where nothing can be mounted, a bound on how long its files may get."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        mount = [*self._as_root, "mount", "-t", "tmpfs", "-o", f"size={DISK},mode=777", "tmpfs", str(folder)]
        self.is_mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0

    def fill(self, process_id: int) -> None:
        if not self.is_mounted:
            longest = max(path.stat().st_size for path in self.folder.glob("tandem.sqlite3-wal"))
            resource.prlimit(process_id, resource.RLIMIT_FSIZE, (longest, resource.RLIM_INFINITY))
            return
        with suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def empty(self, process_id: int) -> None:
        if self.is_mounted:
            (self.folder / "filler").unlink()
        else:
            resource.prlimit(process_id, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def close(self) -> None:
        if self.is_mounted:
            subprocess.run([*self._as_root, "umount", "--lazy", str(self.folder)], check=True)


def disk_full(seconds: float, folder: Path) -> Any:
    """SQLite and the store of files on a disk of 16 MB, which something else fills."""
    with closing(Disk(folder / "disk")) as disk, served(disk.folder) as made:
        load = Load(made.url, made.key("channel", "integrator"))
        load.start(4)
        time.sleep(1)
        files = _Files(load, made)
        disk.fill(made.process_id)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends or not load.statuses["503"]:
            files.put()
            time.sleep(0.1)
            assert time.monotonic() < ends + PATIENCE, "nobody was told that the disk is full"
        is_full = load.statuses["503"] > 0
        disk.empty(made.process_id)
        recovered = load.recovers()
        files.put()
        return row("disk-full", load, made, recovered, was_full=is_full, files=dict(sorted(files.statuses.items())))


class _Files:
    """Somebody who puts up files meanwhile."""

    def __init__(self, load: Load, made: Served) -> None:
        self._client = httpx.Client(
            base_url=made.url, timeout=PATIENCE, headers={"Authorization": f"Bearer {load.key}"}
        )
        body = {"platform": "below", "shop_id": "s", "account_id": "with-files", "content": "See here:"}
        self._at = self._client.post("/api/v1/inbound", json=body).json()["conversation_id"]
        self.statuses: Counter[str] = Counter()

    def put(self) -> None:
        file = ("words.txt", b"word " * 40_000, "text/plain")
        answer = self._client.post(f"/api/v1/conversations/{self._at}/attachments", files={"file": file})
        self.statuses[f"{answer.status_code} {answer.json().get('code', '')}".strip()] += 1


def connections(seconds: float, folder: Path) -> Any:
    """One client, one request after the other, with and without the pool: connections opened, and how long a request takes."""
    told: dict[str, Any] = {"fault": "one client, 60 requests"}
    for name, env in {"without": {"DATABASE_POOL_MAX": "0", "CONN_MAX_AGE": "60"}, "with": {}}.items():
        with postgres() as url, served(folder / name, DATABASE_URL=url, **env) as made:
            load = Load(made.url, made.key("channel", "integrator"))
            headers = {"Authorization": f"Bearer {load.key}"}
            with (
                psycopg.connect(url, autocommit=True) as mine,
                httpx.Client(base_url=made.url, headers=headers, timeout=PATIENCE) as client,
            ):
                load.say(client, "warm", "warm")
                before, times = _opened(mine), []
                for count in range(60):
                    began = time.monotonic()
                    assert load.say(client, "one", f"one-{count}")
                    times.append(time.monotonic() - began)
                time.sleep(1.5)  # PostgreSQL counts sessions when they report
                told[name] = f"{_opened(mine) - before} opened, median {sorted(times)[30] * 1000:.1f} ms"
    return told


def _opened(mine: psycopg.Connection) -> int:
    mine.execute("SELECT pg_stat_clear_snapshot()")
    found = mine.execute("SELECT sessions FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert found
    return int(found[0])


FAULTS: dict[str, Callable[[float, Path], Any]] = {
    "redis-stopped": redis_stopped,
    "redis-hanging": redis_hanging,
    "redis-flushed": redis_flushed,
    "backends-ended": backends_ended,
    "pool": pool,
    "disk-full": disk_full,
    "connections": connections,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m tests.faults.below")
    parser.add_argument("faults", nargs="*", default=list(FAULTS), help=", ".join(FAULTS))
    parser.add_argument("--seconds", type=float, default=4, help="how long each fault lasts")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rows = []
    for name in options.faults:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tandem-below-")))
            rows.append(FAULTS[name](options.seconds, folder))
        if not options.json:
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if options.json:
        print(json.dumps(rows))
    wrong = [row for row in rows if row.get("lost") or row.get("doubled") or row.get("html") or _strange(row)]
    return 1 if wrong else 0


def _strange(told: dict[str, Any]) -> bool:
    """An answer that is neither an acknowledgement nor 503."""
    return bool(set(told.get("answers", {})) - {"200", "201", "503"})


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
