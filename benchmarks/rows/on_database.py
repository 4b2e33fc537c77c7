"""Rows 3, 9, 10, 11 and 14: what is asked of the database, beside a bare statement that does the same."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any
from uuid import uuid4

from common import quantile
from rows import part, servers
from rows.figures import P10, P50, Figure, Rounds, Seconds, in_turns, inverse, ms, ratio, timed, times
from rows.filling import AGENTS, PLAYED, People, multiply
from rows.peers import ASKED, Tandem

_number = count(1)

UNNEST = """INSERT INTO bare (tenant_id, conversation_id, session_id, platform, message_id, sender_type, sender_id, sender_name,
 is_note, content, sent_at, seq) SELECT 1, c, 1, 'default', m, 'customer', '', '', false, t, s, 1
 FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::timestamptz[]) AS rows(c, m, t, s)
 ON CONFLICT (tenant_id, platform, message_id) DO NOTHING RETURNING message_id"""


def ingest(url: str, people: People, rounds: int, batches: int, size: int = 1000) -> Figure:
    """Row 3: lines of NDJSON are read, checked, sorted, grouped and stored; beside one statement that stores the rows."""
    import psycopg

    from agents_app.actors import system_actor
    from agents_app.models import Tenant
    from messaging_app.batch import read_line
    from messaging_app.models import Message
    from sessions_app.actions.batches import ingest_batch

    assert people.ids  # the tenant is there
    actor = system_actor(Tenant.objects.get(slug="bench").pk)

    def lines() -> list[bytes]:
        accounts = [f"ingest-{next(_number)}" for _ in range(size // 10)]
        return [
            json.dumps(
                {
                    "message_id": uuid4().hex, "shop_id": "7", "account_id": accounts[place % len(accounts)],
                    "sender_type": "customer", "content": ASKED, "timestamp": f"2026-01-01T00:{place // 60 % 60:02}:{place % 60:02}Z",
                },
                ensure_ascii=False,
            ).encode()
            for place in range(size)
        ]  # fmt: skip

    def ours(of: list[bytes]) -> None:
        report = ingest_batch(actor=actor, rows=(read_line(n, line) for n, line in enumerate(of, 1)), size=size)
        assert report.accepted == size, report

    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS bare")
        connection.execute(f"CREATE TABLE bare (LIKE {Message._meta.db_table} INCLUDING ALL)")
        connection.commit()

        def bare(of: list[bytes]) -> None:
            rows = [(place % 100, uuid4().hex, ASKED, "2026-01-01T00:00:00Z") for place in range(len(of))]
            columns = [list(column) for column in zip(*rows, strict=True)]
            connection.execute(UNNEST, columns).fetchall()
            connection.commit()

        waiting = [lines() for _ in range((batches + 3) * rounds * 2)]
        taken = in_turns(
            {"ours": lambda: ours(waiting.pop()), "bare": lambda: bare(waiting[0])}, rounds, batches, warm=2
        )
        connection.execute("DROP TABLE bare")
        connection.commit()
    value, spread = inverse(ratio(taken["ours"], taken["bare"]))
    rates = {name: round(size / min(quantile(one, P10) for one in of)) for name, of in taken.items()}
    what, beside = f"ingest in process, {size:,} rows, rows a second", "unnest … ON CONFLICT … RETURNING"
    return Figure(
        "3", what, beside, value, spread, is_less_better=False, land=0.7, aim=0.9, detail={"rows_per_second": rates}
    )


KEYSET = "SELECT * FROM messaging_app_conversation WHERE tenant_id = %s ORDER BY tier, desk_order, id LIMIT 51"


def _bare_page(connection: Any, tenant: int) -> object:
    return connection.execute(KEYSET, [tenant], prepare=True).fetchall()


def pages(url: str, tandem: Tandem, sizes: list[int], rounds: int, calls: int) -> tuple[list[Figure], dict[str, Any]]:
    """Row 9, and the cost as conversations grow: the list, a thread and a message, beside the bare page, at each size."""
    import psycopg

    from agents_app.models import Tenant

    tenant = Tenant.objects.get(slug="bench").pk
    of_size: dict[int, Rounds] = {}
    for size in sizes:
        multiply(size)
        with psycopg.connect(url, autocommit=True) as connection:
            asks: dict[str, Callable[[], object]] = {
                "list": tandem.calls()["list"],
                "thread": tandem.thread,
                "message": tandem.calls()["post"],
                "bare": partial(_bare_page, connection, tenant),
            }
            of_size[size] = in_turns(asks, rounds, calls, warm=10)
    first, last = sizes[0], sizes[-1]
    found = [
        Figure(
            "9", f"{what} at {last:,} conversations", f"at {first:,}",
            *ratio(of_size[last][what], of_size[first][what]), land=1.5, aim=1.1,
            detail={f"{size:,}": times(taken)[what] for size, taken in of_size.items()},
        )
        for what in ("list", "thread", "message")
    ]  # fmt: skip
    value, spread = ratio(of_size[last]["list"], of_size[last]["bare"])
    detail = {f"{size:,}": times(taken)["bare"] for size, taken in of_size.items()}
    found.append(Figure("9", f"list at {last:,}", "bare keyset query", value, spread, land=10, detail=detail))
    grown = {
        what: {str(size): ms(of_size[size][what], P10) for size in sizes}
        for what in ("list", "thread", "message", "bare")
    }
    return found, grown


def routing(url: str, ids: list[int], rounds: int, calls: int) -> list[Figure]:
    """Row 10: the locked read and the decision, as `receive_message` takes them, beside a point read of a row."""
    import psycopg

    from agents_app.actors import customer_actor
    from agents_app.models import Tenant
    from sessions_app.unit.settle import controller_of
    from sessions_app.unit.unit_of_work import locked_conversation

    customer = customer_actor(Tenant.objects.get(slug="bench"))

    def decided() -> Seconds:
        """Until it is decided; what closes the verb is no part of the decision."""
        start = time.perf_counter()
        with locked_conversation(customer, random.choice(ids), known_only=False) as locked:
            assert controller_of(locked) in ("bot", "human")
            return Seconds(time.perf_counter() - start)

    read = "SELECT controller, epoch, holder FROM messaging_app_conversation WHERE id = %s"
    with psycopg.connect(url, autocommit=True) as connection:
        asks: dict[str, Callable[[], object]] = {
            "decision": decided,
            "point read": lambda: connection.execute(read, [random.choice(ids)], prepare=True).fetchone(),
        }
        taken = in_turns(asks, rounds, calls, warm=10)
    value, spread = ratio(taken["decision"], taken["point read"])
    with locked_conversation(customer, ids[0], known_only=False) as locked:
        alone = min(timed(lambda: [controller_of(locked) for _ in range(1000)]) for _ in range(5)) * 1000
    detail = times(taken) | {"of rows that are read, µs": round(alone, 2)}
    hint = "Tandem keeps no hint of the route in memory: whoever asks is told under the lock."
    return [
        Figure(
            "10",
            "routing decision in the verb, from its beginning",
            "point read, psycopg",
            value,
            spread,
            land=2,
            detail=detail,
        ),
        Figure("10", "the same as a hint from memory", "dict with a time limit", unit="µs", land=1, why_not=hint),
    ]


def after_a_takeover(tandem: Tandem, times_over: int) -> list[Figure]:
    """Row 11: an agent takes over in one process; who gets the next message is asked of another at once."""
    from agents_app.actors import agent_actor
    from agents_app.models import Agent
    from sessions_app.actions.takeovers import release_to_bot, take_over

    agents = list(Agent.objects.filter(tenant__slug="bench", name__startswith="Agent")[:AGENTS])
    wrong, taken = 0, []
    for number in range(times_over):
        pk = tandem.people.ids[-1 - number % 100]
        agent = agent_actor(agents[number % len(agents)])
        for verb, controller in ((take_over, "human"), (release_to_bot, "bot")):
            verb(actor=agent, conversation_id=pk)
            answers: list[Any] = []
            ask = tandem.posting(partial(int, pk))
            taken.append(timed(lambda: answers.append(ask())))  # noqa: B023 – called at once
            wrong += json.loads(answers[0])["controller"] != controller
    detail = {"asked": len(taken), "p50_ms": round(quantile(taken, P50) * 1000, 2)}
    hint = "no hint is kept that could be stale: the first answer after the commit is the right one"
    return [
        Figure(
            "11",
            "wrong verdicts after a takeover in another process",
            "–",
            float(wrong),
            unit="wrong",
            land=0,
            detail=detail,
        ),
        Figure("11", "how long a hint is stale", "Redis round trip", land=5, why_not=hint),
    ]


RAW_SWEEP = """with d as (select id from raw_session where status = 1 and last_at < now() - interval '30 minutes' order by last_at
 limit 1000 for update skip locked), u as (update raw_session s set status = 9, ended_at = now(), version = version + 1 from d
 where s.id = d.id returning s.id) insert into raw_operation(session_id, op) select id, 'timeout' from u"""


def raw_sweep(url: str, due: int) -> float:
    """Sessions a second, of the statement that ends 1,000 at once with an operation each."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in (
            "drop table if exists raw_operation, raw_session",
            (
                "create table raw_session(id bigint primary key, status smallint not null, last_at timestamptz not null,"
                " ended_at timestamptz, version int not null default 0)"
            ),
            (
                "create table raw_operation(id bigint generated always as identity primary key, session_id bigint references"
                " raw_session, op text, at timestamptz default now())"
            ),
            f"insert into raw_session select g, 1, now() - interval '1 hour' from generate_series(1, {due}) g",
            "create index on raw_session(last_at) where status = 1",
            "create index on raw_operation(session_id, at)",
            "vacuum analyze raw_session",
        ):
            connection.execute(statement)
        chunks: list[float] = []
        while sum(chunks) < 30:
            done: list[int] = []
            taken = timed(lambda: done.append(connection.execute(RAW_SWEEP).rowcount))  # noqa: B023 – called at once
            if done[0] < 1000:
                break
            chunks.append(taken)
        connection.execute("drop table raw_operation, raw_session")
    return 1000 / quantile(chunks, P50)


def sweep(url: str, tandem: Tandem, due: int, seconds: float) -> list[Figure]:
    """Row 14: robot sessions whose time is over, ended by the sweep in a process of its own, while others write."""
    import psycopg

    from agents_app.models import Tenant

    multiply(due + 10 * PLAYED)
    calm = tandem.people.ids[:PLAYED]
    write = tandem.posting(lambda: random.choice(calm))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        connection.execute(
            "UPDATE sessions_app_chatsession SET expires_at = now() - interval '1 minute', reply_due_at = NULL WHERE id IN"
            " (SELECT s.id FROM sessions_app_chatsession s WHERE s.status = 'ACTIVE' AND s.tenant_id = %s AND s.id > 1000"
            "  AND s.conversation_id <> ALL(%s) ORDER BY s.id DESC LIMIT %s)",
            [Tenant.objects.get(slug="bench").pk, calm, due],
        )
        connection.execute("VACUUM ANALYZE sessions_app_chatsession")
    before = [timed(write) for _ in range(200)]
    raw = [raw_sweep(url, max(due, 10_000))]
    timed_out = _ended(url)
    meanwhile, grown, taken = _while_it_sweeps(part.begun("sweep", url), write, seconds)
    swept = _ended(url) - timed_out
    raw.append(raw_sweep(url, max(due, 10_000)))
    ratios = sorted(swept / taken / one for one in raw)
    detail = {
        "swept": swept,
        "seconds": round(taken, 1),
        "a_second": round(swept / taken),
        "raw_a_second": round(raw[0]),
    }
    what = f"sweep of {due:,} due timers" + ("" if swept >= due else f" ({swept:,} in {taken:.0f} s)")
    slower = quantile(meanwhile, P50) / quantile(before, P50) if len(meanwhile) >= 20 else None
    posts = {"before_p50_ms": round(quantile(before, P50) * 1000, 2), "calls": len(meanwhile)}
    return [
        Figure(
            "14", what, "raw sweep in chunks of 1,000", sum(ratios) / 2, (ratios[0], ratios[-1]), is_less_better=False, land=0.4,
            aim=0.5, detail=detail,
        ),
        Figure("14", "memory that it grew by", "–", grown, unit="MB", land=50),
        Figure(
            "14", "a message meanwhile, p50", "before", slower, land=2, detail=posts,
            why_not="" if slower else "the sweep was over before twenty messages were sent",
        ),
    ]  # fmt: skip


BETWEEN = 0.05
"""Seconds between two messages while it sweeps: others are there, and leave it most of a core."""


def _while_it_sweeps(
    process: subprocess.Popen[str], write: Callable[[], object], seconds: float
) -> tuple[list[float], float, float]:
    """Messages' times until the sweep is over, or is ended; the megabytes by which it grew; its seconds."""
    assert process.stdout
    assert process.stdout.readline().strip() == part.BEGUN
    began, taken, memory = time.perf_counter(), list[float](), list[float]()
    while process.poll() is None and time.perf_counter() - began < seconds:
        taken.append(timed(write))
        time.sleep(BETWEEN)
        if time.perf_counter() - began > 1 + len(memory):  # by the second, what is loaded and compiled once is there
            memory.append(servers.private_mb(process.pid))
    lasted = time.perf_counter() - began
    process.kill()
    process.wait()
    return taken, max(0.0, max(memory) - memory[0]) if memory else 0.0, lasted


def _ended(url: str) -> int:
    import psycopg

    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM sessions_app_chatsession WHERE status = 'TIMEOUT'").fetchall()
    return int(found[0][0])
