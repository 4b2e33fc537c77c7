"""The context package that travels with a transfer, so that a human need not ask what was asked before.

Version 1; its schema is docs/schemas/context-package-1.json. Completeness says how much of what a human wants is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings

from messaging_app import thread

if TYPE_CHECKING:
    from messaging_app.attachments.models import Attachment
    from sessions_app.models import ChatSession
    from sessions_app.turn import Turn

VERSION = 1
WANTED = ("messages", "task_state", "customer", "reason", "suggestion", "promises")
"""What completeness is counted over, each with the same weight."""


def _file(row: Attachment) -> dict[str, Any]:
    return {"id": str(row.pk), "name": row.name, "media_type": row.media_type, "size": row.size}


def package(turn: Turn, session: ChatSession, *, reason: str, trigger: str, extra: dict[str, Any]) -> dict[str, Any]:
    """`extra` is what the bot added: suggestion, promises, urgency, task_state."""
    conversation = turn.conversation
    limit = settings.TANDEM["CONTEXT_MESSAGES"]
    newest = thread.messages(conversation.pk, notes=False).reverse()[:limit]
    said = [
        {
            "message_id": m.message_id,
            "sender_type": m.sender_type,
            "content": m.content,
            "sent_at": m.sent_at.isoformat(),
            "attachments": [_file(row) for row in m.attachments.all()],
        }
        for m in reversed(newest)
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
        "trigger": trigger,
        "suggestion": extra.get("suggestion", ""),
        "urgency": extra.get("urgency", session.priority),
        "promises": extra.get("promises", []),
    }
    made["completeness"] = round(sum(bool(made[name]) for name in WANTED) / len(WANTED), 2)
    return made
