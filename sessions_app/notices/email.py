"""Notices by e-mail, through Django's mail framework."""

from __future__ import annotations

from smtplib import SMTPException, SMTPRecipientsRefused, SMTPResponseException, SMTPServerDisconnected
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from config.http import never_in_a_transaction
from sessions_app.notices.notice import Notice, NotSent, Passing, Refused, plain

FOR_GOOD = 500
"""A mail server's reply code from here on is a permanent failure; one below is temporary (RFC 5321)."""


class Email:
    name = "e-mail"

    def is_set_up(self) -> bool:
        return bool(settings.EMAIL_URL)

    def send(self, notice: Notice) -> None:
        send_mail(to=notice.contact, subject=notice.title(), text=_text(notice))


def send_mail(*, to: str, subject: str, text: str) -> None:
    """Send one e-mail to one address. Raises `NotSent`: `Passing` for a temporary failure, `Refused` where trying again
    is of no use. Must not be called in a transaction."""
    never_in_a_transaction()
    if not settings.EMAIL_URL:
        raise Refused("no e-mail is set up")
    try:
        validate_email(to)
        EmailMessage(subject, text, to=[to]).send(using="default")
    except (ValidationError, ValueError):
        raise Refused("this is no e-mail address that can be written to") from None
    except SMTPRecipientsRefused as error:
        code, reply = next(iter(error.recipients.values()), (0, b""))
        kind: type[NotSent] = Refused if code >= FOR_GOOD else Passing
        raise kind(f"the mail server does not take this address: {_reply_text(code, reply)}") from None
    except SMTPResponseException as error:
        # Passing: greylisting, a mailbox that is locked, too many mails
        kind = NotSent if error.smtp_code >= FOR_GOOD else Passing
        raise kind(f"the mail server refused: {_reply_text(error.smtp_code, error.smtp_error)}") from None
    except SMTPServerDisconnected as error:
        raise Passing(f"the mail server broke off: {error}") from None
    except SMTPException as error:
        raise NotSent(f"the mail server did not take it: {type(error).__name__}") from None
    except OSError as error:
        raise Passing(f"the mail server cannot be reached: {error.strerror or error}") from None


def _text(notice: Notice) -> str:
    greeting = _("Hello %(name)s,") % {"name": plain(notice.name)}
    return f"{greeting}\n\n{notice.title()}:\n\n{notice.link}\n\n{notice.advice()}\n"


def _reply_text(code: int, text: Any) -> str:
    reply = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return f"{code} {' '.join(reply.split())}"
