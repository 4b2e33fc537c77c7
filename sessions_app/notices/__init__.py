"""Notices to people outside the desk that they are invited: one interface, three channels (docs/notices.md)."""

from __future__ import annotations

from sessions_app.notices.email import Email
from sessions_app.notices.notice import Notice, Notifier, NotSent, Passing, Refused
from sessions_app.notices.webhook import Webhook
from sessions_app.notices.wecom import PREFIX, WeCom

__all__ = ["NotSent", "Notice", "Notifier", "Passing", "Refused", "notifier_for", "send"]

_email, _wecom, _webhook = Email(), WeCom(), Webhook()


def notifier_for(contact: str) -> Notifier | None:
    """The channel for an address: `wecom:userid` goes by WeCom, what has an @ by e-mail.

    The webhook takes every other address, and those whose own channel is not set up. None when nothing fits.
    """
    own: list[Notifier] = [_wecom] if contact.startswith(PREFIX) else [_email] if "@" in contact else []
    return next((notifier for notifier in (*own, _webhook) if notifier.is_set_up()), None)


def send(notice: Notice) -> str:
    """Send by the channel for its address; returns the channel's name. Raises `NotSent`, `Passing` if temporary.

    Must not be called in a transaction.
    """
    notifier = notifier_for(notice.contact)
    if notifier is None:
        raise NotSent("no channel is set up for this address")
    notifier.send(notice)
    return notifier.name
