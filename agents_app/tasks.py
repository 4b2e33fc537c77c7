"""The beat's door to what is kept of requests."""

from __future__ import annotations

from celery import shared_task

from agents_app import idempotency


@shared_task
def forget_answers() -> int:
    return idempotency.forget()
