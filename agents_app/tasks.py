"""The beat's door to what is kept of requests and logins."""

from __future__ import annotations

from celery import shared_task

from agents_app import idempotency, lockout, login_sessions


@shared_task
def forget_answers() -> int:
    return idempotency.forget()


@shared_task
def forget_logins() -> int:
    return login_sessions.forget() + lockout.forget()
