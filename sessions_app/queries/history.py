"""What lies behind a conversation: its operations, and the work that was done for the same account before."""

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
    """The newest operations of a conversation that the actor may hear of, the newest first."""
    return visible.operations(actor).filter(conversation=conversation).order_by("-seq")[:limit]


def past_sessions(actor: Actor, conversation: Conversation, limit: int = PAST_MOST) -> QuerySet[ChatSession]:
    """What has ended of the work for this account, in whichever shop, the newest first.

    An account is one customer on its platform only: the same word elsewhere is somebody else.
    """
    account = {"platform": conversation.platform, "account_id": conversation.account_id}
    theirs = visible.conversations(actor).filter(**account)
    ended = visible.sessions(actor).filter(conversation__in=theirs.order_by().values("pk"), status__in=sorted(TERMINAL))
    return ended.select_related("conversation", "agent", "bot").order_by("-ended_at", "-pk")[:limit]
