"""Whose turn it is at the end of each verb, by the rules of the domain: docs/rules.md, The next message."""

from __future__ import annotations

from datetime import datetime

from sessions_app.core.record.replay.conversation import ReplayedConversation
from sessions_app.core.record.replay.replayed import OperationLike, ReplayedSession
from sessions_app.states import Status


def settle(replay: ReplayedConversation, at: datetime) -> None:
    live = next((s for s in replay.sessions.values() if s.is_live), None)
    waiting = replay.waiting()
    if live is None and waiting and (waiting[0].is_robot or waiting[0].status == Status.PAUSED):
        replay.fault(7, f"session {waiting[0].id} waits and nothing is live after operation {replay.seq}")
    for session in replay.sessions.values() if replay.keeps_time else ():
        asks = replay.pending(session.id)
        if session.is_live and session.owner[0] == "" and not session.is_found and len(asks) != 1:
            replay.fault(5, f"session {session.id} is live, has no owner and {len(asks)} unanswered transfers")
        if session.status == Status.PENDING and not session.is_robot and len(asks) != 1:
            replay.fault(5, f"session {session.id} waits for an agent with {len(asks)} unanswered transfers")
        if not session.is_live and session.status != Status.PENDING and asks:
            replay.fault(5, f"session {session.id} is {session.status} and has an unanswered transfer")
    had_turn, was_served = not _nobody_can_answer(replay), replay.controller == "human"
    controller, holder = _whose_turn(replay, live)
    if (controller, holder) != (replay.controller, replay.holder):
        replay.controller, replay.holder = controller, holder
        replay.epoch += 1
    _mind(replay, at, had_turn=had_turn)
    if controller == "human" or not (controller == "queue" or replay.marks["needs_human"]):
        replay.waiting_since = None
    else:
        kept = None if was_served else _request_waiting_since(replay)
        replay.waiting_since = replay.waiting_since or kept or at


def _request_waiting_since(replay: ReplayedConversation) -> datetime | None:
    """Since when a request for a human waits: a flow or a better-ranked bot may have had the turn since, no human."""
    waiting = [s for s in replay.sessions.values() if s.status == Status.PENDING and not s.is_robot]
    return min((t.waiting_since for s in waiting for t in replay.pending(s.id) if t.waiting_since), default=None)


def _whose_turn(replay: ReplayedConversation, live: ReplayedSession | None) -> tuple[str, str]:
    holder = f"{live.id}:{live.owner[0]}:{live.owner[1] or ''}" if live else ""
    return _controller(replay, live), holder


def count_turns(replay: ReplayedConversation) -> None:
    """Count the changes of the turn as if each operation were a verb of its own (`epoch_most`)."""
    turn = _whose_turn(replay, next((s for s in replay.sessions.values() if s.is_live), None))
    if turn != replay.turn_counted:
        replay.turn_counted = turn
        replay.epoch_most += 1


def _mind(replay: ReplayedConversation, at: datetime, *, had_turn: bool) -> None:
    """A customer who waits where nobody could answer is flagged, and no other conversation is flagged for that."""
    since = replay.unanswered_since if _nobody_can_answer(replay) else None
    is_over = since is not None and (had_turn or since + replay.span("GROUP_AFTER") <= at)
    if is_over and not replay.marks["needs_human"]:
        replay.fault(11, f"the customer waits since {since}, and operation {replay.seq} calls nobody")
    may_wait = replay.unanswered_since is not None and replay.controller in ("none", "bot")  # the bot may be dead
    if replay.need == "no_answer" and not may_wait:
        replay.fault(11, f"somebody is called after operation {replay.seq} to a customer who does not wait")


def _nobody_can_answer(replay: ReplayedConversation) -> bool:
    """Whether nobody could answer: nobody has the turn, or a bot that was never announced."""
    return replay.controller == "none" or (replay.controller == "bot" and replay.holder.endswith(":bot:"))


def _controller(replay: ReplayedConversation, live: ReplayedSession | None) -> str:
    """Who gets the customer's next message: docs/rules.md, The next message."""
    if live and live.owner[0] in ("agent", "shop"):
        return "human"
    manual_waits = any(s.status == Status.PENDING and not s.is_robot for s in replay.sessions.values())
    if (live and live.owner[0] == "" and not live.is_unclaimed) or (live is None and manual_waits):
        return "queue"
    if any(flow.blocks for flow in replay.flows.values()):
        return "flow"
    return "bot" if live and live.owner[0] == "bot" else "none"


def flag(replay: ReplayedConversation, operation: OperationLike) -> None:
    replay.need = operation.data["kind"] if operation.type == "attention.raised" else ""
    if since := operation.data.get("waiting_since"):
        replay.waiting_since = datetime.fromisoformat(since)
