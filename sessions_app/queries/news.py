"""Which messages of a conversation are new for one reader since an operation: the one place that decides it.

The desk, a guest's page and the customer's page use it after each change notification. The rule:

- **Who may read what** is decided by `visible` alone: `readable` are its rows, which are only narrowed here.
- **New** is what was recorded after operation `after`, by arrival, whenever it was said.
- **Again** comes a message that the reader has already, and that an operation after `after` names
  (`events.CHANGES_MESSAGE`): its row may have changed, so the page gets it once more as it is now. The reader need not have
  a right to see that operation, because only the message is shown.
- If there are more than `limit`, the newest are read, and the reader **is behind**: a page is better loaded again.

Subscribers to the events read the whole tenant by position instead (`sessions_app.events.subscription`), and a bot that
comes back reads operations page by page (`actions.recovery`); `visible` decides what they may read, too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q, QuerySet, Subquery

from config.db import related_ids
from messaging_app.events import CHANGES_MESSAGE
from messaging_app.models import Message, Operation

NEWS_MOST = 200
"""Operations that one refetch catches up with; a page that is further behind is loaded again."""


@dataclass(frozen=True, slots=True)
class News:
    """`said` is in the order of the thread; `again` are the ids of those among them that the reader has already."""

    said: list[Message]
    again: frozenset[int]
    is_behind: bool


def news(readable: QuerySet[Message], *, after: int, named: Collection[int], limit: int = NEWS_MOST) -> News:
    """The news among `readable`, the messages of one conversation that the reader may read. One query.

    `named` are the ids of messages that later operations name again, from `named_after` or `events.changed_message_ids`.
    """
    condition = Q(seq__gt=after)
    if named:
        condition |= Q(pk__in=sorted(named)[-limit - 1 :])
    newest = list(readable.filter(condition).order_by("-seq", "-pk")[: limit + 1])
    messages = sorted(newest[:limit], key=lambda message: (message.sent_at, message.pk))
    return News(messages, frozenset(m.pk for m in messages if m.seq <= after), is_behind=len(newest) > limit)


def named_after(after: int) -> Subquery:
    """To annotate conversations: the ids of messages that later operations name again, as a text for `ids_in`."""
    return related_ids(
        Operation.objects.filter(seq__gt=after, type__in=CHANGES_MESSAGE), "data__message", of="conversation"
    )
