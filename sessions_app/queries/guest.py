"""What people from outside the desk see: their invitation, and the conversation they joined. Facts, no wording.

The visitor's Django session says who joined by a link: it holds each participation that was entered in this browser,
with the digest of the link that was used. A link lets in one browser, once; that browser may come back by the same
link, any other browser gets `LinkIsOver`.
"""

from __future__ import annotations

from collections.abc import Collection, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from agents_app.actors import Actor, ActorKind
from agents_app.credentials.secrets import digest
from config.db import ids_in
from messaging_app.models import Conversation, Message
from sessions_app.errors import LinkIsOver
from sessions_app.models import ChatSession, Participant
from sessions_app.queries import THREAD_PAGE, Item, before_place, owner_of, place_of
from sessions_app.queries.news import NEWS_MOST, named_after, news
from sessions_app.rights.visible import visible_to
from sessions_app.states import Owner, ParticipantStatus

JOINED = "joined"
"""The key in a visitor's Django session: participant → digest of the link."""
MOST_JOINED = 50
"""Participations that one browser keeps; the oldest make room."""


def invitation(token: str) -> Participant:
    """The invitation behind a link that nobody has used yet. Reading it does not use the link. Raises `LinkIsOver`."""
    rows = Participant.objects.filter(token_hash=digest(token), status=ParticipantStatus.INVITED)
    participant = rows.select_related("tenant").first()
    if participant is None:
        raise LinkIsOver
    return participant


def remember(session: MutableMapping[str, Any], participant_id: int, token: str) -> None:
    """Note in the visitor's session that this browser joined, and by which link."""
    entered = {**session.get(JOINED, {}), str(participant_id): digest(token)}
    session[JOINED] = dict(list(entered.items())[-MOST_JOINED:])


def entered_by(session: MutableMapping[str, Any], token: str) -> int | None:
    """The participation that this browser entered by this link; None when it did not."""
    used = digest(token)
    return next((int(pk) for pk, link in session.get(JOINED, {}).items() if link == used), None)


def joined(session: MutableMapping[str, Any], participant_id: int) -> Participant | None:
    """The participation, if this browser entered it; also one that has ended."""
    if str(participant_id) not in session.get(JOINED, {}):
        return None
    rows = Participant.objects.select_related("tenant", "conversation")
    return rows.filter(pk=participant_id).first()


def ended(actors: Collection[Actor]) -> set[Actor]:
    """The participants among the actors who are no longer in: they left, were removed, or the work has ended."""
    participants = {actor for actor in actors if actor.kind == ActorKind.PARTICIPANT}
    if not participants:
        return set()
    rows = Participant.objects.filter(pk__in={actor.pk for actor in participants}, status=ParticipantStatus.JOINED)
    inside = set(rows.values_list("pk", "tenant_id", "conversation_id"))
    return {actor for actor in participants if (actor.pk, actor.tenant_id, actor.conversation_id) not in inside}


@dataclass(frozen=True, slots=True)
class GuestPerson:
    """Somebody in the conversation. `kind` is customer, bot, agent, shop or a participant's role."""

    name: str
    kind: str
    is_me: bool = False


@dataclass(slots=True)
class GuestPage:
    """The conversation as one participant sees it: what was shared, never a note. `items` are oldest first."""

    participant: Participant
    conversation: Conversation
    people: list[GuestPerson]
    items: list[Item] = field(default_factory=list)
    earlier: str = ""  # where the page before this one ends
    is_behind: bool = False  # there is more news than one page holds: load it again

    @property
    def seq(self) -> int:
        return self.conversation.seq


def guest_page(participant: Participant, *, before: str = "", limit: int = THREAD_PAGE) -> GuestPage:
    """The page with the newest messages, or with those before a place (`place_of`). Raises `Malformed`."""
    page = _opened(participant)
    messages = before_place(visible_to(participant), before)
    newest = list(messages.reverse()[: limit + 1])
    page.items = _items(newest[:limit][::-1])
    if len(newest) > limit:
        page.earlier = place_of(newest[limit - 1])
    return page


def guest_news(participant: Participant, *, after: int, limit: int = NEWS_MOST) -> GuestPage:
    """The page with the messages that are new or come again after operation `after`; without any if it `is_behind`."""
    page = _opened(participant, after)
    named = ids_in(getattr(page.conversation, "named", ""))
    new = news(visible_to(participant), after=after, named=named, limit=limit)
    page.is_behind = new.is_behind
    page.items = [] if page.is_behind else _items(new.said, new.again)
    return page


def _opened(participant: Participant, after: int = 0) -> GuestPage:
    """The page without messages. With `after`, the conversation has the ids that later operations name: `named`."""
    rows: QuerySet[Any] = Conversation.objects.all()
    conversation = (rows.annotate(named=named_after(after)) if after else rows).get(pk=participant.conversation_id)
    return GuestPage(participant, conversation, list(_people(participant, conversation)))


def _items(messages: list[Message], again: Collection[int] = ()) -> list[Item]:
    return [Item(message.sent_at, message.seq, message=message, is_again=message.pk in again) for message in messages]


def _people(me: Participant, conversation: Conversation) -> list[GuestPerson]:
    """Everybody in the conversation: the customer, the owner, and the participants who joined."""
    live = ChatSession.objects.filter(live_key=conversation.pk).select_related("agent", "bot").first()
    people = [GuestPerson(conversation.title, "customer")]
    if live and live.owner_kind != Owner.NOBODY:
        people.append(GuestPerson(owner_of(live), live.owner_kind))
    inside = Participant.objects.filter(Participant.IS_IN, conversation=conversation).order_by("pk")
    people += [GuestPerson(p.name, p.role, is_me=p.pk == me.pk) for p in inside]
    return people
