"""Does a customer need a human? Entry points: `detector_for(tenant_id)`, and after it `analyser_for(tenant_id)`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

from django.conf import settings

from messaging_app.detection.model import Analyser
from messaging_app.detection.rules import Detector, Need, RuleRow, Rules, Version, load, version

__all__ = ["Analyser", "Detector", "Need", "analyser_for", "detector_for"]

LOOKED_AT_AGAIN = 60.0
"""Seconds after which a tenant's rules are read again with the same version: SQL may change them without a new one."""


@dataclass(frozen=True, slots=True)
class _Held:
    version: Version
    rules: Rules
    since: float


MOST_HELD = 256
"""Tenants whose compiled rules one process keeps: each may take some megabytes, unless they have the same rules."""

_held: dict[int, _Held] = {}
_compiling = Lock()


def detector_for(tenant_id: int) -> Detector:
    """The tenant's rules in use, compiled. Without rules nothing is ever detected (`defaults.install` adds some).

    One small query a call, for the rules' version: an edit counts from the next message on, in every process. Call it
    before locking a conversation, because new rules are compiled here, which takes some milliseconds. The admin calls
    it when an edit is committed.
    """
    return _rules(tenant_id)


def analyser_for(tenant_id: int) -> Analyser | None:
    """The analyser for messages that the rules do not escalate. Use it outside transactions: it calls another server.

    None unless the installation names one (ANALYSER_URL) and the tenant has a rule of the kind `model` in use.
    """
    if not settings.ANALYSER_URL:
        return None
    rule = _rules(tenant_id).model
    return Analyser(rule, tenant_id) if rule else None


def _rules(tenant_id: int) -> Rules:
    held, now, present = _held.get(tenant_id), time.monotonic(), version(tenant_id)
    if held is None or held.version != present or now - held.since > LOOKED_AT_AGAIN:
        held = _Held(present, _compiled_once(load(tenant_id)), now)
        if len(_held) >= MOST_HELD:
            _held.clear()
        _held[tenant_id] = held
    return held.rules


def _compiled_once(rows: tuple[RuleRow, ...]) -> Rules:
    """If two messages need the same new rules, they are compiled once: the second waits for the first."""
    with _compiling:
        return _compiled(rows)


@lru_cache(maxsize=MOST_HELD)  # kept under the rows' own content: tenants with the same rules share them
def _compiled(rows: tuple[RuleRow, ...]) -> Rules:
    return Rules(rows)
