"""Events by polling, tickets for sockets, and the document that describes every event. The streams are in `streams`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import FileResponse, HttpRequest
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents_app.actors import Actor
from agents_app.api.viewsets import Endpoints, command, read_endpoint
from agents_app.connections import credential
from agents_app.scopes import Scope
from config import limits
from config.errors import Forbidden, Malformed
from messaging_app.follow import start
from sessions_app.events import subscription
from sessions_app.events.asyncapi import PAGE

MOST = 500


@extend_schema_field({"type": "array", "items": {"$ref": "#/components/schemas/Event"}})
class Events(serializers.ListField):
    """As they are: `webhooks_document` has the component of each type."""


@extend_schema_serializer(many=False)
class EventsResponse(serializers.Serializer[dict[str, Any]]):
    events = Events(
        help_text="In order. What is the tenant's and no conversation's "
        "(`agent.presence`) has null as its `conversation_id`."
    )
    cursor = serializers.CharField(
        help_text="Send it as `after` with the next request, also when there were no events."
    )
    has_more = serializers.BooleanField(
        help_text="Ask again at once; there may be none among the next, and still more."
    )


class TicketResponse(serializers.Serializer[dict[str, Any]]):
    ticket = serializers.CharField(help_text="For one connection: `/ws/events/?ticket=…`.")
    expires_in = serializers.IntegerField(help_text="Seconds.")


_NUMBER = {"type": "string", "pattern": f"^[0-9]{{0,{limits.MAX_DIGITS}}}$"}
_PARAMETERS = [
    OpenApiParameter("after", _NUMBER, description="The cursor of the last answer or event. Left out: from now on."),
    OpenApiParameter(
        "types",
        {"type": "string", "pattern": "^[a-z_.*, ]*$"},
        description="Of these types only, by commas; `session.*` for all of a kind.",
    ),
    OpenApiParameter("conversation", _NUMBER, description="Of this conversation only."),
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MOST, "default": subscription.LIMIT},
        description="How many at once. Not for streams.",
    ),
    OpenApiParameter("Last-Event-ID", _NUMBER, OpenApiParameter.HEADER, description="Wins over `after`."),
]
_ANSWERS: dict[Any, Any] = {
    (200, "application/json"): EventsResponse,
    (200, "text/event-stream"): OpenApiTypes.STR,
}


class EventEndpoints(Endpoints):
    serializer_class = EventsResponse

    @extend_schema(responses=_ANSWERS)
    @read_endpoint(EventsResponse, scope=Scope.EVENTS, parameters=_PARAMETERS, also=(410,))
    def list(self, request: Request) -> Response:
        """The events behind a cursor; with `Accept: text/event-stream` they come as they happen, where ASGI serves."""
        wanted = subscription.subscription(request.query_params, request.headers.get("Last-Event-ID", ""))
        subscription.checked(self.actor, wanted)
        after = start(self.actor.tenant_id, wanted.after)
        page = subscription.read(self.actor, wanted, after, _limit(request.query_params.get("limit", "")))
        return Response({"events": page.events, "cursor": str(page.cursor), "has_more": page.has_more})

    @command(answer=TicketResponse, scope=Scope.EVENTS, status=201, detail=False)
    def tickets(self, actor: Actor) -> dict[str, Any]:
        """A one-use ticket for a WebSocket: a key or token must not stand in an address, and a page cannot send headers."""
        holder = credential.authenticate(
            authorization=self.request.headers.get("Authorization", ""),
            session_key=self.request.COOKIES.get(settings.SESSION_COOKIE_NAME),
        )
        if holder is None:
            raise Forbidden("Send a key or token, or log in, to be given a ticket.")
        return {"ticket": credential.issue_ticket(holder), "expires_in": credential.TICKET_SECONDS}


def _limit(text: str) -> int:
    if not text:
        return subscription.LIMIT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST):
        raise Malformed(f"limit is a number from 1 to {MOST}.")
    return int(text)


@csrf_exempt
@require_safe
def asyncapi(request: HttpRequest) -> FileResponse:
    """docs/asyncapi.yaml: every event, and the ways it can come."""
    return FileResponse(PAGE.open("rb"), content_type="application/yaml")
