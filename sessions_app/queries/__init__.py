"""The read side of the desk: a page of the list, a page of a thread. Facts, no wording, no writing.

Every function runs a fixed number of queries, however many rows it returns. Pages continue from a key, never from an
offset: the list from (tier, desk_order, id), or (waiting_since, id) in order of wait; a thread from (sent_at, id).
`sessions_app.queries.desk_page` puts a whole page together.
"""

from sessions_app.queries.customer import TRY_IT, CustomerPage, customer_page, played
from sessions_app.queries.history import past_sessions, timeline
from sessions_app.queries.listing import (
    COUNT_MOST,
    LIST_MOST,
    LIST_PAGE,
    ConversationRow,
    Cursor,
    ListPage,
    View,
    counts,
    in_view,
    keyset_page,
    list_page,
    matching_text,
)
from sessions_app.queries.news import NEWS_MOST
from sessions_app.queries.related import Move, live_sessions, owner_of
from sessions_app.queries.search import SEARCH_MOST, search_for
from sessions_app.queries.staff import Availability, agents, availability, teams
from sessions_app.queries.thread import (
    EVENTS,
    THREAD_PAGE,
    Item,
    ThreadPage,
    before_place,
    newest_of_runs,
    place_of,
    run_of,
    thread_news,
    thread_page,
)

__all__ = [
    "COUNT_MOST",
    "EVENTS",
    "LIST_MOST",
    "LIST_PAGE",
    "NEWS_MOST",
    "SEARCH_MOST",
    "THREAD_PAGE",
    "TRY_IT",
    "Availability",
    "ConversationRow",
    "Cursor",
    "CustomerPage",
    "Item",
    "ListPage",
    "Move",
    "ThreadPage",
    "View",
    "agents",
    "availability",
    "before_place",
    "counts",
    "customer_page",
    "in_view",
    "keyset_page",
    "list_page",
    "live_sessions",
    "matching_text",
    "newest_of_runs",
    "owner_of",
    "past_sessions",
    "place_of",
    "played",
    "run_of",
    "search_for",
    "teams",
    "thread_news",
    "thread_page",
    "timeline",
]
