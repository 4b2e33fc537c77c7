"""Rows 1, 2, 4 and 5 over HTTP: sessions, messages, the list and batches beside the baseline and a bare transaction."""

from __future__ import annotations

import random
from functools import partial
from typing import Any
from uuid import uuid4

from common import quantile
from rows.figures import P10, P50, Figure, in_turns, inverse, ratio, timed, times
from rows.peers import OPS, Baseline, Peer, Tandem

LIMITS = {"open": (1.5, 0.75), "post": (1.2, 0.5), "list": (1.0, 0.5)}
EMBEDDED = (2.5, 1.5)
BATCHES = {100: 1.0, 1000: 1.5}
NAMES = {"open": "open a session", "post": "a customer's message", "list": "list 50 of all open"}


def calls(baseline: Baseline, ours: list[Tandem], rounds: int, count: int) -> list[Figure]:
    """Row 1."""
    found = []
    for op in OPS:
        peers: list[Peer] = [baseline, *ours]
        taken = in_turns({peer.name: peer.calls()[op] for peer in peers}, rounds, count, warm=10)
        for peer in ours:
            value, spread = ratio(taken[peer.name], taken["baseline"])
            land, aim = EMBEDDED if peer.name == "embedded" else LIMITS[op]
            middle = ratio(taken[peer.name], taken["baseline"], P50)[0]
            detail = times(taken) | {"ratio_p50": round(middle, 2)}
            found.append(
                Figure(
                    "1",
                    f"{NAMES[op]}, {peer.name}",
                    "FastAPI baseline",
                    value,
                    spread,
                    land=land,
                    aim=aim,
                    detail=detail,
                )
            )
    return found


BARE = (
    (
        "create table bare_session(id bigint primary key, status varchar(16) not null default 'active', msg_count int not null"
        " default 0, last_at timestamptz, version int not null default 0)"
    ),
    "insert into bare_session select g from generate_series(1, 10000) g",
    (
        "create table bare_message(id bigint generated always as identity primary key, message_id varchar(64) not null unique,"
        " session_id bigint not null references bare_session, sender varchar(16) not null, content text not null,"
        " sent_at timestamptz not null default now())"
    ),
    "create index on bare_message(session_id, sent_at)",
    (
        "create table bare_operation(id bigint generated always as identity primary key, session_id bigint not null references"
        " bare_session, op varchar(32) not null, actor varchar(64) not null, detail jsonb not null, at timestamptz not null"
        " default now())"
    ),
    "create index on bare_operation(session_id, at)",
)
TRANSACTION = (
    "select status from bare_session where id = %s for update",
    "insert into bare_message(message_id, session_id, sender, content) values (%s, %s, 'agent', %s)",
    """insert into bare_operation(session_id, op, actor, detail) values (%s, 'message', 'agent-7', '{"k":1}')""",
    "update bare_session set msg_count = msg_count + 1, last_at = now(), version = version + 1 where id = %s",
)


def make_bare(connection: Any) -> None:
    for statement in ("drop table if exists bare_operation, bare_message, bare_session", *BARE):
        connection.execute(statement)
    connection.commit()


def bare_transaction(connection: Any, pk: int) -> None:
    """The least that storing a message takes: lock, message, operation, session, commit; each prepared."""
    lock, message, operation, session = TRANSACTION
    connection.execute(lock, [pk], prepare=True)
    connection.execute(message, [uuid4().hex, pk, "您好，请稍等，我帮您查询一下订单"], prepare=True)
    connection.execute(operation, [pk], prepare=True)
    connection.execute(session, [pk], prepare=True)
    connection.commit()


def message_beside_bare(url: str, tandem: Tandem, rounds: int, count: int) -> Figure:
    """Row 2."""
    import psycopg

    with psycopg.connect(url) as connection:
        make_bare(connection)
        taken = in_turns(
            {
                "ours": tandem.calls()["post"],
                "bare": lambda: bare_transaction(connection, random.randrange(1, 10_001)),
            },
            rounds, count, warm=10,
        )  # fmt: skip
    value, spread = ratio(taken["ours"], taken["bare"])
    beside = "bare transaction of 4 statements, psycopg"
    return Figure("2", "a customer's message over HTTP", beside, value, spread, land=2.5, detail=times(taken))


def _next_batch(peer: Peer, bodies: list[bytes]) -> None:
    peer.send_batch(bodies.pop())


def batches(baseline: Baseline, ours: list[Tandem], rounds: int, count: int) -> list[Figure]:
    """Row 4: rows a second, so that more is better."""
    found = []
    for size, land in BATCHES.items():
        peers: list[Peer] = [baseline, *ours]
        bodies = {peer.name: [peer.batch_of(size) for _ in range((count + 3) * rounds + 3)] for peer in peers}
        sends = {peer.name: partial(_next_batch, peer, bodies[peer.name]) for peer in peers}
        taken = in_turns(sends, rounds, count)
        for peer in ours:
            value, spread = inverse(ratio(taken[peer.name], taken["baseline"]))
            rates = {name: round(size / min(quantile(one, P10) for one in of)) for name, of in taken.items()}
            limit = 1 / EMBEDDED[0] if peer.name == "embedded" else land
            found.append(
                Figure(
                    "4", f"batch of {size:,}, rows a second, {peer.name}", "FastAPI baseline", value, spread,
                    is_less_better=False, land=round(limit, 2), aim=None if peer.name == "embedded" else 2.5,
                    detail={"rows_per_second": rates},
                )
            )  # fmt: skip
    return found


def again(url: str, tandem: Tandem, rounds: int, count: int, size: int = 1000) -> list[Figure]:
    """Row 5: the time of the same batch again beside its first pass, and the rows that it writes."""
    import psycopg

    tables = (
        "messaging_app_message",
        "messaging_app_operation",
        "sessions_app_chatsession",
        "messaging_app_conversation",
    )
    with psycopg.connect(url, autocommit=True) as connection:

        def rows() -> int:
            counts = [connection.execute(f"select count(*) from {table}").fetchall() for table in tables]
            return sum(int(found[0][0]) for found in counts)

        first: list[list[float]] = []
        second: list[list[float]] = []
        written = 0
        for _ in range(rounds):
            bodies = [tandem.batch_of(size) for _ in range(count)]
            first.append([timed(partial(tandem.send_batch, body)) for body in bodies])
            before = rows()
            second.append([timed(partial(tandem.send_batch, body)) for body in bodies])
            written += rows() - before
    value, spread = ratio(second, first)
    detail = times({"first": first, "again": second})
    return [
        Figure(
            "5", f"the same batch of {size:,} again", "its first pass", value, spread, land=0.6, aim=0.3, detail=detail
        ),
        Figure("5", "rows that it writes", "–", float(written), unit="rows", land=0, aim=0),
    ]
