"""The notes that mention an agent."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents_app.actors import Actor
from agents_app.api.viewsets import Endpoints, command, read_endpoint
from agents_app.scopes import Scope
from config.api import FlagFilter, Id
from messaging_app.agent_tools import mentions
from messaging_app.models.agent_tools import Mention
from sessions_app.api.filtering import FilterByRole
from sessions_app.api.responses import MessageResponse


class MentionResponse(serializers.ModelSerializer[Mention]):
    """A private note that names the agent who asks."""

    id = Id()
    conversation_id = Id()
    message = MessageResponse()

    class Meta:
        model = Mention
        fields = ("id", "conversation_id", "message", "at", "read_at")
        read_only_fields = fields


class MentionFilter(FilterByRole):
    list_name = "mentions"

    unread = FlagFilter(method="of_state", help_text="True: not read yet.")

    def of_state(self, rows: QuerySet[Mention], name: str, value: bool) -> QuerySet[Mention]:
        return rows.filter(read_at__isnull=value)


class MentionEndpoints(mixins.ListModelMixin, Endpoints):
    """Private notes that name the agent who asks."""

    queryset = Mention.objects.none()
    serializer_class = MentionResponse
    filterset_class = MentionFilter

    def get_queryset(self) -> QuerySet[Any]:
        return mentions.mentions_of(self.actor).select_related("message")

    @read_endpoint(MentionResponse(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One's own mentions, the newest first. Agents only."""
        return super().list(request, *args, **kwargs)

    @command(answer=MentionResponse, scope=Scope.READ)
    def read(self, actor: Actor, pk: int) -> Mention:
        """Note that a mention was read; done again, the first time stays."""
        return mentions.read(actor=actor, mention_id=pk)
