"""Who is acting. Made by a door from a credential, never from a request body; passed to every verb."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agents_app.models import Agent, ApiClient, Tenant
from agents_app.scopes import scopes_of


class ActorKind(StrEnum):
    SYSTEM = "system"  # the sweepers and commands
    CUSTOMER = "customer"
    PARTICIPANT = "participant"
    BOT = "bot"
    INTEGRATOR = "integrator"
    AGENT = "agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """`id` is the row of the agent, API client or participant; `conversation_id` binds a customer or participant.

    `scopes` are those of a key, or of a token that a key has issued; None for an actor that needs none.
    """

    kind: ActorKind
    tenant_id: int
    id: int | None = None
    name: str = ""
    role: str = ""
    conversation_id: int | None = None
    scopes: frozenset[str] | None = None

    def may(self, scope: str) -> bool:
        """Whether the credential has the scope. What the actor may do to a row is checked elsewhere."""
        return self.scopes is None or scope in self.scopes

    @property
    def pk(self) -> int:
        """The id of an actor that has a row; 0, which no row has, for the others."""
        return self.id or 0

    @property
    def is_agent(self) -> bool:
        return self.kind == ActorKind.AGENT

    @property
    def is_supervisor(self) -> bool:
        """Supervisors and administrators may step in where an agent may not; it is always recorded."""
        return self.kind == ActorKind.AGENT and self.role in (Agent.Role.SUPERVISOR, Agent.Role.ADMIN)

    @property
    def is_system(self) -> bool:
        return self.kind == ActorKind.SYSTEM


def system_actor(tenant_id: int, name: str = "system") -> Actor:
    return Actor(kind=ActorKind.SYSTEM, tenant_id=tenant_id, name=name)


def agent_actor(agent: Agent) -> Actor:
    return Actor(kind=ActorKind.AGENT, tenant_id=agent.tenant_id, id=agent.pk, name=agent.name, role=agent.role)


def client_actor(client: ApiClient) -> Actor:
    return Actor(
        kind=ActorKind(client.kind),
        tenant_id=client.tenant_id,
        id=client.pk,
        name=client.name,
        scopes=scopes_of(client),
    )


def customer_actor(tenant: Tenant, conversation_id: int | None = None, name: str = "") -> Actor:
    return Actor(kind=ActorKind.CUSTOMER, tenant_id=tenant.pk, name=name, conversation_id=conversation_id)
