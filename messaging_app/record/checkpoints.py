"""Checkpoints: signed lines about the state of each tenant's stream, to be kept where the database is not.

A line has each tenant's last position and one hash over the operations up to it, in order. So its size depends on the
number of tenants only. A later check finds out whether the record was cut, a tenant was deleted, or somebody who has
the key as well has rewritten the record.
"""

from __future__ import annotations

import fcntl
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from django.db import Error

from agents_app.models import Tenant
from config import audit_keys, clock
from config.faults import fault_of
from messaging_app import record_marks
from messaging_app.models import Operation, RecordMark
from messaging_app.webhooks.post import Post

PURPOSE = "checkpoint"
_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Wrong:
    """`where` is a conversation, a tenant or a line of a file, `what` the row with its id."""

    where: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: expected {self.expected}, found {self.found}"


class NotKept(Exception):
    """A checkpoint could not be sent."""


def folded(tenant_id: int, *, since: tuple[int, str] = (0, "")) -> Iterator[tuple[int, str]]:
    """Each position of the stream with one hash over all up to there. `since`: the position and hash to go on from."""
    last, fold = since
    rows = Operation.objects.filter(tenant_id=tenant_id).order_by("pos")
    while page := list(rows.filter(pos__gt=last).values_list("pos", "chain")[:_PAGE]):
        for pos, link in page:
            last = pos or last  # none here is without a position
            fold = sha256(f"{fold}\n{last}:{link}".encode()).hexdigest()
            yield last, fold


def start_of(tenant_id: int) -> tuple[int, str]:
    """Position and hash after which the stream is complete, by the mark of the last deletion; (0, "") without one."""
    mark = RecordMark.objects.filter(tenant_id=tenant_id, kind=RecordMark.Kind.FORGOTTEN, conversation_id=None).first()
    return (mark.pos, mark.chain) if mark else (0, "")


def kept_of(tenant_id: int) -> dict[str, Any] | None:
    """The operations that stayed when others were deleted: up to which position, one hash over them, how many are gone.

    None where nothing was deleted, or while something is being deleted.
    """
    pos, _ = start_of(tenant_id)
    if not pos:
        return None
    gone = _gone(tenant_id)
    kept = {"pos": pos, "gone": gone, "hash": _kept(tenant_id, pos)}
    return kept if gone == _gone(tenant_id) else None


def _kept(tenant_id: int, until: int) -> str:
    fold = record_marks.Fold()
    rows = Operation.objects.filter(tenant_id=tenant_id, pos__lte=until).order_by("pos")
    for pos, link in rows.values_list("pos", "chain").iterator(_PAGE):
        fold.add(f"{pos}:{link}", 1)
    return fold.hash


def _gone(tenant_id: int) -> int:
    rows = RecordMark.objects.filter(tenant_id=tenant_id, kind=RecordMark.Kind.FORGOTTEN)
    return sum(rows.values_list("count", flat=True))


def taken(*, after: dict[str, Any] | None = None) -> str:
    """A line for now, without the line break. Hashing goes on from `after`, the line before, if that one is signed."""
    before = {state["id"]: state for state in after["tenants"]} if after else {}
    tenants = []
    for tenant in Tenant.objects.order_by("pk"):
        pos, fold = _since(tenant.pk, before.get(tenant.pk))
        for pos, fold in folded(tenant.pk, since=(pos, fold)):  # noqa: B007, B020 – the last is wanted
            pass
        state = {"id": tenant.pk, "name": tenant.slug, "pos": pos, "hash": fold}
        tenants.append(state | ({"kept": kept} if (kept := kept_of(tenant.pk)) else {}))
    line = {"v": 1, "at": clock.utc(clock.now()), "tenants": tenants}
    return json.dumps(line | {"signature": audit_keys.signature(PURPOSE, _text(line))}, ensure_ascii=False)


def _since(tenant_id: int, known: dict[str, Any] | None) -> tuple[int, str]:
    """The position and hash to go on from: those of the line before, or of the start if that position is gone."""
    start = start_of(tenant_id)
    if known is None or known["pos"] < start[0]:
        return start
    is_there = Operation.objects.filter(tenant_id=tenant_id, pos=known["pos"]).exists()
    return (known["pos"], known["hash"]) if is_there else start


def _text(line: dict[str, Any]) -> str:
    return json.dumps(line, sort_keys=True, separators=(",", ":"))


def read(line: str) -> dict[str, Any] | None:
    """The content of a line that is signed with one of AUDIT_KEYS; None for any other line."""
    try:
        content = json.loads(line)
        signature = content.pop("signature")
    except (ValueError, AttributeError, KeyError, TypeError):
        return None
    return (
        content if isinstance(signature, str) and audit_keys.is_signature(signature, PURPOSE, _text(content)) else None
    )


def append(path: Path, *, older_than: timedelta | None = None) -> bool:
    """Append a line for now to the file; with `older_than` only if the last line is older. Returns whether it did."""
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        last = ""
        for line in file:
            last = line
        before = read(last)
        if older_than and before and clock.now() - datetime.fromisoformat(before["at"]) < older_than:
            return False
        line_break = "\n" if last and not last.endswith("\n") else ""
        file.write(f"{line_break}{taken(after=before)}\n")
        return True


def send(address: str) -> None:
    """Post a line for now. The line itself is signed, so the request is not. Raises `NotKept`.

    The rules of webhooks hold: https, to public addresses only.
    """
    with Post() as post:
        answer = post.send(address, {}, taken().encode())
    if not answer.is_success:
        raise NotKept(answer.error)


def differences(lines: Iterable[str], *, only: int | None = None) -> Iterator[Wrong]:
    """Where the record, of one tenant or of all, is no longer what it was when the lines were written.

    Yields the first difference of each tenant, and each line that is not signed or contradicts an earlier one.
    """
    seen: dict[int, dict[int, tuple[str, str]]] = defaultdict(dict)
    kept: dict[int, list[tuple[dict[str, Any], str]]] = defaultdict(list)
    names: dict[int, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        content = read(line)
        if content is None:
            yield Wrong(f"line {number}", "the signature", "that of one of AUDIT_KEYS", "another, or none")
            continue
        for tenant in content["tenants"]:
            names[tenant["id"]] = tenant["name"]
            positions = seen[tenant["id"]]
            source = f"line {number}, {content['at']}"
            if positions.get(tenant["pos"], (tenant["hash"],))[0] != tenant["hash"]:
                yield Wrong(source, f"tenant {tenant['name']}", "what an earlier line says", "another hash")
            positions.setdefault(tenant["pos"], (tenant["hash"], source))
            if "kept" in tenant:
                kept[tenant["id"]].append((tenant["kept"], source))
    for tenant_id, positions in seen.items():
        if only not in (None, tenant_id):
            continue
        name = names[tenant_id]
        try:
            wrong = _difference(tenant_id, name, positions) or _other_than_kept(tenant_id, name, kept[tenant_id])
        except (TypeError, ValueError, Error) as error:
            if fault_of(error):
                raise
            reason = f"that one cannot be read: {type(error).__name__}"
            wrong = Wrong(f"tenant {name}", "the stream", "operations to be readable", reason)
        if wrong:
            yield wrong


def _other_than_kept(tenant_id: int, name: str, lines: list[tuple[dict[str, Any], str]]) -> Wrong | None:
    """The first line whose operations that stayed are others now. A line from before a later deletion is skipped."""
    gone, today = _gone(tenant_id) if lines else 0, {}
    for state, source in lines:
        pos = state["pos"]
        if state["gone"] != gone:
            continue
        if pos not in today:
            today[pos] = _kept(tenant_id, pos)
        if state["hash"] != today[pos]:
            what = f"operations that stay up to position {pos}, where others were forgotten"
            return Wrong(f"tenant {name}", what, f"those of the checkpoint ({source})", "others")
    return None


def _difference(tenant_id: int, name: str, lines: dict[int, tuple[str, str]]) -> Wrong | None:
    where, farthest = f"tenant {name}", max(lines)
    if not Tenant.objects.filter(pk=tenant_id).exists():
        return Wrong(where, lines[farthest][1], f"{farthest} operations", "that the tenant is gone")
    start = start_of(tenant_id)
    left = sorted(pos for pos in lines if pos >= max(start[0], 1))  # what is older was forgotten since
    same = last = start[0]
    for last, fold in chain([start] if start[0] else [], folded(tenant_id, since=start)):
        if not left:
            return None
        if left[0] < last:
            return Wrong(where, lines[left[0]][1], f"an operation at position {left[0]}", "none")
        if left[0] == last:
            if lines[last][0] != fold:
                what = f"operations after position {same} up to {last}"
                return Wrong(where, what, f"those of the checkpoint ({lines[last][1]})", "others")
            same = left.pop(0)
    return (
        Wrong(where, lines[left[-1]][1], f"{left[-1]} operations", f"{last}, behind the checkpoint") if left else None
    )
