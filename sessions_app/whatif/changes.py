"""The changes of a simulation: rules of teams, and who is there. Read from plain data, and checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from agents_app import skills
from agents_app.models import Agent, Team, Tenant
from agents_app.policies import Policies
from sessions_app.whatif.past import Past, PastAgent, PresenceLogLine, Wait

TEAM = ("assignment", "strategy", "needs", "capacity", "offer_timeout", "overflow_to", "overflow_after")
TENANT = ("assignment", "transfer_policy", "transfer_timeout")
AGENT = ("max_load", "is_there")
ADDED = ("count", "team", "max_load", "skills", "weight")
MOST_ADDED = 1000


class BadChange(ValueError):
    """A change that cannot be made; the message says which, and what is possible."""


@dataclass(slots=True)
class Rules:
    """The rules that a period is simulated under. `Rules.of(past)` are the present ones, unchanged."""

    tenant: Tenant
    teams: list[Team]
    people: dict[int, PastAgent]
    transfer_timeout: timedelta | None = None
    added: frozenset[int] = frozenset()
    _then: dict[int, Team] = field(default_factory=dict)
    _tenant_then: Tenant | None = None
    _policies: Policies = field(default_factory=Policies)
    _capacities: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, past: Past) -> Rules:
        return cls(
            tenant=copy(past.tenant),
            teams=[copy(team) for team in past.teams],
            people=dict(past.people),
            _then={team.pk: team for team in past.teams},
            _tenant_then=past.tenant,
            _policies=past.policies,
        )

    def patience(self, wait: Wait | None) -> timedelta | None:
        """How long a transfer waits for an answer; None: for ever."""
        if self.transfer_timeout is not None:
            return self.transfer_timeout
        return wait.patience if wait else self._policies.transfer_timeout

    @property
    def changes_policy(self) -> bool:
        return self._tenant_then is not None and self.tenant.transfer_policy != self._tenant_then.transfer_policy

    def offer_patience(self, team_id: int) -> timedelta:
        team = next((team for team in self.teams if team.pk == team_id), None)
        return self._policies.within(team).offer_timeout

    def offer_patience_then(self, team_id: int) -> timedelta:
        return self._policies.within(self._then.get(team_id)).offer_timeout

    def changes_patience(self, team_id: int) -> bool:
        return self.offer_patience(team_id) != self.offer_patience_then(team_id)

    def changes_assignment(self, team_id: int) -> bool:
        """Whether what was pulled is pushed, or the other way round."""
        now, then = next((t for t in self.teams if t.pk == team_id), None), self._then.get(team_id)
        tenant_then = self._tenant_then or self.tenant
        return ((now.assignment if now else "") or self.tenant.assignment) != (
            (then.assignment if then else "") or tenant_then.assignment
        )

    def capacity(self, person: PastAgent, then: int) -> int:
        return self._capacities.get(person.id, then)


def changed(past: Past, changes: Mapping[str, Any]) -> Rules:
    """The rules with these changes. Raises `BadChange`.

    {"tenant": {"assignment": "push", "transfer_policy": "requeue", "transfer_timeout": 120},
     "teams": {"first line": {"strategy": "least_loaded", "offer_timeout": 20, "overflow_to": "second line"}},
     "agents": {"Ada": {"max_load": 5}, "Ben": {"is_there": false}},
     "add": [{"count": 2, "team": "first line", "max_load": 4, "skills": {"zh": 3}}]}
    """
    rules = Rules.of(past)
    _known("a change", changes, ("tenant", "teams", "agents", "add"))
    _change_tenant(rules, _mapping("tenant", changes.get("tenant", {})))
    for name, values in _mapping("teams", changes.get("teams", {})).items():
        _change_team(rules, name, _mapping(name, values))
    for name, values in _mapping("agents", changes.get("agents", {})).items():
        _change_agent(rules, name, _mapping(name, values))
    added = changes.get("add", [])
    if not isinstance(added, list):
        raise BadChange('"add" must be a list.')
    for values in added:
        _add(rules, past, _mapping("add", values))
    return rules


def _change_tenant(rules: Rules, values: Mapping[str, Any]) -> None:
    _known("the tenant", values, TENANT)
    if "assignment" in values:
        rules.tenant.assignment = _one_of("assignment", values["assignment"], Tenant.Assignment.values)
    if "transfer_policy" in values:
        rules.tenant.transfer_policy = _one_of(
            "transfer_policy", values["transfer_policy"], Tenant.TransferPolicy.values
        )
    if "transfer_timeout" in values:
        rules.transfer_timeout = timedelta(seconds=_whole("transfer_timeout", values["transfer_timeout"], least=1))


def _change_team(rules: Rules, name: str, values: Mapping[str, Any]) -> None:
    team = _team(rules, name)
    _known(f"team {name!r}", values, TEAM)
    for key, value in values.items():
        match key:
            case "assignment":
                team.assignment = _one_of(key, value, ["", *Tenant.Assignment.values])
            case "strategy":
                team.strategy = _one_of(key, value, Team.Strategy.values)
            case "needs":
                team.needs = _skills(value)
            case "overflow_to":
                team.overflow_to_id = _team(rules, value).pk if value else None
            case "capacity" | "offer_timeout":
                setattr(team, key, None if value is None else _whole(key, value))
            case _:
                setattr(team, key, _whole(key, value))


def _change_agent(rules: Rules, name: str, values: Mapping[str, Any]) -> None:
    namesakes = [person for person in rules.people.values() if person.name == name]
    if len(namesakes) != 1:
        raise BadChange(f"There is no agent {name!r}." if not namesakes else f"There are several agents {name!r}.")
    _known(f"agent {name!r}", values, AGENT)
    if "max_load" in values:
        rules._capacities[namesakes[0].id] = _whole("max_load", values["max_load"])
    if values.get("is_there", True) not in (True, False):
        raise BadChange("is_there must be true or false.")
    if not values.get("is_there", True):
        del rules.people[namesakes[0].id]


def _add(rules: Rules, past: Past, values: Mapping[str, Any]) -> None:
    """Add agents who are available from the beginning to the end."""
    _known("add", values, ADDED)
    weights = (
        {_team(rules, values["team"]).pk: _whole("weight", values.get("weight", 1), least=1)}
        if values.get("team")
        else {}
    )
    max_load = _whole("max_load", values.get("max_load", 1), least=1)
    levels = _skills(values.get("skills", {}))
    count = _whole("count", values.get("count", 1), least=1)
    if len(rules.added) + count > MOST_ADDED:
        raise BadChange(f"At most {MOST_ADDED} agents can be added.")
    for _ in range(count):
        number = -1 - len(rules.added)
        presence_log = [PresenceLogLine(past.start, Agent.Availability.AVAILABLE, True, max_load)]
        rules.people[number] = PastAgent(number, f"+{-number}", max_load, levels, weights, presence_log)
        rules.added |= {number}


def _team(rules: Rules, name: object) -> Team:
    for team in rules.teams:
        if team.name == name:
            return team
    known = ", ".join(repr(team.name) for team in rules.teams) or "none"
    raise BadChange(f"There is no team {name!r}; there are: {known}.")


def _known(what: str, values: Mapping[str, Any], names: tuple[str, ...]) -> None:
    if unknown := sorted(set(values) - set(names)):
        raise BadChange(f"{what}: {', '.join(map(repr, unknown))} cannot be changed; use {', '.join(names)}.")


def _mapping(what: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadChange(f"{what} must be an object.")
    return value


def _one_of(name: str, value: object, choices: list[str]) -> str:
    if value not in choices:
        raise BadChange(f"{name} cannot be {value!r}; use one of {', '.join(map(repr, choices))}.")
    return str(value)


def _whole(name: str, value: object, *, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 10**6:
        raise BadChange(f"{name} must be a whole number from {least} to 1,000,000.")
    return value


def _skills(value: object) -> dict[str, int]:
    try:
        return skills.checked(_mapping("skills", value))
    except ValueError as error:
        raise BadChange(str(error)) from None
