"""What becomes of a customer who asks for a human while nobody is there.

`oplog.create_transfer` is the only way to ask for one, so the service hours are checked there, whichever verb or timer
asks. What follows from them is done here, when the verb settles. A handover between agents is not affected.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from agents_app.actors import system_actor
from agents_app.service_hours import Closure
from config import statements
from messaging_app import stream, thread
from messaging_app.models import Message
from messaging_app.thread import NewMessage
from sessions_app.core import oplog
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.models import ChatSession, Transfer
from sessions_app.states import Status, TransferStatus

EMAIL = "email"
"""The outcome of a session that became an e-mail."""


def tell(locked: LockedConversation, transfer: Transfer, closure: Closure) -> None:
    """Tell the customer, and let the conversation wait or become an e-mail.

    A customer who waits is told once in the same closure, however often a human is asked for again. An e-mail ends its
    session, so each one is told: else the customer would be left without a word.
    """
    if not transfer.is_pending:
        return  # answered, or withdrawn, by the same verb
    if closure.becomes_email:
        _say(locked, transfer.session, closure)
        _mail(locked, transfer, closure)
    elif not _was_told(transfer):
        _say(locked, transfer.session, closure)


def is_promised(transfer: Transfer) -> bool:
    """Whether the customer was told that a human will answer, and none has taken the session since.

    The promise belongs to the session: a request after a pause still has it, whatever the hours are by then.
    """
    moves = Transfer.objects.filter(session=transfer.session_id).order_by("-pk")
    told_or_taken = moves.filter(Q(opens_at__isnull=False) | Q(accepted_by__isnull=False))
    newest = told_or_taken.values_list("accepted_by", flat=True)[:1]
    return list(newest) == [None]


def _was_told(transfer: Transfer) -> bool:
    before = Transfer.objects.filter(conversation=transfer.conversation, opens_at=transfer.opens_at)
    return before.filter(pk__lt=transfer.pk).exists()


def _say(locked: LockedConversation, session: ChatSession, closure: Closure) -> None:
    message = thread.append(
        locked.conversation,
        NewMessage(content=text(closure)),
        sender_type=Message.Sender.SYSTEM,
        actor=system_actor(session.tenant_id, locked.tenant.name),
        seq=locked.conversation.seq + 1,
        now=locked.now,
        session_id=session.pk,
    )
    locked.record(
        "message.created",
        session,
        message=message.pk,
        message_id=message.message_id,
        sender_type=message.sender_type,
        is_note=False,
        digest=stream.content_digest(message.content),
        proof=stream.message_proof(message),
        answer={},
    )
    session.message_count += 1
    session.first_message_at = session.first_message_at or message.sent_at
    session.last_message_at = message.sent_at
    statements.update(session, "message_count", "first_message_at", "last_message_at")


def text(closure: Closure) -> str:
    """The text for the customer: that of the service hours, or a sentence that says when it opens, if it does."""
    hours = closure.hours
    opens = moment(closure.opens_at, hours.calendar.zone) if closure.opens_at and hours.calendar else ""
    if hours.text:
        return hours.text.replace("{opens}", opens)
    if closure.becomes_email:
        notice = _("We are closed now. Your message was passed on by e-mail, and we will come back to you.")
        if not opens:
            return notice
        again = _("We open again on %(when)s.") % {"when": opens}  # not inside the f-string: extraction would miss it
        return f"{notice} {again}"
    return _(
        "We are closed now and open again on %(when)s. Your conversation is kept; somebody will answer you then."
    ) % {"when": opens}


def moment(at: datetime, zone: ZoneInfo) -> str:
    """A time in the zone of the service hours, as text: Monday 30 March, 09:00."""
    return date_format(at.astimezone(zone), _("l j F, H:i"))


def _mail(locked: LockedConversation, transfer: Transfer, closure: Closure) -> None:
    """End the session: COMPLETED, or CANCELLED where it had not begun. The e-mail has what a human needs to know."""
    session = transfer.session
    oplog.queue_mail(locked, transfer, closure.hours.email)
    oplog.end_transfer(locked, transfer, TransferStatus.WITHDRAWN, reason="closed: it became an e-mail")
    session.outcome = EMAIL
    ends_as = Status.COMPLETED if session.is_live else Status.CANCELLED
    oplog.transition(locked, session, ends_as, reason="closed: it became an e-mail", outcome=EMAIL)
    locked.detail |= {"after_hours": EMAIL} | ({"opens_at": closure.opens_at.isoformat()} if closure.opens_at else {})
