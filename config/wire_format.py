"""The one form of ids and times in the API and in events: ids are text, times are ISO 8601 in UTC with `Z`.

A serializer's fields produce it. Objects that verbs, rules and events fill (`detail`, an event's `data`, a problem's
fields, a context package) are encoded here, which knows ids and times by their names. Stored objects keep their
numbers, because the record is compared with the hash of what was written.
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
    """A value as the API and events show it; `name` is the key under which it stands."""
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
