"""The beat's door: forgets idempotency records, logins and put-off items that are too old."""

from __future__ import annotations

from celery import shared_task

from agents_app import loops
from agents_app.api import idempotency
from agents_app.logins import lifetime, lockout


@shared_task
def forget_answers() -> int:
    return idempotency.forget()


@shared_task
def forget_logins() -> int:
    jobs = ((None, 1, lifetime.forget), (None, 2, lockout.forget))
    return sum(loops.each("forget-logins", jobs, lambda _tenant, _number, forget: forget()))


@shared_task
def forget_put_off() -> int:
    return loops.forget()
