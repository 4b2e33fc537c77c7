"""Participants and collaborators: invited, joined, ended, and notified."""

from __future__ import annotations

from typing import Any

from config import limits, statements
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.models import Participant
from sessions_app.states import (
    HistoryMode,
    NoticeStatus,
    ParticipantStatus,
)


def add_participant(locked: LockedConversation, participant: Participant, status: ParticipantStatus) -> None:
    participant.status = status
    participant.tenant_id = locked.conversation.tenant_id
    participant.conversation = locked.conversation
    participant.invited_at = locked.now
    participant.invited_by = locked.actor.name
    if status == ParticipantStatus.JOINED:
        participant.joined_at = locked.now
    elif participant.contact:
        _await_notice(locked, participant)
    if participant.history == HistoryMode.FROM_NOW:
        participant.history_from_seq = locked.conversation.seq + 1
    statements.insert(participant)
    _record_participant(locked, participant, participant.status)


def move_participant(
    locked: LockedConversation, participant: Participant, status: ParticipantStatus, **data: Any
) -> None:
    participant.status = status
    if status == ParticipantStatus.JOINED:
        participant.joined_at = locked.now
    else:
        participant.ended_at = locked.now
    participant.token_hash, participant.link_seed = None, ""
    if participant.notice_status == NoticeStatus.WAITING:
        participant.notice_status = NoticeStatus.NONE
    participant.notice_due_at = None
    statements.update(participant)
    _record_participant(locked, participant, participant.status, **data)


def end_participations(locked: LockedConversation) -> None:
    """End every participation, because the work on the conversation has ended; unused links end too."""
    inside = (ParticipantStatus.INVITED, ParticipantStatus.JOINED)
    for participant in sorted(locked.conversation.participants.all(), key=lambda participant: participant.pk):
        if participant.status in inside:
            move_participant(locked, participant, ParticipantStatus.ENDED, reason="the work has ended")


def end_collaboration(locked: LockedConversation, *agent_ids: int, reason: str) -> None:
    """End the participation of these agents: they own the conversation now, or have left the desk."""
    inside = (ParticipantStatus.INVITED, ParticipantStatus.JOINED)
    collaborators = Participant.objects.filter(
        conversation=locked.conversation, agent_id__in=agent_ids, status__in=inside
    )
    for participant in collaborators.order_by("pk"):
        move_participant(locked, participant, ParticipantStatus.ENDED, reason=reason)


def invite_again(locked: LockedConversation, participant: Participant) -> None:
    """Record that the participant has a new link, and queue its notice."""
    _await_notice(locked, participant)
    statements.update(participant)
    _record_participant(locked, participant, "invited_again")


def _await_notice(locked: LockedConversation, participant: Participant) -> None:
    participant.notice_status, participant.notice_due_at = NoticeStatus.WAITING, locked.now
    participant.notice_error, participant.notice_attempts = "", 0


def end_notice(locked: LockedConversation, participant: Participant, *, channel: str = "", error: str = "") -> None:
    """Sent, or failed with `error`. The reason stays on the row: it may hold an address, the record must not."""
    participant.notice_status = NoticeStatus.FAILED if error else NoticeStatus.SENT
    participant.notice_error = error[: limits.MAX_ERROR]
    participant.notice_due_at = None
    participant.notice_sent_at = participant.notice_sent_at if error else locked.now
    statements.update(participant)
    _record_participant(locked, participant, "notice_failed" if error else "notified", channel=channel)


def _record_participant(locked: LockedConversation, participant: Participant, word: str, **data: Any) -> None:
    noun = "collaborator" if participant.agent_id else "participant"
    locked.record(
        f"{noun}.{word}",
        locked.live,
        participant_id=participant.pk,
        agent_id=participant.agent_id,
        role=participant.role,
        status=participant.status,
        notice=participant.notice_status,
        **data,
    )
