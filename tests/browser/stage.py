"""Run beside the server: makes people, and lets customers write, by the verbs.

With arguments it does one thing. Without, it reads lines of standard input, each a JSON list of a function's name and its
arguments, and answers each with a line of JSON: {"said": …}, or {"failed": …} with the traceback.
"""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any
from unittest.mock import patch

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.contrib.auth.hashers import make_password  # noqa: E402
from django.db import transaction  # noqa: E402

from agents_app.actors import agent_actor, client_actor, customer_actor, system_actor  # noqa: E402
from agents_app.models import Agent, ApiClient, Tenant  # noqa: E402
from config import clock  # noqa: E402
from messaging_app import live, relay  # noqa: E402
from messaging_app.agent_tools import canned_replies, labels  # noqa: E402
from messaging_app.batch import BatchRow  # noqa: E402
from messaging_app.models import Message, NeedRule  # noqa: E402
from messaging_app.models.agent_tools import Label  # noqa: E402
from messaging_app.thread import NewMessage  # noqa: E402
from sessions_app.actions import batches, conversations, inbound, lifecycle, messages, takeovers, transfers  # noqa: E402
from sessions_app.actions import labels as labelling  # noqa: E402
from sessions_app.models import Transfer  # noqa: E402
from sessions_app.unit.unit_of_work import locked_conversation  # noqa: E402
from sessions_app.workbench.rule_bot import NAME  # noqa: E402


def people() -> None:
    tenant = Tenant.objects.create(slug="demo", name="Corner Shop")
    ApiClient.objects.create(tenant=tenant, name=NAME)
    for kind, phrase, effect, threshold in (
        ("keyword", "human please", "escalate", 1),
        ("keyword", "complain", "flag", 1),
        ("failure", "did not understand", "escalate", 3),
    ):
        NeedRule.objects.create(
            tenant=tenant, kind=kind, name=phrase, phrases=[phrase], effect=effect, threshold=threshold
        )
    password = make_password("demo")  # once: production's hasher is slow on purpose
    for name, role in (("maya", "agent"), ("jun", "agent"), ("sam", "supervisor")):
        is_root = name == "sam"
        user = get_user_model().objects.create(username=name, password=password, is_staff=is_root, is_superuser=is_root)
        Agent.objects.create(tenant=tenant, user=user, name=name.title(), role=role, max_load=200)


def hears(account: str, *texts: str, name: str = "", shop: str = "shop") -> int:
    """A customer writes; the bot, if it is its turn, answers each time."""
    tenant = Tenant.objects.get(slug="demo")
    bot = client_actor(ApiClient.objects.get(name=NAME))
    for text in texts:
        outcome = inbound.receive_message(
            actor=customer_actor(tenant, name=name),
            words=NewMessage(content=text),
            shop_id=shop,
            account_id=account,
        )
        if outcome.controller == "none":
            outcome = lifecycle.open_session(actor=bot, conversation_id=outcome.conversation_id, robot=True)
        if outcome.controller == "bot":
            messages.post_message(
                actor=bot,
                conversation_id=outcome.conversation_id,
                words=NewMessage(content=f"You said: {text}"[:500]),
                epoch=outcome.epoch,
            )
    return outcome.conversation_id


def in_a_batch(account: str, *texts: str) -> None:
    """What a customer has just written comes as a batch, which may belong anywhere in the past: pages load it again."""
    rows = [
        BatchRow(line, "default", "shop", account, f"{account}-{text}", "customer", text, clock.now())
        for line, text in enumerate(texts, 1)
    ]
    report = batches.ingest_batch(actor=system_actor(Tenant.objects.get(slug="demo").pk), rows=rows)
    assert not report.rejections, report.rejections


def named_again(conversation_id: str, was: str, now: str) -> None:
    """An operation names what was said, as an echo of it does, and its row is another with it, as where one changes it."""
    tenant = Tenant.objects.get(slug="demo")
    said = Message.objects.get(conversation=conversation_id, content=was)
    with transaction.atomic(), locked_conversation(system_actor(tenant.pk), int(conversation_id)) as turn:
        turn.record("message.echoed", turn.live, message=said.pk, message_id=said.message_id, echo_id="")
        Message.objects.filter(pk=said.pk).update(content=now)


def nasty(path: str) -> int:
    """Every payload of a file in every place that shows a customer's words."""
    with open(path, encoding="utf-8") as file:
        payloads = [line for line in file.read().split("\n") if line.strip()]
    for place, payload in enumerate(payloads):
        conversation_id = hears(payload[:150] + str(place), payload, name=payload[:150], shop=payload[:150])
    conversation_id = hears("nasty", *payloads, name=payloads[0])
    maya = agent_actor(Agent.objects.get(name="Maya"))
    conversations.raise_flag(actor=maya, conversation_id=conversation_id, reason=payloads[2])
    takeovers.take_over(actor=maya, conversation_id=conversation_id, reason=payloads[0])
    for payload in payloads:
        messages.post_note(actor=maya, conversation_id=conversation_id, words=NewMessage(content=payload))
    return conversation_id


def replies(word: str) -> None:
    """Three canned replies that everybody may use."""
    sam = agent_actor(Agent.objects.get(name="Sam"))
    for number in (1, 2, 3):
        text = f"Hello {{customer}}, number {number}. {{agent}}"
        canned_replies.create_reply(
            actor=sam, shortcut=f"/{word}-{number}", title=f"{word} {number}", text=text, scope="tenant"
        )


def label(name: str, colour: str) -> None:
    labels.create_label(actor=agent_actor(Agent.objects.get(name="Sam")), name=name, colour=colour)


def every_label(conversation_id: str) -> None:
    """A label of each colour, on one conversation."""
    sam = agent_actor(Agent.objects.get(name="Sam"))
    for colour in Label.Colour.values:
        its = Label.objects.filter(name=colour).first() or labels.create_label(actor=sam, name=colour, colour=colour)
        labelling.label(actor=sam, conversation_id=int(conversation_id), label_id=its.pk)


def burst(account: str, count: str) -> None:
    """So many customers have written, and every process is told of all of them at the same moment."""
    held: list[live.ChangeNotification] = []
    with patch.object(live, "announce", held.extend):
        for number in range(int(count)):
            hears(f"{account}-{number}", "hello")
    relay.stamp_all()
    for hint in held:
        live.announce([hint])


def time_is_up(conversation_id: str) -> None:
    """The answer to what waits is due now: minutes have gone by."""
    Transfer.objects.filter(conversation_id=conversation_id, status="PENDING").update(deadline=clock.now())


SAID = {
    "suggestion": "Refund the postage and keep the order.",
    "promises": ["an answer by tonight", "free delivery next time"],
    "urgency": 2,
    "task_state": {"order": "A-1042", "paid": True},
}


def moved(account: str, kind: str) -> int:
    """The bot has said what it knows; then all of a kind of move but the last step, which is Maya's at the desk."""
    number = hears(account, "my kettle never came", name=account.title())
    bot = client_actor(ApiClient.objects.get(name=NAME))
    maya, jun, sam = (agent_actor(Agent.objects.get(name=name)) for name in ("Maya", "Jun", "Sam"))
    its: dict[str, Any] = {"conversation_id": number}
    asks = its | {"actor": bot, "reason": "The customer wants more than I may give.", "trigger": "bot"}
    transfers.request_transfer(**asks, context=SAID)
    asked = Transfer.objects.get(conversation_id=number)
    if kind == "takeover":
        transfers.withdraw_transfer(actor=bot, transfer_id=asked.pk)
    elif kind == "requeue":
        Tenant.objects.update(transfer_policy=Tenant.TransferPolicy.REQUEUE)
        time_is_up(str(number))
        lifecycle.expire_due(actor=system_actor(bot.tenant_id), **its)
        Tenant.objects.update(transfer_policy=Tenant.TransferPolicy.RETURN)
    elif kind != "escalation":
        transfers.accept_transfer(actor=jun, transfer_id=asked.pk)
    if kind == "handover":
        transfers.hand_over(actor=jun, **its, to_agent_id=maya.pk, reason="My shift ends.")
    elif kind == "reassignment":
        takeovers.reassign(actor=sam, **its, reason="Jun is ill.")
    elif kind == "return":
        takeovers.release_to_bot(actor=jun, **its, summary="Calmed down.", force=True)
        transfers.request_transfer(actor=bot, **its, reason="Angry again.", trigger="bot")
    return number


STAGE = {
    "people": people,
    "moved": moved,
    "hears": hears,
    "in_a_batch": in_a_batch,
    "named_again": named_again,
    "nasty": nasty,
    "replies": replies,
    "label": label,
    "labels": every_label,
    "burst": burst,
    "time_is_up": time_is_up,
}

if __name__ == "__main__" and sys.argv[1:]:
    print(STAGE[sys.argv[1]](*sys.argv[2:]) or "")
elif __name__ == "__main__":
    for line in sys.stdin:
        verb, *rest = json.loads(line)
        try:
            answer = {"said": str(STAGE[verb](*rest) or "")}
        except Exception:  # it is the test's to fail, with what went wrong here
            answer = {"failed": traceback.format_exc()}
        print(json.dumps(answer), flush=True)
