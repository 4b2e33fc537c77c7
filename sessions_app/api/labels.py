"""Labels: a tenant's words for its conversations, created, changed and taken out of use."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents_app.actors import Actor
from agents_app.api.viewsets import Endpoints, command, number, read_endpoint
from agents_app.scopes import Scope
from config import limits
from config.api import RequestSerializer
from config.pages import ByName
from messaging_app.agent_tools import labels
from messaging_app.models.agent_tools import Label
from sessions_app.api.responses import LabelResponse


class LabelRequest(RequestSerializer):
    name = serializers.CharField(max_length=limits.MAX_LABEL_NAME)
    colour = serializers.ChoiceField(Label.Colour.choices, required=False)


class ChangeLabelRequest(RequestSerializer):
    name = serializers.CharField(required=False, max_length=limits.MAX_LABEL_NAME)
    colour = serializers.ChoiceField(Label.Colour.choices, required=False)
    is_enabled = serializers.BooleanField(
        required=False, help_text="Out of use, it stays where it is and is put on nothing more."
    )


class LabelEndpoints(mixins.ListModelMixin, mixins.RetrieveModelMixin, Endpoints):
    """The words that conversations are labelled with."""

    queryset = Label.objects.none()
    serializer_class = LabelResponse
    pagination_class = ByName
    filterset_class = None

    def get_queryset(self) -> QuerySet[Any]:
        return labels.labels_of(self.actor)

    def get_object(self) -> Label:
        return labels.label_of(self.actor, number(self.kwargs["pk"]))

    @read_endpoint(LabelResponse(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Labels by name, those out of use too."""
        return super().list(request, *args, **kwargs)

    @read_endpoint(LabelResponse, scope=Scope.READ)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One label."""
        return super().retrieve(request, *args, **kwargs)

    @command(body=LabelRequest, answer=LabelResponse, scope=Scope.READ, status=201)
    def create(self, actor: Actor, **body: Any) -> Label:
        """A new label. Supervisors only."""
        return labels.create_label(actor=actor, **body)

    @command(body=ChangeLabelRequest, answer=LabelResponse, scope=Scope.READ, called="change")
    def partial_update(self, actor: Actor, pk: int, **body: Any) -> Label:
        """Change what is named. Conversations keep the label."""
        return labels.change_label(actor=actor, label_id=pk, **body)

    @command(answer=None, status=204, scope=Scope.READ, called="delete")
    def destroy(self, actor: Actor, pk: int) -> None:
        """Delete a label that no conversation has; 409 `label_in_use` otherwise."""
        labels.delete_label(actor=actor, label_id=pk)
