"""Examples of what agents keep at the desk (canned replies, labels, saved views, mentions), and of bulk actions."""

from __future__ import annotations

from typing import Any

_AT = "2026-03-02T09:0{}:00Z"
LABEL = {"id": "7", "name": "refund", "colour": "teal", "is_enabled": True}


def answers(*, outcome: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    """By the name of the response serializer; `outcome` and `message` are those of the other examples."""
    return {
        "CannedReplyResponse": {
            "id": "3",
            "scope": "team",
            "team_id": "1",
            "shortcut": "/refund",
            "title": "A refund is on its way",
            "text": "Hello {first_name}, your money will be back within five days. {agent}",
            "rendered": "Hello Li, your money will be back within five days. Maya",
            "language": "en",
            "changed_by": "Sam",
            "changed_at": _AT.format(0),
        },
        "RenderedResponse": {"text": "Hello Li, your money will be back within five days. Maya"},
        "LabelResponse": LABEL,
        "SavedViewResponse": {
            "id": "2",
            "scope": "personal",
            "team_id": None,
            "name": "Refunds that wait",
            "filter": {"view": "queue", "labels": ["7"], "waiting_over": 300},
            "changed_by": "Maya",
            "changed_at": _AT.format(0),
        },
        "MentionResponse": {
            "id": "9",
            "conversation_id": "17",
            "message": message
            | {
                "id": "231",
                "message_id": "n-1",
                "sender_type": "agent",
                "sender_name": "Jun",
                "is_note": True,
                "content": "@Maya she was promised free postage.",
            },
            "at": _AT.format(8),
            "read_at": None,
        },
        "BulkResponse": {
            "done": 1,
            "results": [
                {
                    "conversation_id": "17",
                    "is_done": True,
                    "outcome": outcome,
                    "problem": None,
                },
                {
                    "conversation_id": "18",
                    "is_done": False,
                    "outcome": None,
                    "problem": {
                        "type": "/api/docs/errors#not_serving",
                        "title": "Not serving",
                        "status": 409,
                        "detail": "Nobody is serving this conversation.",
                        "code": "not_serving",
                    },
                },
            ],
        },
    }


BODIES: dict[str, dict[str, Any]] = {
    "CannedReplyRequest": {
        "one's own": {"shortcut": "/thanks", "title": "Thanks", "text": "Thank you, {first_name}!"},
        "a team's": {
            "scope": "team",
            "team_id": "1",
            "shortcut": "/refund",
            "title": "A refund is on its way",
            "text": "Hello {first_name}, your money will be back within five days. {agent}",
        },
    },
    "ChangeCannedReplyRequest": {"other words": {"text": "Thank you, {customer}!"}},
    "RenderRequest": {"for a conversation": {"conversation_id": "17"}},
    "LabelRequest": {"a matter of money": {"name": "refund", "colour": "teal"}},
    "ChangeLabelRequest": {"out of use": {"is_enabled": False}},
    "LabelledRequest": {"refund": {"label_id": "7"}},
    "SavedViewRequest": {
        "refunds that wait for more than five minutes": {
            "name": "Refunds that wait",
            "filter": {"view": "queue", "labels": ["7"], "waiting_over": 300},
        }
    },
    "ChangeSavedViewRequest": {"another filter": {"filter": {"owner": "me", "needs_human": True}}},
    "BulkRequest": {
        "label them": {"ids": ["17", "18"], "action": "label", "label_id": "7"},
        "resolve them": {"ids": ["17", "18"], "action": "resolve", "reason": "The parcel has arrived."},
    },
}
"""By the name of the request serializer, each with a title."""
