"""Two shops with everybody who may knock at them, each with a credential of the real kind, and what each may aim at.

The first shop has conversations that strangers play with (`played`) and innocent ones (`tests.hostile.innocents`). Whoever
works for the shop may do to its conversations what they like, so these aim at `played` only; all others aim at both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.test import Client

from agents_app.credentials.secrets import issue_key
from agents_app.models import Agent, ApiClient, Tenant
from messaging_app.detection.defaults import install

V1 = "/api/v1/"
SHOP = "shop-1"
STAFF = ("channel", "bot and channel", "agent", "supervisor", "admin")
"""They work for the shop: what is theirs to change, they may change; whoever is its channel brings what its customers say."""
BOT_AND_CHANNEL = [
    "conversations:read",
    "messages:write",
    "sessions:write",
    "transfers:write",
    "flows:write",
    "events:read",
    "inbound:write",
]


class Caller:
    """Somebody with a bearer's secret, a login, or nothing, who speaks to the whole application."""

    def __init__(self, name: str, *, secret: str = "", user: Any = None) -> None:
        self.name = name
        self.secret = secret
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self.client = Client(headers=headers, raise_request_exception=False)
        if user is not None:
            self.client.force_login(user)

    def get(self, path: str, query: dict[str, Any] | None = None) -> Any:
        return self.client.get(_address(path), query or {})

    def post(self, path: str, body: Any, *, content_type: str = "application/json", **headers: str) -> Any:
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.post(_address(path), data, content_type=content_type, headers=headers)

    def submit(self, path: str, form: dict[str, str]) -> Any:
        """As a page's form does."""
        return self.client.post(path, form)


def _address(path: str) -> str:
    return path if path.startswith("/") else V1 + path


@dataclass
class World:
    tenant: Tenant
    elsewhere: Tenant
    callers: dict[str, Caller] = field(default_factory=dict)
    played: list[int] = field(default_factory=list)
    innocent: list[int] = field(default_factory=list)
    agents: dict[str, int] = field(default_factory=dict)

    def targets(self, caller: Caller) -> list[int]:
        return self.played if caller.name in STAFF else [*self.played, *self.innocent]

    def agent(self, caller: Caller) -> int:
        """Whose row an agent's address names: who may let people go, and does, aims at somebody whom no innocent needs."""
        return self.agents["temp" if caller.name in STAFF else "agent"]


def program(tenant: Tenant, name: str, kind: str = ApiClient.Kind.BOT, scopes: list[str] | None = None) -> Caller:
    client = ApiClient.objects.create(tenant=tenant, name=name, kind=kind, scopes=scopes or [])
    return Caller(name, secret=issue_key(client))


def person(tenant: Tenant, name: str, role: str = Agent.Role.AGENT) -> Caller:
    user = get_user_model().objects.create_user(f"{tenant.slug}-{name}")
    Agent.objects.create(tenant=tenant, name=name, role=role, user=user)
    return Caller(name, user=user)


def make_world() -> World:
    """Everybody is made as the commands and the admin make them; conversations and tokens come through the API."""
    tenant = Tenant.objects.create(slug="shop", name="Shop")
    elsewhere = Tenant.objects.create(slug="elsewhere", name="Elsewhere")
    install(tenant)
    install(elsewhere)
    world = World(tenant, elsewhere)
    integrator = ApiClient.Kind.INTEGRATOR
    everybody = [
        Caller("anonymous"),
        Caller("forger", secret="tdm_00000000_" + "x" * 43),
        program(tenant, "bot"),
        program(tenant, "other bot"),
        program(tenant, "bot and channel", scopes=BOT_AND_CHANNEL),
        program(tenant, "listener", scopes=["events:read"]),
        program(tenant, "channel", integrator),
        person(tenant, "agent"),
        person(tenant, "supervisor", Agent.Role.SUPERVISOR),
        person(tenant, "admin", Agent.Role.ADMIN),
        program(elsewhere, "foreign bot"),
        program(elsewhere, "foreign channel", integrator),
        person(elsewhere, "foreign agent"),
        person(elsewhere, "foreign admin", Agent.Role.ADMIN),
    ]
    world.callers = {caller.name: caller for caller in everybody}
    person(tenant, "temp")
    world.agents = dict(Agent.objects.filter(tenant=tenant).values_list("name", "pk"))
    channel, agent = world.callers["channel"], world.callers["agent"]
    for number in range(8):
        said = made(channel.post("inbound", {"shop_id": SHOP, "account_id": f"played-{number}", "content": "Hello?"}))
        world.played.append(int(said["conversation_id"]))
    for number, conversation in enumerate(world.played[:2]):
        token = made(channel.post("tokens", {"conversation_id": str(conversation)}))["token"]
        world.callers[f"customer {number}"] = Caller(f"customer {number}", secret=token)
    world.callers["guest"] = _guest(agent, world.played[2])
    return world


def _guest(agent: Caller, conversation: int) -> Caller:
    """Somebody whom the agent has invited, and who came in by the link."""
    made(agent.post("sessions", {"conversation_id": str(conversation), "robot": False}))
    invited = made(agent.post(f"conversations/{conversation}/invite", {"name": "Gus"}))
    joined = made(Caller("").post("join", {"tenant": "shop", "token": invited["token"]}))
    return Caller("guest", secret=joined["token"])


def made(response: Any) -> dict[str, Any]:
    """The answer to what must succeed."""
    assert response.status_code < 300, f"{response.status_code}: {response.content[:500]!r}"
    return dict(response.json()) if response.content else {}
