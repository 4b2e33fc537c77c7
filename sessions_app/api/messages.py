"""Messages: a customer's in, an answer out; and the credentials of customers and participants."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from agents_app.actors import Actor, ActorKind
from agents_app.api.viewsets import Endpoints, command
from agents_app.credentials.tokens import issue_token
from agents_app.models import Tenant
from agents_app.scopes import Scope
from sessions_app.actions import inbound, messages, participants, shop_messages, tokens
from sessions_app.api import requests
from sessions_app.api.responses import JoinedResponse, OutcomeResponse, TokenResponse
from sessions_app.core.locked_conversation import Outcome
from sessions_app.errors import LinkIsOver
from sessions_app.models import Participant


class InboundEndpoint(Endpoints):
    @command(body=requests.InboundRequest, answer=OutcomeResponse, scope=Scope.INBOUND, status=201, called="receive")
    def create(self, actor: Actor, **body: Any) -> Outcome:
        """Bring in what a customer said. The answer's controller says who gets it; for `bot`, answer with its epoch."""
        return inbound.receive_message(actor=actor, **body)


class MessageEndpoint(Endpoints):
    @command(body=requests.MessageRequest, answer=OutcomeResponse, scope=Scope.MESSAGES, status=201, called="post")
    def create(self, actor: Actor, *, echo: bool = False, epoch: int | None = None, **body: Any) -> Outcome:
        """Say something as the bot, the agent or the participant one is; or report an answer from the shop's own app."""
        if echo:
            return shop_messages.echo_message(actor=actor, **body)
        if actor.kind == ActorKind.CUSTOMER:
            return inbound.receive_message(actor=actor, **body)
        return messages.post_message(actor=actor, epoch=epoch, **body)


class TokenEndpoint(Endpoints):
    @command(body=requests.TokenRequest, answer=TokenResponse, scope=Scope.TOKENS, status=201, called="issue")
    def create(self, actor: Actor, *, conversation_id: int, customer_name: str = "") -> dict[str, Any]:
        """A token with which one customer reads and writes in one conversation: for a chat in the shop's own page."""
        token = tokens.issue_customer_token(actor=actor, conversation_id=conversation_id, customer_name=customer_name)
        return {"token": token, "expires_in": settings.TOKEN_LIFETIME}


class JoinEndpoint(Endpoints):
    authentication_classes = ()
    permission_classes = ()

    @command(body=requests.JoinRequest, answer=JoinedResponse, scope=None, status=201, called="enter")
    def create(self, actor: Actor, *, tenant: str, token: str) -> dict[str, Any]:
        """Enter a conversation by the link's one-time token; the answer's token is the participant's own from here on."""
        row = Tenant.objects.filter(slug=tenant).first()
        if row is None:
            raise LinkIsOver
        joined = participants.join(tenant_id=row.pk, token=token)
        participant = participants.as_actor(Participant.objects.get(pk=joined.participant_id or 0))
        return {
            "conversation_id": joined.conversation_id,
            "participant_id": joined.participant_id,
            "token": issue_token(participant),
        }
