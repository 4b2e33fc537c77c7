"""The tasks of Celery's beat: each calls one verb or sweep. What is due is decided under each conversation's lock."""

from __future__ import annotations

from celery import shared_task

from sessions_app import assignment
from sessions_app.actions import batches, departure, import_queue, mails, notices, presence, silence, sweep


@shared_task
def sweep_due() -> int:
    return sweep.sweep_due()


@shared_task
def move_on_from_silent_agents() -> int:
    return silence.move_on_from_silent_agents()


@shared_task
def finish_departures() -> int:
    return departure.finish_departures()


@shared_task
def escalate_from_dead_bots() -> int:
    return silence.escalate_from_dead_bots()


@shared_task
def note_presence() -> int:
    return presence.note_changes()


@shared_task
def forget_decisions() -> int:
    return assignment.forget()


@shared_task
def send_notices() -> int:
    return notices.send_waiting()


@shared_task
def send_mails() -> int:
    return mails.send_waiting()


@shared_task
def group_messages() -> dict[str, int]:
    return batches.group_unsessioned().counts()


@shared_task
def store_batches() -> int:
    """Wakes this process's workers and returns: a batch may take minutes, and other tasks wait for this one."""
    return import_queue.wake()


@shared_task
def forget_batches() -> int:
    return import_queue.forget()
