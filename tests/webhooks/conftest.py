from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from agents_app.actors import Actor
from messaging_app import relay
from messaging_app.models import WebhookDelivery, WebhookEndpoint
from messaging_app.webhooks import delivery, endpoints, outbox
from tests.cast import Cast
from tests.webhooks.receivers import Receiver, receiver


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    """The receivers are on this machine."""
    settings.WEBHOOK_ALLOW_LOOPBACK = True


@pytest.fixture
def receivers() -> Iterator[Callable[[], Receiver]]:
    """Starts one more receiver."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(receiver())


@dataclass(slots=True)
class Hook:
    """A webhook, its receiver and its secret."""

    actor: Actor
    receiver: Receiver
    id: int
    secret: str

    @property
    def row(self) -> WebhookEndpoint:
        return WebhookEndpoint.objects.get(pk=self.id)

    @property
    def deliveries(self) -> list[WebhookDelivery]:
        return list(WebhookDelivery.objects.filter(endpoint_id=self.id).order_by("pos", "pk"))

    @property
    def only(self) -> WebhookDelivery:
        return WebhookDelivery.objects.get(endpoint_id=self.id)

    @property
    def statuses(self) -> list[str]:
        return [row.status for row in self.deliveries]


def hooked(actor: Actor, to: Receiver, **more: Any) -> Hook:
    made = endpoints.create_endpoint(actor=actor, url=to.url, **more)
    return Hook(actor, to, made.endpoint.pk, made.secret)


@pytest.fixture
def hook(cast: Cast, receivers: Callable[[], Receiver]) -> Hook:
    """The channel's webhook, for everything."""
    return hooked(cast.channel, receivers())


def dispatched() -> None:
    """What the relay and the dispatcher do."""
    relay.stamp_all()
    while outbox.dispatch():
        pass


def sent() -> int:
    """One wake of the senders, in this thread: all that is due now is tried. Returns how many attempts were made."""
    dispatched()
    attempts = 0
    while due := delivery.due():
        attempts += (made := sum(delivery.serve(pk) for pk, _ in due))
        assert made, "due, and yet nothing was tried"
    return attempts


@pytest.fixture
def shared(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """A database that several threads really share, with real commits.

    SQLite's tests run in memory, where a lock is refused at once instead of waited for; here it is a file, as it is
    when Tandem runs.
    """
    if connection.vendor != "sqlite":
        yield
        return
    file = str(tmp_path / "shared.sqlite3")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [file])
    memory, kept = connection.settings_dict["NAME"], connection.connection
    connection.settings_dict["NAME"], connection.connection = file, None
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"], connection.connection = memory, kept
