"""The beat's door to the stream, the webhooks, the search index and the attachments."""

from __future__ import annotations

from celery import shared_task

from messaging_app import relay, search
from messaging_app.attachments import rows as attachments
from messaging_app.webhooks import outbox
from messaging_app.webhooks.senders import senders


@shared_task
def stamp() -> int:
    return relay.stamp_all()


@shared_task
def send_webhooks() -> int:
    """Wakes the senders and returns: receivers may be slow, and other tasks wait for this one."""
    outbox.dispatch()
    return senders.wake()


@shared_task
def forget_webhooks() -> int:
    return outbox.forget()


@shared_task
def index_search() -> int:
    return search.index_some()


@shared_task
def forget_attachments() -> int:
    return attachments.forget()
