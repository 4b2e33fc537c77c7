"""The verbs on webhooks, and who may use them: an integrator on its own, an administrator on all of the tenant.

Each takes the endpoint's lock, checks, changes, and notes in the row who changed what.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import QuerySet

from agents_app.actors import Actor, ActorKind
from agents_app.models import Agent
from config import clock, limits
from config.db import lock_rows, retried
from config.errors import Conflict, Forbidden, Malformed, NotFound
from messaging_app.models import Operation, StreamHead, WebhookDelivery, WebhookEndpoint
from messaging_app.webhooks import guard
from messaging_app.webhooks.outbox import PING, again
from messaging_app.webhooks.post import new_secret

MOST_ENDPOINTS = 20
"""Webhooks of one integrator, or of a tenant's administrators together."""
MOST_TYPES = 50
MAX_TYPE = 64
"""Characters of one entry in a webhook's types of events."""
OLD_SECRET_SECONDS = 24 * 3600
"""How long the old secret goes on signing along with a new one, by default."""
MARGIN = timedelta(minutes=1)
"""Positions are given later than times are taken: an event may have a later position and a slightly earlier time."""

TYPE = re.compile(r"^[a-z_]+(\.[a-z_]+)*(\.\*)?$")


class Issued(NamedTuple):
    """A webhook with a secret that is shown this once."""

    endpoint: WebhookEndpoint
    secret: str


# --- Reading -----------------------------------------------------------------------------------------------------


def endpoints_of(actor: Actor) -> QuerySet[WebhookEndpoint]:
    """The webhooks the actor may manage. Raises `Forbidden`."""
    own = WebhookEndpoint.objects.filter(tenant_id=actor.tenant_id, deleted_at=None)
    if actor.kind == ActorKind.INTEGRATOR:
        return own.filter(owner_id=actor.pk)
    if actor.is_system or (actor.is_agent and actor.role == Agent.Role.ADMIN):
        return own
    raise Forbidden("Webhooks are managed by integrators, each its own, and by administrators.")


def deliveries_of(actor: Actor) -> QuerySet[WebhookDelivery]:
    """The deliveries of the webhooks the actor may manage. Raises `Forbidden`."""
    return WebhookDelivery.objects.filter(tenant_id=actor.tenant_id, endpoint__in=endpoints_of(actor))


def _locked(actor: Actor, endpoint_id: int) -> WebhookEndpoint:
    """The webhook, locked. Raises `NotFound` for one that the actor may not manage."""
    endpoint = lock_rows(endpoints_of(actor).filter(pk=endpoint_id)).first()
    if endpoint is None:
        raise NotFound
    return endpoint


def _by(actor: Actor) -> str:
    return f"{actor.kind.value} {actor.name}".strip()


# --- Verbs -------------------------------------------------------------------------------------------------------


@retried
def create_endpoint(*, actor: Actor, url: str, types: Sequence[str] = (), description: str = "") -> Issued:
    """Create a webhook, which gets the events from now on. An integrator's is its own, an administrator's the tenant's.

    Raises `AddressRefused` or `Malformed` for an address or types that cannot work, `Conflict` when there are too many.
    """
    owner_id = actor.id if actor.kind == ActorKind.INTEGRATOR else None
    with transaction.atomic():
        if endpoints_of(actor).filter(owner_id=owner_id).count() >= MOST_ENDPOINTS:
            raise Conflict(f"There are {MOST_ENDPOINTS} webhooks already; delete one first.")
        endpoint = WebhookEndpoint(
            tenant_id=actor.tenant_id,
            owner_id=owner_id,
            url=_checked_url(url),
            types=_checked_types(types),
            description=description[: limits.MAX_DESCRIPTION],
            secret=new_secret(),
            pos=StreamHead.objects.filter(tenant_id=actor.tenant_id).values_list("pos", flat=True).first() or 0,
        )
        endpoint.note("created", by=_by(actor), at=clock.now(), url=url)
        endpoint.save()
    return Issued(endpoint, endpoint.secret)


@retried
def change_endpoint(
    *,
    actor: Actor,
    endpoint_id: int,
    url: str | None = None,
    types: Sequence[str] | None = None,
    description: str | None = None,
    is_enabled: bool | None = None,
) -> WebhookEndpoint:
    """Change the fields that are given. Enabled again, it goes on where it stopped; new types count from its cursor on.

    Raises `AddressRefused`, `Malformed`, `NotFound`.
    """
    with transaction.atomic():
        endpoint, now = _locked(actor, endpoint_id), clock.now()
        if url is not None:
            endpoint.url = _checked_url(url)
            endpoint.note("address changed", by=_by(actor), at=now, url=url)
        if types is not None:
            endpoint.types = _checked_types(types)
            endpoint.note("types changed", by=_by(actor), at=now, types=endpoint.types)
        if description is not None:
            endpoint.description = description[: limits.MAX_DESCRIPTION]
        if is_enabled is False and endpoint.is_enabled:
            endpoint.disable(f"Switched off by {_by(actor)}.", by=_by(actor), at=now)
        if is_enabled is True and not endpoint.is_enabled:
            endpoint.is_enabled, endpoint.disabled_reason = True, ""
            endpoint.note("enabled", by=_by(actor), at=now)
        if url is not None or is_enabled is True:
            endpoint.failing_since = endpoint.not_before = None  # they belong to the state before
        endpoint.save()
    return endpoint


@retried
def delete_endpoint(*, actor: Actor, endpoint_id: int) -> None:
    """Stop sending for good. The row and its log stay as a record, without the secrets. Raises `NotFound`."""
    with transaction.atomic():
        endpoint, now = _locked(actor, endpoint_id), clock.now()
        endpoint.is_enabled, endpoint.disabled_reason, endpoint.deleted_at = False, "Deleted.", now
        endpoint.secret = endpoint.old_secret = ""
        endpoint.note("deleted", by=_by(actor), at=now)
        endpoint.save()
        endpoint.deliveries.filter(status=WebhookDelivery.Status.PENDING).update(
            status=WebhookDelivery.Status.FAILED, next_attempt_at=None, last_error="The webhook was deleted"
        )


@retried
def rotate_secret(*, actor: Actor, endpoint_id: int, keep_old_for: int = OLD_SECRET_SECONDS) -> Issued:
    """A new secret. The present one signs beside it for `keep_old_for` seconds; the one before that ends now.

    With 0, for a secret that got out, the present one ends at once. Raises `Malformed`, `NotFound`.
    """
    if not 0 <= keep_old_for <= 7 * OLD_SECRET_SECONDS:
        raise Malformed("The old secret may go on for at most seven days.")
    with transaction.atomic():
        endpoint, now = _locked(actor, endpoint_id), clock.now()
        endpoint.old_secret = endpoint.secret if keep_old_for else ""
        endpoint.old_secret_until = now + timedelta(seconds=keep_old_for) if keep_old_for else None
        endpoint.secret = new_secret()
        endpoint.note("secret rotated", by=_by(actor), at=now, keep_old_for=keep_old_for)
        endpoint.save(update_fields=["secret", "old_secret", "old_secret_until", "changes"])
    return Issued(endpoint, endpoint.secret)


@retried
def ping(*, actor: Actor, endpoint_id: int) -> WebhookDelivery:
    """Send a `ping` before everything else that waits; its delivery shows what came of it. It is tried once.

    Raises `NotFound`, or `Conflict` for a webhook that is disabled.
    """
    with transaction.atomic():
        endpoint = _locked(actor, endpoint_id)
        if not endpoint.is_enabled:
            raise Conflict("This webhook is disabled; enable it first.")
        return WebhookDelivery.objects.create(
            tenant_id=endpoint.tenant_id,
            endpoint=endpoint,
            event_id=f"ping_{secrets.token_hex(12)}",
            type=PING,
            next_attempt_at=clock.now(),
        )


@retried
def replay(*, actor: Actor, delivery_id: int) -> WebhookDelivery:
    """Send a delivery again, under its id and from the beginning of the schedule. Raises `NotFound`."""
    with transaction.atomic():
        endpoint_id = deliveries_of(actor).filter(pk=delivery_id).values_list("endpoint_id", flat=True).first()
        endpoint, now = _locked(actor, endpoint_id or 0), clock.now()
        delivery = lock_rows(WebhookDelivery.objects.filter(pk=delivery_id, endpoint=endpoint)).first()
        if delivery is None:
            raise NotFound
        for column, value in again(now).items():
            setattr(delivery, column, value)
        delivery.save(update_fields=[*again(now)])
        _go_on(endpoint, f"{delivery.event_id} sent again", actor, now)
    return delivery


@retried
def replay_since(
    *, actor: Actor, endpoint_id: int, after: int | None = None, since: datetime | None = None
) -> WebhookEndpoint:
    """Send the events that the webhook wants again, after a position or from a time on, as far as they are kept.

    Its cursor goes back; events that were sent before are sent under the same ids. Raises `Malformed`, `NotFound`.
    """
    if (after is None) == (since is None):
        raise Malformed("Name either a position or a time.")
    with transaction.atomic():
        endpoint, now = _locked(actor, endpoint_id), clock.now()
        back_to = _position_before(endpoint.tenant_id, since) if since else after or 0
        if not 0 <= back_to <= endpoint.pos:
            raise Malformed(f"The webhook is at position {endpoint.pos}; name one before it.")
        endpoint.pos = back_to
        _go_on(endpoint, "sent again", actor, now, after=back_to)
    return endpoint


def _go_on(endpoint: WebhookEndpoint, what: str, actor: Actor, now: datetime, **more: object) -> None:
    """Save a replay. Asking for one means that the receiver is ready, so `not_before` no longer counts."""
    endpoint.not_before = None
    endpoint.note(what, by=_by(actor), at=now, **more)
    endpoint.save(update_fields=["pos", "not_before", "changes"])


def _position_before(tenant_id: int, moment: datetime) -> int:
    """A position before all events from this moment on; rather too early than too late."""
    earlier = Operation.objects.filter(tenant_id=tenant_id, pos__isnull=False, at__lt=moment - MARGIN)
    return earlier.order_by("-pos").values_list("pos", flat=True).first() or 0


def _checked_url(url: str) -> str:
    if len(url) > limits.MAX_URL:
        raise Malformed("The address is too long.")
    guard.checked(url)
    return url


def _checked_types(types: Sequence[str]) -> list[str]:
    if isinstance(types, str) or len(types) > MOST_TYPES:
        raise Malformed(f"Name at most {MOST_TYPES} types of events.")
    if wrong := [type for type in types if len(str(type)) > MAX_TYPE or not TYPE.fullmatch(str(type))]:
        raise Malformed(f"No type of event: {wrong[0]!r}. It is like message.created, or session.* for all of a kind.")
    return list(dict.fromkeys(types))
