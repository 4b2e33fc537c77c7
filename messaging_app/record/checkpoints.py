"""Checkpoints: signed lines that say how far each tenant's stream went and what it was, to be kept where the database is not.

A line has, of each tenant, the last position and one hash over the operations up to it in their order. So its size depends on
the number of tenants only, and a later check finds out whether the record was cut, a tenant is gone, or somebody who has
the key too has written it anew.
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
    """Position by position, one hash over all of the stream up to it. `since` is where it was folded to before."""
    last, fold = since
    rows = Operation.objects.filter(tenant_id=tenant_id).order_by("pos")
    while page := list(rows.filter(pos__gt=last).values_list("pos", "chain")[:_PAGE]):
        for pos, link in page:
            last = pos or last  # none here is without a position
            fold = sha256(f"{fold}\n{last}:{link}".encode()).hexdigest()
            yield last, fold


def start_of(tenant_id: int) -> tuple[int, str]:
    """Where the stream begins to be whole: behind what was forgotten, as a mark says."""
    mark = RecordMark.objects.filter(tenant_id=tenant_id, kind=RecordMark.Kind.FORGOTTEN, conversation_id=None).first()
    return (mark.pos, mark.chain) if mark else (0, "")


def kept_of(tenant_id: int) -> dict[str, Any] | None:
    """Of what stays where others were forgotten: up to which position, one hash over it, and how many were gone then.

    None where nothing was forgotten, or something is just now.
    """
    pos, _ = start_of(tenant_id)
    if not pos:
        return None
    gone = _gone(tenant_id)
    told = {"pos": pos, "gone": gone, "hash": _kept(tenant_id, pos)}
    return told if gone == _gone(tenant_id) else None


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
    """A line for now, without its end. What `after` (the line before, if it is signed) has folded is not folded again."""
    before = {told["id"]: told for told in after["tenants"]} if after else {}
    tenants = []
    for tenant in Tenant.objects.order_by("pk"):
        pos, fold = _since(tenant.pk, before.get(tenant.pk))
        for pos, fold in folded(tenant.pk, since=(pos, fold)):  # noqa: B007, B020 – the last is wanted
            pass
        told = {"id": tenant.pk, "name": tenant.slug, "pos": pos, "hash": fold}
        tenants.append(told | ({"kept": kept} if (kept := kept_of(tenant.pk)) else {}))
    line = {"v": 1, "at": clock.utc(clock.now()), "tenants": tenants}
    return json.dumps(line | {"signature": audit_keys.signature(PURPOSE, _text(line))}, ensure_ascii=False)


def _since(tenant_id: int, known: dict[str, Any] | None) -> tuple[int, str]:
    """What the line before has folded; from the start where that is not there any more."""
    start = start_of(tenant_id)
    if known is None or known["pos"] < start[0]:
        return start
    is_there = Operation.objects.filter(tenant_id=tenant_id, pos=known["pos"]).exists()
    return (known["pos"], known["hash"]) if is_there else start


def _text(told: dict[str, Any]) -> str:
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


def read(line: str) -> dict[str, Any] | None:
    """A line that one of AUDIT_KEYS has signed; None for any other."""
    try:
        told = json.loads(line)
        signature = told.pop("signature")
    except (ValueError, AttributeError, KeyError, TypeError):
        return None
    return told if isinstance(signature, str) and audit_keys.is_signature(signature, PURPOSE, _text(told)) else None


def append(path: Path, *, older_than: timedelta | None = None) -> bool:
    """Write a line for now behind those of the file; with `older_than` only if the last one is. Whether one was written."""
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        last = ""
        for line in file:
            last = line
        before = read(last)
        if older_than and before and clock.now() - datetime.fromisoformat(before["at"]) < older_than:
            return False
        begun = "\n" if last and not last.endswith("\n") else ""
        file.write(f"{begun}{taken(after=before)}\n")
        return True


def send(address: str) -> None:
    """Post a line for now. It is its own proof, so the request has no signature beside. Raises `NotKept`.

    The rules of webhooks hold: https, to public addresses only.
    """
    with Post() as post:
        answer = post.send(address, {}, taken().encode())
    if not answer.is_success:
        raise NotKept(answer.error)


def differences(lines: Iterable[str], *, only: int | None = None) -> Iterator[Wrong]:
    """Where the record of today, of one tenant or of all, is not what it was when the lines were written.

    Of each tenant the first line that does not fit is told. A line that is not signed is told, too.
    """
    seen: dict[int, dict[int, tuple[str, str]]] = defaultdict(dict)
    kept: dict[int, list[tuple[dict[str, Any], str]]] = defaultdict(list)
    names: dict[int, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        told = read(line)
        if told is None:
            yield Wrong(f"line {number}", "the signature", "that of one of AUDIT_KEYS", "another, or none")
            continue
        for tenant in told["tenants"]:
            names[tenant["id"]] = tenant["name"]
            here = seen[tenant["id"]]
            named = f"line {number}, {told['at']}"
            if here.get(tenant["pos"], (tenant["hash"],))[0] != tenant["hash"]:
                yield Wrong(named, f"tenant {tenant['name']}", "what an earlier line says", "another hash")
            here.setdefault(tenant["pos"], (tenant["hash"], named))
            if "kept" in tenant:
                kept[tenant["id"]].append((tenant["kept"], named))
    for tenant_id, here in seen.items():
        if only not in (None, tenant_id):
            continue
        name = names[tenant_id]
        try:
            wrong = _difference(tenant_id, name, here) or _other_than_kept(tenant_id, name, kept[tenant_id])
        except (TypeError, ValueError, Error) as error:
            if fault_of(error):
                raise
            found = f"that one cannot be read: {type(error).__name__}"
            wrong = Wrong(f"tenant {name}", "the stream", "operations to be readable", found)
        if wrong:
            yield wrong


def _other_than_kept(tenant_id: int, name: str, lines: list[tuple[dict[str, Any], str]]) -> Wrong | None:
    """A line says nothing of what stays now if more was forgotten since."""
    gone, today = _gone(tenant_id) if lines else 0, {}
    for told, named in lines:
        pos = told["pos"]
        if told["gone"] != gone:
            continue
        if pos not in today:
            today[pos] = _kept(tenant_id, pos)
        if told["hash"] != today[pos]:
            what = f"operations that stay up to position {pos}, where others were forgotten"
            return Wrong(f"tenant {name}", what, f"those of the checkpoint ({named})", "others")
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
