"""What each command answers. All of them answer an outcome; the table says in which fields each one differs."""

from __future__ import annotations

from typing import Any

OUTCOME: dict[str, Any] = {
    "conversation_id": "17",
    "session_id": "41",
    "transfer_id": None,
    "participant_id": None,
    "message_id": "",
    "status": "ACTIVE",
    "controller": "bot",
    "epoch": 3,
    "seq": 9,
    "rule": "",
    "is_repeat": False,
    "token": "",
    "detail": {},
}
_QUEUED = {"transfer_id": "8", "status": "TRANSFERRED", "controller": "queue", "epoch": 4}
_SERVED = {"transfer_id": "8", "status": "TRANSFERRED", "controller": "human", "epoch": 5}
_ENDED = {"status": "COMPLETED", "controller": "none", "epoch": 6}
WITH_AGENT = {"status": "TRANSFERRED", "controller": "human", "epoch": 5}
OUTCOMES: dict[str, dict[str, Any]] = {
    "inbound_receive": {"message_id": "m-1"},
    "messages_post": {"message_id": "a-1"},
    "sessions_open": {"rule": "C0"},
    "sessions_pause": {"status": "PAUSED", "controller": "none", "epoch": 4},
    "sessions_resume": {"epoch": 5},
    "sessions_complete": _ENDED,
    "sessions_cancel": _ENDED | {"status": "CANCELLED"},
    "transfers_accept": _SERVED,
    "transfers_decline": {"transfer_id": "8", "epoch": 5},
    "transfers_withdraw": {"transfer_id": "8", "epoch": 5},
    "conversations_escalate": _QUEUED | {"rule": "C6", "detail": {"queue_position": 1}},
    "conversations_take_over": _SERVED,
    "conversations_grab": _SERVED | {"transfer_id": "9", "epoch": 6},
    "conversations_transfer": _SERVED | {"transfer_id": "9"},
    "conversations_release": {"transfer_id": "9", "epoch": 6},
    "conversations_reassign": _QUEUED | {"transfer_id": "9", "epoch": 6},
    "conversations_resolve": _ENDED,
    "conversations_notes": WITH_AGENT | {"message_id": "n-1"},
    "conversations_invite_colleague": WITH_AGENT | {"participant_id": "5"},
    "conversations_invite": WITH_AGENT | {"participant_id": "6", "token": "k7Yc…shown once…"},
    "conversations_leave": WITH_AGENT | {"participant_id": "5"},
    "conversations_notify": WITH_AGENT | {"participant_id": "6"},
    "conversations_remove": WITH_AGENT | {"participant_id": "6"},
    **dict.fromkeys(
        (
            "conversations_pin",
            "conversations_unpin",
            "conversations_todo",
            "conversations_untodo",
            "conversations_urgent",
            "conversations_not_urgent",
            "conversations_raise_hand",
            "conversations_acknowledge",
            "conversations_label",
            "conversations_unlabel",
        ),
        WITH_AGENT,
    ),
}
"""What differs from `OUTCOME`, by the id of the operation."""
