"""Sessions, transfers and guided flows: the pieces of work, and the moves between who works them."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Prefetch, QuerySet
from rest_framework import mixins
from rest_framework.request import Request
from rest_framework.response import Response

from agents_app.actors import Actor
from agents_app.rest import Endpoints, command, number, reads
from agents_app.scopes import Scope
from config.api import IdFilter
from sessions_app import visible
from sessions_app.actions import flows, lifecycle, presence, recovery, transfers
from sessions_app.api import bodies
from sessions_app.api.answers import (
    DecisionsAnswer,
    FlowAnswer,
    OutcomeAnswer,
    SessionAnswer,
    TransferAnswer,
    TruthAnswer,
)
from sessions_app.api.fields import IdTextFilter
from sessions_app.api.filtering import FilterByRole
from sessions_app.assignment import explained
from sessions_app.errors import NotFound
from sessions_app.models import ChatSession, GuidedFlow, SlaClock, Transfer
from sessions_app.states import FlowStatus, Kind, Status, TransferKind, TransferStatus
from sessions_app.turn import Outcome


def _choices(words: Any) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in words]


class Found(mixins.ListModelMixin, mixins.RetrieveModelMixin, Endpoints):
    """Lists and details of what the caller may see; all else is not found."""

    what = "thing"

    def get_object(self) -> Any:
        row = self.get_queryset().filter(pk=number(self.kwargs["pk"])).first()
        if row is None:
            raise NotFound(f"There is no such {self.what}.")
        return row


class SessionFilter(FilterByRole):
    list_name = "sessions"

    status = django_filters.MultipleChoiceFilter(choices=_choices(Status))
    kind = django_filters.MultipleChoiceFilter(choices=_choices(Kind))
    conversation_id = IdFilter()

    class Meta:
        model = ChatSession
        fields = ("status", "kind", "conversation_id")


class SessionEndpoints(Found):
    """One piece of work on a conversation, from opening to end."""

    what = "session"
    queryset = ChatSession.objects.none()
    serializer_class = SessionAnswer
    filterset_class = SessionFilter

    def get_queryset(self) -> QuerySet[Any]:
        clocks = SlaClock.objects.order_by("pk")
        return visible.sessions(self.actor).select_related("agent", "bot").prefetch_related(Prefetch("clocks", clocks))

    @reads(SessionAnswer(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Sessions, the newest first."""
        return super().list(request, *args, **kwargs)

    @reads(SessionAnswer, scope=Scope.READ)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One session, as it is now."""
        return super().retrieve(request, *args, **kwargs)

    @command(body=bodies.OpenBody, answer=OutcomeAnswer, scope=Scope.SESSIONS, status=201, repeated=200, called="open")
    def create(self, actor: Actor, **body: Any) -> Outcome:
        """Open a robot or human session under the conflict rules; the answer names the rule that decided."""
        return lifecycle.open_session(actor=actor, **body)

    @command(answer=OutcomeAnswer, scope=Scope.SESSIONS)
    def activate(self, actor: Actor, pk: int) -> Outcome:
        """Make a PENDING robot session ACTIVE, if it is its turn."""
        return lifecycle.activate_session(actor=actor, session_id=pk)

    @command(body=bodies.GuardedBody, answer=OutcomeAnswer, scope=Scope.SESSIONS)
    def pause(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Pause a session until it is resumed."""
        return lifecycle.pause_session(actor=actor, session_id=pk, **body)

    @command(answer=OutcomeAnswer, scope=Scope.SESSIONS)
    def resume(self, actor: Actor, pk: int) -> Outcome:
        """Ask for the turn back; the status tells whether it was given."""
        return lifecycle.resume_session(actor=actor, session_id=pk)

    @command(body=bodies.CompleteBody, answer=OutcomeAnswer, scope=Scope.SESSIONS)
    def complete(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """End a session. `needs_human` escalates a bot's session instead."""
        return lifecycle.complete_session(actor=actor, session_id=pk, **body)

    @command(body=bodies.ReasonBody, answer=OutcomeAnswer, scope=Scope.SESSIONS)
    def cancel(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Give a session up, whatever its status."""
        return lifecycle.cancel_session(actor=actor, session_id=pk, **body)

    @command(body=bodies.PriorityBody, answer=OutcomeAnswer, scope=Scope.SESSIONS)
    def priority(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Raise or lower a session's priority."""
        return lifecycle.set_priority(actor=actor, session_id=pk, **body)

    @command(body=bodies.RecoverBody, answer=TruthAnswer, scope=Scope.SESSIONS)
    def recover(self, actor: Actor, pk: int, **body: Any) -> recovery.Truth:
        """After an outage: what has become of a session, what was missed, page by page, and what has to be answered."""
        return recovery.recover(actor=actor, session_id=pk, **body)

    @command(answer=None, status=204, scope=Scope.SESSIONS, detail=False)
    def heartbeat(self, actor: Actor) -> None:
        """The bot or agent who asks is there."""
        presence.heartbeat(actor=actor)


class TransferFilter(FilterByRole):
    list_name = "transfers"

    status = django_filters.MultipleChoiceFilter(choices=_choices(TransferStatus))
    kind = django_filters.MultipleChoiceFilter(choices=_choices(TransferKind))
    conversation_id = IdFilter()

    class Meta:
        model = Transfer
        fields = ("status", "kind", "conversation_id")


class TransferEndpoints(Found):
    """One move of ownership, asked for or immediate."""

    what = "transfer"
    queryset = Transfer.objects.none()
    serializer_class = TransferAnswer
    filterset_class = TransferFilter

    def get_queryset(self) -> QuerySet[Any]:
        return visible.transfers(self.actor)

    @reads(TransferAnswer(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Transfers, the newest first."""
        return super().list(request, *args, **kwargs)

    @reads(TransferAnswer, scope=Scope.READ)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One transfer, with its context package."""
        return super().retrieve(request, *args, **kwargs)

    @reads(DecisionsAnswer, scope=Scope.READ, detail=True, filters=False)
    def decisions(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """To whom it was offered and why, and why not to others; the newest first, at most a hundred."""
        made = explained.decisions(self.actor, self.get_object())
        return Response(DecisionsAnswer({"decisions": made}).data)

    @command(body=bodies.TakeBody, answer=OutcomeAnswer, scope=Scope.TRANSFERS)
    def accept(self, actor: Actor, pk: int, *, reason: str = "", **body: Any) -> Outcome:
        """Take what was asked for; whoever comes second is told who was first."""
        return transfers.accept_transfer(actor=actor, transfer_id=pk, **body)

    @command(body=bodies.ReasonBody, answer=OutcomeAnswer, scope=Scope.TRANSFERS)
    def decline(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Say no to what was addressed to oneself."""
        return transfers.decline_transfer(actor=actor, transfer_id=pk, **body)

    @command(body=bodies.ReasonBody, answer=OutcomeAnswer, scope=Scope.TRANSFERS)
    def withdraw(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Take back what one asked for."""
        return transfers.withdraw_transfer(actor=actor, transfer_id=pk, **body)


class FlowFilter(FilterByRole):
    list_name = "flows"

    status = django_filters.MultipleChoiceFilter(choices=_choices(FlowStatus))
    trigger_id = IdTextFilter()
    conversation_id = IdFilter()

    class Meta:
        model = GuidedFlow
        fields = ("status", "trigger_id", "conversation_id")


class FlowEndpoints(Found):
    """A program asked the customer something and has, for a while, the right to the answer."""

    what = "flow"
    queryset = GuidedFlow.objects.none()
    serializer_class = FlowAnswer
    filterset_class = FlowFilter

    def get_queryset(self) -> QuerySet[Any]:
        return visible.flows(self.actor)

    @reads(FlowAnswer(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Flows, the newest first."""
        flows.end_overdue(self.get_queryset())
        return super().list(request, *args, **kwargs)

    @reads(FlowAnswer, scope=Scope.READ)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One flow, with the customer's last answer."""
        flows.end_overdue(self.get_queryset().filter(pk=number(self.kwargs["pk"])))
        return super().retrieve(request, *args, **kwargs)

    @command(body=bodies.FlowBody, answer=FlowAnswer, scope=Scope.FLOWS, status=201, repeated=200, called="open")
    def create(self, actor: Actor, **body: Any) -> GuidedFlow:
        """Begin a flow, or find the one this trigger began."""
        return flows.open_flow(actor=actor, **body)

    @command(body=bodies.BindBody, answer=FlowAnswer, scope=Scope.FLOWS)
    def bind(self, actor: Actor, pk: int, **body: Any) -> GuidedFlow:
        """Tie a flow to its conversation, once."""
        return flows.bind_flow(actor=actor, flow_id=pk, **body)

    @command(body=bodies.MoveFlowBody, answer=FlowAnswer, scope=Scope.FLOWS)
    def move(self, actor: Actor, pk: int, **body: Any) -> GuidedFlow:
        """Move a flow on, if it is still at the version you read."""
        return flows.move_flow(actor=actor, flow_id=pk, **body)

    @command(body=bodies.RenewBody, answer=FlowAnswer, scope=Scope.FLOWS)
    def renew(self, actor: Actor, pk: int, **body: Any) -> GuidedFlow:
        """Give your rerun its whole lease again, if the flow is still at the version you read."""
        return flows.renew_flow(actor=actor, flow_id=pk, **body)
