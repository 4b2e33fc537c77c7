"""What the operations say of flows: opened, bound, moved on."""

from __future__ import annotations

from datetime import datetime

from sessions_app.core.record.replay.conversation import ReplayedConversation
from sessions_app.core.record.replay.replayed import OperationLike, ReplayedFlow


def move(replay: ReplayedConversation, operation: OperationLike) -> None:
    data, at = operation.data, operation.at
    id, status = data["flow_id"], data.get("after") or data["status"]
    if operation.type == "flow.bound":  # its clocks have run since before it was bound
        lease = datetime.fromisoformat(data["lease_until"]) if data["lease_until"] else None
        replay.flows[id] = ReplayedFlow(id, status, datetime.fromisoformat(data["expires_at"]), lease)
        return
    flow = replay.flows.setdefault(id, ReplayedFlow(id, status, at))
    if operation.type == "flow.moved" and data["before"] != flow.status:
        replay.fault(9, f"flow {id} was {flow.status}, not {data['before']}, at {operation.seq}")
    flow.status = status
    flow.lease_until = at + replay.span("FLOW_LEASE") if status == "rerunning" else None
    if flow.is_open:
        flow.expires_at = at + replay.span("FLOW_EXPIRY" if flow.blocks else "FLOW_PREVIEW_EXPIRY")
