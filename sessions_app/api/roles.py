"""Who may call each endpoint, and who may set which field of its body, as the document shows it (`x-roles`).

The verbs behind each endpoint are listed here; the roles are those of `field_rights`, which the verbs check.
"""

from __future__ import annotations

from typing import Any

from sessions_app.rights.field_rights import (
    EVERYBODY,
    INTEGRATORS,
    PROGRAMS,
    RIGHTS,
    TARGETS,
    Rights,
    Role,
    Roles,
    named,
)

VERBS: dict[str, tuple[str, ...]] = {
    "conversations_escalate": ("request_transfer",),
    "conversations_take_over": ("take_over",),
    "conversations_grab": ("grab",),
    "conversations_transfer": ("hand_over",),
    "conversations_release": ("release_to_bot",),
    "conversations_reassign": ("reassign",),
    "conversations_resolve": ("resolve",),
    "conversations_raise_hand": ("raise_flag",),
    "conversations_label": ("label",),
    "conversations_unlabel": ("unlabel",),
    "conversations_bulk": ("act_on_many",),
    "conversations_read": ("mark_read",),
    "conversations_notes": ("post_note",),
    "conversations_attach": ("upload",),
    "conversations_invite_colleague": ("invite_colleague",),
    "conversations_invite": ("invite_participant",),
    "conversations_invite_department": ("invite_department",),
    "conversations_notify": ("send_notice_again",),
    "sessions_open": ("open_session",),
    "sessions_pause": ("pause_session",),
    "sessions_complete": ("complete_session",),
    "sessions_cancel": ("cancel_session",),
    "sessions_priority": ("set_priority",),
    "sessions_recover": ("recover",),
    "transfers_accept": ("accept_transfer",),
    "transfers_decline": ("decline_transfer",),
    "transfers_withdraw": ("withdraw_transfer",),
    "flows_open": ("open_flow",),
    "flows_bind": ("bind_flow",),
    "flows_move": ("move_flow",),
    "flows_renew": ("renew_flow",),
    "inbound_receive": ("receive_message",),
    "messages_post": ("post_message", "receive_message", "echo_message"),
    "tokens_issue": ("issue_customer_token",),
    "agents_declare": ("declare_availability",),
    "agents_availability": ("declare_availability",),
    "agents_capacity": ("change_capacity",),
    "agents_dismiss": ("dismiss_agent",),
    "agents_drain": ("drain_agent",),
    "agents_undrain": ("undrain_agent",),
    "canned_replies_create": ("create_reply",),
    "canned_replies_change": ("change_reply",),
    "canned_replies_render": ("render",),
    "labels_create": ("create_label",),
    "labels_change": ("change_label",),
    "saved_views_create": ("create_view",),
    "saved_views_change": ("change_view",),
    "webhooks_create": ("create_endpoint",),
    "webhooks_change": ("change_endpoint",),
    "webhooks_rotate_secret": ("rotate_secret",),
    "webhooks_replay": ("replay_since",),
}
"""The verbs behind each endpoint that takes a body; with several, a role may call it if it may call any of them."""

_OTHER_FIELDS: dict[str, dict[str, Roles]] = {
    "conversations_bulk": {"ids": RIGHTS["act_on_many"].callers},
    "transfers_accept": {"reason": RIGHTS["accept_transfer"].callers},
    "messages_post": {"echo": INTEGRATORS, "epoch": EVERYBODY},  # who needs no epoch may send one
    "batches_bring": {"rows": PROGRAMS},
    "join_enter": {"tenant": EVERYBODY, "token": EVERYBODY},  # the token is the credential
}
"""Fields of a body that no verb has a rule for: ids, and what the endpoint itself reads."""


def rights_of(operation_id: str) -> Rights:
    """Who may call an endpoint, and for each field of its body who may set it. Raises `LookupError`."""
    verbs = [RIGHTS[verb] for verb in VERBS.get(operation_id, ())]
    others = _OTHER_FIELDS.get(operation_id, {})
    if not verbs and not others:
        raise LookupError(f"Say in sessions_app.api.roles which verb stands behind {operation_id}.")
    callers: Roles = frozenset().union(*((rights.callers for rights in verbs) if verbs else others.values()))
    fields: dict[str, Roles] = dict.fromkeys(TARGETS, callers)
    for rights in verbs:
        for field, roles in rights.fields.items():
            fields[field] = roles if field in TARGETS else fields.get(field, frozenset()) | roles
    return Rights(callers, fields | others)


def describe(operation: dict[str, Any], fields: list[str]) -> None:
    """Write the roles into an operation of the document. Raises `LookupError` for a field that has no entry."""
    rights = rights_of(operation["operationId"])
    if unknown := set(fields) - set(rights.fields):
        raise LookupError(f"Who may set {', '.join(sorted(unknown))} of {operation['operationId']}?")
    operation["x-roles"] = _sorted(rights.callers)
    operation["x-field-roles"] = {field: _sorted(rights.may_set(field)) for field in fields}
    narrower: dict[Roles, list[str]] = {}
    for field in fields:
        if rights.may_set(field) != rights.callers:
            narrower.setdefault(rights.may_set(field), []).append(f"`{field}`")
    sentences = [f"Only {named(roles)} may set {', '.join(names)}." for roles, names in narrower.items()]
    operation["description"] = "\n\n".join([operation.get("description", ""), *sentences])


def _sorted(roles: Roles) -> list[str]:
    return [role.value for role in Role if role in roles]
