"""Which codes an operation may refuse with, beyond those that any of its kind may (`config.openapi.USUAL`).

The document names them in each response (`code` of the problem). Tests check the table from both sides: a code that
any test gets must be declared (tests/conftest.py); what is declared must be raised by code that the operation reaches,
and the other way round (tests/api/test_refusals.py).
"""

from __future__ import annotations

_ATTACHED = ("attachment_not_found", "attachment_sent")
_ROOM = ("no_capacity", "not_available", "gets_nothing_new")
_DRIVEN = ("illegal_transition",)
_STORED = ("file_empty", "file_too_large", "too_many_files", "file_type_refused", "file_damaged", "image_too_large")
_LINK = ("not_serving", "conflict")

CODES: dict[str, tuple[str, ...]] = {
    "inbound_receive": ("message_id_taken", *_ATTACHED),
    "messages_post": ("stale_epoch", "not_serving", "message_id_taken", *_ATTACHED),
    # --- Sessions
    "sessions_open": ("human_serves", "live_session_exists", "conflict", *_ROOM),
    "sessions_activate": _DRIVEN,
    "sessions_pause": ("stale_epoch", *_DRIVEN),
    "sessions_resume": _DRIVEN,
    "sessions_complete": ("stale_epoch", *_DRIVEN),
    "sessions_cancel": _DRIVEN,
    "sessions_priority": _DRIVEN,
    # --- The turn
    "conversations_escalate": ("stale_epoch", "human_serves", "not_serving", "gets_nothing_new", "conflict"),
    "conversations_take_over": ("stale_epoch", "already_taken", "not_serving", *_ROOM),
    "conversations_grab": ("stale_epoch", "not_serving", "conflict", *_ROOM),
    "conversations_transfer": ("stale_epoch", "human_serves", "not_serving", "gets_nothing_new", "conflict"),
    "conversations_release": ("stale_epoch", "not_serving", "no_bot"),
    "conversations_reassign": ("not_serving",),
    "conversations_resolve": ("stale_epoch", "not_serving"),
    "transfers_accept": ("stale_epoch", "already_taken", "transfer_ended", "human_serves", "conflict", *_ROOM),
    "transfers_decline": ("already_taken", "transfer_ended", "no_way_back"),
    "transfers_withdraw": ("already_taken", "transfer_ended", "no_way_back"),
    # --- People
    "conversations_notes": ("message_id_taken", *_ATTACHED),
    "conversations_label": ("conflict",),
    "conversations_invite_colleague": ("not_serving", "already_in", "not_available"),
    "conversations_invite": ("not_serving",),
    "conversations_invite_department": ("not_serving", "no_directory", "directory_failed", "department_too_large"),
    "conversations_leave": ("owner_cannot_leave",),
    "conversations_notify": _LINK,
    "conversations_remove": _LINK,
    "departments_list": ("no_directory", "directory_failed"),
    "agents_dismiss": ("conflict",),
    # --- Files
    "conversations_attach": ("not_serving", "client_id_taken", "too_many_unsent", *_STORED),
    "attachments_discard": _ATTACHED,
    # --- Flows
    "flows_open": ("conflict",),
    "flows_bind": ("flow_moved", "illegal_transition", "conflict"),
    "flows_move": ("flow_moved", "illegal_transition"),
    "flows_renew": ("flow_moved", "illegal_transition"),
    # --- Kept at the desk
    "canned_replies_create": ("name_taken", "conflict"),
    "canned_replies_change": ("name_taken",),
    "labels_create": ("name_taken", "conflict"),
    "labels_change": ("name_taken",),
    "labels_delete": ("label_in_use",),
    "saved_views_create": ("name_taken", "conflict"),
    "saved_views_change": ("name_taken",),
    # --- Events, webhooks
    "events_list": ("cursor_gone", "too_many_connections"),
    "webhooks_create": ("address_refused", "conflict"),
    "webhooks_change": ("address_refused",),
    "webhooks_ping": ("conflict",),
}
"""By the operation's id in the document."""
