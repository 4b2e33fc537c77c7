"""Guided flows: opened, moved, renewed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from config import statements
from sessions_app.core.locked_conversation import LockedConversation, seconds
from sessions_app.errors import FlowMoved, IllegalTransition
from sessions_app.models import GuidedFlow
from sessions_app.states import (
    FLOW_BLOCKING,
    FLOW_TRANSITIONS,
    FlowStatus,
)


def open_flow(locked: LockedConversation | None, flow: GuidedFlow, now: datetime) -> None:
    """Store a new flow, waiting for the customer's reply. An unbound one is recorded when it gets its conversation."""
    flow.status = FlowStatus.WAITING
    flow.created_at = flow.updated_at = now
    statements.insert(flow)
    if locked:
        locked.place(flow)
        locked.record("flow.opened", flow_id=flow.pk, status=flow.status, trigger_id=flow.trigger_id)


def move_flow(
    locked: LockedConversation | None, flow: GuidedFlow, to: FlowStatus, now: datetime, **changes: Any
) -> None:
    """Move a flow along its table, compare-and-set on its version. Raises `IllegalTransition`, `FlowMoved`."""
    before = FlowStatus(flow.status)
    if to not in FLOW_TRANSITIONS[before]:
        raise IllegalTransition(f"A flow cannot go from {before} to {to}.", status=before.value)
    values = {"status": to, "version": flow.version + 1, "updated_at": now, "lease_until": None, **changes}
    if to == FlowStatus.RERUNNING:
        values["lease_until"] = now + seconds("FLOW_LEASE")
    if to in FLOW_BLOCKING:
        values["expires_at"] = now + seconds("FLOW_EXPIRY")
    elif to == FlowStatus.READY:
        values["expires_at"] = now + seconds("FLOW_PREVIEW_EXPIRY")
    _change_flow(flow, **values)
    if locked:
        locked.place(flow)
        locked.record("flow.moved", flow_id=flow.pk, before=before.value, after=to.value, version=flow.version)


def renew_lease(locked: LockedConversation | None, flow: GuidedFlow, now: datetime) -> None:
    """Give a rerun its whole lease again, never beyond the flow's expiry. The version stays. Raises as `move_flow`."""
    if flow.status != FlowStatus.RERUNNING:
        raise IllegalTransition(f"Only a rerun has a lease; this flow is {flow.status}.", status=flow.status)
    until = min(now + seconds("FLOW_LEASE"), flow.expires_at)
    _change_flow(flow, lease_until=until, updated_at=now)
    if locked:
        locked.place(flow)
        locked.record("flow.renewed", flow_id=flow.pk, version=flow.version, lease_until=until.isoformat())


def _change_flow(flow: GuidedFlow, **values: Any) -> None:
    """Compare-and-set on the version. Raises `FlowMoved`."""
    rows = GuidedFlow.objects.filter(pk=flow.pk, version=flow.version)
    # Where it is bound, too: a flow without a conversation moves without a lock, and may be bound meanwhile.
    rows = rows.filter(conversation=flow.conversation_id) if flow.conversation_id else rows.filter(conversation=None)
    if not rows.update(**values):
        flow.refresh_from_db()
        raise FlowMoved(version=flow.version, status=flow.status)
    for name, value in values.items():
        setattr(flow, name, value)
