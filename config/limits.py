"""How long texts and how large numbers may be: each limit that more than one place uses stands here, and only here.

Columns, forms, API requests, pages and verbs that cut a text read it; templates by `{% limit "MAX_REASON" %}`. What an
installation may set stands in config/settings.py, what only one module uses in that module. A test finds a limit that
is written out elsewhere (tests/test_figures.py). Pure.

The unit is characters, unless a limit names another. Changing the width of a column takes a migration too.
"""

from __future__ import annotations

from datetime import timedelta

# --- Messages, names and ids -------------------------------------------------------------------------------------

MAX_CONTENT = 65_536
"""A message. More than any channel delivers: an e-mail's text part is cut at this length, a chat's far below it."""
MAX_ID = 191
"""An id that a caller chooses: as many four-byte characters as MariaDB can index in 767 bytes."""
MAX_PLATFORM = 64
MAX_NAME = 200
"""The name of a person, and of what is named like one, such as a tenant."""
MAX_GROUP_NAME = 100
"""The name of a team, a department, a program, a calendar, service levels."""
MAX_TENANT_SLUG = 64
MAX_CONTACT = 200
"""The address at which an invited person is notified."""
MAX_PREVIEW = 200
"""The preview of a conversation's last message, in its line of the list."""
MAX_DIGITS = 18
"""Digits of an id of ours as text: a number of 18 digits always fits into 64 bits."""
MAX_NUMBER = 2**53
"""The largest position or version: up to it JavaScript counts whole numbers exactly."""

# --- What the code itself writes ---------------------------------------------------------------------------------

MAX_WORD = 16
"""A value of an enumeration: a kind, a status, a role."""
MAX_DIGEST = 64
"""A SHA-256 digest in hexadecimal digits, or anything shorter."""
MAX_LOOP = 40
"""The name of a loop (`agents_app.loops`)."""

# --- Why something is done ---------------------------------------------------------------------------------------

MAX_REASON = 500
"""The reason why a session moves or ends; a row is cut at this length, its operation keeps the whole."""
MAX_TRIGGER = 32
"""The value that says what caused a transfer."""
MAX_AVAILABILITY_REASON = 200
"""The reason why an agent is away."""
MAX_MISSING, MOST_MISSING = 200, 50
"""What a guided flow still has to ask: characters of each item, and how many items."""
MAX_ERROR = 300
"""An error as it is stored that another server or a file caused: a mail server, a notice, a batch."""

# --- The desk ----------------------------------------------------------------------------------------------------

MAX_QUERY = 100
"""The query that people type at the desk."""
MAX_SEARCH = 200
"""The search text of a program or a saved view."""
MAX_SHORTCUT = 40
"""A canned reply's shortcut, without its slash."""
MAX_REPLY = 5_000
"""A canned reply."""
MAX_TITLE = 200
MAX_LANGUAGE = 16
"""A language's code."""
MAX_VIEW_NAME = 60
MAX_LABEL_NAME = 50
LIST_PAGE = 50
"""Conversations that the list shows at first, and loads with each further page."""
MAX_HISTORY_COUNT = 1_000
"""How many earlier messages an invited participant may see."""

# --- Webhooks ----------------------------------------------------------------------------------------------------

MAX_URL = 2_000
MAX_DESCRIPTION = 200
MAX_DELIVERY_ERROR = 200
"""The reason why a delivery failed, or why a webhook is disabled."""
MAX_EVENT_ID = 64
MAX_EVENT_TYPE = 48

# --- Bytes -------------------------------------------------------------------------------------------------------

PIECE = 64 * 1024
"""The chunks in which a file is read, written and sent."""
MAX_ANSWER = 64 * 1024
"""Another server's response; what is beyond is not read."""

# --- Times -------------------------------------------------------------------------------------------------------

LOOKS_COUNT_FOR, TYPING_COUNTS_FOR = 45, 6
"""Seconds after which a signal (somebody looks, somebody types) expires if it is not repeated, on server and pages."""
LONGEST_PAUSE = timedelta(hours=1)
"""The longest pause before a transfer is offered again; longer only where the first pause is longer already."""
