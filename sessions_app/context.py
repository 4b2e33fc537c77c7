"""The context package that travels with a transfer, so that a human need not ask what was asked before.

Version 1; its schema is docs/schemas/context-package-1.json. Completeness says how much of what a human wants is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings

from agents_app.actors import ActorKind
from config import free_json
from config.clock import utc
from config.free_json import Unstorable, visible
from messaging_app import thread
from messaging_app.models import Message
from sessions_app.states import Priority

if TYPE_CHECKING:
    from messaging_app.attachments.models import Attachment
    from sessions_app.models import ChatSession
    from sessions_app.turn import Turn

VERSION = 1
MOST_REASONS = 20
"""That a package keeps of those given later; each is on record with its operation."""
WANTED = ("messages", "task_state", "customer", "reason", "suggestion", "promises")
"""What completeness is counted over, each with the same weight."""


GIVEN = ("suggestion", "promises", "urgency", "task_state")
"""What whoever asks for a human may add to the package."""


def checked_extra(value: Any, place: str = "context") -> dict[str, Any]:
    """What a caller adds to a package, such that the package fits its schema. Raises `Malformed`, naming the place."""
    extra = free_json.checked_object(value, place)
    for name, item in extra.items():
        if wrong := _wrong(name, item):
            raise free_json.malformed(Unstorable(f"{place}.{visible(name)}", wrong))
    return extra


def _wrong(name: str, item: Any) -> str:
    """What is wrong with one part of the package; empty for nothing."""
    if name not in GIVEN:
        return f"Unknown; a context takes {', '.join(GIVEN)}."
    if name == "suggestion":
        return "" if isinstance(item, str) else "Send text."
    if name == "task_state":
        return "" if isinstance(item, dict) else "Send an object."
    if name == "urgency":
        is_one = item is None or (type(item) is int and item in Priority)
        return "" if is_one else "Send 1 (emergency), 2 (high), 3 (medium) or 4 (low)."
    is_list = isinstance(item, list) and all(isinstance(one, str) for one in item)
    return "" if is_list else "Send a list of texts."


def added_to(
    package: dict[str, Any], extra: Mapping[str, Any], *, reason: str, reason_by: str, at: datetime
) -> dict[str, Any]:
    """A package with what was said when the same was asked for again. The newest suggestion counts; urgency only rises.

    Promises are added, and reasons, each with who gave it and when; the task state is merged by name. What was asked for in
    all has the bounds of what is asked for at once: raises `Malformed`.
    """
    made = dict(package)
    if suggestion := extra.get("suggestion"):
        made["suggestion"] = suggestion
    promises = made.get("promises", [])
    made["promises"] = promises + [one for one in extra.get("promises", []) if one not in promises]
    made["task_state"] = {**made.get("task_state", {}), **extra.get("task_state", {})}
    known = [urgency for urgency in (made.get("urgency"), extra.get("urgency")) if urgency is not None]
    made["urgency"] = min(known, default=None)
    if reason:
        given = {"by": str(reason_by), "reason": reason, "at": utc(at)}
        made["reasons"] = [*made.get("reasons", []), given][-MOST_REASONS:]
    free_json.checked_object({name: made[name] for name in GIVEN if name in made}, "context")
    return made | {"completeness": _completeness(made)}


def _completeness(package: Mapping[str, Any]) -> float:
    return round(sum(bool(package.get(name)) for name in WANTED) / len(WANTED), 2)


def readable(stored: Any) -> dict[str, Any]:
    """A stored package such that it can be shown: what breaks the schema is left out. `{}` where none travelled."""
    if not isinstance(stored, dict):
        return {}
    kept = {name: item for name, item in stored.items() if name not in GIVEN or not _wrong(name, item)}
    messages = kept.get("messages", [])
    if not _are_reasons(kept.get("reasons", [])):
        del kept["reasons"]
    is_whole = isinstance(messages, list) and all(map(_is_message, messages))
    return kept if is_whole else kept | {"messages": [], "history": None}


def _are_reasons(given: Any) -> bool:
    names = ("by", "reason", "at")
    return isinstance(given, list) and all(
        isinstance(one, dict) and all(isinstance(one.get(name), str) for name in names) for one in given
    )


def _is_message(said: Any) -> bool:
    names = ("message_id", "sender_type", "content", "sent_at")
    if not (isinstance(said, dict) and all(isinstance(said.get(name), str) for name in names)):
        return False
    try:
        datetime.fromisoformat(said["sent_at"])
    except ValueError:
        return False
    return True


def _is_dated(message: Message) -> bool:
    """What SQLite holds may be no time: such a message stays out of the package, and no escalation fails for it."""
    sent_at: object = message.sent_at
    return isinstance(sent_at, datetime)


def _file(row: Attachment) -> dict[str, Any]:
    return {"id": str(row.pk), "name": row.name, "media_type": row.media_type, "size": row.size}


def package(
    turn: Turn, session: ChatSession, *, reason: str, reason_by: str, trigger: str, extra: dict[str, Any]
) -> dict[str, Any]:
    """`extra` is what the bot added: suggestion, promises, urgency, task_state. No customer adds to it."""
    conversation = turn.conversation
    limit = settings.TANDEM["CONTEXT_MESSAGES"]
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
        "version": VERSION,
        "history": {"from": said[0]["sent_at"], "to": said[-1]["sent_at"], "count": len(said)} if said else None,
        "messages": said,
        "task": session.task,
        "task_state": extra.get("task_state") or session.context,
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
        "suggestion": extra.get("suggestion", ""),
        "urgency": extra.get("urgency", session.priority),
        "promises": extra.get("promises", []),
    }
    return made | {"completeness": _completeness(made)}


def is_customers_reason(package: dict[str, Any]) -> bool:
    """Whether the reason is what the customer said, and nobody's of the shop."""
    return package.get("reason_by") == ActorKind.CUSTOMER
