"""Canned replies and saved views: one agent's own, a team's, or the whole tenant's; and who may see and change them."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.utils.translation import gettext_lazy as _

from agents_app.actors import Actor, ActorKind
from agents_app.models import Agent, Membership, Team, Tenant
from config.errors import Forbidden, Malformed, NotFound


class Sharing(models.TextChoices):
    PERSONAL = "personal", _("personal")
    TEAM = "team", _("team")
    TENANT = "tenant", _("everybody")


class Shared(models.Model):
    """A row that is an agent's if `agent` is set, a team's if `team` is, else the whole tenant's. That never changes.

    `holder` is the agent's id, the team's id below zero, or 0, for unique constraints: to a database two NULLs are
    never equal, so that a name could stand there twice.
    """

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    team = models.ForeignKey(Team, models.CASCADE, null=True, blank=True, verbose_name=_("team"))
    agent = models.ForeignKey(Agent, models.CASCADE, null=True, blank=True, verbose_name=_("agent"))
    holder = models.GeneratedField(
        expression=Case(
            When(agent__isnull=False, then=F("agent_id")),
            When(team__isnull=False, then=F("team_id") * Value(-1)),
            default=Value(0),
        ),
        output_field=models.BigIntegerField(),
        db_persist=True,
    )

    class Meta:
        abstract = True

    @property
    def scope(self) -> Sharing:
        if self.agent_id is not None:
            return Sharing.PERSONAL
        return Sharing.TEAM if self.team_id is not None else Sharing.TENANT


def one_holder(name: str) -> models.CheckConstraint:
    """The constraint of every `Shared` model: an agent or a team, not both."""
    return models.CheckConstraint(name=name, condition=Q(agent__isnull=True) | Q(team__isnull=True))


SHARED_WITH = {
    Sharing.PERSONAL: Q(agent__isnull=False),
    Sharing.TEAM: Q(team__isnull=False),
    Sharing.TENANT: Q(agent=None, team=None),
}


def seen_by[M: Shared](actor: Actor, rows: QuerySet[M]) -> QuerySet[M]:
    """The rows that an actor may use: an agent's own, its teams' and the tenant's; for a supervisor every team's.

    Programs see the tenant's. Raises `Forbidden` for people from outside.
    """
    rows = rows.filter(tenant_id=actor.tenant_id)
    if actor.kind in (ActorKind.BOT, ActorKind.INTEGRATOR, ActorKind.SYSTEM):
        return rows.filter(SHARED_WITH[Sharing.TENANT])
    if not actor.is_agent:
        raise Forbidden("Only agents and programs see what the desk keeps.")
    teams = SHARED_WITH[Sharing.TEAM] if actor.is_supervisor else Q(team__in=teams_of(actor))
    return rows.filter(SHARED_WITH[Sharing.TENANT] | teams | Q(agent_id=actor.pk))


def teams_of(actor: Actor) -> QuerySet[Any]:
    """The ids of the teams an agent is in, as a subquery."""
    return Membership.objects.filter(agent_id=actor.pk).values("team_id")


def must_keep(actor: Actor, sharing: Sharing) -> None:
    """Agents change their own rows; a team's and the tenant's only supervisors change. Raises `Forbidden`."""
    if not actor.is_agent:
        raise Forbidden("Only agents may do that.")
    if sharing != Sharing.PERSONAL and not actor.is_supervisor:
        raise Forbidden("What a team or everybody uses is kept by supervisors.")


def held_by(actor: Actor, scope: str, team_id: int | None = None) -> dict[str, int | None]:
    """The columns that say whose a new row of the actor is. Raises `Forbidden`, `Malformed`, `NotFound`."""
    if scope not in Sharing.values:
        raise Malformed(f"Unknown scope {scope!r}; use one of {', '.join(Sharing.values)}.")
    sharing = Sharing(scope)
    must_keep(actor, sharing)
    if (sharing == Sharing.TEAM) != (team_id is not None):
        raise Malformed("Name the team of what is a team's, and of nothing else.")
    if team_id is not None and not Team.objects.filter(pk=team_id, tenant_id=actor.tenant_id).exists():
        raise NotFound("There is no such team.")
    return {
        "tenant_id": actor.tenant_id,
        "team_id": team_id,
        "agent_id": actor.pk if sharing == Sharing.PERSONAL else None,
    }


def of_one_holder[M: Shared](rows: QuerySet[M], row: M) -> QuerySet[M]:
    """The rows of the same agent, team or tenant as this one."""
    return rows.filter(Q(tenant=row.tenant_id), Q(team=row.team_id), Q(agent=row.agent_id))


def holder_errors(tenant: Tenant | None, team: Team | None, agent: Agent | None) -> dict[str, Any]:
    """What is wrong with a form's choice of a holder, by field: a superuser can choose from every tenant's rows."""
    if team and agent:
        return {"team": _("Name a team or an agent, not both.")}
    others = {"team": team, "agent": agent}
    return {name: _("It belongs to another tenant.") for name, row in others.items() if row and row.tenant != tenant}
