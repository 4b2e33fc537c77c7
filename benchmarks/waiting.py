"""Ten thousand conversations that wait, nobody free: what it costs those who write meanwhile, beside the same with ten.

    python benchmarks/waiting.py [--waiting 10000] [--seconds 60] [--rate 50] [--sweeps 20]

Two databases, PostgreSQL by default, that are alike but for how many wait. Fifty agents are there, and busy. In each of them one process speaks for customers
who wait, so many messages a second through the verb that every door calls, and one process sweeps once a second. The two
take turns in stretches of five seconds. Then what a sweep and a drain take, asked for in turns too, and what an hour of waiting
writes, on a clock that is moved: rows by kind for each conversation that waits. What waits beyond the first few is copied.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
from common import POSTGRES, noise, quantile, set_up, spread

FEW, PLAYED, AGENTS = 10, 10, 50
STRETCH = 5.0
SIDES = {"few": f"{FEW} waiting", "many": "many waiting"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--sweeps", type=int, default=20)
    parser.add_argument("--part", help=argparse.SUPPRESS)  # a process of a side: the address of its database
    options = parser.parse_args()
    if options.part:
        obey(options.part)
        return
    with ExitStack() as stack:
        urls = {side: stack.enter_context(database(side)) for side in SIDES}
        speakers = {side: stack.enter_context(Part(url)) for side, url in urls.items()}
        sweepers = {side: stack.enter_context(Part(url)) for side, url in urls.items()}
        for side, number in (("few", FEW), ("many", options.waiting)):
            print(f"{number:,} wait, filled in {speakers[side].ask('fill', number=number):.0f} s")
        print(noise())
        speak(speakers, sweepers, options)
        look(speakers, options.sweeps)
        print(noise())
        hour(speakers["few"])


@contextmanager
def database(side: str) -> Iterator[str]:
    """One of our own, empty: the first process that works on it migrates it. Yields its address."""
    name = f"bench_waiting_{side}_{os.getpid()}"
    with psycopg.connect(POSTGRES, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
    try:
        yield urlsplit(POSTGRES)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(POSTGRES, autocommit=True) as server:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


# --- The table ---------------------------------------------------------------------------------------------------


def speak(speakers: dict[str, Part], sweepers: dict[str, Part], options: argparse.Namespace) -> None:
    taken: dict[str, list[float]] = {side: [] for side in SIDES}
    ratios: dict[float, list[float]] = {0.5: [], 0.95: []}
    for _ in range(max(1, round(options.seconds / STRETCH))):
        stretch: dict[str, list[float]] = {}
        for side in SIDES:
            sweepers[side].tell("sweep_on", seconds=STRETCH)
            stretch[side] = speakers[side].ask("speak", seconds=STRETCH, rate=options.rate)
            sweepers[side].answer()
            taken[side] += stretch[side]
        for share, found in ratios.items():
            found.append(quantile(stretch["many"], share) / quantile(stretch["few"], share))
    print(f"\nmessages of who waits, {options.rate:g} a second")
    for side, name in SIDES.items():
        p50, p95 = (quantile(taken[side], share) * 1000 for share in (0.5, 0.95))
        print(f"  {name:<14} {len(taken[side]):6,} messages   p50 {p50:7.2f}   p95 {p95:7.2f} ms")
    for share, found in ratios.items():
        print(f"  many to few, p{share * 100:g} of each stretch: {spread(found)}")


def look(speakers: dict[str, Part], times: int) -> None:
    print("\nnobody free")
    for work in ("sweep", "drain"):
        taken: dict[str, list[float]] = {side: [] for side in SIDES}
        queries = {side: speakers[side].ask("queries", of=work) for side in SIDES}
        for _ in range(times):
            for side in SIDES:
                taken[side].append(speakers[side].ask(work))
        ratios = [many / few for few, many in zip(taken["few"], taken["many"], strict=True)]
        for side, name in SIDES.items():
            p50, p95 = (quantile(taken[side], share) * 1000 for share in (0.5, 0.95))
            print(f"  one {work}, {name:<14} {queries[side]:3} queries   p50 {p50:7.2f}   p95 {p95:7.2f} ms")
        print(f"  many to few: {spread(ratios)}")


def hour(speaker: Part) -> None:
    print("\nwritten by an hour of waiting, for each conversation: the first hour, the second, the third")
    hours = [speaker.ask("hour") for _ in range(3)]
    for kind in hours[0]:
        print(f"  {kind:<22}", "   ".join(f"{one[kind]:6.2f}" for one in hours))


# --- A process of a side -----------------------------------------------------------------------------------------


class Part:
    """Another process with Django on a database: is told what to do by a line, and answers with one."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--part", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.answer()  # it is there, and the database migrated

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)

    def tell(self, work: str, **how: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"work": work, **how}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())

    def ask(self, work: str, **how: Any) -> Any:
        self.tell(work, **how)
        return self.answer()


def obey(url: str) -> None:
    set_up(url)
    print(json.dumps("ready"), flush=True)
    works: dict[str, Callable[..., Any]] = {
        "fill": fill,
        "speak": says,
        "sweep_on": sweep_on,
        "sweep": lambda: timed(_work("sweep")),
        "drain": lambda: timed(_work("drain")),
        "queries": lambda of: queries(_work(of)),
        "hour": waits_an_hour,
    }
    for line in sys.stdin:
        how = json.loads(line)
        print(json.dumps(works[how.pop("work")](**how)), flush=True)


def fill(number: int) -> float:
    """So many wait for a human, each of fifty agents serves one and has no other place, and what waits would be offered."""
    from agents_app.actors import agent_actor, client_actor
    from agents_app.models import Agent, ApiClient, Membership, Team, Tenant
    from config import clock
    from messaging_app.models import Conversation
    from sessions_app.actions import lifecycle, transfers
    from sessions_app.models import ChatSession, Transfer

    began = time.perf_counter()
    tenant = Tenant.objects.create(slug="bench", name="Bench", assignment="pull", transfer_policy="requeue")
    team = Team.objects.create(tenant=tenant, name="desk")
    there = {"last_seen_at": clock.now() + timedelta(days=1), "max_load": 1}  # until the end, the hours included
    agents = Agent.objects.bulk_create(Agent(tenant=tenant, name=f"Agent {n}", **there) for n in range(AGENTS))
    Membership.objects.bulk_create(Membership(team=team, agent=agent) for agent in agents)
    bot = client_actor(ApiClient.objects.create(tenant=tenant, name="bot"))

    def asks(account: str) -> Transfer:
        made = lifecycle.conversation_for(actor=bot, shop_id="shop", account_id=account)
        lifecycle.open_session(actor=bot, conversation_id=made.pk, robot=True)
        transfers.request_transfer(actor=bot, conversation_id=made.pk, to_team_id=team.pk, reason="a human, please")
        return Transfer.objects.select_related("session", "conversation").get(conversation=made)

    for agent in map(agent_actor, agents):
        asked = asks(f"served-{agent.id}")
        took = transfers.accept_transfer(actor=agent, transfer_id=asked.pk)
        if agent.id == agents[0].pk:  # one service is measured, so that a wait can be told
            lifecycle.complete_session(actor=agent, session_id=took.session_id or 0, outcome="success")
            asked = asks("served-again")
            transfers.accept_transfer(actor=agent, transfer_id=asked.pk)
    Tenant.objects.update(assignment="push")
    rows: list[tuple[Any, Any, Any]] = []
    for place in range(min(number, PLAYED)):
        asked = asks(f"played-{place}")
        rows.append((asked.conversation, asked.session, asked))
    copies = [rows[place % len(rows)] for place in range(number - len(rows))]
    anew = {"id": None, "seq": 0, "chain": Conversation._meta.get_field("chain").get_default()}
    conversations = Conversation.objects.bulk_create(
        (
            Conversation(**_values(row) | anew | {"account_id": f"copied-{place}"})
            for place, (row, _, _) in enumerate(copies)
        ),
        batch_size=1000,
    )
    sessions = ChatSession.objects.bulk_create(
        (
            ChatSession(**_values(row) | {"id": None, "conversation_id": one.pk})
            for one, (_, row, _) in zip(conversations, copies, strict=True)
        ),
        batch_size=1000,
    )
    Transfer.objects.bulk_create(
        (
            Transfer(**_values(row) | {"id": None, "conversation_id": one.conversation_id, "session_id": one.pk})
            for one, (_, _, row) in zip(sessions, copies, strict=True)
        ),
        batch_size=1000,
    )
    later = timedelta(days=1)  # the deadline is another measure's: the hour
    Transfer.objects.filter(status="PENDING").update(deadline=(asked.deadline or tenant.created_at) + later)
    _analyse()
    return time.perf_counter() - began


def _values(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if not field.generated}


def _analyse() -> None:
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def says(seconds: float, rate: float) -> list[float]:
    """Messages at their times, as far as one process can: what each took."""
    from agents_app.actors import customer_actor
    from agents_app.models import Tenant
    from messaging_app.models import Conversation
    from messaging_app.thread import NewMessage
    from sessions_app.actions import inbound

    tenant = Tenant.objects.get()
    waiting = Conversation.objects.filter(controller="queue")
    customer, ids = customer_actor(tenant), list(waiting.values_list("pk", flat=True))
    chosen, began, taken = random.Random(1), time.perf_counter(), []
    for number in range(round(seconds * rate)):
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        start = time.perf_counter()
        if start > began + seconds:
            break
        said = inbound.receive_message(
            actor=customer, conversation_id=chosen.choice(ids), words=NewMessage(content="Is anybody there?")
        )
        taken.append(time.perf_counter() - start)
        assert said.controller == "queue"
    return taken


def sweep_on(seconds: float) -> int:
    """Once a second, as the beat does."""
    from sessions_app.actions import sweep

    end, times = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        began = time.perf_counter()
        sweep.sweep_due()
        times += 1
        time.sleep(max(0.0, min(1.0 - (time.perf_counter() - began), end - time.perf_counter())))
    return times


def _work(name: str) -> Callable[[], object]:
    from agents_app.models import Tenant
    from sessions_app.actions import sweep

    tenant_id = Tenant.objects.get().pk
    return {"sweep": sweep.sweep_due, "drain": lambda: sweep.drain(tenant_id)}[name]


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def queries(work: Callable[[], object]) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as asked:
        work()
    return len(asked)


def waits_an_hour() -> dict[str, float]:
    from config import clock
    from messaging_app.models import Message, Operation
    from sessions_app.actions import sweep
    from sessions_app.models import AssignmentDecision, ChatSession, Transfer

    pending = Transfer.objects.filter(status="PENDING")
    if not pending.filter(asked_again__gt=0).exists():  # the clock begins with the request
        pending.update(deadline=clock.now() + timedelta(seconds=300))
    waiting = set(pending.values_list("conversation_id", flat=True))
    of = {"conversation__in": waiting}
    kinds: dict[Any, Any] = {model: model.objects.filter(**of) for model in (Transfer, ChatSession, Message, Operation)}
    kinds[AssignmentDecision] = AssignmentDecision.objects.filter(transfer__conversation__in=waiting)
    before = {model: rows.count() for model, rows in kinds.items()}
    for _ in range(60):
        clock.offset += timedelta(minutes=1)
        sweep.sweep_due()
    return {
        str(model._meta.verbose_name_plural): (rows.count() - before[model]) / len(waiting)
        for model, rows in kinds.items()
    }


if __name__ == "__main__":
    main()
