"""Does a customer need a human? Entry points: `detector_for(tenant_id)`, and after it `analyser_for(tenant_id)`."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock, Thread

from django.conf import settings

from messaging_app.detection.model import Analyser
from messaging_app.detection.rules import Detector, Need, RuleRow, Rules, Version, load, version

log = logging.getLogger(__name__)

__all__ = ["Analyser", "Detector", "Need", "analyser_for", "compile_rules", "detector_for"]

LOOKED_AT_AGAIN = 60.0
"""Seconds after which a tenant's rules are read again with the same version: SQL may change them without a new one."""


@dataclass(frozen=True, slots=True)
class _Held:
    version: Version
    rules: Rules
    since: float


MOST_HELD = 256
"""Tenants whose compiled rules one process keeps: each may take some megabytes, unless they have the same rules."""

PATIENCE = 0.25
"""Seconds for which a message waits for edited rules, before it is judged by those of before."""

_held: dict[int, _Held] = {}
_compiling: dict[tuple[RuleRow, ...], Future[Rules]] = {}
_lock = Lock()


def detector_for(tenant_id: int) -> Detector:
    """The tenant's rules in use, compiled. Without rules nothing is ever detected (`defaults.install` adds some).

    One small query a call, for the rules' version: an edit counts from the next message on, in every process. New rules are
    compiled beside the traffic, by a thread, which takes some milliseconds; where it takes longer than `PATIENCE`, the
    rules of before serve until it is done. Without any rules of before one waits, so call it before locking a
    conversation.
    """
    return _rules(tenant_id, PATIENCE)


def compile_rules(tenant_id: int) -> None:
    """Compile a tenant's rules and wait for it: before a process serves, and where an edit is committed."""
    _rules(tenant_id, None)


def analyser_for(tenant_id: int) -> Analyser | None:
    """The analyser for messages that the rules do not escalate. Use it outside transactions: it calls another server.

    None unless the installation names one (ANALYSER_URL) and the tenant has a rule of the kind `model` in use.
    """
    if not settings.ANALYSER_URL:
        return None
    rule = _rules(tenant_id, PATIENCE).model
    return Analyser(rule, tenant_id) if rule else None


def _rules(tenant_id: int, patience: float | None) -> Rules:
    held, now, present = _held.get(tenant_id), time.monotonic(), version(tenant_id)
    if held is not None and held.version == present and now - held.since <= LOOKED_AT_AGAIN:
        return held.rules
    compiling = _compiling_of(load(tenant_id))
    try:
        rules = compiling.result(patience if held else None)
    except TimeoutError:
        assert held
        return held.rules
    if len(_held) >= MOST_HELD:
        _held.clear()
    _held[tenant_id] = _Held(present, rules, now)
    return rules


def _compiling_of(rows: tuple[RuleRow, ...]) -> Future[Rules]:
    """If several messages need the same new rules, they are compiled once: the others wait for the first."""
    with _lock:
        compiling = _compiling.get(rows)
        if compiling is None:
            compiling = _compiling[rows] = Future()
            Thread(target=_compile, args=(rows, compiling), name="rules", daemon=True).start()
        return compiling


def _compile(rows: tuple[RuleRow, ...], compiling: Future[Rules]) -> None:
    try:
        compiling.set_result(_compiled(rows))
    except BaseException as error:  # whoever waits raises it
        compiling.set_exception(error)
    finally:
        with _lock:
            del _compiling[rows]


@lru_cache(maxsize=MOST_HELD)  # kept under the rows' own content: tenants with the same rules share them
def _compiled(rows: tuple[RuleRow, ...]) -> Rules:
    log.info("compiled %d rules of need", len(rows))
    return Rules(rows)
