"""What the operations say of messages: said, or brought and grouped; and since when the customer waits."""

from __future__ import annotations

from datetime import datetime

from sessions_app.core.record.replay.conversation import ReplayedConversation
from sessions_app.core.record.replay.replayed import OperationLike, ReplayedSession
from sessions_app.states import PRIORITY, Kind, rank


def say(replay: ReplayedConversation, operation: OperationLike) -> None:
    data, id = operation.data, operation.data["message_id"]
    if id in replay.messages:
        replay.fault(2, f"message {id} is recorded twice")
    replay.messages[id] = (operation.seq, operation.session_id)
    replay.epoch_at[operation.seq] = replay.epoch
    if data["sender_type"] == "bot":
        if replay.controller != "bot":
            replay.fault(3, f"the bot's message {id} was stored while the turn was {replay.controller}'s")
        if data["epoch"] != replay.epoch:
            replay.fault(3, f"the bot's message {id} named epoch {data['epoch']}; it was {replay.epoch}")
    session = replay.sessions.get(operation.session_id or 0)
    if "unanswered_since" in data:
        _waits(replay, operation)
    elif not data["is_note"] and data["sender_type"] != "system" and not data.get("is_history"):
        awaits_answer(replay, operation, awaits=data["sender_type"] == "customer")
    if session and session.is_live and not data["is_note"] and session.owner[0] in ("bot", "shop"):
        session.expires_at = operation.at + replay.span("DEFAULT_SESSION_TIMEOUT")


def group(replay: ReplayedConversation, operation: OperationLike) -> None:
    """Messages of a batch, or without a session, were put into sessions. A session's rank is that of its kind."""
    data = operation.data
    for group in (*data["created"], *data["extended"]):
        session = replay.sessions.get(group["session_id"])
        if session is None:
            kind = Kind(group["kind"])
            session = ReplayedSession(
                group["session_id"],
                kind,
                "",
                rank(kind, PRIORITY[kind]),
                ("", None),
                operation.at,
                None,
                is_found=True,
            )
            replay.sessions[session.id] = session
        if session.is_found:
            kind = Kind(group["kind"])
            if kind != session.kind:
                session.kind, session.rank = kind, rank(kind, PRIORITY[kind])
            session.status = group["status"]
            session.owner = (group["owner_kind"], session.owner[1])
    for gone, _ in data["joined"]:
        replay.sessions.pop(gone, None)
        replay.untell("session", gone)
    if "unanswered_since" in data:
        _waits(replay, operation)
    elif "awaits_answer" in data:  # an older operation, which does not say since when
        awaits_answer(replay, operation, awaits=data["awaits_answer"])


def _waits(replay: ReplayedConversation, operation: OperationLike) -> None:
    """An answer to one message of several, or a batch, says since when the customer waits: never longer than before."""
    recorded = operation.data["unanswered_since"]
    since = datetime.fromisoformat(recorded) if recorded else None
    longest = replay.unanswered_since or (operation.at if operation.type == "messages.grouped" else None)
    if since and (longest is None or not longest <= since <= operation.at):
        replay.fault(11, f"the customer waits since {longest}; operation {operation.seq} says since {since}")
    replay.unanswered_since = since
    replay.awaits_by = replay.awaits_from = operation.seq


def awaits_answer(replay: ReplayedConversation, operation: OperationLike, *, awaits: bool) -> None:
    replay.awaits_by = operation.seq
    if not awaits:
        replay.unanswered_since = None
    elif replay.unanswered_since is None:
        replay.unanswered_since, replay.awaits_from = operation.at, operation.seq
