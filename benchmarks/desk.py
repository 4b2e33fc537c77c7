"""The desk with much on it: server time of its pages on SQLite, beside a bare SELECT and an empty page, in one run.

    python benchmarks/desk.py [--conversations 10000] [--messages 100000] [--rounds 40] [--database FILE]

A hundred conversations are played: what was said long ago comes in by ingest; what is open, waits, is served, labelled,
noted and mentioned now is done by the real verbs. Then they are copied, with all that hangs on them, their order and
their chains made anew. So is a thread of 20,000 messages, from 200 of them; another has 20. With --database all of it
is kept in a file and used again.

What is timed is a whole request, from the first middleware to the last byte, in process: on the wall, and of a core,
which is what counts where others work on the machine too. The pages take turns, round by
round, with two baselines: one bare SELECT of a page of conversations by the list's own index, and the desk of an agent
whose tenant has nothing. The two threads are opened in turns.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from common import noise, quantile, set_up, spread

LONG, SHORT = 20_000, 20
SHOPS = AGENTS = 20
SYLLABLES = ("lo", "ra", "ti", "ke", "mu", "sen", "dor", "pa", "vil", "nok", "be", "zu")
WORDS = ("order", "parcel", "invoice", *map("".join, product(SYLLABLES, repeat=3)))
WEIGHTS = [1 / (rank + 10) for rank in range(len(WORDS))]
"""Few words are in every other sentence and most in hardly any, as in life; "refund" is in one of a hundred."""
PLAYED = 100
"""Conversations that are played by the verbs, and then copied with all that hangs on them."""
SHIFT = 1_000_000
"""Between the ids of a row and of its copy."""
REFERENCES = ("message", "transfer_id", "participant_id")
"""The ids of copied rows in an operation's data."""
LONGER = "list, 200 rows"
LIST_MOST_MS, THREAD_MOST_RATIO, QUERIES_MOST = 150, 1.5, 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--database", help="a file that is kept, and made when it is not there")
    options = parser.parse_args()
    if options.conversations < PLAYED or options.messages < LONG + options.conversations:
        parser.error(f"at least {PLAYED} conversations, a message for each, and {LONG:,} of the long thread")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(options.database or f"{folder}/bench.sqlite3").absolute()
        is_new = not file.exists()
        set_up(f"sqlite:///{file}")
        if is_new:
            start = time.perf_counter()
            fill(options.conversations, options.messages)
            print(f"filled in {time.perf_counter() - start:.0f} s")
        run(options.rounds)


# --- A full desk -------------------------------------------------------------------------------------------------


def fill(conversations: int, messages: int) -> None:
    """A tenant with everything, and one with an agent and nothing."""
    from django.contrib.auth import get_user_model

    from agents_app.models import Agent, SlaPolicy, Tenant
    from messaging_app import search

    for slug in ("busy", "empty"):
        tenant = Tenant.objects.create(slug=slug, name=slug.title())
        user = get_user_model().objects.create_user(f"viewer@{slug}")
        Agent.objects.create(tenant=tenant, user=user, name="Viewer", role=Agent.Role.SUPERVISOR, max_load=1000)
    tenant = Tenant.objects.get(slug="busy")
    policy = SlaPolicy.objects.create(
        tenant=tenant, name="Promised", first_response=600, next_response=900, resolution=86_400
    )
    Tenant.objects.filter(pk=tenant.pk).update(sla=policy)
    Agent.objects.bulk_create(Agent(tenant=tenant, name=f"Agent {n}", max_load=1000) for n in range(AGENTS))
    Agent.objects.update(availability=Agent.Availability.AVAILABLE, last_seen_at=datetime.now(UTC))
    say_long_ago(tenant, PLAYED, (messages - LONG) // conversations)
    bustle(tenant)
    repeat(tenant, conversations // PLAYED)
    talk(tenant, "short", SHORT)
    lengthen(talk(tenant, "long", LONG // 100), 100)
    while search.index_some():
        pass


def sentence(chance: random.Random) -> str:
    words = chance.choices(WORDS, WEIGHTS, k=12)
    return " ".join([*words, "refund"] if chance.random() < 0.01 else words)


def say_long_ago(tenant: Any, conversations: int, each: int) -> None:
    from agents_app.actors import system_actor
    from messaging_app.batch import BatchRow
    from messaging_app.models import Conversation
    from sessions_app.actions.batches import ingest_batch

    chance, began = random.Random(1), datetime.now(UTC) - timedelta(days=30)
    rows = (
        BatchRow(
            line=1,
            platform="default",
            shop_id=f"shop-{number % SHOPS}",
            account_id=f"account-{number}",
            message_id=f"{number}-{place}",
            sender_type="bot" if place % 2 else "customer",
            content=sentence(chance),
            sent_at=began + timedelta(seconds=37 * number + 20 * place),
        )
        for number in range(conversations)
        for place in range(each)
    )
    ingest_batch(actor=system_actor(tenant.pk), rows=rows, size=5000)
    for row in Conversation.objects.filter(tenant=tenant):
        Conversation.objects.filter(pk=row.pk).update(customer_name=f"Customer {row.account_id}")


def bustle(tenant: Any) -> None:
    """All conversations become open: of ten one waits, one is served, one is flagged, the others are a bot's.

    Labels, notes with mentions, collaborators, pins and words of the customer lie over them, in other steps.
    """
    from agents_app.actors import agent_actor, client_actor, customer_actor
    from agents_app.models import Agent, ApiClient
    from messaging_app.agent_tools.labels import create_label
    from messaging_app.models import Conversation
    from messaging_app.models.agent_tools import Label
    from messaging_app.thread import NewMessage
    from sessions_app.actions import conversations as desk
    from sessions_app.actions import inbound, labels, lifecycle, participants, saved_views, takeovers, transfers
    from sessions_app.actions import messages as talk

    viewer, *others = [agent_actor(agent) for agent in Agent.objects.filter(tenant=tenant).order_by("pk")]
    bot = client_actor(ApiClient.objects.create(tenant=tenant, name="bot"))
    customer = customer_actor(tenant)
    kept = [create_label(actor=viewer, name=f"label {n}", colour=colour).pk for n, colour in enumerate(Label.Colour)]
    for name, filter in (
        ("labelled", {"labels": [str(kept[0]), str(kept[1])]}),
        ("waits long", {"view": "queue", "waiting_over": 60}),
        ("of a shop", {"shop_id": "shop-3", "controller": ["bot", "queue"]}),
        ("says refund", {"search": "refund"}),
    ):
        saved_views.create_view(actor=viewer, name=name, filter=filter)
    ids = Conversation.objects.filter(tenant=tenant).order_by("pk").values_list("pk", flat=True)
    for number, pk in enumerate(list(ids)):
        its: dict[str, Any] = {"conversation_id": pk}
        server = viewer if number == 1 else others[number % len(others)]
        lifecycle.open_session(actor=bot, robot=True, **its)
        if number % 10 == 0:
            inbound.receive_message(actor=customer, words=NewMessage(content="Is somebody there?"), **its)
            transfers.request_transfer(actor=bot, reason="asks for a refund", **its)
        elif number % 10 == 1:
            takeovers.take_over(actor=server, **its)
            participants.invite_colleague(actor=server, agent_id=others[3].pk, **its)
        elif number % 10 == 2:
            desk.raise_flag(actor=server, **its)
        for label_id in kept if number % 50 == 3 else kept[number % len(kept) :][: number % 3]:
            labels.label(actor=viewer, label_id=label_id, **its)
        if number % 25 == 4:
            talk.post_note(actor=others[0], words=NewMessage(content="@Viewer and @[Agent 3], please look"), **its)
        if number % 50 == 5:
            desk.pin(actor=viewer, **its)


def talk(tenant: Any, account: str, size: int) -> int:
    """A customer and the agent who serves say so much to each other; now and then the bot has it in between."""
    from agents_app.actors import agent_actor, client_actor, customer_actor
    from agents_app.models import Agent, ApiClient
    from messaging_app.thread import NewMessage
    from sessions_app.actions import inbound, lifecycle, takeovers
    from sessions_app.actions import messages as talk

    chance = random.Random(2)
    viewer = agent_actor(Agent.objects.get(tenant=tenant, name="Viewer"))
    bot, customer = client_actor(ApiClient.objects.get(tenant=tenant)), customer_actor(tenant)
    pk = lifecycle.conversation_for(actor=bot, shop_id="shop", account_id=account).pk
    its: dict[str, Any] = {"conversation_id": pk}
    lifecycle.open_session(actor=bot, robot=True, **its)
    takeovers.take_over(actor=viewer, **its)
    for number in range(size):
        words = NewMessage(content=sentence(chance))
        if number % 2:
            talk.post_message(actor=viewer, words=words, **its)
        else:
            inbound.receive_message(actor=customer, words=words, **its)
        if number % 10 == 5:
            takeovers.release_to_bot(actor=viewer, **its)
            takeovers.take_over(actor=viewer, **its)
    return pk


# --- Copies ------------------------------------------------------------------------------------------------------


def repeat(tenant: Any, times: int) -> None:
    """The tenant's conversations with all that hangs on them, so many times, each time a minute earlier."""
    from messaging_app import stream
    from messaging_app.models import Conversation, Message, Operation, StreamHead
    from messaging_app.models.agent_tools import ConversationLabel, Mention
    from sessions_app.models import ChatSession, Participant, SlaClock, Transfer
    from sessions_app.unit.settle import desk_order

    models = (
        Conversation,
        ChatSession,
        Transfer,
        SlaClock,
        Participant,
        Message,
        Operation,
        ConversationLabel,
        Mention,
    )
    played = {model: list(model._default_manager.filter(tenant=tenant).order_by("pk")) for model in models}
    pos = StreamHead.objects.get(tenant=tenant).pos
    for time_no in range(1, times):
        shift, back = time_no * SHIFT, timedelta(minutes=time_no)
        copies = {model: [copied(row, models, shift, back) for row in rows] for model, rows in played.items()}
        told = defaultdict(list)
        for operation in copies[Operation]:
            operation.pos = pos = pos + 1
            told[operation.conversation_id].append(operation)
        for one in copies[Conversation]:
            one.account_id, one.customer_name = f"{one.account_id}-{time_no}", f"{one.customer_name}-{time_no}"
            one.desk_order, one.chain = desk_order(one.waiting_since, one.last_activity_at), ""
            stream.seal(one, sorted(told[one.pk], key=lambda operation: operation.seq))
        for model, rows in copies.items():
            model._default_manager.bulk_create(rows, batch_size=500)
    StreamHead.objects.filter(tenant=tenant).update(pos=pos)


def copied(row: Any, models: tuple[Any, ...], shift: int, back: timedelta) -> Any:
    """A row for another conversation: what it refers to is shifted, and its times lie further back."""
    copy = type(row)()
    for column in row._meta.concrete_fields:
        value = getattr(row, column.attname)
        if column.generated:
            continue
        if column.primary_key or column.related_model in models or column.attname == "session_id":
            value = value and value + shift
        elif isinstance(value, datetime):
            value -= back
        elif column.attname in ("message_id", "token_hash"):
            value = value and f"{value}-{shift}"[-64:]
        elif column.attname == "pos":
            value = None
        elif column.attname == "data":
            value = {k: v + shift if k in REFERENCES and isinstance(v, int) else v for k, v in value.items()}
        setattr(copy, column.attname, value)
    return copy


def lengthen(pk: int, times: int) -> None:
    """The thread of a conversation again and again, a second between two operations: its messages and operations."""
    from django.db.models import Max

    from messaging_app import stream
    from messaging_app.models import Conversation, Message, Operation, StreamHead
    from tests.unguarded import delete_operations

    row = Conversation.objects.get(pk=pk)
    operations = list(Operation.objects.filter(conversation=row).order_by("seq"))
    said = {message.pk: message for message in Message.objects.filter(conversation=row)}
    began = datetime.now(UTC) - timedelta(seconds=len(operations) * times)
    step = max(Message.objects.aggregate(n=Max("pk"))["n"], Operation.objects.aggregate(n=Max("pk"))["n"])
    Message.objects.filter(conversation=row).delete()
    told, words = [], []
    for time_no in range(times):
        for old in operations:
            operation = copied(old, (), 0, timedelta(0))
            operation.seq = time_no * len(operations) + old.seq
            operation.pk, operation.at = step + operation.seq, began + timedelta(seconds=operation.seq)
            if old.type == "message.created":
                message = copied(said[old.data["message"]], (), 0, timedelta(0))
                message.pk = operation.data["message"] = operation.pk
                message.message_id, message.seq, message.sent_at = f"{pk}-{operation.seq}", operation.seq, operation.at
                words.append(message)
            told.append(operation)
    head = StreamHead.objects.get(tenant=row.tenant_id)
    for operation in told:
        operation.pos = head.pos = head.pos + 1
    head.save()
    row.seq, row.chain = len(told), ""
    stream.seal(row, told)
    delete_operations(conversation=row)
    Operation.objects.bulk_create(told, batch_size=500)
    Message.objects.bulk_create(words, batch_size=500)
    row.save()


# --- What is timed -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Taken:
    """What each call took by the clock on the wall, and of a core: SQLite works inside the process, so a machine that
    does nothing else needs no longer than that."""

    wall: list[float] = field(default_factory=list)
    core: list[float] = field(default_factory=list)

    def ms(self, share: float) -> str:
        return f"{quantile(self.wall, share) * 1000:>8.1f} {quantile(self.core, share) * 1000:>8.1f}"


class Desk:
    """An agent's browser, in process."""

    def __init__(self, slug: str) -> None:
        from django.contrib.auth import get_user_model
        from django.test import Client

        self.client = Client(headers={"host": "localhost"})
        self.client.force_login(get_user_model().objects.get(username=f"viewer@{slug}"))

    def get(self, path: str, *, part: bool = False) -> Any:
        answer = self.client.get(path, headers={"HX-Request": "true"} if part else {})
        assert answer.status_code == 200, (path, answer.status_code)
        return answer

    def pages(self, view: str, count: int) -> str:
        """The address of a page so deep in the list, and what it asks for."""
        path = f"/desk/list/?view={view}"
        for _ in range(count):
            if not (found := re.search(rb"&amp;after=([0-9.-]+)", self.get(path, part=True).content)):
                break
            path = f"/desk/list/?view={view}&after={found[1].decode()}"
        return path


def run(rounds: int) -> None:
    warnings.filterwarnings("ignore", "No directory at", UserWarning)  # static files are collected in production only
    from django.test.utils import override_settings

    from config import preload
    from messaging_app.models import Conversation, Message

    preload.load()  # as `manage.py serve` does
    with override_settings(DEBUG=False, ALLOWED_HOSTS=["localhost"]):
        print(
            f"{Conversation.objects.exclude(tier=5).count():,} open conversations, {Message.objects.count():,} messages;"
            f" {noise()}"
        )
        list_pages(rounds)
        threads(rounds * 2)
        print(noise())


def list_pages(rounds: int) -> None:
    from messaging_app.models.agent_tools import SavedView

    busy, empty = Desk("busy"), Desk("empty")
    views = {view.name: f"/desk/list/?saved={view.pk}" for view in SavedView.objects.all()}
    kinds: dict[str, tuple[str, bool]] = {
        "whole page, all": ("/desk/", False),
        "whole page, queue": ("/desk/?view=queue", False),
        "list, all": ("/desk/list/", True),
        LONGER: ("/desk/list/?rows=200", True),
        "list, mine": ("/desk/list/?view=mine", True),
        "list, mentions": ("/desk/list/?view=mentions", True),
        "list, resolved": ("/desk/list/?view=resolved", True),
        "20 pages deep": (busy.pages("all", 20), True),
        "150 pages deep": (busy.pages("all", 150), True),
        "whose turn: queue": ("/desk/list/?controller=queue", True),
        "search, many": ("/desk/list/?q=customer", True),
        "search, one": ("/desk/list/?q=account-7777", True),
        "search, none": ("/desk/list/?q=nobody-of-that-name", True),
        **{f"saved: {name}": (path, True) for name, path in sorted(views.items())},
    }
    calls: dict[str, Callable[[], Any]] = {"a bare SELECT": bare_select, "an empty desk": lambda: empty.get("/desk/")}
    calls |= {name: partial(busy.get, path, part=part) for name, (path, part) in kinds.items()}
    taken = in_turns(calls, rounds)
    costs = {name: queries(call) for name, call in calls.items()}
    print(f"\n{'':<20} queries   p50 ms  of core   p95 ms  of core   of core, beside an empty desk")
    for name, times in taken.items():
        ratios = [mine / its for mine, its in zip(times.core, taken["an empty desk"].core, strict=True)]
        print(f"{name:<20} {costs[name]:>7} {times.ms(0.5)} {times.ms(0.95)}   {spread(ratios)}")
    ours = {name: quantile(times.core, 0.95) * 1000 for name, times in taken.items() if name in kinds}
    del ours[LONGER]  # what a page that has loaded more asks for again
    slowest = max(ours, key=lambda name: ours[name])
    most = max(costs.values())
    print(
        f"slowest p95: {ours[slowest]:.0f} ms of a core ({slowest}), wanted under {LIST_MOST_MS}; most queries: {most}"
    )


def threads(rounds: int) -> None:
    from messaging_app.models import Conversation

    busy = Desk("busy")
    long, short = (Conversation.objects.get(account_id=account).pk for account in ("long", "short"))
    print(f"\n{'thread':<20} queries   p50 ms  of core   p50 ms  of core   ratio, of core")
    print(f"{'':<28} {f'of {LONG:,} messages':>17} {f'of {SHORT} messages':>17}")
    worst = 0.0
    for name, address, part in (
        ("the conversation", "/desk/c/{}/", True),
        ("the whole page", "/desk/c/{}/", False),
        ("nothing new", "/desk/c/{}/news/?seq=999999999", True),
    ):
        calls: dict[int, Callable[[], Any]] = {
            pk: partial(busy.get, address.format(pk), part=part) for pk in (long, short)
        }
        taken = in_turns(calls, rounds)
        ratios = [mine / its for mine, its in zip(taken[long].core, taken[short].core, strict=True)]
        print(f"{name:<20} {queries(calls[long]):>7} {taken[long].ms(0.5)} {taken[short].ms(0.5)}   {spread(ratios)}")
        worst = max(worst, quantile(ratios, 0.5))
    older = {"older": lambda: busy.get(middle(long), part=True)}
    print(f"{'an older page':<20} {queries(older['older']):>7} {in_turns(older, rounds)['older'].ms(0.5)}")
    print(f"worst ratio: {worst:.2f}, wanted at most {THREAD_MOST_RATIO}")


def middle(pk: int) -> str:
    from urllib.parse import urlencode

    from messaging_app import thread
    from sessions_app.queries import place_of

    return f"/desk/c/{pk}/?{urlencode({'before': place_of(thread.messages(pk, notes=True)[LONG // 2])})}"


def in_turns(calls: dict[Any, Callable[[], Any]], rounds: int) -> dict[Any, Taken]:
    taken: dict[Any, Taken] = {name: Taken() for name in calls}
    for number in range(rounds + 2):
        for name, call in calls.items():
            wall, core = time.perf_counter(), time.process_time()
            call()
            if number >= 2:  # warm by then
                taken[name].core.append(time.process_time() - core)
                taken[name].wall.append(time.perf_counter() - wall)
    return taken


def queries(call: Callable[[], Any]) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as asked:
        call()
    return len(asked)


def bare_select() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM messaging_app_conversation WHERE tenant_id = 1 ORDER BY tier, desk_order, id LIMIT 51"
        )
        cursor.fetchall()


if __name__ == "__main__":
    main()
