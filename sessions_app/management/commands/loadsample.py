"""manage.py loadsample: a tenant with people, history and a few live conversations. Safe to run again."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from agents_app.actors import agent_actor, client_actor, customer_actor, system_actor
from agents_app.models import Agent, ApiClient, Team, Tenant
from config import clock
from messaging_app.agent_tools.canned_replies import create_reply
from messaging_app.agent_tools.labels import create_label
from messaging_app.batch import BatchRow, read_line
from messaging_app.detection.defaults import install
from messaging_app.models import Conversation
from messaging_app.models.agent_tools import CannedReply, Label, SavedView
from messaging_app.thread import NewMessage
from sessions_app.actions import batches, conversations, inbound, lifecycle, messages, transfers
from sessions_app.actions.saved_views import create_view
from sessions_app.models import ChatSession, Transfer
from sessions_app.states import OPEN, TransferStatus

OWN_SAMPLE = Path(__file__).resolve().parents[1] / "sample" / "conversations.ndjson"

# Login, name, role. The password is the word 'demo': this is for looking around on one's own machine.
PEOPLE = (
    ("maya", "Maya", Agent.Role.AGENT),
    ("jun", "Jun", Agent.Role.AGENT),
    ("sam", "Sam", Agent.Role.SUPERVISOR),
)
PASSWORD = "demo"  # noqa: S105
SCENES = ("waits", "served", "bot", "bot", "flagged", "urgent")
"""The state in which each live conversation of the sample is left."""


class Command(BaseCommand):
    help = "Load a demonstration: people (maya, jun, sam; password demo), history, and a few live conversations."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", default="", help="messages to load instead (NDJSON; see docs/ingest.md)")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.SECRET_KEY != settings.DEVELOPMENT_KEY and not settings.TRY_IT:
            raise CommandError("This is a configured installation; set TRY_IT=true to load the demonstration into it.")
        path = Path(options["file"]) if options["file"] else OWN_SAMPLE
        if not path.exists():
            raise CommandError(f"There is no file {path}.")
        tenant = _tenant()
        rows = list(_rows(path))
        report = batches.ingest_batch(
            actor=system_actor(tenant.pk, "sample"), rows=_moved(rows), size=settings.TANDEM["INGEST_CHUNK"]
        )
        played = _play(tenant, rows)
        self.stdout.write(
            f"Sample from {path.name}: {report.accepted} messages stored, {report.duplicate} known,"
            f" {report.sessions_created} sessions; {played} live conversations played."
        )


def _tenant() -> Tenant:
    tenant, _ = Tenant.objects.get_or_create(
        slug="demo", defaults={"name": "Demo", "transfer_policy": Tenant.TransferPolicy.REQUEUE}
    )
    install(tenant)
    team, _ = Team.objects.get_or_create(tenant=tenant, name="Service")
    for login, name, role in PEOPLE:
        user, is_new = get_user_model().objects.get_or_create(
            username=login, defaults={"is_staff": role != Agent.Role.AGENT, "is_superuser": role != Agent.Role.AGENT}
        )
        if is_new:
            user.set_password(PASSWORD)
            user.save()
        agent, _ = Agent.objects.get_or_create(
            user=user,
            defaults={"tenant": tenant, "name": name, "role": role, "availability": Agent.Availability.AVAILABLE},
        )
        team.members.add(agent)
    _add_agent_tools(tenant)
    return tenant


LABELS = (("refund", "teal"), ("courier", "orange"), ("price", "yellow"))
REPLIES = (
    ("/hello", "A greeting", "Hello {first_name}, this is {agent}. How may I help?"),
    ("/wait", "It takes a moment", "One moment please, {first_name}, I am looking it up."),
    ("/退款", "退款说明", "您好 {customer}，退款会在五天内到账。"),
)


def _add_agent_tools(tenant: Tenant) -> None:
    """Labels, canned replies and a saved view, for everybody at the desk."""
    sam = agent_actor(Agent.objects.get(tenant=tenant, user__username="sam"))
    for name, colour in LABELS:
        if not Label.objects.filter(tenant=tenant, name=name).exists():
            create_label(actor=sam, name=name, colour=colour)
    for shortcut, title, text in REPLIES:
        if not CannedReply.objects.filter(tenant=tenant, shortcut=shortcut).exists():
            create_reply(actor=sam, shortcut=shortcut, title=title, text=text, scope="tenant")
    if not SavedView.objects.filter(tenant=tenant).exists():
        create_view(
            actor=sam, name="Waits for 5 minutes", filter={"view": "queue", "waiting_over": 300}, scope="tenant"
        )


def _rows(path: Path) -> Iterator[BatchRow]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            row = read_line(number, line)
            if isinstance(row, BatchRow):
                yield row


def _moved(rows: list[BatchRow]) -> list[BatchRow]:
    """The same history, moved in time so that it ended yesterday."""
    newest = max((row.sent_at for row in rows), default=clock.now())
    shift = clock.now() - timedelta(days=1) - newest
    return [replace(row, sent_at=row.sent_at + shift) for row in rows]


def _play(tenant: Tenant, rows: list[BatchRow]) -> int:
    """Play the beginnings of some conversations through the verbs, so that the desk has live ones; returns how many.

    Their timers are real: after a while they end. Until then the command plays none again.
    """
    if ChatSession.objects.filter(tenant=tenant, status__in=sorted(OPEN), conversation__platform="sample").exists():
        return 0
    bot, _ = ApiClient.objects.get_or_create(tenant=tenant, name="sample bot", defaults={"kind": ApiClient.Kind.BOT})
    played = 0
    for scene, first_rows in zip(SCENES, _beginnings(rows), strict=False):
        _Scene(tenant, bot, first_rows).play(scene)
        played += 1
    return played


def _beginnings(rows: list[BatchRow]) -> Iterator[list[BatchRow]]:
    """The first messages of each conversation in which two kinds of senders write, one of them the customer."""
    for _, group in groupby(rows, key=lambda row: row.conversation):
        first_rows = list(group)[:6]
        senders = {row.sender_type for row in first_rows}
        if len(first_rows) >= 4 and len(senders) == 2 and "customer" in senders:
            yield first_rows


class _Scene:
    """One live conversation, played by a customer, a bot and agents."""

    def __init__(self, tenant: Tenant, bot: ApiClient, rows: list[BatchRow]) -> None:
        self.tenant, self.rows = tenant, rows
        self.bot = client_actor(bot)
        self.customer = customer_actor(tenant, name=rows[0].sender_name)
        self.agent = agent_actor(Agent.objects.get(tenant=tenant, user__username="maya"))
        customer_name = next((row.sender_name for row in rows if row.sender_type == "customer"), "")
        self.conversation: Conversation = lifecycle.conversation_for(
            actor=self.bot,
            platform="sample",
            shop_id=rows[0].shop_id,
            account_id=rows[0].account_id,
            customer_name=customer_name,
        )

    def play(self, scene: str) -> None:
        pk = self.conversation.pk
        epoch = lifecycle.open_session(actor=self.bot, conversation_id=pk, robot=True, task="negotiation").epoch
        for row in self.rows:
            message = NewMessage(content=row.content)
            if row.sender_type == "customer":
                inbound.receive_message(actor=self.customer, conversation_id=pk, words=message)
            elif not self._is_with_human():
                messages.post_message(actor=self.bot, conversation_id=pk, words=message, epoch=epoch)
        if scene == "flagged" and not self._is_with_human():
            conversations.raise_flag(actor=self.bot, conversation_id=pk, reason="the customer hesitates")
        if scene in ("waits", "served", "urgent"):
            transfers.request_transfer(
                actor=self.bot, conversation_id=pk, reason="the customer asks for a person", trigger="keyword"
            )
        if scene == "served":
            transfer = Transfer.objects.get(conversation_id=pk, status=TransferStatus.PENDING)
            transfers.accept_transfer(actor=self.agent, transfer_id=transfer.pk)
        if scene == "urgent":
            conversations.mark_urgent(actor=self.agent, conversation_id=pk)

    def _is_with_human(self) -> bool:
        self.conversation.refresh_from_db()
        return self.conversation.controller in ("queue", "human")
