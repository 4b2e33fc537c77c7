"""The thread: a conversation that is open, as one agent sees it, and the lines of it.

`thread_page` and `thread_news` read the conversation, its newest move and flow, the people in it and its lines. What
also stands beside every row of the list, and the figures, come from `sessions_app.queries.desk_page`, which reads them for the whole
page at once, and then `complete`s the thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Exists, FilteredRelation, Model, OuterRef, Q, QuerySet, Subquery, prefetch_related_objects

from agents_app import presence
from agents_app.actors import Actor
from agents_app.models import Agent
from config import clock
from config.api import is_id
from config.db import ids_in
from messaging_app.agent_tools import labels, mentions
from messaging_app.events import named_again
from messaging_app.models import Controller, Conversation, Message, Operation
from messaging_app.models.agent_tools import Draft, Label
from messaging_app.models.attachments import Attachment
from sessions_app.core import oplog
from sessions_app.core.context_package import has_words
from sessions_app.core.locked_conversation import is_unclaimed
from sessions_app.errors import Malformed, NotFound
from sessions_app.models import ChatSession, GuidedFlow, Participant, SlaClock, Transfer
from sessions_app.queries import expected_wait
from sessions_app.queries.aggregates import Counted, Wanted
from sessions_app.queries.expected_wait import Waiting
from sessions_app.queries.news import NEWS_MOST, news
from sessions_app.queries.related import Related, ends_soon_at, owner_of, served
from sessions_app.rights import visible
from sessions_app.states import Derived, Owner, ParticipantStatus, Status, TransferKind, TransferStatus

THREAD_PAGE = 50
COLLEAGUES_MOST = 200
"""That are offered to be called in."""
PACKAGE_STAYS = timedelta(minutes=10)
"""After somebody has accepted: so long the context package stays on top of the thread."""
_CARRIES = (TransferKind.ESCALATION, TransferKind.HANDOVER, TransferKind.REASSIGNMENT)
"""The moves that are asked for: why is before the agent's eyes."""
_TAKES = (TransferKind.TAKEOVER, TransferKind.GRAB)
"""The moves by which an agent takes a conversation at once: what was said about the work is, where anything was."""

EVENTS = (
    "transfer.requested",
    "transfer.asked_again",
    "transfer.changed",
    "transfer.readdressed",
    "transfer.accepted",
    "transfer.declined",
    "transfer.withdrawn",
    "transfer.timed_out",
    "session.completed",
    "session.cancelled",
    "session.timed_out",
    "session.paused",
    "session.resumed",
    "session.ending_soon",
    "attention.raised",
    "attention.cleared",
    "mail.queued",
    "mail.failed",
    "sla.breached",
)
"""The operations that a thread shows between the words; the rest is the admin's."""


_BY_ITSELF = (oplog.SERVED, oplog.TAKEN_UP, oplog.ANSWERED)
"""Why a flag went that nobody has to be told of."""


@dataclass(slots=True, eq=False)
class Item:
    """One line of a thread: something said, or something that happened to the turn."""

    at: datetime
    seq: int
    message: Message | None = None
    operation: Operation | None = None
    mentioned: list[str] = field(default_factory=list)  # in a note, by name
    is_again: bool = False  # known already to whoever is given it, and perhaps another by now

    @property
    def place(self) -> int:
        """The key of the thread's order, for a page that puts late lines where they belong."""
        return (self.at - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class ThreadPage:
    """An open conversation, as one agent sees it. `items` are oldest first."""

    conversation: Conversation
    now: datetime  # by the database's clock, when the conversation was read
    viewer_id: int
    transfer: Transfer | None = None  # the newest one
    flow: GuidedFlow | None = None  # the newest one
    drafts: dict[str, Draft] = field(default_factory=dict)  # the viewer's own, by mode
    people: list[Participant] = field(default_factory=list)  # who was invited or is in, beside the owner
    helpers: list[Participant] = field(default_factory=list)  # colleagues who are or were called in
    said_at: datetime | None = None  # the newest message, notes aside
    items: list[Item] = field(default_factory=list)
    earlier: str = ""  # where the page before this one ends; empty at the beginning of the conversation
    is_behind: bool = False  # there is more news than one answer holds

    # Filled in by `complete`.
    sessions: list[ChatSession] = field(default_factory=list)  # open ones, oldest first
    clock: SlaClock | None = None  # the most pressing one
    read: int = 0  # the last operation that the viewer has read
    labels: list[Label] = field(default_factory=list)
    other_labels: list[Label] = field(default_factory=list)  # that could be put on
    viewer_load: int = 0
    viewer_most: int = 0
    viewer_is_drained: bool = False
    waits: Waiting | None = None
    colleagues: list[tuple[int, str]] | None = None  # who could be called in, where the viewer may call anybody

    @property
    def live(self) -> ChatSession | None:
        return next((s for s in self.sessions if s.is_live), None)

    @property
    def ends_at(self) -> datetime | None:
        """When what an agent serves ends by itself, if that is soon."""
        return ends_soon_at(self.live)

    @property
    def session(self) -> ChatSession | None:
        """The session to speak of: the live one, or the one that heads the line."""
        return self.live or min(self.sessions, key=lambda s: (s.rank, s.opened_at, s.pk), default=None)

    @property
    def waiting(self) -> list[ChatSession]:
        return [s for s in self.sessions if s is not self.session]

    @property
    def state(self) -> Derived:
        """What the conversation's state is called: that of its session; resolved without one."""
        if self.conversation.controller == Controller.QUEUE:
            return Derived.QUEUED
        session = self.session
        if session is None or is_unclaimed(session):
            return Derived.RESOLVED if not self.sessions else Derived.WAITING
        return session.derived

    @property
    def is_mine(self) -> bool:
        live = self.live
        return bool(live and live.owner_kind == Owner.AGENT and live.agent_id == self.viewer_id)

    @property
    def may_speak(self) -> bool:
        live = self.live
        return bool(live and live.is_human_served) and (self.is_mine or self.collaborates)

    @property
    def collaborates(self) -> bool:
        return any(p.agent_id == self.viewer_id and p.status == ParticipantStatus.JOINED for p in self.people)

    @property
    def opens_at(self) -> datetime | None:
        """When somebody is there for whom the customer waits, where nobody is now."""
        asked = self.pending if self.conversation.controller == Controller.QUEUE else None
        return asked.opens_at if asked and asked.opens_at and asked.opens_at > self.now else None

    @property
    def owner(self) -> str:
        return owner_of(self.live)

    @property
    def pending(self) -> Transfer | None:
        """The transfer that waits for an answer."""
        return self.transfer if self.transfer and self.transfer.is_pending else None

    @property
    def carried(self) -> Transfer | None:
        """The transfer whose context package is to be before the agent's eyes: one that waits, or was just made."""
        moved, live = self.transfer, self.live
        if moved is None or not (moved.kind in _CARRIES or (moved.kind in _TAKES and has_words(moved.context))):
            return None
        if moved.is_pending:
            return moved
        is_fresh = moved.ended_at is not None and self.now - moved.ended_at < PACKAGE_STAYS
        is_served = live is not None and live.pk == moved.session_id and live.is_human_served
        return moved if moved.status == TransferStatus.ACCEPTED and is_fresh and is_served else None

    @property
    def held(self) -> ChatSession | None:
        """The session that was paused on request and waits to be resumed; the one that goes first, where several do."""
        held = (s for s in self.sessions if s.status == Status.PAUSED and s.on_hold)
        return min(held, key=lambda s: (s.rank, s.opened_at, s.pk), default=None)

    @property
    def has_bot(self) -> bool:
        """Whether a bot could take the conversation back: `release_to_bot` asks the same under the lock."""
        live = self.live
        robots = [s for s in self.sessions if s.is_robot and not s.on_hold]
        robot = live if live and live.is_robot else next((s for s in robots if s is not live), None)
        return bool(robot and robot.bot and presence.is_alive(robot.bot, self.now))

    @property
    def is_full(self) -> bool:
        return self.viewer_load >= self.viewer_most

    @property
    def seq(self) -> int:
        return self.conversation.seq


# --- Its lines ---------------------------------------------------------------------------------------------------


def thread_page(*, actor: Actor, conversation_id: int, before: str = "", limit: int = THREAD_PAGE) -> ThreadPage:
    """A conversation with its newest messages, or with those before a place. Raises `NotFound`, `Malformed`."""
    page = _opened(actor, conversation_id)
    said = before_place(_said(actor, conversation_id), before)
    newest = _with_files(said.reverse()[: limit + 1])
    shown = newest[:limit][::-1]
    happened = Operation.objects.filter(conversation_id=conversation_id, type__in=EVENTS)
    if len(newest) > limit:
        page.earlier = place_of(shown[0])
        happened = happened.filter(at__gte=shown[0].sent_at)
    if before:
        happened = happened.filter(at__lt=_place(before)[0])
    page.items = merged(shown, happened.order_by("-at", "-seq")[:limit])
    return page


def thread_news(*, actor: Actor, conversation_id: int, after: int, limit: int = NEWS_MOST) -> ThreadPage:
    """A conversation as it is now, with what was said and done after operation `after`. Raises `NotFound`."""
    page = _opened(actor, conversation_id)
    if page.seq <= after:
        return page
    happened = Operation.objects.filter(conversation_id=conversation_id, seq__gt=after).order_by("seq")
    operations = list(happened[: limit + 1])
    # A batch may put words anywhere in the past; so does a long absence leave a page better loaded anew.
    page.is_behind = len(operations) > limit or any(o.type == "messages.grouped" for o in operations)
    if not page.is_behind:
        shown = [o for o in operations if o.type in EVENTS]
        if any(o.message_pk is not None for o in operations):
            found = news(_said(actor, conversation_id), after=after, named=named_again(operations), limit=limit)
            page.items = merged(_with_files(found.said), shown, again=found.again)
        else:
            page.items = merged((), shown)
    return page


def _opened(actor: Actor, conversation_id: int) -> ThreadPage:
    """The conversation with its newest move and flow, the viewer's drafts, and the people in it: two queries."""
    found: QuerySet[Any] = Conversation.objects.filter(pk=conversation_id, tenant_id=actor.tenant_id)
    said = Message.objects.filter(conversation=OuterRef("pk"), is_note=False).order_by("-sent_at", "-id")
    found = found.annotate(
        db_now=clock.DbNow(),
        said_at=Subquery(said.values("sent_at")[:1]),
        moved=_newest(Transfer, "transfers", "-requested_at"),
        flow=_newest(GuidedFlow, "flows"),
        **{f"{mode}_draft": _draft(actor, mode) for mode in Draft.Mode.values},
    )
    drafts = [f"{mode}_draft" for mode in Draft.Mode.values]
    row = found.select_related("moved__to_agent", "moved__to_team", "moved__offered_to", "flow", *drafts).first()
    if row is None:
        raise NotFound("There is no such conversation.")
    inside = (ParticipantStatus.INVITED, ParticipantStatus.JOINED)
    called = Q(status__in=inside) | Q(role=Participant.Role.COLLABORATOR)
    people = list(
        Participant.objects.filter(called, conversation=conversation_id).select_related("agent").order_by("pk")
    )
    return ThreadPage(
        conversation=row,
        now=row.db_now + clock.offset,
        viewer_id=actor.pk,
        transfer=getattr(row, "moved", None),  # where there is none to join, the row has no such attribute
        flow=getattr(row, "flow", None),
        drafts={draft.mode: draft for name in drafts if (draft := getattr(row, name, None))},
        people=[p for p in people if p.status in inside and (p.agent is None or p.agent.is_active)],
        helpers=[p for p in people if p.role == Participant.Role.COLLABORATOR],
        said_at=row.said_at,
    )


def _newest(model: type[Model], name: str, *order: str) -> FilteredRelation:
    """Of the rows that belong to a conversation the newest one, to be joined to it."""
    rows = model._default_manager.filter(conversation=OuterRef("pk")).order_by(*order, "-pk")
    newest = Subquery(rows.values("pk")[:1])
    return FilteredRelation(name, condition=Q(**{f"{name}__pk": newest}))


def _draft(actor: Actor, mode: str) -> FilteredRelation:
    """The viewer's draft, of which a conversation has one at most, to be joined to it."""
    return FilteredRelation("drafts", condition=Q(drafts__agent=actor.pk, drafts__mode=mode))


def _said(actor: Actor, conversation_id: int) -> QuerySet[Message]:
    """What the agent may read of a conversation, in its order, each message with the ids of whom it mentions."""
    said = visible.messages(actor).filter(conversation_id=conversation_id).order_by("sent_at", "id")
    has_files = Exists(Attachment.objects.filter(message=OuterRef("pk")))
    return said.annotate(mentioned_ids=mentions.ids_named(), has_files=has_files)


def _with_files(said: Iterable[Message]) -> list[Message]:
    """Read the messages, and what came with them where something did: most pages cost no query for it."""
    found: list[Any] = list(said)
    for message in found:
        if not message.has_files:
            message._prefetched_objects_cache = {"attachments": Attachment.objects.none()}
    prefetch_related_objects([message for message in found if message.has_files], "attachments")
    return found


def place_of(message: Message) -> str:
    """Where the page before this message ends."""
    return f"{message.sent_at.isoformat()}_{message.pk}"


def before_place(said: QuerySet[Message], place: str) -> QuerySet[Message]:
    """Those said before a place; all, where none is named. Raises `Malformed`."""
    if not place:
        return said
    at, pk = _place(place)
    return said.filter(sent_at__lte=at).filter(Q(sent_at__lt=at) | Q(sent_at=at, pk__lt=pk))


def _place(text: str) -> tuple[datetime, int]:
    at, _, pk = text.rpartition("_")
    try:
        if is_id(pk):
            return datetime.fromisoformat(at).astimezone(UTC), int(pk)
    except (ValueError, OverflowError):  # no time, or one that an offset puts beyond the calendar
        pass
    raise Malformed(f"{text!r} is no place in a thread.")


def merged(said: Iterable[Message], happened: Iterable[Operation], again: Collection[int] = ()) -> list[Item]:
    """What was said and what happened, in the order of the thread; `again` are the messages that come once more."""
    items = [Item(m.sent_at, m.seq, message=m, is_again=m.pk in again) for m in said]
    items += [Item(o.at, o.seq, operation=o) for o in newest_of_runs(happened) if not _goes_without_saying(o)]
    return sorted(items, key=lambda item: (item.at, item.seq))


def run_of(operation: Operation) -> str:
    """The name of a run of operations that are one line, the newest of them; empty for what is a line of its own."""
    return f"again{operation.data['transfer_id']}" if operation.type == "transfer.asked_again" else ""


def newest_of_runs(happened: Iterable[Operation]) -> list[Operation]:
    """The operations in their order, of each run only the newest."""
    newest: dict[str | int, Operation] = {}
    for operation in sorted(happened, key=lambda one: one.seq):
        newest[run_of(operation) or operation.seq] = operation
    return sorted(newest.values(), key=lambda one: one.seq)


def _goes_without_saying(operation: Operation) -> bool:
    """A flag that came with an escalation, or went because somebody serves or has answered: the line beside it says so."""
    if operation.type == "attention.raised":
        return bool(operation.data.get("effect") == "escalate")
    return operation.type == "attention.cleared" and operation.data.get("reason") in _BY_ITSELF


# --- What stands around them -------------------------------------------------------------------------------------


def figures_wanted(page: ThreadPage) -> Wanted:
    """The viewer's load and capacity, whether they get anything new, and where the customer stands in the queue."""
    most = Agent.objects.filter(pk=page.viewer_id).order_by()
    wanted: Wanted = {
        "viewer_load": Counted(served(page.viewer_id)),
        "viewer_most": Subquery(most.values("max_load")),
        "viewer_is_drained": Subquery(most.values("is_drained")),
    }
    if page.conversation.controller != Controller.QUEUE:
        return wanted
    return {**wanted, **expected_wait.figures_wanted(page.conversation, page.pending, page.now)}


def complete(page: ThreadPage, its: Related, known: Mapping[int, Label], told: Mapping[str, Any]) -> None:
    """Fill in what was read for the whole page, and the names of people; `known` are the tenant's labels by id."""
    page.sessions, page.clock, page.read = its.sessions, its.clock, its.read
    page.labels = labels.chosen(known, its.label_ids)
    page.other_labels = [label for label in known.values() if label.is_enabled and label not in page.labels]
    page.viewer_load, page.viewer_most = told["viewer_load"], told["viewer_most"]
    page.viewer_is_drained = told["viewer_is_drained"]
    if page.conversation.controller == Controller.QUEUE:
        page.waits = expected_wait.told(told, page.conversation, page.pending, page.now)
    name_people(page)


def name_people(page: ThreadPage) -> None:
    """Whom the notes mention, and who could be called in: available, and not in already. One query, or none."""
    mentioned = {item: ids_in(getattr(item.message, "mentioned_ids", "")) for item in page.items}
    people = Agent.objects.filter(pk__in={pk for ids in mentioned.values() for pk in ids})
    free = presence.reachable(page.now).filter(tenant_id=page.conversation.tenant_id)
    if page.may_speak:
        people |= free
    found = list(people.annotate(is_free=Exists(free.filter(pk=OuterRef("pk")))))
    for item, ids in mentioned.items():
        item.mentioned = [agent.name for agent in found if agent.pk in ids]
    if page.may_speak:
        inside = {p.agent_id for p in page.people} | {page.live.agent_id if page.live else None}
        page.colleagues = [(a.pk, a.name) for a in found if a.is_free and a.pk not in inside][:COLLEAGUES_MOST]
