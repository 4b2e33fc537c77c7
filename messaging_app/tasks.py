"""Periodic tasks of the stream, the webhooks, the search index and the attachments."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from celery import shared_task
from django.conf import settings

from messaging_app import relay, search
from messaging_app.attachments import rows as attachments
from messaging_app.detection import upkeep
from messaging_app.record import checkpoints
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
def checkpoint() -> bool:
    """Runs every hour, so that a restart does not cost a day; writes once a day."""
    if not settings.AUDIT_CHECKPOINT_FILE:
        return False
    return checkpoints.append(Path(settings.AUDIT_CHECKPOINT_FILE), older_than=timedelta(hours=23, minutes=30))


@shared_task
def index_search() -> int:
    return search.index_some()


@shared_task
def check_rules() -> int:
    return upkeep.note_unknown()


@shared_task
def forget_attachments() -> int:
    return attachments.forget()
