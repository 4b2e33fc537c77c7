"""Agents, teams, and what became of the conversations of an agent who left."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents_app.models import Agent, Team, Tenant
from config.api import Id
from config.compiled_answers import Compiled
from sessions_app.actions.departure import Departure


class AgentResponse(Compiled, serializers.ModelSerializer[Agent]):
    id = Id()
    skills = serializers.DictField(child=serializers.IntegerField(), help_text="With their levels, from 1 to 5.")
    load = serializers.IntegerField(help_text="Live sessions owned now; counted.")
    is_drained = serializers.BooleanField(help_text="Whether the agent gets nothing new, and keeps what they serve.")
    is_reachable = serializers.BooleanField(help_text="Declared available and heard of within the last minute.")
    teams: Any = serializers.SlugRelatedField("name", many=True, read_only=True)

    class Meta:
        model = Agent
        fields = (
            "id",
            "name",
            "role",
            "availability",
            "availability_reason",
            "availability_since",
            "is_reachable",
            "is_drained",
            "load",
            "max_load",
            "skills",
            "teams",
            "last_seen_at",
        )
        read_only_fields = fields


class DepartureResponse(Compiled, serializers.Serializer[Departure]):
    agent_id = Id(source="agent.pk")
    name = serializers.CharField(source="agent.name")
    moved = serializers.IntegerField(help_text="Conversations of theirs that went on elsewhere at once.")
    left = serializers.IntegerField(help_text="Conversations that could not; Tandem tries again every second.")
    is_repeat = serializers.BooleanField(help_text="The agent had left already.")


class TeamResponse(Compiled, serializers.ModelSerializer[Team]):
    id = Id()
    assignment = serializers.SerializerMethodField(help_text="Its own, or the tenant's.")
    needs = serializers.DictField(child=serializers.IntegerField())
    members = serializers.SerializerMethodField()

    class Meta:
        model = Team
        fields = ("id", "name", "members", "assignment", "strategy", "needs", "capacity")
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(Tenant.Assignment.choices))
    def get_assignment(self, team: Team) -> str:
        return team.assignment or team.tenant.assignment

    @extend_schema_field(serializers.ListField(child=Id()))
    def get_members(self, team: Team) -> list[str]:
        return [str(agent.pk) for agent in team.members.all()]
