"""The thread: an open conversation as one agent sees it, with its messages and events.

`thread_page` and `thread_news` read the conversation, its newest transfer and flow, the people in it and its items.
The figures, and what every row of the list has too, are read by `sessions_app.queries.desk_page` for the whole page at
once, which then `complete`s the thread.
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
from messaging_app.events import changed_message_ids
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
"""Colleagues whom the page offers to call in."""
PACKAGE_STAYS = timedelta(minutes=10)
"""How long the context package stays on top of the thread after somebody has accepted."""
_REQUESTED = (TransferKind.ESCALATION, TransferKind.HANDOVER, TransferKind.REASSIGNMENT)
"""Transfers that are requested: the agent sees their context package, which says why."""
_IMMEDIATE = (TransferKind.TAKEOVER, TransferKind.GRAB)
"""Transfers by which an agent takes a conversation at once: their package is shown if it tells of the work."""

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
"""The operations that a thread shows between the messages; only the admin shows the others."""


_BY_ITSELF = (oplog.SERVED, oplog.TAKEN_UP, oplog.ANSWERED)
"""Reasons for which a flag goes without a line in the thread."""


@dataclass(slots=True, eq=False)
class Item:
    """One line of a thread: a message or an operation."""

    at: datetime
    seq: int
    message: Message | None = None
    operation: Operation | None = None
    mentioned: list[str] = field(default_factory=list)  # in a note, by name
    is_again: bool = False  # the reader has it already; it may have changed

    @property
    def place(self) -> int:
        """The key of the thread's order, in microseconds since 1970: a page puts late lines where they belong by it."""
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
    is_behind: bool = False  # there is more news than one page holds: load it again

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
        """The session that stands for the conversation: the live one, or the first in line."""
        return self.live or min(self.sessions, key=lambda s: (s.rank, s.opened_at, s.pk), default=None)

    @property
    def waiting(self) -> list[ChatSession]:
        return [s for s in self.sessions if s is not self.session]

    @property
    def state(self) -> Derived:
        """The conversation's derived state: queued, or that of its session; resolved without one."""
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
        """When an agent is there again for the queued customer; None where one is now, or nobody is queued."""
        transfer = self.pending if self.conversation.controller == Controller.QUEUE else None
        return transfer.opens_at if transfer and transfer.opens_at and transfer.opens_at > self.now else None

    @property
    def owner(self) -> str:
        return owner_of(self.live)

    @property
    def pending(self) -> Transfer | None:
        """The transfer that waits for an answer."""
        return self.transfer if self.transfer and self.transfer.is_pending else None

    @property
    def carried(self) -> Transfer | None:
        """The transfer whose context package is on top: one that waits, or was accepted within `PACKAGE_STAYS`."""
        transfer, live = self.transfer, self.live
        if transfer is None:
            return None
        if not (transfer.kind in _REQUESTED or (transfer.kind in _IMMEDIATE and has_words(transfer.context))):
            return None
        if transfer.is_pending:
            return transfer
        is_fresh = transfer.ended_at is not None and self.now - transfer.ended_at < PACKAGE_STAYS
        is_served = live is not None and live.pk == transfer.session_id and live.is_human_served
        return transfer if transfer.status == TransferStatus.ACCEPTED and is_fresh and is_served else None

    @property
    def held(self) -> ChatSession | None:
        """The session that was paused on request and waits to be resumed; the one that goes first, where several do."""
        held = (s for s in self.sessions if s.status == Status.PAUSED and s.on_hold)
        return min(held, key=lambda s: (s.rank, s.opened_at, s.pk), default=None)

    @property
    def has_bot(self) -> bool:
        """Whether a bot could take the conversation back: `release_to_bot` checks the same under the lock."""
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


# --- Items -------------------------------------------------------------------------------------------------------


def thread_page(*, actor: Actor, conversation_id: int, before: str = "", limit: int = THREAD_PAGE) -> ThreadPage:
    """A conversation with its newest messages, or those before a place (`place_of`). Raises `NotFound`, `Malformed`."""
    page = _opened(actor, conversation_id)
    messages = before_place(_readable(actor, conversation_id), before)
    newest = _with_files(messages.reverse()[: limit + 1])
    shown = newest[:limit][::-1]
    operations = Operation.objects.filter(conversation_id=conversation_id, type__in=EVENTS)
    if len(newest) > limit:
        page.earlier = place_of(shown[0])
        operations = operations.filter(at__gte=shown[0].sent_at)
    if before:
        operations = operations.filter(at__lt=_place(before)[0])
    page.items = merged(shown, operations.order_by("-at", "-seq")[:limit])
    return page


def thread_news(*, actor: Actor, conversation_id: int, after: int, limit: int = NEWS_MOST) -> ThreadPage:
    """A conversation as it is now, with what was said and done after operation `after`. Raises `NotFound`."""
    page = _opened(actor, conversation_id)
    if page.seq <= after:
        return page
    later = Operation.objects.filter(conversation_id=conversation_id, seq__gt=after).order_by("seq")
    operations = list(later[: limit + 1])
    # A page is better loaded again after a long absence, or a batch, which may put messages anywhere in the past.
    page.is_behind = len(operations) > limit or any(o.type == "messages.grouped" for o in operations)
    if not page.is_behind:
        shown = [o for o in operations if o.type in EVENTS]
        if any(o.message_pk is not None for o in operations):
            new = news(
                _readable(actor, conversation_id), after=after, named=changed_message_ids(operations), limit=limit
            )
            page.items = merged(_with_files(new.said), shown, again=new.again)
        else:
            page.items = merged((), shown)
    return page


def _opened(actor: Actor, conversation_id: int) -> ThreadPage:
    """The conversation with its newest transfer and flow, the viewer's drafts, and the people in it: two queries."""
    rows: QuerySet[Any] = Conversation.objects.filter(pk=conversation_id, tenant_id=actor.tenant_id)
    messages = Message.objects.filter(conversation=OuterRef("pk"), is_note=False).order_by("-sent_at", "-id")
    rows = rows.annotate(
        db_now=clock.DbNow(),
        said_at=Subquery(messages.values("sent_at")[:1]),
        moved=_newest(Transfer, "transfers", "-requested_at"),
        flow=_newest(GuidedFlow, "flows"),
        **{f"{mode}_draft": _draft(actor, mode) for mode in Draft.Mode.values},
    )
    drafts = [f"{mode}_draft" for mode in Draft.Mode.values]
    row = rows.select_related("moved__to_agent", "moved__to_team", "moved__offered_to", "flow", *drafts).first()
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
    """The join of a conversation with the newest of its rows of this model."""
    rows = model._default_manager.filter(conversation=OuterRef("pk")).order_by(*order, "-pk")
    newest = Subquery(rows.values("pk")[:1])
    return FilteredRelation(name, condition=Q(**{f"{name}__pk": newest}))


def _draft(actor: Actor, mode: str) -> FilteredRelation:
    """The join of a conversation with the viewer's draft in this mode, of which there is one at most."""
    return FilteredRelation("drafts", condition=Q(drafts__agent=actor.pk, drafts__mode=mode))


def _readable(actor: Actor, conversation_id: int) -> QuerySet[Message]:
    """The messages that the agent may read, in the thread's order, each with the ids of the agents whom it mentions."""
    messages = visible.messages(actor).filter(conversation_id=conversation_id).order_by("sent_at", "id")
    has_files = Exists(Attachment.objects.filter(message=OuterRef("pk")))
    return messages.annotate(mentioned_ids=mentions.ids_named(), has_files=has_files)


def _with_files(rows: Iterable[Message]) -> list[Message]:
    """Read the messages with their files. Without any, which is so for most pages, this costs no query."""
    messages: list[Any] = list(rows)
    for message in messages:
        if not message.has_files:
            message._prefetched_objects_cache = {"attachments": Attachment.objects.none()}
    prefetch_related_objects([message for message in messages if message.has_files], "attachments")
    return messages


def place_of(message: Message) -> str:
    """A message's place in the thread as a text, for `before_place`: where the page before it ends."""
    return f"{message.sent_at.isoformat()}_{message.pk}"


def before_place(messages: QuerySet[Message], place: str) -> QuerySet[Message]:
    """The messages before a place; all of them where it is empty. Raises `Malformed`."""
    if not place:
        return messages
    at, pk = _place(place)
    return messages.filter(sent_at__lte=at).filter(Q(sent_at__lt=at) | Q(sent_at=at, pk__lt=pk))


def _place(text: str) -> tuple[datetime, int]:
    at, _, pk = text.rpartition("_")
    try:
        if is_id(pk):
            return datetime.fromisoformat(at).astimezone(UTC), int(pk)
    except (ValueError, OverflowError):  # no time, or one that an offset puts beyond the calendar
        pass
    raise Malformed(f"{text!r} is no place in a thread.")


def merged(messages: Iterable[Message], operations: Iterable[Operation], again: Collection[int] = ()) -> list[Item]:
    """Messages and operations as items in the thread's order; `again` are the ids of messages that the reader has."""
    items = [Item(m.sent_at, m.seq, message=m, is_again=m.pk in again) for m in messages]
    items += [Item(o.at, o.seq, operation=o) for o in newest_of_runs(operations) if not _goes_without_saying(o)]
    return sorted(items, key=lambda item: (item.at, item.seq))


def run_of(operation: Operation) -> str:
    """The key of a run of operations that is shown as its newest; empty for an operation with a line of its own."""
    return f"again{operation.data['transfer_id']}" if operation.type == "transfer.asked_again" else ""


def newest_of_runs(operations: Iterable[Operation]) -> list[Operation]:
    """The operations in the order of `seq`, with only the newest of each run."""
    newest: dict[str | int, Operation] = {}
    for operation in sorted(operations, key=lambda o: o.seq):
        newest[run_of(operation) or operation.seq] = operation
    return sorted(newest.values(), key=lambda o: o.seq)


def _goes_without_saying(operation: Operation) -> bool:
    """Whether another line says it: an escalation raised the flag, or it went because somebody serves or answered."""
    if operation.type == "attention.raised":
        return bool(operation.data.get("effect") == "escalate")
    return operation.type == "attention.cleared" and operation.data.get("reason") in _BY_ITSELF


# --- Figures and people ------------------------------------------------------------------------------------------


def figures_wanted(page: ThreadPage) -> Wanted:
    """The viewer's load and capacity, whether they get anything new, and where the customer stands in the queue."""
    viewer = Agent.objects.filter(pk=page.viewer_id).order_by()
    wanted: Wanted = {
        "viewer_load": Counted(served(page.viewer_id)),
        "viewer_most": Subquery(viewer.values("max_load")),
        "viewer_is_drained": Subquery(viewer.values("is_drained")),
    }
    if page.conversation.controller != Controller.QUEUE:
        return wanted
    return {**wanted, **expected_wait.figures_wanted(page.conversation, page.pending, page.now)}


def complete(page: ThreadPage, entry: Related, tenant_labels: Mapping[int, Label], figures: Mapping[str, Any]) -> None:
    """Fill in what was read for the whole page, and the names of people. The tenant's labels are by id."""
    page.sessions, page.clock, page.read = entry.sessions, entry.clock, entry.read
    page.labels = labels.chosen(tenant_labels, entry.label_ids)
    page.other_labels = [label for label in tenant_labels.values() if label.is_enabled and label not in page.labels]
    page.viewer_load, page.viewer_most = figures["viewer_load"], figures["viewer_most"]
    page.viewer_is_drained = figures["viewer_is_drained"]
    if page.conversation.controller == Controller.QUEUE:
        page.waits = expected_wait.estimate(figures, page.conversation, page.pending, page.now)
    name_people(page)


def name_people(page: ThreadPage) -> None:
    """Fill in whom the notes mention, and who could be called in: available, and not in already. One query, or none."""
    mentioned = {item: ids_in(getattr(item.message, "mentioned_ids", "")) for item in page.items}
    people = Agent.objects.filter(pk__in={pk for ids in mentioned.values() for pk in ids})
    free = presence.reachable(page.now).filter(tenant_id=page.conversation.tenant_id)
    if page.may_speak:
        people |= free
    agents = list(people.annotate(is_free=Exists(free.filter(pk=OuterRef("pk")))))
    for item, ids in mentioned.items():
        item.mentioned = [agent.name for agent in agents if agent.pk in ids]
    if page.may_speak:
        inside = {p.agent_id for p in page.people} | {page.live.agent_id if page.live else None}
        page.colleagues = [(a.pk, a.name) for a in agents if a.is_free and a.pk not in inside][:COLLEAGUES_MOST]
