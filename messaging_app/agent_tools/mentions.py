"""Colleagues named in private notes: @Ann, @Ann Lee or @[Ann Lee], and @[Ann Lee #12] where two have the name.

Read off the text when the note is stored; what names nobody of the tenant is just text.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from django.db.models import QuerySet, Subquery

from agents_app.actors import Actor
from agents_app.models import Agent
from config import clock, limits
from config.db import related_ids, retried
from config.errors import Forbidden, NotFound
from messaging_app.agent_tools.canned_replies import folded
from messaging_app.folding import without_marks
from messaging_app.models import Message
from messaging_app.models.agent_tools import Mention
from messaging_app.search import UNSPACED

LOOKED_AT = 300
"""Characters after an @ sign in which a name is looked for."""
MOST_SIGNS = 100
"""@ signs in one note that are looked at."""
SHOWN = 8
"""How many colleagues the composer offers."""

# Not after a character of an e-mail address. The wide sign is what Chinese input methods type.
_SIGN = re.compile(r"(?<![A-Za-z0-9._%+-])[@＠](?:\[([^\[\]\n]{1,220})\])?")
_NUMBERED = re.compile(rf"(.*?)\s*#(\d{{1,{limits.MAX_DIGITS}}})")
_PLAIN = re.compile(r"\w+")
_IN_A_WORD = re.compile(rf"(?![{UNSPACED}])\w")


# --- Reading a note ----------------------------------------------------------------------------------------------


def named(text: str, *, tenant_id: int, by: int | None = None) -> list[int]:
    """The ids of the agents whom a note names, without `by`, its writer. A name that two agents have means both."""
    signs = [sign for _, sign in zip(range(MOST_SIGNS), _SIGN.finditer(text), strict=False)]
    if not signs:
        return []
    people: defaultdict[str, set[int]] = defaultdict(set)
    for pk, name in Agent.objects.filter(tenant_id=tenant_id, is_active=True).values_list("pk", "name"):
        if name.strip():
            people[folded(name.strip())].add(pk)
    ids: set[int] = set()
    for sign in signs:
        ids |= _in_brackets(sign[1], people) if sign[1] else _behind(folded(text[sign.end() :][:LOOKED_AT]), people)
    return sorted(ids - {by})


def _in_brackets(text: str, people: Mapping[str, set[int]]) -> set[int]:
    """The agents of a whole name, or of an agent's number, alone or after that agent's name."""
    numbered = _NUMBERED.fullmatch(text.strip())
    if numbered is None:
        return people.get(folded(text.strip()), set())
    name, pk = folded(numbered[1]), int(numbered[2])
    candidates = people.get(name, set()) if name else {agent_id for ids in people.values() for agent_id in ids}
    return {pk} & candidates


def _behind(text: str, people: Mapping[str, set[int]]) -> set[int]:
    """The agents of the longest name that begins the text: @Ann Lee is Ann Lee, @Ann, is Ann, @Annabel is neither."""
    for size in sorted({len(name) for name in people}, reverse=True):
        pair = text[size - 1 : size + 1]
        if text[:size] in people and not all(_IN_A_WORD.match(letter) for letter in pair.ljust(2)):
            return people[text[:size]]
    return set()


def store(message: Message, agent_ids: Iterable[int]) -> None:
    """Store who is mentioned in a note, in the transaction that stores the note."""
    Mention.objects.bulk_create(
        Mention(
            tenant_id=message.tenant_id,
            conversation_id=message.conversation_id,
            message=message,
            agent_id=agent_id,
            at=message.sent_at,
        )
        for agent_id in agent_ids
    )


# --- Offering colleagues -----------------------------------------------------------------------------------------


class Colleague(NamedTuple):
    name: str
    token: str  # what the composer puts into the note


def colleagues(actor: Actor, text: str) -> list[Colleague]:
    """Other agents whose name, or a word of it, begins with the text, without marks. Raises `Forbidden`."""
    if not actor.is_agent:
        raise Forbidden("Only agents write notes.")
    rows = list(Agent.objects.filter(tenant_id=actor.tenant_id, is_active=True).values_list("pk", "name"))
    names = Counter(folded(name) for _, name in rows)
    prefix = folded(text)
    bare = without_marks(prefix) or prefix
    fitting = [(pk, name) for pk, name in rows if pk != actor.pk and _fits(without_marks(folded(name)), bare)]
    fitting.sort(
        key=lambda row: (
            not without_marks(folded(row[1])).startswith(bare),
            not _fits(folded(row[1]), prefix),
            folded(row[1]),
            row[0],
        )
    )
    return [Colleague(name, _token(pk, name, names)) for pk, name in fitting[:SHOWN]]


def _fits(name: str, prefix: str) -> bool:
    return name.startswith(prefix) or any(word.startswith(prefix) for word in name.split())


def _token(pk: int, name: str, names: Mapping[str, int]) -> str:
    """The text that `named` reads as this agent and nobody else, whatever is typed after it."""
    own = folded(name)
    is_longer = any(other.startswith(own) for other in names if other != own)
    if len(name) > limits.MAX_NAME or not name.isprintable() or set(name) & set("[]"):
        return f"@[#{pk}]"
    if names[own] > 1 or "#" in name:
        return f"@[{name} #{pk}]"
    return f"@{name}" if _PLAIN.fullmatch(name) and not is_longer else f"@[{name}]"


# --- Reading them ------------------------------------------------------------------------------------------------


def mentions_of(actor: Actor) -> QuerySet[Mention]:
    """The mentions of the actor. Raises `Forbidden`."""
    if not actor.is_agent:
        raise Forbidden("Only agents are mentioned.")
    return Mention.objects.filter(tenant_id=actor.tenant_id, agent_id=actor.pk)


def ids_named() -> Subquery:
    """For a query of messages: the ids of the agents whom each mentions, as `ids_in` reads them."""
    return related_ids(Mention.objects.all(), "agent_id", of="message")


@retried
def read(*, actor: Actor, mention_id: int) -> Mention:
    """Mark a mention as read; a repeat keeps the first time. Raises `NotFound`, `Forbidden`."""
    mentions = mentions_of(actor).filter(pk=mention_id)
    mentions.filter(read_at=None).update(read_at=clock.now())
    for mention in mentions.select_related("message"):
        return mention
    raise NotFound("There is no such mention.")


def read_up_to(*, actor: Actor, conversation_id: int, seq: int) -> None:
    """Mark the agent's mentions in a conversation as read, up to an operation. Raises `Forbidden`."""
    here = mentions_of(actor).filter(conversation_id=conversation_id, message__seq__lte=seq, read_at=None)
    if unread := list(here.values_list("pk", flat=True)):  # MariaDB updates no table by a join with another
        Mention.objects.filter(pk__in=unread, read_at=None).update(read_at=clock.now())
