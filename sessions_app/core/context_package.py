"""The context package that travels with a transfer, so that a human need not ask what was asked before.

What a bot or an agent says about the work stays with the session until it ends (`ChatSession.said`): each entry is a value
with who said it and when. Every package is made from there, so that no move loses it. A human's session begins with what
was said in those of its conversation that were at work (`taken_over`): that is the work which the human takes over.

Version 2; its schema is docs/schemas/context-package-2.json. Version 1, in rows of before, did not say who said what.
Completeness says how much of what a human wants is known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agents_app.actors import ActorKind
from config import free_json, limits
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
"""That a package keeps of those given before or later; each is on record with its operation."""
"""Characters of the name of who said something."""
WANTED = ("messages", "task_state", "customer", "reason", "suggestion", "promises")
"""What completeness is counted over, each with the same weight."""
_NEVER_THE_SHOPS = (ActorKind.CUSTOMER, ActorKind.PARTICIPANT)


def checked_extra(value: Any, place: str = "context") -> dict[str, Any]:
    """What a caller adds to a package, such that the package fits its schema. Raises `Malformed`, naming the place."""
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
    """What was said about a session's work, with what is said now: the newest suggestion counts, promises are added, the
    task state is merged by name, urgency only rises (from `urgency`, where nobody has said one).

    What was said already stays whose it was. A customer or guest says nothing as the shop: theirs is left out. What was
    said in all has the bounds of what is said at once, beside what a session was opened with, and what it took over from
    others: raises `Malformed`.
    """
    made = dict(said)
    if by.kind in _NEVER_THE_SHOPS:
        return made
    suggestion, promises, state = (extra.get(name) for name in ("suggestion", "promises", "task_state"))
    if suggestion and suggestion.strip() and suggestion != _value(made.get("suggestion")):
        made["suggestion"] = _entry(suggestion, by, at)
    known = [one["value"] for one in made.get("promises", [])]
    new = [one for one in dict.fromkeys(promises or []) if one.strip() and one not in known]
    if new:
        made["promises"] = [*made.get("promises", []), *(_entry(one, by, at) for one in new)]
    kept = made.get("task_state", {})
    if told := {
        name: _entry(value, by, at) for name, value in (state or {}).items() if not _is_kept(kept, name, value)
    }:
        made["task_state"] = {**kept, **told}
    pressing = extra.get("urgency")
    least = _value(made.get("urgency")) or urgency
    if pressing is not None and (least is None or pressing < least):
        made["urgency"] = _entry(pressing, by, at)
    if made != said:
        own = _of_those(made, lambda entry: not (entry.get("opening") or entry.get("is_taken_over")))
        free_json.checked_object({name: item for name, item in _values(own).items() if item}, "context")
    return made


def opening(state: Mapping[str, Any], *, by: Actor, at: datetime) -> dict[str, Any]:
    """The task state that a session is opened with, as said by whoever opens it."""
    told = {name: _entry(value, by, at) | {"opening": True} for name, value in state.items()}
    return {"task_state": told} if told else {}


def taken_over(said: Mapping[str, Any], *others: Mapping[str, Any]) -> dict[str, Any]:
    """What was said about a session's work, with that of those which it takes over; by the same rules as `added`.

    What is taken over has bounds of its own, so that nobody's words are refused for what others had said. The oldest that
    does not fit is left out, and the parts that lack something are named in `left_out`.
    """
    made = _together(*(_of_those(one, lambda _: True, is_taken_over=True) for one in others), said)
    kept: set[int] = set()
    size = names = 0
    for part, name, entry in sorted(_entries(made), key=lambda one: _at(one[2]), reverse=True):
        if entry.get("is_taken_over"):
            value = {name: entry["value"]} if part == "task_state" else entry["value"]
            more_size, more_names = free_json.size(value), free_json.count_names(value)
            if size + more_size > _ROOM or names + more_names > _ROOM_NAMES:
                continue
            size, names = size + more_size, names + more_names
        kept.add(id(entry))
    left_out = {part for part, _, entry in _entries(made) if id(entry) not in kept}
    left_out |= {part for one in (said, *others) for part in one.get("left_out", [])}
    made = _of_those(made, lambda entry: id(entry) in kept)
    return made | {"left_out": sorted(left_out)} if left_out else made


_ROOM = free_json.MAX_BYTES - 1024
_ROOM_NAMES = free_json.MAX_KEYS - 10
"""Of what is taken over: the bounds of one object, less what holds its parts together."""


def _entries(said: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each entry with its part, and its name in the task state."""
    yield from ((part, "", said[part]) for part in ("suggestion", "urgency") if part in said)
    yield from (("promises", "", one) for one in said.get("promises", []))
    yield from (("task_state", name, one) for name, one in _state(said))


def _of_those(said: Mapping[str, Any], fits: Callable[[Mapping[str, Any]], bool], **marks: bool) -> dict[str, Any]:
    """Only the entries that fit, each with these marks."""
    made: dict[str, Any] = {}
    for part, name, entry in _entries(said):
        if not fits(entry):
            continue
        one = {**entry, **marks} if marks else entry
        if part == "promises":
            made.setdefault(part, []).append(one)
        elif part == "task_state":
            made.setdefault(part, {})[name] = one
        else:
            made[part] = one
    return made


def _together(*several: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if suggestions := [said["suggestion"] for said in several if "suggestion" in said]:
        made["suggestion"] = max(suggestions, key=_at)
    promises: dict[str, Any] = {}
    for one in sorted((one for said in several for one in said.get("promises", [])), key=_at):
        promises.setdefault(one["value"], one)
    if promises:
        made["promises"] = list(promises.values())
    if state := dict(sorted((pair for said in several for pair in _state(said)), key=lambda pair: _at(pair[1]))):
        made["task_state"] = state
    if pressing := [said["urgency"] for said in several if "urgency" in said]:
        made["urgency"] = min(pressing, key=lambda one: (one["value"], _at(one)))
    return made


def say(
    locked: LockedConversation, session: ChatSession, extra: Mapping[str, Any], *, urgency: int | None = None
) -> bool:
    """Keep with the session what the actor says about its work. False where that is nothing new. Raises `Malformed`."""
    said = added(session.said, extra, by=locked.actor, at=locked.now, urgency=urgency)
    if said == session.said:
        return False
    session.said = said
    session.save(update_fields=["said"])
    return True


def inherit(session: ChatSession, yields: ChatSession, transfer: Transfer | None = None) -> None:
    """A human's session is told what was said in the one that yields to it, and so is the transfer by which it begins.

    Whoever calls this saves both.
    """
    session.said = taken_over(session.said, yields.said)
    if transfer is not None:
        transfer.context = _renewed(_told_before(transfer.context, session), session)


def _value(entry: Mapping[str, Any] | None) -> Any:
    return entry["value"] if entry else None


def _state(said: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    entries: dict[str, dict[str, Any]] = said.get("task_state", {})
    return entries.items()


def _at(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])


def _is_kept(state: Mapping[str, Any], name: str, value: Any) -> bool:
    """As JSON: for Python 1 is True."""
    return name in state and json.dumps(state[name]["value"], sort_keys=True) == json.dumps(value, sort_keys=True)


def _values(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "suggestion": _value(said.get("suggestion")) or "",
        "promises": [one["value"] for one in said.get("promises", [])],
        "task_state": {name: one["value"] for name, one in _state(said)},
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
    """Whatever the move: what was said with the customer last, what was said about the work, and why it moves.

    `reasons` are those for which it was asked for before.
    """
    conversation = locked.conversation
    limit = locked.policies.context_messages
    newest = thread.messages(conversation.pk, notes=False).reverse()[:limit]
    said = [
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
        "history": {"from": said[0]["sent_at"], "to": said[-1]["sent_at"], "count": len(said)} if said else None,
        "messages": said,
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
    return _renewed(made, session)


def asked_again(
    package: Mapping[str, Any], session: ChatSession, *, reason: str, reason_by: str, at: datetime
) -> dict[str, Any]:
    """The package of what waits, with what was said since; a reason more is kept with who gave it, and when."""
    made = _told_before(package, session)
    if reason:
        given = {"by": str(reason_by), "reason": reason, "at": utc(at)}
        made["reasons"] = [*made.get("reasons", []), given][-MOST_REASONS:]
    return _renewed(made, session)


def _told_before(package: Mapping[str, Any], session: ChatSession) -> dict[str, Any]:
    """What waits, with what version 1 did not tell."""
    return {"reason_by": "", "previous": _previous(session), **package}


def _renewed(package: Mapping[str, Any], session: ChatSession) -> dict[str, Any]:
    """With what is said by now about the session's work."""
    said = session.said
    made = {**package, **_values(said), "version": VERSION}
    pressing = made["urgency"]
    if pressing is None or session.priority == Priority.EMERGENCY:
        made["urgency"] = session.priority
    told: dict[str, Any] = {name: _who(said[name]) for name in ("suggestion", "urgency") if name in said}
    if pressing != made["urgency"]:
        told.pop("urgency", None)  # nobody's word, but how pressing the session is
    told["promises"] = [_who(one) for one in said.get("promises", [])]
    told["task_state"] = {name: _who(one) for name, one in _state(said)}
    made["said"] = told
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
    """The share of what is wanted that is known: an empty text, null, or an unknown customer's name are not, nor a part of
    which something was left out.
    """
    wanted = {name: package.get(name) for name in WANTED if name not in package.get("left_out", [])}
    wanted["customer"] = (package.get("customer") or {}).get("name")
    return round(sum(map(_is_known, wanted.values())) / len(WANTED), 2)


def _is_known(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    if isinstance(value, dict):
        return any(map(_is_known, value.values()))
    return any(map(_is_known, value)) if isinstance(value, list) else value is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One thing that was said about the work, to be shown. Version 1 did not keep by whom and when."""

    part: str  # suggestion, promises, urgency or task_state
    value: Any
    name: str = ""  # in the task state
    by: str = ""  # the kind of who said it
    who: str = ""
    at: datetime | None = None


def entries(package: Mapping[str, Any]) -> Iterator[Said]:
    """What a readable package tells of the work, what helps most first. An urgency only where somebody said it."""
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


def _shown(part: str, value: Any, told: Mapping[str, Any] | None, name: str = "") -> Said:
    if told is None:
        return Said(part=part, value=value, name=name)
    return Said(part=part, value=value, name=name, by=told["by"], who=told["name"], at=_at(told))


def has_words(package: Mapping[str, Any]) -> bool:
    """Whether it tells of the work more than the state of the task."""
    return any(said.part != "task_state" for said in entries(package))


def entries_of(session: ChatSession) -> Iterator[Said]:
    """What was said about the work of a session by now."""
    return entries(_renewed({}, session))


# --- What is stored already --------------------------------------------------------------------------------------


def _is_dated(message: Message) -> bool:
    """What SQLite holds may be no time: such a message stays out of the package, and no escalation fails for it."""
    sent_at: object = message.sent_at
    return isinstance(sent_at, datetime)


def _file(row: Attachment) -> dict[str, Any]:
    return {"id": str(row.pk), "name": row.name, "media_type": row.media_type, "size": row.size}


def is_customers_reason(package: dict[str, Any]) -> bool:
    """Whether the reason is what the customer said, and nobody's of the shop."""
    return package.get("reason_by") == ActorKind.CUSTOMER
