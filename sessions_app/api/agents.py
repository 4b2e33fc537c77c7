"""The people of the desk: who serves, with what load, in which teams."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import mixins
from rest_framework.request import Request
from rest_framework.response import Response

from agents_app.actors import Actor
from agents_app.api.viewsets import Endpoints, command, number, read_endpoint
from agents_app.models import Agent, Team
from agents_app.scopes import Scope
from config.api import IdFilter
from config.errors import Forbidden, NotFound
from config.pages import ByName
from sessions_app import queries
from sessions_app.actions import departments, departure, presence
from sessions_app.api import requests
from sessions_app.api.filtering import FilterByRole
from sessions_app.api.responses import AgentResponse, DepartmentsResponse, DepartureResponse, TeamResponse


class AgentFilter(FilterByRole):
    list_name = "agents"

    availability = django_filters.MultipleChoiceFilter(choices=Agent.Availability.choices)
    team_id = IdFilter(field_name="teams")

    class Meta:
        model = Agent
        fields = ("availability", "team_id")


class AgentEndpoints(mixins.ListModelMixin, mixins.RetrieveModelMixin, Endpoints):
    """The humans who serve."""

    queryset = Agent.objects.none()
    serializer_class = AgentResponse
    filterset_class = AgentFilter
    pagination_class = ByName

    def get_queryset(self) -> QuerySet[Any]:
        return queries.agents(self.actor)

    def get_object(self) -> Agent:
        agent = self.get_queryset().filter(pk=number(self.kwargs["pk"])).first()
        if agent is None:
            raise NotFound("There is no such agent.")
        own: Agent = agent
        return own

    @read_endpoint(AgentResponse(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Agents by name, with load and presence."""
        return super().list(request, *args, **kwargs)

    @read_endpoint(AgentResponse, scope=Scope.READ)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One agent."""
        return super().retrieve(request, *args, **kwargs)

    @read_endpoint(AgentResponse, scope=Scope.READ, detail=False, filters=False)
    def me(self, request: Request) -> Response:
        """The agent who asks."""
        return Response(AgentResponse(self._me()).data)

    @command(
        body=requests.PresenceRequest, answer=AgentResponse, scope=Scope.SESSIONS, detail=False, path="me/availability"
    )
    def declare(self, actor: Actor, availability: str, reason: str = "") -> Agent:
        """Declare one's own availability."""
        presence.declare_availability(actor=actor, availability=availability, reason=reason)
        return self._me()

    @command(body=requests.PresenceRequest, answer=AgentResponse, scope=Scope.SESSIONS)
    def availability(self, actor: Actor, agent_id: int, availability: str, reason: str = "") -> Agent:
        """Declare another agent's availability: supervisors only, on record."""
        presence.declare_availability(actor=actor, availability=availability, reason=reason, agent_id=agent_id)
        return self._one(agent_id)

    @command(body=requests.CapacityRequest, answer=AgentResponse, scope=Scope.SESSIONS)
    def capacity(self, actor: Actor, agent_id: int, max_load: int) -> Agent:
        """Change how many conversations an agent serves at once: supervisors only, on record."""
        presence.change_capacity(actor=actor, agent_id=agent_id, max_load=max_load)
        return self._one(agent_id)

    @command(body=requests.DepartureRequest, answer=DepartureResponse, scope=Scope.SESSIONS, non_atomic=True)
    def dismiss(self, actor: Actor, agent_id: int, reason: str = "") -> departure.Departure:
        """Dismiss an agent: supervisors only, on record. What was theirs goes on elsewhere, their logins end at once."""
        return departure.dismiss_agent(actor=actor, agent_id=agent_id, reason=reason)

    @command(body=requests.DepartureRequest, answer=AgentResponse, scope=Scope.SESSIONS, non_atomic=True)
    def drain(self, actor: Actor, agent_id: int, reason: str = "") -> Agent:
        """Give an agent nothing new: supervisors only, on record. What the agent serves stays theirs."""
        departure.drain_agent(actor=actor, agent_id=agent_id, reason=reason)
        return self._one(agent_id)

    @command(body=requests.DepartureRequest, answer=AgentResponse, scope=Scope.SESSIONS)
    def undrain(self, actor: Actor, agent_id: int, reason: str = "") -> Agent:
        """Give an agent new work again: supervisors only, on record."""
        departure.undrain_agent(actor=actor, agent_id=agent_id, reason=reason)
        return self._one(agent_id)

    def _one(self, agent_id: int) -> Agent:
        agent: Agent = self.get_queryset().get(pk=agent_id)
        return agent

    def _me(self) -> Agent:
        if not self.actor.is_agent:
            raise Forbidden("Only agents have a desk.")
        me: Agent = self.get_queryset().get(pk=self.actor.pk)
        return me


class TeamEndpoints(mixins.ListModelMixin, Endpoints):
    """Queues of agents."""

    queryset = Team.objects.none()
    serializer_class = TeamResponse
    pagination_class = ByName
    filterset_class = None

    def get_queryset(self) -> QuerySet[Any]:
        return queries.teams(self.actor)

    @read_endpoint(TeamResponse(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Teams by name."""
        return super().list(request, *args, **kwargs)


class DepartmentEndpoints(Endpoints):
    """People outside the desk who are invited together."""

    filterset_class = None
    pagination_class = None

    @read_endpoint(
        DepartmentsResponse, scope=Scope.READ, parameters=[requests.DepartmentQuery], filters=False, also=(409, 502)
    )
    def list(self, request: Request) -> Response:
        """Departments by name, as the installation's directory has them; agents only."""
        query = requests.DepartmentQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        matching = departments.search(actor=self.actor, text=query.validated_data["search"])
        return Response(DepartmentsResponse({"departments": matching}).data)
