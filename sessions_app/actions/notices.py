"""Sends notices to invited people: taken under the lock, sent outside it, recorded under it again.

The row says that a notice waits, and only the sweep starts one: a process that dies in the middle costs LEASE, and may
at worst send the same link twice. After a temporary failure (greylisting, a limit, a server that is away) it is tried
again with growing pauses. A notice that failed is not tried again by itself; somebody reads why, and sends it again.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

from agents_app import loops
from agents_app.actors import Actor, system_actor
from agents_app.credentials.secrets import digest
from config import clock, limits
from config.http import never_in_a_transaction
from config.threads import Threads
from sessions_app.core import oplog
from sessions_app.core.locked_conversation import Outcome
from sessions_app.models import Participant
from sessions_app.notices import Notice, NotSent, Passing, link, send
from sessions_app.states import NoticeStatus
from sessions_app.unit.unit_of_work import locked_conversation, verb

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
"""How long a notice that was taken is left to its sender: longer than all time-outs of one sending together."""
AGAIN_AFTER = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 120))
"""The pause after each temporary failure; after one more the notice has failed."""
MAX_ATTEMPTS = len(AGAIN_AFTER) + 1
"""Attempts after which a notice is given up, also where each ended its process before it was recorded."""

LOOP = "notices"
_threads = Threads("notices", threads=2, room=20)


def send_waiting() -> int:
    """Hand the notices that are due to this process's threads; returns how many. What finds no room stays due."""
    due = Participant.objects.filter(loops.not_put_off(LOOP, "pk"), notice_due_at__lte=clock.now())
    taken = 0
    rows = due.order_by("notice_due_at").values_list("tenant_id", "conversation_id", "pk")[:100]
    for tenant_id, conversation_id, participant_id in rows:
        taken += _threads.take(participant_id, partial(_guarded, tenant_id, conversation_id, participant_id))
    return taken


def _guarded(tenant_id: int, conversation_id: int, participant_id: int) -> None:
    """Deliver one notice; where it cannot be taken or recorded, it is put off and stops no other."""
    loops.one(LOOP, tenant_id, participant_id, partial(deliver, tenant_id, conversation_id, participant_id))


def deliver(tenant_id: int, conversation_id: int, participant_id: int) -> None:
    """Send one notice, if it is still due, and record what became of it."""
    never_in_a_transaction()
    actor = system_actor(tenant_id)
    notice = take_notice(actor=actor, conversation_id=conversation_id, participant_id=participant_id)
    if notice is None:
        return
    channel, error, is_passing = "", "", False
    try:
        channel = send(notice)
    except NotSent as why:
        error, is_passing = str(why), isinstance(why, Passing)
    except Exception:
        log.exception("the notice to participant %s could not be sent", participant_id)
        error = "an error of Tandem's own; the log has it"
    end_notice(
        actor=actor,
        conversation_id=conversation_id,
        participant_id=participant_id,
        key=notice.key,
        channel=channel,
        error=error,
        is_passing=is_passing,
    )


@verb
def take_notice(*, actor: Actor, conversation_id: int, participant_id: int) -> Notice | None:
    """Take the notice to send now, for LEASE. None when it does not wait any more, or another process has it."""
    with locked_conversation(actor, conversation_id) as locked:
        waiting = Participant.objects.filter(
            pk=participant_id, conversation=locked.conversation, notice_status=NoticeStatus.WAITING
        )
        participant = waiting.filter(notice_due_at__lte=locked.now).first()
        if participant is None:
            return None
        token = link.token_of(participant.link_seed)
        if digest(token) != participant.token_hash:
            oplog.end_notice(locked, participant, error="SECRET_KEY has changed since; send it again")
            return None
        if participant.notice_attempts >= MAX_ATTEMPTS:
            oplog.end_notice(locked, participant, error=f"given up: {MAX_ATTEMPTS} attempts ended without a word")
            return None
        participant.notice_attempts += 1
        participant.notice_due_at = locked.now + LEASE
        participant.save(update_fields=["notice_attempts", "notice_due_at"])
        return Notice(
            key=participant.token_hash,
            participant_id=participant.pk,
            conversation_id=conversation_id,
            contact=participant.contact,
            name=participant.name,
            role=participant.role,
            invited_by=participant.invited_by,
            tenant=locked.tenant.slug,
            tenant_name=locked.tenant.name,
            link=link.join_url(token),
        )


@verb
def end_notice(
    *,
    actor: Actor,
    conversation_id: int,
    participant_id: int,
    key: str,
    channel: str = "",
    error: str = "",
    is_passing: bool = False,
) -> Outcome:
    """Record that the notice with this link was sent, or why not: then it is tried again later, or has failed.

    `key` is the digest of the link's token. Does nothing where a new link has replaced this one.
    """
    with locked_conversation(actor, conversation_id) as locked:
        participant = Participant.objects.filter(
            pk=participant_id, conversation=locked.conversation, notice_status=NoticeStatus.WAITING, token_hash=key
        ).first()
        if participant and is_passing and participant.notice_attempts <= len(AGAIN_AFTER):
            participant.notice_due_at = locked.now + AGAIN_AFTER[max(participant.notice_attempts, 1) - 1]
            participant.notice_error = error[: limits.MAX_ERROR]
            participant.save(update_fields=["notice_due_at", "notice_error"])
        elif participant:
            oplog.end_notice(locked, participant, channel=channel, error=error)
    return locked.outcome(locked.live, participant_id=participant_id)
