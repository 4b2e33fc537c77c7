"""From the stream to deliveries: each event behind an endpoint's cursor becomes a row, and the cursor moves with it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet

from agents_app import loops
from config import clock
from config.db import lock_rows, retried
from messaging_app import stream
from messaging_app.models import WebhookDelivery, WebhookEndpoint

LOOP = "webhook-dispatch"

BATCH = 500
MOST_BATCHES = 4
"""Batches of one endpoint in a round, so that an endpoint that is far behind does not hold up the others."""
KEPT = timedelta(days=30)
"""How long a delivery that has ended stays in the log."""
PING = "ping"


def serving() -> QuerySet[WebhookEndpoint]:
    """The endpoints that events are sent to. While an endpoint's program is switched off, its events wait."""
    owned = Q(owner=None) | Q(owner__is_active=True)
    return WebhookEndpoint.objects.filter(owned, is_enabled=True, deleted_at=None)


def event_id(tenant_id: int, pos: int | None) -> str:
    """An event's id: the same in the stream, for every endpoint, and however often it is sent."""
    return f"evt_{tenant_id}_{pos}"


def again(now: datetime) -> dict[str, Any]:
    """The values of a delivery that is to be sent from the beginning of the schedule."""
    return {"status": WebhookDelivery.Status.PENDING, "attempts": 0, "next_attempt_at": now}


def dispatch() -> int:
    """Make the deliveries of all new events; returns how many it read. One endpoint's failure stops no other."""
    behind = serving().filter(loops.not_put_off(LOOP, "pk"), tenant__streamhead__pos__gt=F("pos"))
    return sum(loops.each(LOOP, behind.values_list("tenant_id", "pk"), _follow))


def _follow(tenant_id: int, endpoint_id: int) -> int:
    looked = 0
    for _ in range(MOST_BATCHES):
        looked += (read := _dispatch(endpoint_id))
        if read < BATCH:
            break
    return looked


@retried
def _dispatch(endpoint_id: int) -> int:
    """One batch of one endpoint, under its lock: rows and cursor together or not at all."""
    with transaction.atomic():
        endpoint = lock_rows(WebhookEndpoint.objects.filter(pk=endpoint_id, is_enabled=True, deleted_at=None)).first()
        operations = stream.replay(endpoint.tenant_id, after=endpoint.pos, limit=BATCH) if endpoint else []
        if endpoint is None or not operations:
            return 0
        now = clock.now()
        wanted = {event_id(o.tenant_id, o.pos): o for o in operations if endpoint.wants(o.type)}
        # Such rows exist only after a replay has moved the cursor back: they are sent once more.
        existing = WebhookDelivery.objects.filter(endpoint=endpoint, event_id__in=list(wanted))
        known = set(existing.values_list("event_id", flat=True))
        if known:
            existing.update(**again(now))
        WebhookDelivery.objects.bulk_create(
            WebhookDelivery(
                tenant_id=endpoint.tenant_id,
                endpoint=endpoint,
                event_id=id,
                type=o.type,
                pos=o.pos,
                next_attempt_at=now,
            )
            for id, o in wanted.items()
            if id not in known
        )
        endpoint.pos = operations[-1].pos or endpoint.pos
        endpoint.save(update_fields=["pos"])
        return len(operations)


def forget() -> int:
    """Delete old deliveries; returns how many. Those that are still to be sent stay."""
    old = WebhookDelivery.objects.filter(next_attempt_at=None, created_at__lt=clock.now() - KEPT)
    return loops.delete_in_pieces(old)
