"""A tenant with few conversations and few agents, so that everybody wants the same thing at the same time."""

from __future__ import annotations

from dataclasses import dataclass

from agents_app.actors import Actor, agent_actor, client_actor, customer_actor, system_actor
from agents_app.models import Agent, ApiClient, Team, Tenant
from config import clock
from messaging_app.models import Conversation, NeedRule
from sessions_app.actions import presence

ASKS = "let me talk to a human being"
ADMITS = "I am not able to help you with that"


@dataclass(frozen=True, slots=True)
class Cast:
    tenant_id: int
    conversations: list[int]
    agents: list[Actor]  # the last one is a supervisor
    bots: list[Actor]
    integrator: Actor
    customer: Actor
    system: Actor
    team_id: int


def make_cast(slug: str, *, conversations: int = 6, policy: str = "return", assignment: str = "pull") -> Cast:
    """Capacities of one and two: with six conversations, most agents are full most of the time."""
    tenant = Tenant.objects.create(slug=slug, name=slug, transfer_policy=policy, assignment=assignment)
    available = {"tenant": tenant, "availability": Agent.Availability.AVAILABLE, "last_seen_at": clock.now()}
    agents = [
        Agent.objects.create(name=name, max_load=room, role=role, **available)
        for name, room, role in (
            ("Ana", 1, Agent.Role.AGENT),
            ("Bo", 1, Agent.Role.AGENT),
            ("Cem", 2, Agent.Role.AGENT),
            ("Dai", 2, Agent.Role.AGENT),
            ("Eva", 2, Agent.Role.SUPERVISOR),
        )
    ]
    team = Team.objects.create(tenant=tenant, name="first")
    team.members.set(agents[:3])
    clients = [
        ApiClient.objects.create(tenant=tenant, name=name, kind=kind)
        for name, kind in (("bargain", "bot"), ("assistant", "bot"), ("channel", "integrator"))
    ]
    NeedRule.objects.create(tenant=tenant, kind="keyword", name="asks", phrases=[ASKS], effect="escalate")
    NeedRule.objects.create(
        tenant=tenant, kind="failure", name="admits", phrases=[ADMITS], effect="escalate", threshold=2
    )
    threads = [
        Conversation.objects.create(tenant=tenant, shop_id="shop", account_id=f"customer {number}")
        for number in range(conversations)
    ]
    presence.note_changes()  # what each takes on is told before there is anything to take
    return Cast(
        tenant_id=tenant.pk,
        conversations=[thread.pk for thread in threads],
        agents=[agent_actor(agent) for agent in agents],
        bots=[client_actor(client) for client in clients[:2]],
        integrator=client_actor(clients[2]),
        customer=customer_actor(tenant),
        system=system_actor(tenant.pk),
        team_id=team.pk,
    )
