"""What is said: a customer's message in, an answer out, and the credentials of customers and participants."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from agents_app.actors import Actor, ActorKind
from agents_app.models import Tenant
from agents_app.rest import Endpoints, command
from agents_app.scopes import Scope
from agents_app.tokens import issue_token
from sessions_app.actions import intake, people, shop, talk, tokens
from sessions_app.api import bodies
from sessions_app.api.answers import JoinedAnswer, OutcomeAnswer, TokenAnswer
from sessions_app.errors import LinkIsOver
from sessions_app.models import Participant
from sessions_app.turn import Outcome


class InboundEndpoint(Endpoints):
    @command(body=bodies.InboundBody, answer=OutcomeAnswer, scope=Scope.INBOUND, status=201, called="receive")
    def create(self, actor: Actor, **body: Any) -> Outcome:
        """Bring in what a customer said. The answer's controller says who gets it; for `bot`, answer with its epoch."""
        return intake.receive_message(actor=actor, **body)


class MessageEndpoint(Endpoints):
    @command(body=bodies.MessageBody, answer=OutcomeAnswer, scope=Scope.MESSAGES, status=201, called="post")
    def create(self, actor: Actor, *, echo: bool = False, epoch: int | None = None, **body: Any) -> Outcome:
        """Say something as the bot, the agent or the participant one is; or report an answer from the shop's own app."""
        if echo:
            return shop.echo_message(actor=actor, **body)
        if actor.kind == ActorKind.CUSTOMER:
            return intake.receive_message(actor=actor, **body)
        return talk.post_message(actor=actor, epoch=epoch, **body)


class TokenEndpoint(Endpoints):
    @command(body=bodies.TokenBody, answer=TokenAnswer, scope=Scope.TOKENS, status=201, called="issue")
    def create(self, actor: Actor, *, conversation_id: int, customer_name: str = "") -> dict[str, Any]:
        """A token with which one customer reads and writes in one conversation: for a chat in the shop's own page."""
        token = tokens.issue_customer_token(actor=actor, conversation_id=conversation_id, customer_name=customer_name)
        return {"token": token, "expires_in": settings.TOKEN_LIFETIME}


class JoinEndpoint(Endpoints):
    authentication_classes = ()
    permission_classes = ()

    @command(body=bodies.JoinBody, answer=JoinedAnswer, scope=None, status=201, called="enter")
    def create(self, actor: Actor, *, tenant: str, token: str) -> dict[str, Any]:
        """Enter a conversation by the link's one-time token; the answer's token is the participant's own from here on."""
        where = Tenant.objects.filter(slug=tenant).first()
        if where is None:
            raise LinkIsOver
        joined = people.join(tenant_id=where.pk, token=token)
        participant = people.as_actor(Participant.objects.get(pk=joined.participant_id or 0))
        return {
            "conversation_id": joined.conversation_id,
            "participant_id": joined.participant_id,
            "token": issue_token(participant),
        }
