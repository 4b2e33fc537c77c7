"""What the API tells of conversations: each with its live session, labels and what the reader has to do with it.

One query for a whole page, and one more for the labels on it, if there are any. The first page, which programs ask for
again and again, is a statement that is built once (`config.compiled_query`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from django.db.models import Case, F, FilteredRelation, OuterRef, Q, QuerySet, Subquery, When

from agents_app.actors import Actor, ActorKind
from config import clock
from config.compiled_query import CompiledForIds, CompiledQuery
from config.db import ids_in
from messaging_app.agent_tools import labels
from messaging_app.models import Controller, Conversation
from messaging_app.models.agent_tools import Label
from sessions_app.models import Transfer
from sessions_app.queries.related import has_room, of_viewer
from sessions_app.rights import visible
from sessions_app.states import Owner, TransferStatus

OF_LIVE = ("owner_kind", "agent_id", "bot_id", "agent__name", "bot__name")
"""What is told of the live session, and of whoever works it."""
KEPT_FOR = frozenset({ActorKind.AGENT, ActorKind.BOT, ActorKind.INTEGRATOR})
"""Whose statements are kept: the others see one conversation each."""
SIZES_KEPT = 32
"""Statements that a process keeps, one for each size of a page that was asked for of late."""


@dataclass(slots=True)
class Answered:
    """What is told of a conversation beside its own columns; a `Conversation` of `answered` has it as `answer`."""

    live_id: int | None
    owner_kind: str  # of the live session; empty where there is none
    owner_id: int | None
    owner_name: str
    opens_at: datetime | None  # when somebody is there again for whom the customer waits
    label_ids: list[int]
    is_unread: bool = False
    is_collaborator: bool = False
    can_grab: bool = False


def answered(actor: Actor, rows: QuerySet[Conversation]) -> QuerySet[Any]:
    """The rows, annotated for `answer_of`."""
    opening = Transfer.objects.filter(
        conversation=OuterRef("pk"), status=TransferStatus.PENDING, opens_at__isnull=False
    ).order_by("-opens_at")
    queued = When(controller=Controller.QUEUE, then=Subquery(opening.values("opens_at")[:1]))
    rows = rows.annotate(
        live=FilteredRelation("sessions", condition=Q(sessions__live_key__isnull=False)),
        live_id=F("live__pk"),
        **{f"live_{name}": F(f"live__{name}") for name in OF_LIVE},
        label_ids=labels.ids_on(),
        opening=Case(queued, default=None),
        now=clock.DbNow(),
    )
    return rows.annotate(**of_viewer(actor.pk)) if actor.is_agent else rows


def answer_of(actor: Actor, row: Any) -> Answered:
    """What is told of a row of `answered`."""
    opens_at = row.opening if row.opening and row.opening > row.now + clock.offset else None
    kind = row.live_owner_kind or ""
    owner_id = row.live_agent_id if kind == Owner.AGENT else row.live_bot_id if kind == Owner.BOT else None
    answer = Answered(row.live_id, kind, owner_id, _owner_name(row, kind), opens_at, ids_in(row.label_ids))
    if actor.is_agent:
        is_mine = kind == Owner.AGENT and owner_id == actor.pk
        waits = row.controller == Controller.QUEUE or row.needs_human
        answer.is_unread = (is_mine or waits) and (row.heard or 0) > (row.read or 0)
        answer.is_collaborator = row.is_helped
        answer.can_grab = kind in (Owner.AGENT, Owner.SHOP) and not is_mine and has_room(actor, row)
    return answer


def _owner_name(row: Any, kind: str) -> str:
    if kind == Owner.AGENT:
        return str(row.live_agent__name)
    if kind == Owner.BOT:
        return row.live_bot__name or "a bot"
    return "a person at the shop" if kind == Owner.SHOP else "nobody"


def labels_of(rows: Iterable[Any]) -> dict[int, Label]:
    """The labels on these rows of `answered`, by id, in the order of their names; no query where there are none."""
    wanted = {pk for row in rows for pk in ids_in(row.label_ids)}
    return {label.pk: label for label in _labels.run(wanted)}


_labels = CompiledForIds(lambda wanted: Label.objects.filter(pk__in=wanted).order_by("name", "pk"))


class NewestFirst:
    """The first page of the conversations that an actor sees, for a pager, which orders by id and takes the first."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    def order_by(self, *names: str) -> NewestFirst:
        assert names == ("-pk",), names
        return self

    def __getitem__(self, page: slice) -> list[Any]:
        assert not page.start
        query = _newest_first(page.stop, self._actor.kind)
        return query.run(**_ids_of(self._actor))


def one(actor: Actor, conversation_id: int) -> Any:
    """The row of one conversation. Raises `NotFound`, also for what exists and the actor may not read."""
    if actor.kind in KEPT_FOR:
        rows = _alone(actor.kind).run(**_ids_of(actor), pk=conversation_id)
    else:
        rows = list(answered(actor, visible.conversations(actor).filter(pk=conversation_id)))
    if not rows:
        raise visible.no_conversation()
    return rows[0]


def _ids_of(actor: Actor) -> dict[str, int]:
    """What the statement for a kind of actor asks for."""
    own = {} if actor.kind == ActorKind.INTEGRATOR else {"id": actor.pk}
    return {"tenant_id": actor.tenant_id} | own


@lru_cache(maxsize=SIZES_KEPT)
def _newest_first(size: int, kind: ActorKind) -> CompiledQuery[Any]:
    return CompiledQuery(lambda **ids: _rows(kind, ids).order_by("-pk")[:size])


@cache
def _alone(kind: ActorKind) -> CompiledQuery[Any]:
    return CompiledQuery(lambda pk, **ids: _rows(kind, ids).filter(pk=pk))


def _rows(kind: ActorKind, ids: dict[str, int]) -> QuerySet[Any]:
    actor = Actor(kind=kind, **ids)  # type: ignore[arg-type]
    return answered(actor, visible.conversations(actor))
