"""Transfers: the moves between who works a session."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from agents_app.actors import Actor
from agents_app.api.viewsets import command, read_endpoint
from agents_app.scopes import Scope
from config.api import IdFilter
from sessions_app.actions import transfers
from sessions_app.api import requests
from sessions_app.api.filtering import FilterByRole
from sessions_app.api.lookup import FoundById, choices_of
from sessions_app.api.responses import (
    DecisionsResponse,
    OutcomeResponse,
    TransferResponse,
)
from sessions_app.assignment import explanations
from sessions_app.core.locked_conversation import Outcome
from sessions_app.models import Transfer
from sessions_app.rights import visible
from sessions_app.states import TransferKind, TransferStatus


class TransferFilter(FilterByRole):
    list_name = "transfers"

    status = django_filters.MultipleChoiceFilter(choices=choices_of(TransferStatus))
    kind = django_filters.MultipleChoiceFilter(choices=choices_of(TransferKind))
    conversation_id = IdFilter()

    class Meta:
        model = Transfer
        fields = ("status", "kind", "conversation_id")


class TransferEndpoints(FoundById):
    """One move of ownership, asked for or immediate."""

    what = "transfer"
    queryset = Transfer.objects.none()
    serializer_class = TransferResponse
    filterset_class = TransferFilter

    def get_queryset(self) -> QuerySet[Any]:
        return visible.transfers(self.actor)

    @read_endpoint(TransferResponse(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Transfers, the newest first."""
        return super().list(request, *args, **kwargs)

    @read_endpoint(TransferResponse, scope=Scope.READ)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One transfer, with its context package."""
        return super().retrieve(request, *args, **kwargs)

    @read_endpoint(DecisionsResponse, scope=Scope.READ, detail=True, filters=False)
    def decisions(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """To whom it was offered and why, and why not to others; the newest first, at most a hundred."""
        made = explanations.decisions(self.actor, self.get_object())
        return Response(DecisionsResponse({"decisions": made}).data)

    @command(body=requests.TakeRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def accept(self, actor: Actor, pk: int, *, reason: str = "", **body: Any) -> Outcome:
        """Take what was asked for; whoever comes second is told who was first."""
        return transfers.accept_transfer(actor=actor, transfer_id=pk, **body)

    @command(body=requests.ReasonRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def decline(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Say no to what was addressed to oneself."""
        return transfers.decline_transfer(actor=actor, transfer_id=pk, **body)

    @command(body=requests.ReasonRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def withdraw(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Take back what one asked for."""
        return transfers.withdraw_transfer(actor=actor, transfer_id=pk, **body)
