"""How long texts may be, and how large numbers: each limit that more than one place minds stands here, and only here.

Columns, forms, the API's bodies, what a verb cuts off and what a page lets people type all read it; templates by
`{% limit "MAX_REASON" %}`. What an installation may set stands in config/settings.py, what one module alone minds in that module.
A test finds a limit that is written out elsewhere (tests/test_figures.py). Pure.

To change the width of a column takes a migration too. Characters, unless something else is said.
"""

from __future__ import annotations

from datetime import timedelta

# --- What is said, and by whom -----------------------------------------------------------------------------------

MAX_CONTENT = 65_536
"""Of one message. More than any channel delivers: an e-mail's text part is cut there, a chat's far below."""
MAX_ID = 191
"""Of an id: what MariaDB can index of four-byte characters in 767 bytes."""
MAX_PLATFORM = 64
MAX_NAME = 200
"""Of a person, and of what has a name as people do."""
MAX_GROUP_NAME = 100
"""Of a team, a department, a program, a calendar, service levels."""
MAX_TENANT_SLUG = 64
MAX_CONTACT = 200
"""Of the address that an invited person is told at."""
MAX_PREVIEW = 200
"""Of the last words of a conversation, as its line in the list shows them."""
MAX_DIGITS = 18
"""Of an id of ours as text: so many are always within 64 bits."""
MAX_NUMBER = 2**53
"""Of a position or version: the largest whole number up to which JavaScript counts exactly."""

# --- What the code itself writes ---------------------------------------------------------------------------------

MAX_WORD = 16
"""Of a fixed word: a kind, a status, a role."""
MAX_DIGEST = 64
"""Of a SHA-256 digest in hexadecimal digits, and of what is no longer."""
MAX_LOOP = 40
"""Of the name of a loop over many."""

# --- Why something is done ---------------------------------------------------------------------------------------

MAX_REASON = 500
"""Of why a session moves or ends; a row keeps so much, its operation the whole."""
MAX_TRIGGER = 32
"""Of the fixed word that says what made a transfer."""
MAX_AVAILABILITY_REASON = 200
"""Of why an agent is away."""
MAX_MISSING, MOST_MISSING = 200, 50
"""Of what a guided flow still has to ask: characters of each, and how many."""
MAX_ERROR = 300
"""Of what is kept of an error of somebody else's: a mail server, a notice, a batch."""

# --- The desk ----------------------------------------------------------------------------------------------------

MAX_QUERY = 100
"""Of what people type to find something at the desk."""
MAX_SEARCH = 200
"""Of what a program or a saved view searches for."""
MAX_SHORTCUT = 40
"""Of a canned reply's shortcut, without its slash."""
MAX_REPLY = 5_000
"""Of a canned reply."""
MAX_TITLE = 200
MAX_LANGUAGE = 16
"""Of a language's code."""
MAX_VIEW_NAME = 60
MAX_LABEL_NAME = 50
LIST_PAGE = 50
"""Conversations that the list shows at first, and gets with each step further."""
MAX_HISTORY_COUNT = 1_000
"""Of the messages said before, that somebody who is invited may see."""

# --- Webhooks ----------------------------------------------------------------------------------------------------

MAX_URL = 2_000
MAX_DESCRIPTION = 200
MAX_DELIVERY_ERROR = 200
"""Of why a delivery failed, or a webhook is out of use."""
MAX_EVENT_ID = 64
MAX_EVENT_TYPE = 48

# --- Bytes -------------------------------------------------------------------------------------------------------

PIECE = 64 * 1024
"""In which a file is read, written and sent."""
MAX_ANSWER = 64 * 1024
"""Of another server's answer; what it says beyond is not read."""

# --- Times -------------------------------------------------------------------------------------------------------

LOOKS_COUNT_FOR, TYPING_COUNTS_FOR = 45, 6
"""Seconds after which a sign of presence that was not told again is forgotten, by the server and by the pages."""
LONGEST_PAUSE = timedelta(hours=1)
"""Before the same transfer is asked, or offered to everybody, again; longer only where the first pause is."""
