"""E-mails after hours: queued, sent, failed."""

from __future__ import annotations

from config import limits, statements
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.models import Mail, Transfer
from sessions_app.states import (
    MailStatus,
)


def queue_mail(locked: LockedConversation, transfer: Transfer, to: str) -> Mail:
    """Queue an e-mail to the team about a request that came after hours; it is due at once."""
    mail = Mail(
        tenant_id=transfer.tenant_id,
        conversation=locked.conversation,
        session=transfer.session,
        transfer=transfer,
        to=to,
        status=MailStatus.WAITING,
        due_at=locked.now,
        created_at=locked.now,
    )
    statements.insert(mail)
    locked.record("mail.queued", transfer.session, mail_id=mail.pk, transfer_id=transfer.pk)
    return mail


def queue_mail_again(locked: LockedConversation, mail: Mail) -> None:
    mail.status, mail.due_at = MailStatus.WAITING, locked.now
    mail.attempts, mail.error = 0, ""
    statements.update(mail)
    locked.record("mail.queued", mail.session, mail_id=mail.pk, transfer_id=mail.transfer_id)


def end_mail(locked: LockedConversation, mail: Mail, *, error: str = "") -> None:
    """Sent, or failed with `error`. The reason stays on the row: it may hold an address, the record must not."""
    mail.status = MailStatus.FAILED if error else MailStatus.SENT
    mail.error, mail.due_at = error[: limits.MAX_ERROR], None
    mail.sent_at = mail.sent_at if error else locked.now
    statements.update(mail)
    if error:
        locked.record("mail.failed", mail.session, mail_id=mail.pk, transfer_id=mail.transfer_id)
    else:
        locked.record("mail.sent", mail.session, mail_id=mail.pk, transfer_id=mail.transfer_id)
