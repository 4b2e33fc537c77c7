"""The context package that travels with a transfer, so that a human need not ask what was asked before.

What a bot or an agent says about the work stays with the session until it ends (`ChatSession.said`): each entry is a
value with who said it and when. Every package is made from these entries, so no transfer loses them. A human's session
begins with those of the sessions that were live or paused when it opened (`taken_over`): it takes over their work.

Version 2; its schema is docs/schemas/context-package-2.json. Older rows hold version 1, which did not say who said
what. `completeness` is the share of `WANTED` that is known, from 0 to 1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agents_app.actors import ActorKind
from config import free_json, limits, statements
from config.clock import utc
from config.free_json import Unstorable, visible
from messaging_app import thread
from messaging_app.models import Message
from sessions_app.models.stored_package import part_problem
from sessions_app.states import Priority

if TYPE_CHECKING:
    from agents_app.actors import Actor
    from messaging_app.models.attachments import Attachment
    from sessions_app.core.locked_conversation import LockedConversation
    from sessions_app.models import ChatSession, Transfer

VERSION = 2
MOST_REASONS = 20
"""Reasons that a package keeps besides its own, the newest; every reason is on record with its operation."""
WANTED = ("messages", "task_state", "customer", "reason", "suggestion", "promises")
"""The parts that `completeness` counts, each with the same weight."""
_OUTSIDERS = (ActorKind.CUSTOMER, ActorKind.PARTICIPANT)


def checked_extra(value: Any, place: str = "context") -> dict[str, Any]:
    """Check what a caller adds to a package against its schema, and return it. Raises `Malformed`, naming the place."""
    extra = free_json.checked_object(value, place)
    for name, item in extra.items():
        if wrong := part_problem(name, item):
            raise free_json.malformed(Unstorable(f"{place}.{visible(name)}", wrong))
    return extra


# --- What was said about the work --------------------------------------------------------------------------------


def _entry(value: Any, by: Actor, at: datetime) -> dict[str, Any]:
    return {"value": value, "by": str(by.kind), "name": by.name[: limits.MAX_NAME], "at": utc(at)}


def added(
    said: Mapping[str, Any], extra: Mapping[str, Any], *, by: Actor, at: datetime, urgency: int | None = None
) -> dict[str, Any]:
    """A session's entries with what `by` says now: the newest suggestion counts, promises are added, the task state is
    merged by name, urgency only rises (from `urgency`, where no entry has one).

    An entry whose value is repeated keeps who said it and when. Customers and participants do not speak for the shop:
    theirs is left out. All entries together have the bounds of one context object, not counting those of the opening
    and those taken over: raises `Malformed`.
    """
    made = dict(said)
    if by.kind in _OUTSIDERS:
        return made
    suggestion, promises, state = (extra.get(name) for name in ("suggestion", "promises", "task_state"))
    if suggestion and suggestion.strip() and suggestion != _value(made.get("suggestion")):
        made["suggestion"] = _entry(suggestion, by, at)
    known = [entry["value"] for entry in made.get("promises", [])]
    new = [text for text in dict.fromkeys(promises or []) if text.strip() and text not in known]
    if new:
        made["promises"] = [*made.get("promises", []), *(_entry(text, by, at) for text in new)]
    kept = made.get("task_state", {})
    if changed := {
        name: _entry(value, by, at) for name, value in (state or {}).items() if not _is_kept(kept, name, value)
    }:
        made["task_state"] = {**kept, **changed}
    stated = extra.get("urgency")
    present = _value(made.get("urgency")) or urgency
    if stated is not None and (present is None or stated < present):
        made["urgency"] = _entry(stated, by, at)
    if made != said:
        own = _filtered(made, lambda entry: not (entry.get("opening") or entry.get("is_taken_over")))
        free_json.checked_object({name: item for name, item in _values(own).items() if item}, "context")
    return made


def opening(state: Mapping[str, Any], *, by: Actor, at: datetime) -> dict[str, Any]:
    """The task state that a session is opened with, as entries of whoever opens it."""
    entries = {name: _entry(value, by, at) | {"opening": True} for name, value in state.items()}
    return {"task_state": entries} if entries else {}


def taken_over(said: Mapping[str, Any], *others: Mapping[str, Any]) -> dict[str, Any]:
    """A session's entries merged with those of the sessions that it takes over, by the same rules as `added`.

    What is taken over has bounds of its own, so that nobody's words are refused for what others had said. The newest is
    kept first; what does not fit is left out, and `left_out` names the parts that lack something.
    """
    made = _merged(*(_filtered(other, lambda _: True, is_taken_over=True) for other in others), said)
    kept: set[int] = set()
    size = names = 0
    for part, name, entry in sorted(_entries(made), key=lambda item: _at(item[2]), reverse=True):
        if entry.get("is_taken_over"):
            value = {name: entry["value"]} if part == "task_state" else entry["value"]
            more_size, more_names = free_json.size(value), free_json.count_names(value)
            if size + more_size > _ROOM or names + more_names > _ROOM_NAMES:
                continue
            size, names = size + more_size, names + more_names
        kept.add(id(entry))
    left_out = {part for part, _, entry in _entries(made) if id(entry) not in kept}
    left_out |= {part for source in (said, *others) for part in source.get("left_out", [])}
    made = _filtered(made, lambda entry: id(entry) in kept)
    return made | {"left_out": sorted(left_out)} if left_out else made


_ROOM = free_json.MAX_BYTES - 1024
_ROOM_NAMES = free_json.MAX_KEYS - 10
"""The bounds of what is taken over, in bytes and in names: those of one object, less what holds its parts together."""


def _entries(said: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each entry as (part, name, entry); the name is empty outside the task state."""
    yield from ((part, "", said[part]) for part in ("suggestion", "urgency") if part in said)
    yield from (("promises", "", entry) for entry in said.get("promises", []))
    yield from (("task_state", name, entry) for name, entry in _state(said))


def _filtered(said: Mapping[str, Any], fits: Callable[[Mapping[str, Any]], bool], **marks: bool) -> dict[str, Any]:
    """Only the entries for which `fits` is true, each with `marks` added."""
    made: dict[str, Any] = {}
    for part, name, entry in _entries(said):
        if not fits(entry):
            continue
        marked = {**entry, **marks} if marks else entry
        if part == "promises":
            made.setdefault(part, []).append(marked)
        elif part == "task_state":
            made.setdefault(part, {})[name] = marked
        else:
            made[part] = marked
    return made


def _merged(*several: Mapping[str, Any]) -> dict[str, Any]:
    """The newest suggestion, each promise once, the newest task state by name, the highest urgency."""
    made: dict[str, Any] = {}
    if suggestions := [said["suggestion"] for said in several if "suggestion" in said]:
        made["suggestion"] = max(suggestions, key=_at)
    promises: dict[str, Any] = {}
    for entry in sorted((entry for said in several for entry in said.get("promises", [])), key=_at):
        promises.setdefault(entry["value"], entry)
    if promises:
        made["promises"] = list(promises.values())
    if state := dict(sorted((pair for said in several for pair in _state(said)), key=lambda pair: _at(pair[1]))):
        made["task_state"] = state
    if urgencies := [said["urgency"] for said in several if "urgency" in said]:
        made["urgency"] = min(urgencies, key=lambda entry: (entry["value"], _at(entry)))
    return made


def say(
    locked: LockedConversation, session: ChatSession, extra: Mapping[str, Any], *, urgency: int | None = None
) -> bool:
    """Store with the session what the actor says about its work; False if nothing in it is new. Raises `Malformed`."""
    said = added(session.said, extra, by=locked.actor, at=locked.now, urgency=urgency)
    if said == session.said:
        return False
    session.said = said
    statements.update(session, "said")
    return True


def inherit(session: ChatSession, yields: ChatSession, transfer: Transfer | None = None) -> None:
    """Copy the entries of the session that yields to a human's session, and to the package of its transfer.

    The caller saves both.
    """
    session.said = taken_over(session.said, yields.said)
    if transfer is not None:
        transfer.context = _refreshed(_with_defaults(transfer.context, session), session)


def _value(entry: Mapping[str, Any] | None) -> Any:
    return entry["value"] if entry else None


def _state(said: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    entries: dict[str, dict[str, Any]] = said.get("task_state", {})
    return entries.items()


def _at(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])


def _is_kept(state: Mapping[str, Any], name: str, value: Any) -> bool:
    """Compared as JSON, because for Python 1 == True."""
    return name in state and json.dumps(state[name]["value"], sort_keys=True) == json.dumps(value, sort_keys=True)


def _values(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "suggestion": _value(said.get("suggestion")) or "",
        "promises": [entry["value"] for entry in said.get("promises", [])],
        "task_state": {name: entry["value"] for name, entry in _state(said)},
        "urgency": _value(said.get("urgency")),
    }


# --- The package -------------------------------------------------------------------------------------------------


def package(
    locked: LockedConversation,
    session: ChatSession,
    *,
    reason: str,
    reason_by: str,
    trigger: str,
    reasons: Sequence[dict[str, str]] = (),
) -> dict[str, Any]:
    """The package of any transfer: the newest messages with the customer, what was said about the work, and the reason.

    `reasons` are those of earlier requests, oldest first.
    """
    conversation = locked.conversation
    limit = locked.policies.context_messages
    newest = thread.messages(conversation.pk, notes=False).reverse()[:limit]
    messages = [
        {
            "message_id": m.message_id,
            "sender_type": m.sender_type,
            "content": m.content,
            "sent_at": utc(m.sent_at),
            "attachments": [_file(row) for row in m.attachments.all()],
        }
        for m in reversed(newest)
        if _is_dated(m)
    ]
    made: dict[str, Any] = {
        "history": {"from": messages[0]["sent_at"], "to": messages[-1]["sent_at"], "count": len(messages)}
        if messages
        else None,
        "messages": messages,
        "task": session.task,
        "customer": {
            "account_id": conversation.account_id,
            "shop_id": conversation.shop_id,
            "platform": conversation.platform,
            "name": conversation.customer_name,
            "is_vip": conversation.is_vip,
        },
        "reason": reason,
        "reason_by": str(reason_by) if reason else "",
        "trigger": trigger,
        "previous": _previous(session),
    }
    if earlier := list(reasons)[-MOST_REASONS:]:
        made["reasons"] = earlier
    return _refreshed(made, session)


def asked_again(
    package: Mapping[str, Any], session: ChatSession, *, reason: str, reason_by: str, at: datetime
) -> dict[str, Any]:
    """The package of a waiting transfer, with what was said since. A new reason is added with who gave it and when."""
    made = _with_defaults(package, session)
    if reason:
        given = {"by": str(reason_by), "reason": reason, "at": utc(at)}
        made["reasons"] = [*made.get("reasons", []), given][-MOST_REASONS:]
    return _refreshed(made, session)


def _with_defaults(package: Mapping[str, Any], session: ChatSession) -> dict[str, Any]:
    """A stored package, with defaults for what version 1 lacks."""
    return {"reason_by": "", "previous": _previous(session), **package}


def _refreshed(package: Mapping[str, Any], session: ChatSession) -> dict[str, Any]:
    """The package with the session's present entries, its urgency and its completeness."""
    said = session.said
    made = {**package, **_values(said), "version": VERSION}
    stated = made["urgency"]
    if stated is None or session.priority == Priority.EMERGENCY:
        made["urgency"] = session.priority
    attribution: dict[str, Any] = {name: _who(said[name]) for name in ("suggestion", "urgency") if name in said}
    if stated != made["urgency"]:
        attribution.pop("urgency", None)  # nobody stated it: it is the session's priority
    attribution["promises"] = [_who(entry) for entry in said.get("promises", [])]
    attribution["task_state"] = {name: _who(entry) for name, entry in _state(said)}
    made["said"] = attribution
    made.pop("left_out", None)
    if "left_out" in said:
        made["left_out"] = said["left_out"]
    return made | {"completeness": _completeness(made)}


def _who(entry: Mapping[str, Any]) -> dict[str, str]:
    return {name: entry[name] for name in ("by", "name", "at")}


def _previous(session: ChatSession) -> dict[str, Any] | None:
    """The session that this one reopens: what was said about its work ended with it."""
    before = session.previous
    if before is None:
        return None
    return {
        "session_id": str(before.pk),
        "status": before.status,
        "outcome": before.outcome,
        "ended_at": utc(before.ended_at) if before.ended_at else None,
    }


def _completeness(package: Mapping[str, Any]) -> float:
    """The share of `WANTED` that is known. Unknown are an empty text, null, a customer without a name, and a part of
    which something was left out.
    """
    parts = {name: package.get(name) for name in WANTED if name not in package.get("left_out", [])}
    parts["customer"] = (package.get("customer") or {}).get("name")
    return round(sum(map(_is_known, parts.values())) / len(WANTED), 2)


def _is_known(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    if isinstance(value, dict):
        return any(map(_is_known, value.values()))
    return any(map(_is_known, value)) if isinstance(value, list) else value is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One entry as it is shown. Version 1 did not keep by whom and when: there `by`, `who` and `at` are empty."""

    part: str  # suggestion, promises, urgency or task_state
    value: Any
    name: str = ""  # in the task state
    by: str = ""  # the kind of actor who said it
    who: str = ""  # and the name
    at: datetime | None = None


def entries(package: Mapping[str, Any]) -> Iterator[Said]:
    """The entries of a readable package, the most helpful first. An urgency only where somebody stated it."""
    said = package.get("said") or {}
    if suggestion := package.get("suggestion"):
        yield _shown("suggestion", suggestion, said.get("suggestion"))
    by = said.get("promises") or []
    for number, promise in enumerate(package.get("promises") or []):
        yield _shown("promises", promise, by[number] if number < len(by) else None)
    if "urgency" in said and package.get("urgency"):
        yield _shown("urgency", package["urgency"], said["urgency"])
    for name, value in (package.get("task_state") or {}).items():
        yield _shown("task_state", value, (said.get("task_state") or {}).get(name), name)


def _shown(part: str, value: Any, entry: Mapping[str, Any] | None, name: str = "") -> Said:
    if entry is None:
        return Said(part=part, value=value, name=name)
    return Said(part=part, value=value, name=name, by=entry["by"], who=entry["name"], at=_at(entry))


def has_words(package: Mapping[str, Any]) -> bool:
    """Whether the package says more about the work than the task state."""
    return any(entry.part != "task_state" for entry in entries(package))


def entries_of(session: ChatSession) -> Iterator[Said]:
    """The entries of a session as they are now."""
    return entries(_refreshed({}, session))


# --- What is stored already --------------------------------------------------------------------------------------


def _is_dated(message: Message) -> bool:
    """SQLite may hold what is no time: such a message stays out of the package, and no escalation fails for it."""
    sent_at: object = message.sent_at
    return isinstance(sent_at, datetime)


def _file(row: Attachment) -> dict[str, Any]:
    return {"id": str(row.pk), "name": row.name, "media_type": row.media_type, "size": row.size}


def is_customers_reason(package: dict[str, Any]) -> bool:
    """Whether the reason is what the customer said, and nobody's of the shop."""
    return package.get("reason_by") == ActorKind.CUSTOMER
