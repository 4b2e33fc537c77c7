"""Twelve ways to tamper with the record, planted among many operations: does the check find each, and how long does it take?

    python benchmarks/record.py [--operations 10000] [--url DATABASE_URL]

The database (a new SQLite file unless named) must be empty: it is filled, and then spoilt past its triggers.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any

from common import noise, peak_memory_mb, set_up

IN_EACH = 20
"""Operations of a conversation that is there to be read only."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--url", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        set_up(options.url or f"sqlite:///{folder}/record.sqlite3")
        run(options.operations)


def run(count: int) -> None:
    from messaging_app import relay
    from messaging_app.record import checkpoints
    from tests.cases import test_t09_the_record as planted
    from tests.cases.the_record import a_short_story
    from tests.cast import Cast
    from tests.unguarded import unguarded

    print(noise())
    cast, gone, cut = Cast(), Cast("gone"), Cast("cut")
    fill(cast.tenant.pk, count)
    kinds: list[Callable[[Any], str]] = [
        planted.content_changed, planted.actor_changed, planted.status_changed, planted.one_deleted, planted.end_deleted,
        planted.one_inserted, planted.two_swapped, planted.time_changed, planted.session_moved, planted.chain_recomputed,
    ]  # fmt: skip
    chats = [a_short_story(cast) for _ in kinds]
    of_gone, of_cut = a_short_story(gone), a_short_story(cut)
    for one in (cast, gone, cut):
        while relay.stamp(one.tenant.pk):
            pass
    print("before:", *checked()[1], sep="\n  ")
    line = checkpoints.taken()
    expected = {}
    with unguarded():
        for kind, chat in zip(kinds, chats, strict=True):
            expected[kind.__name__] = kind(chat)
        expected["all_deleted"] = planted.all_deleted(of_gone)
    planted.cut(of_cut)
    wrong, figures = checked()
    expected["behind_its_checkpoint"] = "tenant cut: line 1"
    wrong += [str(one) for one in checkpoints.differences([line])]
    print("after:", *figures, sep="\n  ")
    found = {name: next((one for one in wrong if one.startswith(text)), "") for name, text in expected.items()}
    for name, line_found in found.items():
        print(f"  {name:24} {line_found or 'NOT FOUND'}")
    print(f"{sum(map(bool, found.values()))} of {len(found)} kinds found")


def fill(tenant_id: int, count: int) -> None:
    """Conversations in which a customer talks to nobody: as a batch of operations and messages, sealed as usual."""
    from django.db import transaction

    from agents_app.actors import system_actor
    from config import clock
    from messaging_app import relay, stream
    from messaging_app.models import Conversation, Message

    actor, now = system_actor(tenant_id, "benchmark"), clock.now()
    for number in range(count // IN_EACH):
        with transaction.atomic():
            row = Conversation.objects.create(tenant_id=tenant_id, shop_id="bench", account_id=f"a-{number}")
            operations = []
            for seq in range(1, IN_EACH + 1):
                message = Message.objects.create(
                    tenant_id=tenant_id, conversation=row, message_id=f"m-{number}-{seq}", sender_type="customer",
                    content=f"What about order {seq}?", sent_at=now, seq=seq,
                )  # fmt: skip
                told = {
                    "message": message.pk, "message_id": message.message_id, "sender_type": "customer", "is_note": False,
                    "digest": stream.content_digest(message.content), "proof": stream.message_proof(message), "answer": {},
                }  # fmt: skip
                operations.append(stream.entry(row, actor=actor, type="message.created", at=now, data=told))
            stream.seal(row, operations)
            stream.write(operations)
            row.unanswered_since = now
            row.save()
    while relay.stamp(tenant_id):
        pass


def checked() -> tuple[list[str], list[str]]:
    """What is wrong, and what it took."""
    from agents_app.models import Tenant
    from sessions_app.core.record.check import Check

    began, core, wrong, operations, conversations = time.perf_counter(), time.process_time(), [], 0, 0
    for tenant in Tenant.objects.order_by("pk"):
        check = Check(tenant)
        wrong += [str(one) for one in check.run()]
        operations, conversations = operations + check.operations, conversations + check.conversations
    taken, core = time.perf_counter() - began, time.process_time() - core
    return wrong, [
        f"{operations:,} operations of {conversations:,} conversations: {len(wrong)} wrong",
        f"per 100,000 operations {taken / operations * 100_000:.1f} s by the clock, {core / operations * 100_000:.1f} s of a core",
        f"peak memory {peak_memory_mb():.0f} MB",
    ]


if __name__ == "__main__":
    main()
