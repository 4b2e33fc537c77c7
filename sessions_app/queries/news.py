"""What is new in a conversation for one reader since an operation: the one place that answers it.

The desk, a guest's page and the customer's page ask it each time they follow a hint. The rule:

- **Who may read what** is said by `visible` alone: `readable` are its rows, and here they are only narrowed.
- **New** is what was recorded behind operation `after`, by arrival, whenever it was said.
- **Again** comes what the reader has had and an operation behind `after` names (`events.NAMES_AGAIN`): its row may have
  changed, so the page is given it once more as it is now. Whether the reader may hear of that operation is not asked:
  the row is what is shown.
- Of more than `limit` the newest are read, and the reader **is behind**: a page is better loaded anew.

Followers of the events ask otherwise, of the whole tenant and by position (`sessions_app.events.subscription`), and so does a bot
that comes back, page by page of operations (`actions.recovery`); what they may read is said by `visible` too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q, QuerySet, Subquery

from config.db import ids_beside
from messaging_app.events import NAMES_AGAIN
from messaging_app.models import Message, Operation

NEWS_MOST = 200
"""Operations that one refetch catches up with; further behind, a page is loaded anew."""


@dataclass(frozen=True, slots=True)
class News:
    """`said` is in the order of the thread; `again` are the ids of those among them that the reader has had."""

    said: list[Message]
    again: frozenset[int]
    is_behind: bool


def news(readable: QuerySet[Message], *, after: int, named: Collection[int], limit: int = NEWS_MOST) -> News:
    """What `readable`, the messages of one conversation that the reader may read, holds of news. One query.

    `named` are the messages that operations behind `after` name again, by `named_after` or `events.named_again`.
    """
    wanted = Q(seq__gt=after)
    if named:
        wanted |= Q(pk__in=sorted(named)[-limit - 1 :])
    newest = list(readable.filter(wanted).order_by("-seq", "-pk")[: limit + 1])
    said = sorted(newest[:limit], key=lambda message: (message.sent_at, message.pk))
    return News(said, frozenset(m.pk for m in said if m.seq <= after), is_behind=len(newest) > limit)


def named_after(after: int) -> Subquery:
    """For a query of conversations: the messages that operations behind `after` name again, as `ids_in` reads them."""
    return ids_beside(Operation.objects.filter(seq__gt=after, type__in=NAMES_AGAIN), "data__message", of="conversation")
