"""Sending what is due to one endpoint, in order, one at a time, and recording how each attempt went.

A lease on the endpoint's row keeps two senders apart; that of a sender that died ends by itself, and what it had not
recorded is sent again under the same id. Nothing is locked and no transaction is open while a request is under way.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from time import monotonic
from typing import Any

import orjson
from django.db import DatabaseError, transaction
from django.db.models import Exists, F, OuterRef, Q

from agents_app import loops
from agents_app.scopes import Scope, scopes_of
from config import clock, limits
from config.db import lock_rows, retried
from messaging_app.events import rendered
from messaging_app.models import Operation, WebhookDelivery, WebhookEndpoint
from messaging_app.webhooks.outbox import PING, serving
from messaging_app.webhooks.post import Post, ReceiverResponse, signed

log = logging.getLogger(__name__)

SENDERS, DELIVERIES = "webhook-senders", "webhook-deliveries"
LEASE = timedelta(seconds=90)
"""Longer than any request: its own limit, and the time of the resolver, which cannot be limited."""
SCHEDULE = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds from one failed attempt to the next, as the Standard Webhooks specification suggests: about three days."""
JITTER = 0.1
"""The largest random share by which a wait is longer, so that what failed together is not retried together."""
MOST_WAIT = timedelta(days=1)
"""The longest wait that a receiver may ask for by `Retry-After`."""
GIVE_UP = timedelta(days=5)
"""An endpoint that has failed for this long, without one success, is disabled."""
SLICE = 50
SLICE_SECONDS = 1.0
"""Deliveries, and seconds, for one endpoint before it is another one's turn."""
LOGGED = 50
"""The newest attempts, so many of them, that a delivery's log keeps."""

Status = WebhookDelivery.Status


def due(endpoint_id: int | None = None) -> list[tuple[int, bool]]:
    """The endpoints (or this one) with due deliveries that no sender serves now, each with whether it is failing."""
    now = clock.now()
    waiting = WebhookDelivery.objects.filter(endpoint=OuterRef("pk"), next_attempt_at__lte=now)
    waiting = waiting.filter(loops.not_put_off(DELIVERIES, "pk"))
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    not_held_back = Q(not_before=None) | Q(not_before__lte=now)
    not_put_off = loops.not_put_off(SENDERS, "pk")
    endpoints = serving().filter(free, not_held_back, not_put_off, Exists(waiting)).order_by("pk")
    if endpoint_id is not None:
        endpoints = endpoints.filter(pk=endpoint_id)
    return [(pk, since is not None) for pk, since in endpoints.values_list("pk", "failing_since")]


def serve(endpoint_id: int, *, is_stopped: Callable[[], bool] = lambda: False) -> int:
    """Send a slice of what is due to an endpoint; returns how many attempts were made.

    Ends at the first failure, or after `SLICE_SECONDS`: the caller calls `due` again, so that others go first.
    """
    claimed = _claim(endpoint_id)
    attempts, start = 0, monotonic()
    if claimed is None:
        return attempts
    lease = _Lease(endpoint_id, claimed)
    try:
        with Post() as post:
            for answer in loops.each(DELIVERIES, _next(endpoint_id), partial(_sent, post, lease, is_stopped)):
                attempts += answer is not None
                is_slow = monotonic() - start > SLICE_SECONDS
                if lease.is_lost or is_stopped() or (answer and (is_slow or not answer.is_success)):
                    break
    finally:
        _release(endpoint_id, lease.until)
    return attempts


def _sent(
    post: Post, lease: _Lease, is_stopped: Callable[[], bool], tenant_id: int, delivery_id: int
) -> ReceiverResponse | None:
    """Make one attempt and record it; None where there was none to make."""
    if is_stopped() or not lease.renew():
        return None
    delivery = _still_due(delivery_id)
    if delivery is None:
        return None
    answer = _attempt(post, delivery)
    if answer is None:
        _end(delivery, "The event is no longer kept")
        return None
    _record(delivery, answer)
    return answer


# --- The lease ---------------------------------------------------------------------------------------------------
# Each step is one conditional UPDATE without a join, atomic on every database. The time in the column is the token.


@dataclass(slots=True)
class _Lease:
    endpoint_id: int
    until: datetime
    is_lost: bool = False

    def renew(self) -> bool:
        """False when the lease was lost, or when nothing may be sent to the endpoint any more."""
        if (until := _renew(self.endpoint_id, self.until)) is None:
            self.is_lost = True
            return False
        self.until = until
        return True


def _claim(endpoint_id: int) -> datetime | None:
    now = clock.now()
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    return _take(Q(free, pk=endpoint_id), now + LEASE)


def _renew(endpoint_id: int, lease: datetime) -> datetime | None:
    """None when the lease was lost, or when nothing may be sent to the endpoint any more."""
    return _take(Q(pk=endpoint_id, lease_until=lease), clock.now() + LEASE)


@retried
def _take(which: Q, until: datetime) -> datetime | None:
    taken = WebhookEndpoint.objects.filter(which, is_enabled=True, deleted_at=None).update(lease_until=until)
    return until if taken else None


@retried
def _release(endpoint_id: int, lease: datetime) -> None:
    WebhookEndpoint.objects.filter(pk=endpoint_id, lease_until=lease).update(lease_until=None)


# --- One attempt -------------------------------------------------------------------------------------------------


def _next(endpoint_id: int) -> list[tuple[int, int]]:
    """Tenant and id of the deliveries that are due: pings first, then in the order of the stream."""
    waiting = WebhookDelivery.objects.filter(endpoint=endpoint_id, next_attempt_at__lte=clock.now())
    ready = waiting.filter(loops.not_put_off(DELIVERIES, "pk"))
    return list(ready.order_by(F("pos").asc(nulls_first=True), "pk").values_list("tenant_id", "pk")[:SLICE])


def _still_due(delivery_id: int) -> WebhookDelivery | None:
    """The delivery and its endpoint as stored now; None if the delivery has ended or was put off meanwhile."""
    now = clock.now()
    not_held_back = Q(endpoint__not_before=None) | Q(endpoint__not_before__lte=now)
    rows = WebhookDelivery.objects.filter(
        not_held_back, pk=delivery_id, next_attempt_at__lte=now, endpoint__in=serving()
    )
    return rows.select_related("endpoint__owner").first()


def _attempt(post: Post, delivery: WebhookDelivery) -> ReceiverResponse | None:
    """Send the event, rendered from what is stored now. None when its operation is no longer kept."""
    endpoint, now = delivery.endpoint, clock.now()
    if not endpoint.secret:  # an empty key would be a signature that anybody can make
        return ReceiverResponse(error="Not sent: the secret cannot be read since SECRET_KEY was replaced; rotate it")
    try:
        event = _event(delivery)
        if event is None:
            return None
        payload = {"type": event["type"], "timestamp": event["at"], "data": event}
        body = orjson.dumps(payload, option=orjson.OPT_UTC_Z)
    except DatabaseError:
        raise
    except Exception as error:
        # One event that cannot be rendered does not stop those behind it.
        log.exception("the event %s cannot be told", delivery.event_id)
        return ReceiverResponse(error=f"Not sent: {type(error).__name__}")
    headers = signed(signing_secrets(endpoint, now), id=delivery.event_id, at=now, body=body)
    return post.send(endpoint.url, headers, body)


def _event(delivery: WebhookDelivery) -> dict[str, Any] | None:
    if delivery.type == PING:
        tenant, at = delivery.endpoint.tenant.slug, delivery.created_at
        return {"id": delivery.event_id, "type": PING, "tenant": tenant, "at": at}
    operations = Operation.objects.filter(tenant_id=delivery.tenant_id, pos=delivery.pos).select_related("tenant")
    owner = delivery.endpoint.owner
    reads = owner is None or Scope.READ in scopes_of(owner)  # as they are now
    return next(iter(rendered(list(operations), reads=reads)), None)


def signing_secrets(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """The secrets to sign with: the present one, and the one before while it is still valid."""
    is_old_valid = endpoint.old_secret_until is not None and endpoint.old_secret_until > now
    return [endpoint.secret, endpoint.old_secret] if is_old_valid and endpoint.old_secret else [endpoint.secret]


# --- What came of it ---------------------------------------------------------------------------------------------


@retried
def _record(sent: WebhookDelivery, answer: ReceiverResponse) -> None:
    """Store how an attempt went. A success always counts; a failure puts off a delivery only while it is pending."""
    with transaction.atomic():
        endpoint = lock_rows(WebhookEndpoint.objects.filter(pk=sent.endpoint_id)).first()
        delivery = lock_rows(WebhookDelivery.objects.filter(pk=sent.pk)).first()
        if endpoint is None or delivery is None:
            return
        now = clock.now()
        delivery.log = [*delivery.log, _line(answer, now)][-LOGGED:]
        delivery.last_code, delivery.last_error = answer.code, answer.error[: limits.MAX_DELIVERY_ERROR]
        if answer.is_success:
            delivery.status, delivery.next_attempt_at = Status.DELIVERED, None
            delivery.attempts += 1
            endpoint.failing_since = endpoint.not_before = None
            endpoint.last_success_at = now
        else:
            _failed(endpoint, answer, now)
            if delivery.status == Status.PENDING:
                _put_off(delivery, endpoint, now)
        delivery.save(update_fields=["log", "last_code", "last_error", "status", "next_attempt_at", "attempts"])
        endpoint.save(
            update_fields=[
                "failing_since",
                "not_before",
                "last_success_at",
                "is_enabled",
                "disabled_reason",
                "changes",
            ]
        )


def _end(delivery: WebhookDelivery, why: str) -> None:
    """Give up a delivery that cannot be sent, without counting it as the endpoint's failure."""
    pending = WebhookDelivery.objects.filter(pk=delivery.pk, status=Status.PENDING)
    pending.update(status=Status.FAILED, next_attempt_at=None, last_error=why)


def _line(answer: ReceiverResponse, now: datetime) -> dict[str, Any]:
    return {
        "at": clock.utc(now),
        "code": answer.code,
        "error": answer.error,
        "answer": answer.text,
        "milliseconds": answer.milliseconds,
    }


def _failed(endpoint: WebhookEndpoint, answer: ReceiverResponse, now: datetime) -> None:
    endpoint.failing_since = endpoint.failing_since or now
    if answer.code in {429, 503}:
        endpoint.not_before = _retry_time(answer.retry_after, now) or endpoint.not_before
    if not endpoint.is_enabled:
        return
    if answer.code == 410:
        endpoint.disable("The receiver answered 410: it wants no more.", by="system", at=now)
    elif now - endpoint.failing_since >= GIVE_UP:
        endpoint.disable(f"It failed for {GIVE_UP.days} days without one success.", by="system", at=now)


def _put_off(delivery: WebhookDelivery, endpoint: WebhookEndpoint, now: datetime) -> None:
    """Set the next attempt by the schedule, but not before the receiver allows it. A ping has one attempt."""
    delivery.attempts += 1
    if delivery.attempts >= len(SCHEDULE) or delivery.type == PING:
        delivery.status, delivery.next_attempt_at = Status.FAILED, None
        return
    wait = SCHEDULE[delivery.attempts] * (1 + random.random() * JITTER)  # noqa: S311
    delivery.next_attempt_at = max(now + timedelta(seconds=wait), endpoint.not_before or now)


def _retry_time(retry_after: str, now: datetime) -> datetime | None:
    """`Retry-After`, seconds or a date, as a time from now to `MOST_WAIT` later; None where it is neither."""
    try:
        if retry_after.isdigit():
            until = now + timedelta(seconds=min(int(retry_after), MOST_WAIT.total_seconds()))
        else:
            until = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    return min(max(until, now), now + MOST_WAIT) if until.tzinfo else None
