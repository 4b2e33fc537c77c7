"""A small desk with logins, made by the real verbs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from agents_app.actors import Actor, agent_actor, client_actor, customer_actor
from agents_app.models import Agent, ApiClient, Tenant
from messaging_app.models import Conversation, NeedRule
from messaging_app.thread import NewMessage
from sessions_app.actions import inbound, lifecycle, messages
from sessions_app.core.locked_conversation import Outcome

RULES = (
    ("keyword", "human please", "escalate", 1),
    ("keyword", "complain", "flag", 1),
    ("failure", "did not understand", "escalate", 3),
)
"""The desk's own few: what the defaults hold is tested elsewhere."""


class Desk:
    """A tenant with agents who can log in, one bot, and customers who write."""

    def __init__(self, slug: str = "demo") -> None:
        self.tenant = Tenant.objects.create(slug=slug, name=slug.title())
        for kind, phrase, effect, threshold in RULES:
            NeedRule.objects.create(
                tenant=self.tenant, kind=kind, name=phrase, phrases=[phrase], effect=effect, threshold=threshold
            )
        self.bot = client_actor(ApiClient.objects.create(tenant=self.tenant, name="helper"))
        self.agents: dict[str, Agent] = {}
        self._number = count(1)

    def hire(self, name: str, role: str = Agent.Role.AGENT, **fields: Any) -> Actor:
        user = get_user_model().objects.create_user(f"{name}@{self.tenant.slug}", password="demo")
        agent = Agent.objects.create(tenant=self.tenant, user=user, name=name.title(), role=role, **fields)
        self.agents[name] = agent
        return agent_actor(agent)

    def browser(self, name: str) -> Client:
        client = Client()
        client.force_login(self.agents[name].user)
        return client

    def hears(self, text: str, account: str = "", *, name: str = "", message_id: str = "") -> Outcome:
        """A customer writes."""
        return inbound.receive_message(
            actor=customer_actor(self.tenant, name=name),
            words=NewMessage(content=text, message_id=message_id),
            shop_id="shop",
            account_id=account or f"account-{next(self._number)}",
        )

    def with_bot(self, account: str = "", *, name: str = "") -> Conversation:
        """A conversation in which the bot is speaking."""
        outcome = self.hears("hello", account, name=name)
        opened = lifecycle.open_session(actor=self.bot, conversation_id=outcome.conversation_id, robot=True)
        messages.post_message(
            actor=self.bot,
            conversation_id=outcome.conversation_id,
            words=NewMessage(content="How may I help?"),
            epoch=opened.epoch,
        )
        return Conversation.objects.get(pk=outcome.conversation_id)

    def queued(self, account: str = "", *, name: str = "") -> Conversation:
        """A conversation whose customer has asked for a human."""
        conversation = self.with_bot(account, name=name)
        self.hears("human please", conversation.account_id)
        conversation.refresh_from_db()
        return conversation


@pytest.fixture(autouse=True)
def _static_root(settings: Any, tmp_path: Path) -> None:
    """Whitenoise warns about a folder that only `collectstatic` makes."""
    settings.STATIC_ROOT = tmp_path


@pytest.fixture
def desk(db: None, settings: Any) -> Desk:
    settings.TRY_IT = True
    desk = Desk()
    desk.hire("maya")
    desk.hire("jun")
    desk.hire("sam", Agent.Role.SUPERVISOR)
    return desk


@pytest.fixture
def maya(desk: Desk) -> Client:
    return desk.browser("maya")


@pytest.fixture
def jun(desk: Desk) -> Client:
    return desk.browser("jun")


@pytest.fixture
def sam(desk: Desk) -> Client:
    return desk.browser("sam")


@pytest.fixture
def act() -> Callable[..., Any]:
    """Press one of the header's buttons as the page showed it: with its epoch, and the transfer it names."""

    def press(client: Client, conversation_id: int, verb: str, **more: Any) -> Any:
        page = client.get(f"/desk/c/{conversation_id}/")
        epoch = page.context["conversation"].epoch
        transfer = page.context["page"].pending
        values = {"epoch": epoch, **({"transfer": transfer.pk} if transfer else {}), **more}
        return client.post(f"/desk/c/{conversation_id}/{verb}/", values)

    return press
