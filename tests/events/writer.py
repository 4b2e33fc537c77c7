"""Run beside the servers: makes a tenant with its programs, lets customers write at a rate, tells what is in the stream."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

import django

django.setup()

from django.db import transaction  # noqa: E402

from agents_app.actors import Actor, client_actor, customer_actor  # noqa: E402
from agents_app.credentials.secrets import issue_key  # noqa: E402
from agents_app.credentials.tokens import issue_token  # noqa: E402
from agents_app.models import ApiClient, Tenant  # noqa: E402
from config.db import lock_rows  # noqa: E402
from messaging_app import relay, stream  # noqa: E402
from messaging_app.models import Conversation, Message, Operation  # noqa: E402
from messaging_app.thread import NewMessage  # noqa: E402
from sessions_app.actions import inbound  # noqa: E402

CONVERSATIONS = 20
BURST = 20


def people() -> dict[str, Any]:
    tenant = Tenant.objects.create(slug="events", name="Events")
    channel = ApiClient.objects.create(tenant=tenant, name="channel", kind="integrator")
    said = inbound.receive_message(
        actor=client_actor(channel), words=NewMessage(content="first"), shop_id="shop", account_id="0"
    )
    customer = customer_actor(tenant, said.conversation_id)
    return {"key": issue_key(channel), "token": issue_token(customer), "conversation_id": said.conversation_id}


def writes(count: str, rate: str) -> dict[str, Any]:
    """Keeps to the rate as long as the machine does; says how long it took."""
    channel = client_actor(ApiClient.objects.get(name="channel"))
    began = time.monotonic()
    for number in range(int(count)):
        words = NewMessage(content=f"message {number} " + "of some length " * 10)
        inbound.receive_message(actor=channel, words=words, shop_id="shop", account_id=str(number % CONVERSATIONS))
        time.sleep(max(0.0, began + (number + 1) / float(rate) - time.monotonic()))
    return {"count": int(count), "seconds": time.monotonic() - began}


def pours(count: str, rate: str, size: str = "0") -> dict[str, Any]:
    """The same several at a time, each an operation, past the verb: one core cannot do more than a hundred verbs a second."""
    tenant = Tenant.objects.get(slug="events")
    channel = client_actor(ApiClient.objects.get(name="channel"))
    began = time.monotonic()
    for start in range(0, int(count), BURST):
        with transaction.atomic():
            account = str(start // BURST % CONVERSATIONS)
            conversation, _ = Conversation.objects.get_or_create(tenant=tenant, shop_id="shop", account_id=account)
            conversation = lock_rows(Conversation.objects.filter(pk=conversation.pk)).get()
            texts = [f"poured {number}".ljust(int(size), ".") for number in range(start, start + BURST)]
            operations = _said(conversation, channel, texts)
            stream.seal(conversation, operations)
            conversation.save(update_fields=["seq", "chain"])
            stream.write(operations)
        time.sleep(max(0.0, began + (start + BURST) / float(rate) - time.monotonic()))
    return {"count": int(count), "seconds": time.monotonic() - began}


def _said(conversation: Conversation, actor: Actor, texts: list[str]) -> list[Operation]:
    now = datetime.now(UTC)
    messages = Message.objects.bulk_create(
        Message(
            tenant_id=conversation.tenant_id,
            conversation=conversation,
            message_id=text[:40].rstrip("."),
            sender_type="customer",
            content=text,
            sent_at=now,
            seq=conversation.seq + place,
        )
        for place, text in enumerate(texts, 1)
    )
    return [
        stream.entry(
            conversation,
            actor=actor,
            type="message.created",
            at=now,
            data={"message": m.pk, "message_id": m.message_id, "sender_type": "customer", "is_note": False},
        )
        for m in messages
    ]


def positions(conversation_id: str) -> list[int]:
    relay.stamp_all()
    found = Operation.objects.order_by("pos")
    if int(conversation_id):  # what its customer is told of
        found = found.filter(conversation_id=int(conversation_id), type="message.created")
    return list(found.values_list("pos", flat=True))


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    if verb in ("writes", "pours"):
        print("ready", flush=True)
        sys.stdin.readline()
    answer: Any = {"people": people, "writes": writes, "pours": pours, "positions": positions}[verb](*rest)
    print(json.dumps(answer))
