"""A tenant's teams as assignment sees them: who a conversation may go to, and how. Pure once they are read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Self

from agents_app.models import Team, Tenant

LONGEST_CHAIN = 5
"""Teams that one conversation may overflow through."""
EVERYBODY = Team.Strategy.LEAST_LOADED
"""The strategy for what is addressed to no team."""


class Teams:
    def __init__(self, teams: Iterable[Team]) -> None:
        self._teams = {team.pk: team for team in teams}

    @classmethod
    def of(cls, tenant_id: int) -> Self:
        """As they are stored now, in one query."""
        return cls(Team.objects.filter(tenant_id=tenant_id))

    def get(self, team_id: int | None) -> Team | None:
        return self._teams.get(team_id or 0)

    @property
    def strategies(self) -> set[str]:
        """The strategies in use."""
        return {team.strategy for team in self._teams.values()} | {EVERYBODY}

    def strategy(self, team_id: int | None) -> str:
        team = self.get(team_id)
        return team.strategy if team else EVERYBODY

    def is_push(self, tenant: Tenant, team_id: int | None) -> bool:
        """Whether what waits there is offered; a team that does not say is as its tenant."""
        team = self.get(team_id)
        return ((team.assignment if team else "") or tenant.assignment) == Tenant.Assignment.PUSH

    def pool(self, team_id: int | None, waited: timedelta) -> tuple[int, ...]:
        """The team, and those that it has overflowed to after so much waiting, in this order. Empty: everybody."""
        team_ids: list[int] = []
        after, team = timedelta(), self.get(team_id)
        while team and team.pk not in team_ids and len(team_ids) < LONGEST_CHAIN:
            team_ids.append(team.pk)
            after += timedelta(seconds=team.overflow_after)
            team = self.get(team.overflow_to_id) if waited >= after else None
        return tuple(team_ids)
