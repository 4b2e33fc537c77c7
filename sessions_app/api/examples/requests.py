"""Examples of each request, by the name of its serializer."""

from __future__ import annotations

import json
from typing import Any

from sessions_app.api.examples import agent_tools
from sessions_app.api.examples.responses import MORNING

ROW = {
    "message_id": "m-1",
    "platform": "default",
    "shop_id": "lamps",
    "account_id": "li.wei",
    "timestamp": "2026-03-02T09:01:00Z",
    "sender_type": "customer",
    "content": "Is 20 possible?",
}
LINES = "".join(f"{json.dumps(ROW | {'message_id': id})}\n" for id in ("m-1", "m-2"))
"""A body of `application/x-ndjson`."""

BODIES: dict[str, dict[str, Any]] = {
    "OpenRequest": {
        "a bargaining bot begins": {"shop_id": "lamps", "account_id": "li.wei", "task": "negotiation"},
        "a human is asked for": {"conversation_id": "17", "robot": False, "reason": "wants a refund"},
    },
    "PriorityRequest": {"put it first": {"priority": 1}},
    "CompleteRequest": {
        "a deal": {"outcome": "success", "reason": "sold for 25", "expected_epoch": 3},
        "a human has to decide": {"outcome": "needs_human", "reason": "wants a refund"},
    },
    "RecoverRequest": {"since what it knows": {"after_seq": 9, "limit": 100}},
    "InboundRequest": {
        "a customer writes": {
            "shop_id": "lamps",
            "account_id": "li.wei",
            "content": "Is 20 possible?",
            "message_id": "m-1",
        },
        "a customer sends a picture": {"conversation_id": "17", "attachments": ["61"], "message_id": "m-2"},
    },
    "MessageRequest": {
        "a bot answers": {"conversation_id": "17", "content": "25, for you.", "epoch": 3, "message_id": "a-1"},
        "with a file": {"conversation_id": "17", "content": "The invoice.", "attachments": ["62"], "epoch": 3},
        "a person answered in the shop's own app": {"conversation_id": "17", "content": "It's me.", "echo": True},
    },
    "AttachmentRequest": {"a picture": {"file": "(the file itself)", "client_id": "upload-1"}},
    "NoteRequest": {"for colleagues": {"content": "Promised free postage on the phone."}},
    "ReadRequest": {"as far as": {"seq": 9}},
    "ReasonRequest": {"why": {"reason": "The customer has left."}},
    "GuardedRequest": {"only if nothing has moved": {"reason": "Settled.", "expected_epoch": 5}},
    "TakeRequest": {"only if nothing has moved": {"expected_epoch": 4}},
    "GrabRequest": {"with a reason": {"reason": "I know this customer."}},
    "EscalateRequest": {
        "with what the human should know": {
            "reason": "wants a refund",
            "context": {"suggestion": "Refund the postage.", "promises": ["an answer today"]},
        },
        "to somebody who speaks Chinese": {"to_team_id": "1", "needs": {"zh": 3}},
    },
    "HandOverRequest": {"to a team": {"to_team_id": "1", "reason": "a matter of returns"}},
    "ReleaseRequest": {"with a summary for the bot": {"summary": "Postage refunded; go on selling."}},
    "ReassignRequest": {"to the queue": {"reason": "Maya is ill."}},
    "InviteColleagueRequest": {"Jun": {"agent_id": "2"}},
    "InviteRequest": {
        "a guest who sees the last words": {
            "name": "Mr Okafor",
            "role": "guest",
            "contact": "okafor@example.org",
            "history": "last",
            "history_count": 20,
        }
    },
    "InviteDepartmentRequest": {"the warehouse": {"department_id": "3", "history": "from_now"}},
    "NotifyRequest": {"to another address": {"contact": "o.okafor@example.org"}},
    "JoinRequest": {"by the link": {"tenant": "demo", "token": "k7Yc…"}},
    "TokenRequest": {"for the shop's own chat": {"conversation_id": "17", "customer_name": "Li Wei"}},
    "FlowRequest": {
        "ask for a street number": {
            "trigger_id": "order-77-address",
            "conversation_id": "17",
            "question": "Which street number?",
            "missing_info": ["street number"],
        }
    },
    "BindRequest": {"once": {"conversation_id": "17"}},
    "RenewRequest": {"it takes longer": {"version": 2}},
    "MoveFlowRequest": {"the answer is ready": {"to": "ready_preview", "version": 2, "last_candidate": "draft-5"}},
    "BatchRequest": {"one message": {"rows": [ROW]}},
    "WebhookRequest": {
        "transfers and sessions": {
            "url": "https://shop.example.org/tandem",
            "types": ["transfer.*", "session.completed"],
        }
    },
    "ChangeWebhookRequest": {"go on": {"is_enabled": True}},
    "RotateRequest": {"within the hour": {"keep_old_for": 3600}, "a secret got out": {"keep_old_for": 0}},
    "ReplayRequest": {"from a time on": {"since": MORNING.format(0)}, "from a position on": {"after": 100}},
    "PresenceRequest": {
        "back at the desk": {"availability": "available"},
        "with a reason": {"availability": "break", "reason": "lunch"},
    },
    "CapacityRequest": {"fewer at once": {"max_load": 3}},
    "DepartureRequest": {"with a reason": {"reason": "moves to another town"}},
}
BODIES |= agent_tools.BODIES
"""By the name of the request serializer, each with a title."""
