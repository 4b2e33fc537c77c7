"""What a saved view may ask for, checked when it is saved, and the conversations that fit it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from agents_app.actors import Actor
from agents_app.models import Agent, Membership, Team
from config import clock, limits
from config.errors import Malformed
from config.free_json import is_storable, visible
from messaging_app import incoming
from messaging_app.models import Controller, Conversation, Tier
from messaging_app.models.agent_tools import ConversationLabel, Label
from sessions_app.models import ChatSession, Transfer
from sessions_app.states import LIVE, Owner, TransferStatus

VIEWS = (
    "queue",
    "mine",
    "all",
    "resolved",
    "mentions",
    "offered",
    "unassigned",
    "waiting",
    "needs_human",
    "bot_active",
    "paused_bots",
    "collaborating",
    "todo",
)
ME, NOBODY = "me", "none"
LONGEST_WAIT = 30 * 24 * 3600
"""Seconds: the most that `waiting_over` may say."""
MOST_LABELS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A conversation fits if all that is set holds. Ids are text, as in the API; `owner` is an agent's, `me` or `none`.

    A conversation needs one of `labels`; it fits `team_id` if it waits for the team or one of its members serves it;
    `waiting_over` is in seconds; `search` needs all words in the messages or the customer's name or account, or is a
    whole shop id.
    """

    view: str = "all"
    controller: tuple[str, ...] = ()
    tier: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    owner: str = ""
    team_id: str = ""
    platform: str = ""
    shop_id: str = ""
    needs_human: bool | None = None
    waiting_over: int | None = None
    search: str = ""

    def as_dict(self) -> dict[str, Any]:
        """What is set, as it is stored."""
        values = {name: value for name, value in asdict(self).items() if value != getattr(_NOTHING, name)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


_NOTHING = Filter()


# --- Checking ----------------------------------------------------------------------------------------------------


def _word(*allowed: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return value

    return check


def _several(check: Callable[[Any], Any], most: int) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) > most:
            raise ValueError(f"a list of at most {most}")
        try:
            return tuple(dict.fromkeys(check(item) for item in value))
        except ValueError as error:
            raise ValueError(f"a list, each {error}") from None

    return checked


def _text(most: int) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, str) or len(value) > most or not is_storable(value):
            raise ValueError(f"text of at most {most} characters")
        return value

    return check


def _id_text(most: int) -> Callable[[Any], Any]:
    """A sender's id, as it is kept; empty for any."""

    def check(value: Any) -> Any:
        try:
            return value and incoming.identifier(value, incoming.IT, most)
        except Malformed:
            raise ValueError(f"text of at most {most} characters") from None

    return check


def _id(value: Any) -> Any:
    if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= limits.MAX_DIGITS):
        raise ValueError("an id")
    return value


def _owner(value: Any) -> Any:
    return value if value in ("", ME, NOBODY) else _id(value)


def _tier(value: Any) -> Any:
    if type(value) is not int or value not in Tier.values:
        raise ValueError(f"one of {', '.join(map(str, Tier.values))}")
    return value


def _flag(value: Any) -> Any:
    if not (value is None or isinstance(value, bool)):
        raise ValueError("true or false")
    return value


def _seconds(value: Any) -> Any:
    if value is not None and not (type(value) is int and 0 <= value <= LONGEST_WAIT):
        raise ValueError(f"seconds from 0 to {LONGEST_WAIT}")
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "view": _word(*VIEWS),
    "controller": _several(_word(*Controller.values), len(Controller)),
    "tier": _several(_tier, len(Tier)),
    "labels": _several(_id, MOST_LABELS),
    "owner": _owner,
    "team_id": lambda value: value if isinstance(value, str) and not value else _id(value),
    "platform": _id_text(limits.MAX_PLATFORM),
    "shop_id": _id_text(limits.MAX_ID),
    "needs_human": _flag,
    "waiting_over": _seconds,
    "search": _text(limits.MAX_SEARCH),
}
assert set(_CHECKS) == {field.name for field in fields(Filter)}


def checked(data: Any, *, tenant_id: int) -> Filter:
    """The filter from the data of one to be saved. Raises `Malformed`, whose `errors` say what is wrong, by field."""
    if not isinstance(data, Mapping):
        raise Malformed("A filter is an object.")
    errors: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    for name, value in data.items():
        if name not in _CHECKS:
            errors[visible(str(name))] = [f"Unknown; a filter takes {', '.join(_CHECKS)}."]
            continue
        try:
            values[name] = _CHECKS[name](value)
        except ValueError as error:
            errors[name] = [f"Wanted: {error}."]
    criteria = Filter(**values)
    errors |= {} if errors else _missing(criteria, tenant_id)
    if errors:
        raise Malformed("; ".join(f"{name}: {texts[0]}" for name, texts in errors.items()), errors=errors)
    return criteria


def _missing(criteria: Filter, tenant_id: int) -> dict[str, list[str]]:
    """The errors, by field, for ids that name nothing of this tenant."""
    errors = {}
    labels = Label.objects.filter(tenant_id=tenant_id, pk__in=[int(pk) for pk in criteria.labels])
    if labels.count() != len({int(pk) for pk in criteria.labels}):
        errors["labels"] = ["There is no such label."]
    if criteria.team_id and not Team.objects.filter(tenant_id=tenant_id, pk=int(criteria.team_id)).exists():
        errors["team_id"] = ["There is no such team."]
    agent_id = int(criteria.owner) if criteria.owner not in ("", ME, NOBODY) else None
    if agent_id is not None and not Agent.objects.filter(tenant_id=tenant_id, pk=agent_id).exists():
        errors["owner"] = ["There is no such agent."]
    return errors


def stored(data: Mapping[str, Any]) -> Filter:
    """The filter from stored data, checked when it was saved. What this version does not know or refuses is ignored."""
    values: dict[str, Any] = {}
    for name, value in data.items():
        with suppress(KeyError, ValueError, TypeError):
            values[name] = _CHECKS[name](value)
    return Filter(**values)


# --- Applying ----------------------------------------------------------------------------------------------------


def narrowed(
    rows: QuerySet[Conversation], criteria: Filter, actor: Actor, now: datetime | None = None
) -> QuerySet[Conversation]:
    """The conversations that fit all of the filter but `view` and `search`, which `view_counts.matching` applies."""
    for column in ("controller", "tier"):
        if values := getattr(criteria, column):
            rows = rows.filter(**{f"{column}__in": values})
    for column in ("platform", "shop_id"):
        if value := getattr(criteria, column):
            rows = rows.filter(**{column: value})
    if criteria.needs_human is not None:
        rows = rows.filter(needs_human=criteria.needs_human)
    if criteria.labels:
        rows = labelled(rows, *(int(pk) for pk in criteria.labels))
    if criteria.waiting_over is not None:
        rows = rows.filter(waiting_since__lt=(now or clock.now()) - timedelta(seconds=criteria.waiting_over))
    if criteria.owner:
        rows = _owned(rows, criteria.owner, actor)
    return _of_team(rows, int(criteria.team_id)) if criteria.team_id else rows


def labelled(rows: QuerySet[Conversation], *label_ids: int) -> QuerySet[Conversation]:
    """The conversations that have any of these labels."""
    having = ConversationLabel.objects.filter(label__in=label_ids)
    return rows.filter(pk__in=having.values("conversation_id"))


def _served() -> QuerySet[ChatSession]:
    return ChatSession.objects.filter(status__in=sorted(LIVE))


def _owned(rows: QuerySet[Conversation], owner: str, actor: Actor) -> QuerySet[Conversation]:
    """The conversations that an agent serves; for `none`, those in which no bot, agent or person of the shop works."""
    if owner == NOBODY:
        owned = _served().exclude(owner_kind=Owner.NOBODY).values("conversation_id")
        return rows.exclude(pk__in=owned)
    if owner == ME and not actor.is_agent:
        return rows.none()
    agent_id = actor.pk if owner == ME else int(owner)
    return rows.filter(pk__in=_served().filter(owner_kind=Owner.AGENT, agent_id=agent_id).values("conversation_id"))


def _of_team(rows: QuerySet[Conversation], team_id: int) -> QuerySet[Conversation]:
    members = Membership.objects.filter(team_id=team_id).values("agent_id")
    served = _served().filter(owner_kind=Owner.AGENT, agent_id__in=members)
    transfers = Transfer.objects.filter(status=TransferStatus.PENDING, to_team_id=team_id)
    return rows.filter(
        Q(pk__in=served.values("conversation_id")) | Q(pk__in=transfers.values("conversation_id")),
    )
