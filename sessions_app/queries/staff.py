"""Who could serve: agents, teams, and whether a robot could begin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from agents_app import presence
from agents_app.actors import Actor, ActorKind
from agents_app.models import Agent, Team
from config import clock
from messaging_app import incoming
from messaging_app.models import Conversation
from sessions_app.errors import Forbidden
from sessions_app.queries.related import live_sessions
from sessions_app.rights import access, visible
from sessions_app.states import LIVE, Owner

_SEE_THE_DESK = (ActorKind.AGENT, ActorKind.INTEGRATOR, ActorKind.BOT)


def agents(actor: Actor) -> QuerySet[Agent]:
    """The tenant's agents with load, presence and teams. Raises `Forbidden` but for agents and programs."""
    if actor.kind not in _SEE_THE_DESK:
        raise Forbidden("Only agents and programs see the desk.")
    served = Q(chatsession__owner_kind=Owner.AGENT, chatsession__status__in=sorted(LIVE))
    rows = Agent.objects.filter(tenant_id=actor.tenant_id, is_active=True).prefetch_related("teams")
    reachable = presence.reachable(clock.now()).filter(pk=OuterRef("pk"))
    return rows.annotate(load=Count("chatsession", filter=served, distinct=True), is_reachable=Exists(reachable))


def teams(actor: Actor) -> QuerySet[Team]:
    """The tenant's teams with their members. Raises `Forbidden` but for agents and programs."""
    if actor.kind not in _SEE_THE_DESK:
        raise Forbidden("Only agents and programs see the desk.")
    return Team.objects.filter(tenant_id=actor.tenant_id).select_related("tenant").prefetch_related("members")


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a robot session could be live at once; if not, who is in the way and when that may end."""

    available: bool
    conversation_id: int | None = None
    conflicting_session_id: int | None = None
    owner_kind: str = ""
    owner_name: str = ""
    may_end_at: datetime | None = None


def availability(actor: Actor, *, shop_id: str, account_id: str, platform: str = "default") -> Availability:
    """Whether a robot session could be live now between an account and a shop. No promise: `open_session` decides.

    Raises `Forbidden` but for agents and programs, `Malformed` for ids that are none.
    """
    if actor.kind not in _SEE_THE_DESK:
        raise Forbidden("Only agents and programs ask for availability.")
    platform, shop_id, account_id = incoming.conversation_key(platform, shop_id, account_id)
    key = {"platform": platform, "shop_id": shop_id, "account_id": account_id}
    conversation = Conversation.objects.filter(tenant_id=actor.tenant_id, **key).first()
    if conversation is None:
        return Availability(available=True)
    live = live_sessions([conversation.pk]).get(conversation.pk)
    if live is None:
        return Availability(available=True, conversation_id=conversation.pk)
    return Availability(
        available=False,
        conversation_id=conversation.pk,
        conflicting_session_id=live.pk,
        owner_kind=live.owner_kind or "queue",
        owner_name=access.owner_name(live) if visible.conversations(actor).filter(pk=conversation.pk).exists() else "",
        may_end_at=live.expires_at,
    )
