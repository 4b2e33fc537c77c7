"""The one form of ids and times outside: ids are text, times are ISO 8601 in UTC with `Z`.

Serializers have it by their fields. What verbs, rules and events put into an object of their own (`detail`, an event's
`data`, a problem's fields, a context package) is encoded here, by the names that ids and times have everywhere. What is
stored keeps its numbers: the record is held against its hash as it was written.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from config.clock import utc

_IDS = frozenset({"id", "message", "mentions", "joined"})
"""Names of ids that do not end in `_id`; whole numbers under them, and in lists under them, are ids."""
_TIMES = frozenset({"at", "from", "to", "deadline"})
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)")


def encode(value: Any, name: str = "") -> Any:
    """A value as it is told outside; `name` is what it is called where it stands."""
    if isinstance(value, dict):
        return {key: encode(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item, name) for item in value]
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, int) and not isinstance(value, bool) and (name in _IDS or name.endswith(("_id", "_ids"))):
        return str(value)
    if isinstance(value, str) and _is_time(name) and _MOMENT.fullmatch(value):
        return utc(datetime.fromisoformat(value))
    return value


def _is_time(name: str) -> bool:
    return name in _TIMES or name.endswith(("_at", "_until", "_since"))
