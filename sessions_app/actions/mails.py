"""Sends what came after hours to the team by e-mail: taken under the lock, sent outside it, recorded under it again.

The row says that an e-mail waits, and only the sweep starts one: a process that dies in the middle costs LEASE, and may
at worst send the same e-mail twice. An e-mail that is given up flags its conversation: somebody sees it at the desk.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from agents_app import loops
from agents_app.actors import Actor, system_actor
from agents_app.service_hours import service_hours_of
from config import clock, limits
from config.http import never_in_a_transaction
from config.threads import Threads
from sessions_app.core import oplog
from sessions_app.core.context_package import Said, entries, is_customers_reason
from sessions_app.core.locked_conversation import LockedConversation, Outcome
from sessions_app.errors import Conflict, NotFound
from sessions_app.models import Mail, Transfer
from sessions_app.notices import NotSent, Refused
from sessions_app.notices.email import send_mail
from sessions_app.notices.notice import plain
from sessions_app.promises.after_hours import moment
from sessions_app.rights import access
from sessions_app.states import MailStatus, Priority
from sessions_app.unit.unit_of_work import locked_conversation, verb

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
"""How long an e-mail that was taken is left to its sender: longer than all time-outs of one sending together."""
AGAIN_AFTER = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 120))
"""The pause after each attempt that failed; after one more the e-mail is given up."""
MOST_MESSAGES, MOST_CHARACTERS = 20, 2_000
"""How many of the last messages an e-mail holds, and how many characters of each text. The desk has all of it."""

LOOP = "mails"
_threads = Threads("mails", threads=2, room=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """An e-mail as it is sent. `attempt` tells it from an earlier one of the same row."""

    attempt: int
    to: str
    subject: str
    text: str


def send_waiting() -> int:
    """Hand the e-mails that are due to this process's threads; returns how many. What finds no room stays due."""
    due = Mail.objects.filter(loops.not_put_off(LOOP, "pk"), due_at__lte=clock.now()).order_by("due_at")
    taken = 0
    for tenant_id, conversation_id, mail_id in due.values_list("tenant_id", "conversation_id", "pk")[:100]:
        taken += _threads.take(mail_id, partial(_guarded, tenant_id, conversation_id, mail_id))
    return taken


def _guarded(tenant_id: int, conversation_id: int, mail_id: int) -> None:
    """Deliver one e-mail; where it cannot be taken or recorded, it is put off and stops no other."""
    loops.one(LOOP, tenant_id, mail_id, partial(deliver, tenant_id, conversation_id, mail_id))


def deliver(tenant_id: int, conversation_id: int, mail_id: int) -> None:
    """Send one e-mail, if it is still due, and record what became of it."""
    never_in_a_transaction()
    actor = system_actor(tenant_id)
    letter = take_mail(actor=actor, conversation_id=conversation_id, mail_id=mail_id)
    if letter is None:
        return
    error, for_good = "", False
    try:
        send_mail(to=letter.to, subject=letter.subject, text=letter.text)
    except NotSent as why:
        error, for_good = str(why), isinstance(why, Refused)
    except Exception:
        log.exception("e-mail %s could not be sent", mail_id)
        error = "an error of Tandem's own; the log has it"
    end_mail(
        actor=actor,
        conversation_id=conversation_id,
        mail_id=mail_id,
        attempt=letter.attempt,
        error=error,
        for_good=for_good,
    )


@verb
def take_mail(*, actor: Actor, conversation_id: int, mail_id: int) -> Letter | None:
    """Take the e-mail to send now, for LEASE. None when it does not wait any more, or another process has it."""
    with locked_conversation(actor, conversation_id) as locked:
        mail = _waiting(locked, mail_id).filter(due_at__lte=locked.now).select_related("transfer__to_team").first()
        if mail is None:
            return None
        if mail.attempts > len(AGAIN_AFTER):
            _give_up(locked, mail, f"given up: {mail.attempts} attempts ended without a word")
            return None
        mail.attempts += 1
        mail.due_at = locked.now + LEASE
        mail.save(update_fields=["attempts", "due_at"])
        return _letter(locked, mail)


@verb
def end_mail(
    *, actor: Actor, conversation_id: int, mail_id: int, attempt: int, error: str = "", for_good: bool = False
) -> Outcome:
    """Record that an e-mail was sent, or why not: then it is tried again later, or given up. Ignores an old attempt."""
    with locked_conversation(actor, conversation_id) as locked:
        mail = _waiting(locked, mail_id).filter(attempts=attempt).first()
        if mail and not error:
            oplog.end_mail(locked, mail)
        elif mail and (for_good or attempt > len(AGAIN_AFTER)):
            _give_up(locked, mail, error)
        elif mail:
            mail.due_at, mail.error = locked.now + AGAIN_AFTER[attempt - 1], error[: limits.MAX_ERROR]
            mail.save(update_fields=["due_at", "error"])
    return locked.outcome(locked.live)


@verb
def send_mail_again(*, actor: Actor, conversation_id: int, mail_id: int) -> Outcome:
    """Send an e-mail once more; for supervisors. Raises `Forbidden`, `NotFound`, `Conflict` while it is on its way."""
    access.must_be_supervisor(actor)
    with locked_conversation(actor, conversation_id) as locked:
        mail = Mail.objects.filter(pk=mail_id, conversation=locked.conversation).first()
        if mail is None:
            raise NotFound("There is no such e-mail.")
        if mail.status == MailStatus.WAITING:
            raise Conflict("This e-mail is on its way already.")
        oplog.queue_mail_again(locked, mail)
    return locked.outcome(locked.live)


def _waiting(locked: LockedConversation, mail_id: int) -> QuerySet[Mail]:
    return Mail.objects.filter(pk=mail_id, conversation=locked.conversation, status=MailStatus.WAITING)


def _give_up(locked: LockedConversation, mail: Mail, error: str) -> None:
    """Nothing is lost: the conversation is flagged, and whoever is at the desk next looks at it."""
    oplog.end_mail(locked, mail, error=error)
    by = mail.transfer.context.get("reason_by", "")
    oplog.flag(locked, {"effect": "flag", "kind": "mail", "reason": mail.transfer.reason, "by_kind": by})


# --- What it says ------------------------------------------------------------------------------------------------


def _letter(locked: LockedConversation, mail: Mail) -> Letter:
    transfer = mail.transfer
    hours = service_hours_of(locked.tenant, transfer.to_team)
    zone = hours.calendar.zone if hours.calendar else ZoneInfo("UTC")
    customer = locked.conversation.title
    subject = _("%(customer)s asks for a human (%(where)s)") % {
        "customer": plain(customer) or _("A customer"),
        "where": plain(hours.name),
    }
    return Letter(
        attempt=mail.attempts, to=mail.to, subject=subject, text="\n".join(_lines(locked, transfer, zone)) + "\n"
    )


def _package_lines(package: dict[str, Any], zone: ZoneInfo) -> Iterator[tuple[str, str]]:
    """Label and text of each entry about the work. The label has who said it and when, where that was kept."""
    labels = {
        "suggestion": _("Suggestion"),
        "promises": _("Promised"),
        "urgency": _("Urgency"),
        "task_state": _("Task"),
    }
    for (part, by, who, at), alike in groupby(
        entries(package), key=lambda entry: (entry.part, entry.by, entry.who, entry.at)
    ):
        label = labels[part] if by else {"suggestion": _("The bot suggests")}.get(part, labels[part])
        said_by = f" ({plain(who or by)}, {moment(at, zone)})" if at else ""
        yield f"{label}{said_by}", ", ".join(map(_entry_text, alike))


def _entry_text(entry: Said) -> str:
    if entry.part == "urgency":
        return pgettext("priority", Priority(entry.value).name.lower())
    value = entry.value if isinstance(entry.value, str) else json.dumps(entry.value, ensure_ascii=False)
    return f"{entry.name}: {value}" if entry.part == "task_state" else value


def _lines(locked: LockedConversation, transfer: Transfer, zone: ZoneInfo) -> Iterator[str]:
    package, conversation = transfer.context, locked.conversation
    yield _("A customer asked for a human while nobody was there.")
    yield ""
    facts = (
        (_("Customer"), conversation.customer_name),
        (_("Account"), conversation.account_id),
        (_("Shop"), conversation.shop_id),
        (_("Asked"), moment(transfer.requested_at, zone)),
        (_("The customer says") if is_customers_reason(package) else _("Why"), transfer.reason or transfer.trigger),
        *_package_lines(package, zone),
    )
    yield from (f"{name}: {' '.join(value.split())[:MOST_CHARACTERS]}" for name, value in facts if value)
    messages = package.get("messages", [])[-MOST_MESSAGES:]
    if messages:
        yield ""
        yield _("What was said last:")
    for message in messages:
        at = moment(datetime.fromisoformat(message["sent_at"]), zone)
        yield ""
        yield f"[{at}] {message['sender_type']}:"
        if message["content"].strip():
            yield message["content"][:MOST_CHARACTERS]
        yield from (_("Attached: %(name)s") % {"name": file["name"]} for file in message.get("attachments", []))
    yield ""
    yield _("All of it, at the desk:")
    yield f"{settings.PUBLIC_URL}/desk/c/{conversation.pk}/"
