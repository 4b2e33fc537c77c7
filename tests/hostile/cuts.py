"""The same messages to three shops, cut otherwise, in another order and by another door: the sessions must be equal."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management import call_command

from agents_app.models import ApiClient, Tenant
from messaging_app.models import Message
from sessions_app.models import ChatSession
from tests.hostile.values import SECONDS_APART, TIMES
from tests.hostile.world import Caller, made, program

ACCOUNTS = ("cut-0", "cut-1", "cut-2")


class Cuts:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._number = 0
        self._callers: dict[str, Caller] = {}
        for slug in ("cut-whole", "cut-single", "cut-file"):
            tenant = Tenant.objects.create(slug=f"{slug}-{seed}", name=slug)
            self._callers[tenant.slug] = program(tenant, "channel", ApiClient.Kind.INTEGRATOR)

    def feed(self, now: datetime) -> None:
        rows = [self._row(now) for _ in range(self._random.choice((0, 3, 8)))]
        if not rows:
            return
        whole, single, file = self._callers
        made(self._callers[whole].post("batches", {"rows": rows}))
        self._random.shuffle(rows)
        for row in rows:
            made(self._callers[single].post("batches", json.dumps(row), content_type="application/x-ndjson"))
        self._random.shuffle(rows)
        for part in (rows[: len(rows) // 2], rows[len(rows) // 2 :], rows):
            _ingest(file, part)

    def _row(self, now: datetime) -> dict[str, Any]:
        self._number += 1
        away = SECONDS_APART * self._random.randint(-40, 6) + self._random.randint(-3, 3)
        moment = (now.replace(microsecond=0) + timedelta(seconds=away)).isoformat()
        return {
            "message_id": f"c{self._number}",
            "account_id": self._random.choice(ACCOUNTS),
            "shop_id": "shop-1",
            "timestamp": self._random.choice(TIMES) if self._random.random() < 0.1 else moment,
            "content": "Is it there?",
            "sender_type": self._random.choice(("customer", "customer", "bot", "agent", "shop")),
        }

    def differences(self) -> Iterable[str]:
        first, *others = (self._sessions(slug) for slug in self._callers)
        names = list(self._callers)
        for name, other in zip(names[1:], others, strict=True):
            for account in ACCOUNTS:
                if first[account] != other[account]:
                    yield f"{account} of {names[0]}: {first[account]}; of {name}: {other[account]}"

    def _sessions(self, slug: str) -> dict[str, list[tuple[str, str, tuple[str, ...]]]]:
        """By account: each session's status, kind and messages."""
        found: dict[str, list[tuple[str, str, tuple[str, ...]]]] = {account: [] for account in ACCOUNTS}
        for session in ChatSession.objects.filter(tenant__slug=slug).select_related("conversation"):
            said = Message.objects.filter(session_id=session.pk).order_by("message_id")
            ids = tuple(said.values_list("message_id", flat=True))
            found[session.conversation.account_id].append((session.status, session.kind, ids))
        return {account: sorted(sessions) for account, sessions in found.items()}


def _ingest(slug: str, rows: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.ndjson"
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        with (Path(folder) / "summary").open("w") as summary:
            call_command("ingest", str(path), "--tenant", slug, "--json", "--batch-size", "3", stdout=summary)
