"""Rows 12 and 13 and what lasts: many at once, on one conversation, for one turn, and at a steady rate."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from common import quantile
from rows import part
from rows.figures import Figure
from rows.filling import CSRF, People
from rows.http_client import Http
from rows.over_http import TRANSACTION, bare_transaction, make_bare
from rows.peers import ASKED, Peer, encoded

_number = count(1)


def at_once(calls: Iterable[Callable[[], None]], within: float = 120.0) -> None:
    """Each in a thread of its own, begun together. What one raises is raised when all are over."""
    calls = list(calls)
    gate, errors = threading.Barrier(len(calls)), list[Exception]()

    def run(call: Callable[[], None]) -> None:
        try:
            gate.wait(30)
            call()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(within)
    if errors:
        raise errors[0]


class Load:
    """Connections that post, each as soon as its last answer is there; `per_second` counts what was acknowledged."""

    def __init__(self, port: int, people: People, writers: int, ids: list[int]) -> None:
        self.statuses: Counter[int] = Counter()
        self.taken: list[float] = []
        self._headers = {"Authorization": f"Bearer {people.channel}", "Content-Type": "application/json"}
        self._port, self._writers, self._ids = port, writers, ids

    def run(self, seconds: float) -> float:
        """Messages a second that were stored."""
        end = time.perf_counter() + seconds
        at_once([partial(self._write, place, end) for place in range(self._writers)], seconds + 60)
        return self.statuses[201] / seconds

    def _write(self, place: int, end: float) -> None:
        http = Http(self._port, self._headers)
        while (start := time.perf_counter()) < end:
            body = {"conversation_id": str(self._ids[place % len(self._ids)]), "content": ASKED}
            status, _ = http("POST", "/api/v1/inbound", encoded(body))
            self.statuses[status] += 1
            self.taken.append(time.perf_counter() - start)
        http.close()


# --- Row 12 ------------------------------------------------------------------------------------------------------


def hot_row(url: str, seconds: float, writers: int = 32) -> tuple[float, str]:
    """Transactions a second of as many clients on one row: by pgbench, or by threads where it is missing."""
    import psycopg

    with psycopg.connect(url) as connection:
        make_bare(connection)
    if not (pgbench := shutil.which("pgbench")):
        return _threads_on_a_row(url, seconds, writers), "psycopg in threads on one hot row"
    lock, message, operation, session = (
        one.replace("values (%s, %s, 'agent', %s)", "values (gen_random_uuid()::text, 1, 'agent', 'hello')").replace(
            "%s", "1"
        )
        for one in TRANSACTION
    )
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "hot.sql"
        script.write_text(f"begin;\n{lock};\n{message};\n{operation};\n{session};\ncommit" + ";\n")
        command = [
            pgbench,
            "-n",
            "-M",
            "prepared",
            "-f",
            str(script),
            "-c",
            str(writers),
            "-j",
            "2",
            "-T",
            str(max(1, int(seconds))),
        ]
        told = subprocess.run([*command, url], capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
    return float(told.split("tps = ")[1].split()[0]), "pgbench on one hot row"


def _threads_on_a_row(url: str, seconds: float, writers: int) -> float:
    import psycopg

    done: Counter[int] = Counter()
    end = time.perf_counter() + seconds

    def write(place: int) -> None:
        with psycopg.connect(url) as connection:
            while time.perf_counter() < end:
                bare_transaction(connection, 1)
                done[place] += 1

    at_once([partial(write, place) for place in range(writers)], seconds + 60)
    return done.total() / seconds


def one_conversation(
    url: str, port: int, people: People, rounds: int, seconds: float, writers: int = 32
) -> list[Figure]:
    """Row 12: all write into one conversation; every acknowledged message is there, once.

    pgbench has no HTTP, so what stands beside it is the whole verb in as many processes; and, to see what the web adds,
    as many connections to one web process.
    """
    import psycopg

    pk, statuses, raw, acknowledged = people.ids[7], Counter[int](), list[float](), 0
    rates: dict[str, list[float]] = {"the verb": [], "over HTTP": []}
    with psycopg.connect(url, autocommit=True) as connection:

        def stored() -> int:
            found = connection.execute("select count(*) from messaging_app_message where conversation_id = %s", [pk])
            return int(found.fetchall()[0][0])

        before = stored()
        for _ in range(rounds):
            said = part.run("writers", url, seconds + 120, conversation_id=pk, count=writers, seconds=seconds)
            rates["the verb"].append(said / seconds)
            load = Load(port, people, writers, [pk])
            rates["over HTTP"].append(load.run(seconds))
            statuses += load.statuses
            acknowledged += said + load.statuses[201]
            tps, beside = hot_row(url, seconds, writers)
            raw.append(tps)
        missing = acknowledged - (stored() - before)
    figures = []
    for how, found in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(found, raw, strict=True)]
        detail: dict[str, Any] = {
            "a_second": [round(one) for one in found],
            "raw_a_second": [round(one) for one in raw],
        }
        detail |= {"answers": dict(statuses)} if how == "over HTTP" else {}
        what = f"{writers} writers on one conversation, {how}, messages a second"
        figures.append(
            Figure(
                "12", what, beside, quantile(ratios, 0.5), (min(ratios), max(ratios)), is_less_better=False,
                land=0.4 if how == "the verb" else None, aim=0.5 if how == "the verb" else None, detail=detail,
            )
        )  # fmt: skip
    lost = Figure("12", "of its messages lost or doubled", "–", float(abs(missing)), unit="messages", land=0, aim=0)
    return [*figures, lost]


# --- Row 13 ------------------------------------------------------------------------------------------------------


def one_winner(url: str, port: int, people: People, times_over: int) -> list[Figure]:
    """Row 13: rival opens and rival accepts. Another than one winner, or a 5xx, is a fault."""
    import psycopg

    statuses: dict[str, Counter[int]] = {"open": Counter(), "accept": Counter()}
    faults = 0
    bot = {"Authorization": f"Bearer {people.bot}", "Content-Type": "application/json"}
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(times_over):
            account = f"rival-{number}-{next(_number)}"
            body = encoded({"shop_id": "rivals", "account_id": account, "on_conflict": "fail"})
            clients = [Http(port, bot) for _ in people.agents]
            at_once([partial(_try, one, "/api/v1/sessions", body, statuses["open"]) for one in clients])
            live = connection.execute(
                "select count(*), min(c.id) from sessions_app_chatsession s join messaging_app_conversation c on c.id ="
                " s.conversation_id where c.account_id = %s and s.status in ('ACTIVE', 'TRANSFERRED')", [account],
            ).fetchone()  # fmt: skip
            assert live
            faults += live[0] != 1
            asked = Http(port, bot).expect("POST", f"/api/v1/conversations/{live[1]}/escalate", b"{}")
            path = f"/api/v1/transfers/{json.loads(asked)['transfer_id']}/accept"
            won: Counter[int] = Counter()
            agents = [Http(port, _login(cookie)) for cookie in people.agents]
            at_once([partial(_try, one, path, b"{}", won) for one in agents])
            faults += won[200] != 1
            statuses["accept"] += won
    faults += sum(number for of in statuses.values() for status, number in of.items() if status >= 500)
    detail = {name: dict(of) for name, of in statuses.items()}
    what = f"{len(people.agents)} rival opens and accepts: no single winner, or a 5xx"
    return [Figure("13", what, "–", float(faults), unit="faults", land=0, aim=0, detail=detail)]


def _login(cookie: str) -> dict[str, str]:
    return {"Cookie": cookie, "X-CSRFToken": CSRF, "Content-Type": "application/json"}


def _try(http: Http, path: str, body: bytes, statuses: Counter[int]) -> None:
    statuses[http("POST", path, body)[0]] += 1


# --- A steady rate -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lasted:
    """What came of a steady rate: seconds from when each message should have been sent to its answer, and the answers."""

    taken: list[float]
    answers: dict[str, int]
    stored_a_second: float

    def as_dict(self) -> dict[str, Any]:
        p50, p99 = (round(quantile(self.taken, share) * 1000, 1) for share in (0.5, 0.99))
        stored = round(self.stored_a_second)
        return {
            "sent": len(self.taken),
            "answers": self.answers,
            "p50_ms": p50,
            "p99_ms": p99,
            "stored_a_second": stored,
        }


def at_a_rate(peer: Peer, rate: float, seconds: float, connections: int = 32) -> Lasted:
    """Messages come at their times, whether or not earlier ones are answered."""
    taken: list[float] = []
    statuses: Counter[int] = Counter()
    begin = time.perf_counter() + 1

    def write(place: int) -> None:
        http = Http(peer.port, peer.headers)
        for number in range(place, int(rate * seconds), connections):
            due = begin + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            if time.perf_counter() > begin + seconds * 1.5:
                statuses[0] += 1  # so far behind that it was given up
                continue
            statuses[http("POST", *peer.message(number))[0]] += 1
            taken.append(time.perf_counter() - due)
        http.close()

    at_once([partial(write, place) for place in range(connections)], seconds * 2 + 60)
    stored = statuses[200] + statuses[201]
    lasted = seconds if statuses[0] == 0 else seconds * 1.5
    return Lasted(taken, {str(status): number for status, number in statuses.items()}, stored / lasted)


def sustained(ours: Peer, baseline: Peer, rates: Sequence[float], seconds: float) -> list[Figure]:
    """p99 at each rate; and, because it is the machine's as much as ours, what is stored at the highest beside the baseline."""
    figures = []
    for rate in rates:
        mine, other = at_a_rate(ours, rate, seconds), at_a_rate(baseline, rate, seconds)
        detail = {"ours": mine.as_dict(), "baseline": other.as_dict()}
        what = f"inbound at {rate:.0f} a second for {seconds:.0f} s, 2 workers, p99"
        p99 = quantile(mine.taken, 0.99) * 1000
        figures.append(Figure("sustained", what, "–", p99, unit="ms", land=100, detail=detail))
    ratio = mine.stored_a_second / other.stored_a_second
    what = f"messages stored a second, of {rate:.0f} that came"
    beside = "FastAPI baseline, 2 workers"
    return [*figures, Figure("sustained", what, beside, ratio, is_less_better=False, detail=detail)]
