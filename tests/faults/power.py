"""The power goes, with SQLite (T7.8): was everything that was acknowledged on the disk by then?

    python -m tests.faults.power                         50 cuts, SQLITE_SYNCHRONOUS=FULL
    python -m tests.faults.power --synchronous NORMAL    the control: this one must lose something
    python -m tests.faults.power --cost                  what FULL costs: messages a second beside NORMAL

A real server runs under strace while customers write. What it wrote is then played again up to a cut: a file holds what was
written to it before its last sync, and nothing of what came after, which is the worst that a disk may do. SQLite opens what is
left, and each message whose answer had been sent before the cut must be in it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.api.serving import Served
from tests.patience import PATIENCE

SENDS = ("write", "writev", "sendto", "sendmsg")
SYNCS = ("fsync", "fdatasync")
STRACE = (
    os.environ.get("STRACE", "strace"),
    "-D",
    "-f",
    "-qq",
    "-y",
    "-xx",
    "-s",
    "1000000",
    "-e",
    "trace=pwrite64,ftruncate,unlink," + ",".join(SENDS + SYNCS),
)
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
_UNFINISHED = " <unfinished ...>"
_FILE = re.compile(r"^\d+<((?:\\x[0-9a-f]{2})*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_ACKNOWLEDGED = re.compile(rb'"message_id":"(power-\d+)"')


@dataclass(slots=True)
class Call:
    name: str
    path: str
    data: bytes
    at: int


@dataclass
class File:
    """What a file holds for certain, and what was written since."""

    content: bytearray = field(default_factory=bytearray)
    pending: list[Call] = field(default_factory=list)

    def sync(self) -> None:
        for call in self.pending:
            if call.name == "ftruncate":
                del self.content[call.at :]
            self.content.extend(bytes(max(0, call.at - len(self.content))))
            self.content[call.at : call.at + len(call.data)] = call.data
        self.pending.clear()


def calls(log: Path) -> Iterator[Call]:
    """What strace has seen: what is sent counts from when it began, all else from when it was done."""
    begun: dict[str, str] = {}
    with log.open(encoding="latin1") as lines:
        for line in lines:
            text = line.rstrip("\n")
            if resumed := _RESUMED.match(text):
                text = begun.pop(resumed[1], "") + resumed[2]
            elif text.endswith(_UNFINISHED):
                text = text.removesuffix(_UNFINISHED)
                if (sent := _LINE.match(text)) is None or sent[2] not in SENDS:
                    begun[text.split(None, 1)[0]] = text
                    continue
            if (found := _LINE.match(text)) and " = -1 " not in text[-80:]:
                yield _call(found[2], found[3])


def _call(name: str, rest: str) -> Call:
    texts = [_bytes(text) for text in _TEXT.findall(rest)]
    if name == "unlink":
        return Call(name, texts[0].decode(), b"", 0)
    where = _FILE.match(rest)
    path = _bytes(where[1]).decode() if where else ""
    last = rest.rpartition(")")[0].rpartition(",")[2].strip()
    at = int(last) if name in ("pwrite64", "ftruncate") else 0
    return Call(name, path, b"".join(texts) if name != "ftruncate" else b"", at)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def cuts(log: Path, database: Path, before: bytes, places: list[int], folder: Path) -> Iterator[tuple[int, list[str]]]:
    """Cut the power after so many calls, each time anew: how many were acknowledged by then, and which are not stored."""
    names = {f"{database}{ending}": ending for ending in ("", "-wal")}
    files = {"": File(bytearray(before)), "-wal": File()}
    acknowledged: set[str] = set()
    wanted = iter(sorted(places))
    place = next(wanted, None)
    for count, call in enumerate(calls(log)):
        while place is not None and count >= place:
            yield len(acknowledged), _missing(files, acknowledged, folder)
            place = next(wanted, None)
        ending = names.get(call.path)
        if ending is None:
            if call.name in SENDS:
                acknowledged |= {found.decode() for found in _ACKNOWLEDGED.findall(call.data)}
        elif call.name in SYNCS:
            files[ending].sync()
        elif call.name == "unlink":
            files[ending] = File()
        else:
            files[ending].pending.append(call)


def _missing(files: dict[str, File], acknowledged: set[str], folder: Path) -> list[str]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for ending, file in files.items():
        (folder / f"cut.sqlite3{ending}").write_bytes(file.content)
    left = sqlite3.connect(folder / "cut.sqlite3")
    try:
        assert left.execute("PRAGMA quick_check").fetchone() == ("ok",), "the file itself is broken"
        stored = {row[0] for row in left.execute("SELECT message_id FROM messaging_app_message")}
    finally:
        left.close()
    return sorted(acknowledged - stored)


# --- The server under load ---------------------------------------------------------------------------------------


def write(url: str, key: str, seconds: float, clients: int) -> int:
    """Customers write for so long; returns how many messages were acknowledged."""
    ends, numbers, lock, taken = time.monotonic() + seconds, iter(range(1_000_000)), threading.Lock(), []

    def talk(account: int) -> None:
        with httpx.Client(base_url=url, timeout=PATIENCE, headers={"Authorization": f"Bearer {key}"}) as client:
            while time.monotonic() < ends:
                with lock:
                    number = next(numbers)
                body = {"platform": "p", "shop_id": "s", "account_id": f"a-{account}", "content": "Hello?"}
                answer = client.post("/api/v1/inbound", json=body | {"message_id": f"power-{number}"})
                if answer.status_code == 201:
                    taken.append(number)

    threads = [threading.Thread(target=talk, args=(account,)) for account in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(taken)


def proof(synchronous: str, how_many: int, seconds: float) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="tandem-power-") as name:
        folder = Path(name)
        database, log, keys = folder / "tandem.sqlite3", folder / "strace.log", list[str]()

        def begin(server: Served) -> None:
            """Whatever another process writes is not in the log: all of it now, and the file as it is then."""
            keys.append(server.key("channel", "integrator"))
            shutil.copyfile(database, folder / "before.sqlite3")

        made = Served(
            folder,
            under=(*STRACE, "-o", str(log)),
            before=begin,
            SQLITE_SYNCHRONOUS=synchronous,
            LOG_LEVEL="CRITICAL",
            API_RATE="1000000/min",
        )
        try:
            began = _length(log)
            acknowledged = write(made.url, keys[0], seconds, clients=4)
        finally:
            made.stop()
        rows = _length(log)
        places = random.Random(synchronous).sample(range(began, rows), how_many)
        seen = list(cuts(log, database, (folder / "before.sqlite3").read_bytes(), places, folder / "cut"))
    return {
        "synchronous": synchronous,
        "cuts": len(seen),
        "acknowledged": acknowledged,
        "acknowledged before the cuts": sum(count for count, _ in seen),
        "cuts that lost something": sum(bool(missing) for _, missing in seen),
        "lost": sum(len(missing) for _, missing in seen),
    }


def _length(log: Path) -> int:
    """How many calls the log holds."""
    return sum(1 for _ in calls(log))


def cost(seconds: float, rounds: int) -> dict[str, object]:
    """Messages a second by each setting, alternately on the same machine."""
    rates: dict[str, list[float]] = {"NORMAL": [], "FULL": []}
    for _ in range(rounds):
        for synchronous, found in rates.items():
            with tempfile.TemporaryDirectory(prefix="tandem-power-") as name:
                made = Served(Path(name), SQLITE_SYNCHRONOUS=synchronous, LOG_LEVEL="CRITICAL", API_RATE="1000000/min")
                try:
                    found.append(write(made.url, made.key("channel", "integrator"), seconds, clients=4) / seconds)
                finally:
                    made.stop()
    ratios = [full / normal for full, normal in zip(rates["FULL"], rates["NORMAL"], strict=True)]
    told: dict[str, object] = {name: round(statistics.median(found), 1) for name, found in rates.items()}
    return told | {
        "FULL/NORMAL": round(statistics.median(ratios), 2),
        "from": round(min(ratios), 2),
        "to": round(max(ratios), 2),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m tests.faults.power")
    parser.add_argument("--synchronous", choices=["FULL", "NORMAL"], default="FULL")
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    told = (
        cost(options.seconds, options.rounds)
        if options.cost
        else proof(options.synchronous, options.cuts, options.seconds)
    )
    print(json.dumps(told) if options.json else "  ".join(f"{name} {value}" for name, value in told.items()))
    return 1 if told.get("lost") and options.synchronous == "FULL" else 0


if __name__ == "__main__":
    sys.exit(main())
