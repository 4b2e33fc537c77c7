"""Sessions: the pieces of work on a conversation, opened, driven and ended."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Prefetch, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from agents_app.actors import Actor
from agents_app.api.viewsets import command, read_endpoint
from agents_app.scopes import Scope
from config.api import IdFilter
from sessions_app.actions import lifecycle, presence, recovery
from sessions_app.api import requests
from sessions_app.api.filtering import FilterByRole
from sessions_app.api.lookup import FoundById, choices_of
from sessions_app.api.responses import (
    OutcomeResponse,
    RecoveryStateResponse,
    SessionResponse,
)
from sessions_app.core.locked_conversation import Outcome
from sessions_app.models import ChatSession, SlaClock
from sessions_app.rights import visible
from sessions_app.states import Kind, Status


class SessionFilter(FilterByRole):
    list_name = "sessions"

    status = django_filters.MultipleChoiceFilter(choices=choices_of(Status))
    kind = django_filters.MultipleChoiceFilter(choices=choices_of(Kind))
    conversation_id = IdFilter()

    class Meta:
        model = ChatSession
        fields = ("status", "kind", "conversation_id")


class SessionEndpoints(FoundById):
    """One piece of work on a conversation, from opening to end."""

    what = "session"
    queryset = ChatSession.objects.none()
    serializer_class = SessionResponse
    filterset_class = SessionFilter

    def get_queryset(self) -> QuerySet[Any]:
        clocks = SlaClock.objects.order_by("pk")
        return visible.sessions(self.actor).select_related("agent", "bot").prefetch_related(Prefetch("clocks", clocks))

    @read_endpoint(SessionResponse(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Sessions, the newest first."""
        return super().list(request, *args, **kwargs)

    @read_endpoint(SessionResponse, scope=Scope.READ)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One session, as it is now."""
        return super().retrieve(request, *args, **kwargs)

    @command(
        body=requests.OpenRequest, answer=OutcomeResponse, scope=Scope.SESSIONS, status=201, repeated=200, called="open"
    )
    def create(self, actor: Actor, **body: Any) -> Outcome:
        """Open a robot or human session under the conflict rules; the answer names the rule that decided."""
        return lifecycle.open_session(actor=actor, **body)

    @command(answer=OutcomeResponse, scope=Scope.SESSIONS)
    def activate(self, actor: Actor, pk: int) -> Outcome:
        """Make a PENDING robot session ACTIVE, if it is its turn."""
        return lifecycle.activate_session(actor=actor, session_id=pk)

    @command(body=requests.GuardedRequest, answer=OutcomeResponse, scope=Scope.SESSIONS)
    def pause(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Pause a session until it is resumed."""
        return lifecycle.pause_session(actor=actor, session_id=pk, **body)

    @command(answer=OutcomeResponse, scope=Scope.SESSIONS)
    def resume(self, actor: Actor, pk: int) -> Outcome:
        """Ask for the turn back; the status tells whether it was given."""
        return lifecycle.resume_session(actor=actor, session_id=pk)

    @command(body=requests.CompleteRequest, answer=OutcomeResponse, scope=Scope.SESSIONS)
    def complete(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """End a session. `needs_human` escalates a bot's session instead."""
        return lifecycle.complete_session(actor=actor, session_id=pk, **body)

    @command(body=requests.ReasonRequest, answer=OutcomeResponse, scope=Scope.SESSIONS)
    def cancel(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Give a session up, whatever its status."""
        return lifecycle.cancel_session(actor=actor, session_id=pk, **body)

    @command(body=requests.PriorityRequest, answer=OutcomeResponse, scope=Scope.SESSIONS)
    def priority(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Raise or lower a session's priority."""
        return lifecycle.set_priority(actor=actor, session_id=pk, **body)

    @command(body=requests.RecoverRequest, answer=RecoveryStateResponse, scope=Scope.SESSIONS)
    def recover(self, actor: Actor, pk: int, **body: Any) -> recovery.RecoveryState:
        """After an outage: what has become of a session, what was missed, page by page, and what has to be answered."""
        return recovery.recover(actor=actor, session_id=pk, **body)

    @command(answer=None, status=204, scope=Scope.SESSIONS, detail=False)
    def heartbeat(self, actor: Actor) -> None:
        """The bot or agent who asks is there."""
        presence.heartbeat(actor=actor)
