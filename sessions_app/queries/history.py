"""The history of a conversation: its operations, and the ended sessions of the same account."""

from __future__ import annotations

from django.db.models import QuerySet

from agents_app.actors import Actor
from messaging_app.models import Conversation, Operation
from sessions_app.models import ChatSession
from sessions_app.rights import visible
from sessions_app.states import TERMINAL

TIMELINE_MOST = 50
PAST_MOST = 10


def timeline(actor: Actor, conversation: Conversation, limit: int = TIMELINE_MOST) -> QuerySet[Operation]:
    """The newest operations of a conversation that the actor may see, the newest first."""
    return visible.operations(actor).filter(conversation=conversation).order_by("-seq")[:limit]


def past_sessions(actor: Actor, conversation: Conversation, limit: int = PAST_MOST) -> QuerySet[ChatSession]:
    """The ended sessions of this conversation's account that the actor may see, in all its shops, the newest first.

    An account id names one customer on its platform only: the same id on another platform is somebody else.
    """
    account = {"platform": conversation.platform, "account_id": conversation.account_id}
    conversations = visible.conversations(actor).filter(**account)
    ids = conversations.order_by().values("pk")
    ended = visible.sessions(actor).filter(conversation__in=ids, status__in=sorted(TERMINAL))
    return ended.select_related("conversation", "agent", "bot").order_by("-ended_at", "-pk")[:limit]
