"""Guided flows: a program asks the customer something and has the right to the answer."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from agents_app.actors import Actor
from agents_app.api.viewsets import command, number, read_endpoint
from agents_app.scopes import Scope
from config.api import IdFilter
from sessions_app.actions import flows
from sessions_app.api import requests
from sessions_app.api.fields import IdTextFilter
from sessions_app.api.filtering import FilterByRole
from sessions_app.api.lookup import FoundById, choices_of
from sessions_app.api.responses import (
    FlowResponse,
)
from sessions_app.models import GuidedFlow
from sessions_app.rights import visible
from sessions_app.states import FlowStatus


class FlowFilter(FilterByRole):
    list_name = "flows"

    status = django_filters.MultipleChoiceFilter(choices=choices_of(FlowStatus))
    trigger_id = IdTextFilter()
    conversation_id = IdFilter()

    class Meta:
        model = GuidedFlow
        fields = ("status", "trigger_id", "conversation_id")


class FlowEndpoints(FoundById):
    """A program asked the customer something and has, for a while, the right to the answer."""

    what = "flow"
    queryset = GuidedFlow.objects.none()
    serializer_class = FlowResponse
    filterset_class = FlowFilter

    def get_queryset(self) -> QuerySet[Any]:
        return visible.flows(self.actor)

    @read_endpoint(FlowResponse(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Flows, the newest first."""
        flows.end_overdue(self.get_queryset())
        return super().list(request, *args, **kwargs)

    @read_endpoint(FlowResponse, scope=Scope.READ)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One flow, with the customer's last answer."""
        flows.end_overdue(self.get_queryset().filter(pk=number(self.kwargs["pk"])))
        return super().retrieve(request, *args, **kwargs)

    @command(body=requests.FlowRequest, answer=FlowResponse, scope=Scope.FLOWS, status=201, repeated=200, called="open")
    def create(self, actor: Actor, **body: Any) -> GuidedFlow:
        """Begin a flow, or find the one this trigger began."""
        return flows.open_flow(actor=actor, **body)

    @command(body=requests.BindRequest, answer=FlowResponse, scope=Scope.FLOWS)
    def bind(self, actor: Actor, pk: int, **body: Any) -> GuidedFlow:
        """Tie a flow to its conversation, once."""
        return flows.bind_flow(actor=actor, flow_id=pk, **body)

    @command(body=requests.MoveFlowRequest, answer=FlowResponse, scope=Scope.FLOWS)
    def move(self, actor: Actor, pk: int, **body: Any) -> GuidedFlow:
        """Move a flow on, if it is still at the version you read."""
        return flows.move_flow(actor=actor, flow_id=pk, **body)

    @command(body=requests.RenewRequest, answer=FlowResponse, scope=Scope.FLOWS)
    def renew(self, actor: Actor, pk: int, **body: Any) -> GuidedFlow:
        """Give your rerun its whole lease again, if the flow is still at the version you read."""
        return flows.renew_flow(actor=actor, flow_id=pk, **body)
