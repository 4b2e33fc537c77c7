"""Filters that every row of a list needs, without the framework's work for cases that a row has not; the same texts.

How long ago something was is a text for each number of whole minutes, as long as no month has passed: the framework makes
it once for each, and language. Whatever is no time in UTC, or longer ago, goes the framework's own way.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.template import defaultfilters
from django.utils.timesince import timesince
from django.utils.translation import get_language

_SHORT = 28 * 24 * 3600
"""Seconds of the shortest month: what is shorter has no month in it, whenever it began."""
_KEPT = 4096
"""Texts that a process keeps."""
_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)


def quicker(function: Callable[..., Any], arguments: list[Any]) -> Callable[..., Any]:
    """What to call instead of a template's filter with these arguments, as the parser has them; the filter itself, mostly."""
    if function is defaultfilters.date:
        return _iso if arguments == [(False, "c")] else function
    if arguments:
        return function
    return {defaultfilters.timesince_filter: _since, defaultfilters.timeuntil_filter: _until}.get(function, function)


def _iso(value: Any, form: str) -> Any:
    """`date:'c'`; the framework has put the time into the reader's zone already."""
    return value.isoformat() if type(value) is datetime else defaultfilters.date(value, form)


def _since(value: Any) -> Any:
    if type(value) is datetime and value.tzinfo is UTC:
        passed = datetime.now(UTC) - value
        if passed < timedelta(seconds=_SHORT):
            return _of_minutes(max(0, passed // timedelta(minutes=1)), get_language())
    return defaultfilters.timesince_filter(value)


def _until(value: Any) -> Any:
    if type(value) is datetime and value.tzinfo is UTC:
        left = value - datetime.now(UTC)
        if left < timedelta(seconds=_SHORT):
            return _of_minutes(max(0, left // timedelta(minutes=1)), get_language())
    return defaultfilters.timeuntil_filter(value)


@lru_cache(maxsize=_KEPT)
def _of_minutes(minutes: int, language: str | None) -> str:
    return timesince(_MOMENT, _MOMENT + timedelta(minutes=minutes))


for _quick, _own in ((_iso, "date"), (_since, "timesince_filter"), (_until, "timeuntil_filter")):
    for _name in ("is_safe", "needs_autoescape", "expects_localtime"):  # what the framework asks a filter for
        setattr(_quick, _name, getattr(getattr(defaultfilters, _own), _name, False))
