"""The rules of need, compiled: what a customer says, what a bot admits, how often it failed.

Pure apart from `load`. The rules themselves are rows (`NeedRule`, or `Row` where there is no database).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Protocol

from config.errors import Malformed
from messaging_app.detection.patterns import compile_phrase, compile_phrases, normalised, validate_phrases

__all__ = ["Detector", "Need", "Row", "RuleLike", "Rules", "load", "validate_phrases"]

logger = logging.getLogger(__name__)

ORDER = ("vip", "keyword", "failure", "sentiment", "model")
"""`NeedRule.Kind`, in the order in which the rules are checked (domain.md)."""
SEVERITIES = ("high", "medium", "low")
ESCALATE = "escalate"
MAX_EVIDENCE = 80
_MASK = "\n"  # normalised text holds no line break


@dataclass(frozen=True, slots=True)
class Need:
    """Somebody should look: how urgently, which rule says so, and the words that made it say so."""

    effect: str
    severity: str
    kind: str
    rule: str
    evidence: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class Detector(Protocol):
    """The one interface of detection: the rules, and the analyser that may stand behind them."""

    def customer_said(self, text: str, *, is_vip: bool) -> Need | None:
        """What one message of a customer asks for."""

    def admits_failure(self, text: str) -> bool:
        """Whether one answer of a bot admits that it could not help."""

    def failed(self, count: int) -> Need | None:
        """What `count` failed answers in a row ask for. The caller counts, per session; a good answer resets it."""


class RuleLike(Protocol):
    """What a rule has, be it a `NeedRule` or a `Row`."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def phrases(self) -> Iterable[str]: ...
    @property
    def exceptions(self) -> Iterable[str]: ...
    @property
    def threshold(self) -> int: ...
    @property
    def effect(self) -> str: ...
    @property
    def severity(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Row:
    """A rule without a database. Hashable, so that the compiled form can be kept under its content."""

    kind: str
    name: str
    phrases: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    threshold: int = 1
    effect: str = ESCALATE
    severity: str = "medium"
    language: str = ""


class Rules:
    """A tenant's rules, compiled once.

    The order is VIP, keyword, failure, sentiment, model; within a kind the graver rule comes first. The first rule
    that escalates decides; if none does, the first that flags. (Otherwise the flag every VIP gets would keep a VIP
    who asks for a human from getting one.) Rules of the kind `model` are passed over here: the gravest of them, `model`,
    is what switches an analyser on.
    """

    def __init__(self, rows: Iterable[RuleLike]) -> None:
        ordered = sorted(rows, key=_rank)
        self.model = next((row for row in ordered if row.kind == "model"), None)
        compiled = [_Rule(row) for row in ordered]
        self._heard = [rule for rule in compiled if rule.kind in {"vip", "keyword", "sentiment"}]
        self._failure = [rule for rule in compiled if rule.kind == "failure"]

    def customer_said(self, text: str, *, is_vip: bool) -> Need | None:
        text = normalised(text)
        flag = None
        for rule in self._heard:
            if flag is not None and rule.effect != ESCALATE:
                continue
            need = rule.hears(text, is_vip=is_vip)
            if need is not None and need.effect == ESCALATE:
                return need
            flag = flag or need
        return flag

    def admits_failure(self, text: str) -> bool:
        text = normalised(text)
        return any(rule.matches(text) for rule in self._failure)

    def failed(self, count: int) -> Need | None:
        reached = [rule for rule in self._failure if count >= rule.threshold]
        reached.sort(key=lambda rule: rule.effect != ESCALATE)
        return reached[0].need(str(count)) if reached else None


class _Rule:
    """One rule with its patterns."""

    def __init__(self, row: RuleLike) -> None:
        self.kind, self.name, self.effect, self.severity = row.kind, row.name, row.effect, row.severity
        self.threshold = max(row.threshold, 1)
        self._phrases = compile_phrases(_usable(row, row.phrases))
        # Each on its own: two exceptions may overlap, and both count.
        self._exceptions = [compile_phrase(phrase) for phrase in _usable(row, row.exceptions)]

    def need(self, evidence: str) -> Need:
        return Need(self.effect, self.severity, self.kind, self.name, evidence[:MAX_EVIDENCE])

    def hears(self, text: str, *, is_vip: bool) -> Need | None:
        """Anger needs as many hits as the threshold says; a keyword needs one; a VIP needs only to speak."""
        if self.kind == "vip":
            return self.need("") if is_vip else None
        found = self.matches(text)
        if len(found) < (self.threshold if self.kind == "sentiment" else 1):
            return None
        return self.need(", ".join(dict.fromkeys(found)))

    def matches(self, text: str) -> list[str]:
        """What the phrases find outside the exceptions, left to right, each place once."""
        if not any(pattern.search(text) for pattern in self._phrases):
            return []  # nearly every message: the exceptions need not be looked for
        text = self._masked(text)
        spans = sorted(span for pattern in self._phrases for span in _spans(pattern, text))
        found, end = [], 0
        for start, stop in spans:
            if start >= end:
                found.append(text[start:stop])
                end = stop
        return found

    def _masked(self, text: str) -> str:
        characters = list(text)
        for pattern in self._exceptions:
            for match in pattern.finditer(text):
                characters[match.start() : match.end()] = _MASK * len(match.group())
        return "".join(characters)


def _spans(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """Where a pattern matches without touching what an exception masked."""
    position = 0
    while match := pattern.search(text, position):
        masked = match.group().find(_MASK)
        if masked >= 0:
            position = match.start() + masked + 1
        else:
            yield match.span()
            position = max(match.end(), match.start() + 1)


def _rank(row: RuleLike) -> tuple[int, bool, int, str]:
    return ORDER.index(row.kind), row.effect != ESCALATE, SEVERITIES.index(row.severity), row.name


def _usable(row: RuleLike, phrases: Iterable[str]) -> list[str]:
    """The phrases that compile.

    The admin refuses the others; one that came by another way is passed over with an error in the log, because a
    typing mistake in a rule must not stop a tenant's messages.
    """
    usable = []
    for phrase in phrases:
        try:
            compile_phrase(phrase)
        except Malformed as error:
            logger.error("Rule of need %r (%s): a phrase is passed over. %s", row.name, row.kind, error)
        else:
            usable.append(phrase)
    return usable


def load(tenant_id: int) -> tuple[Row, ...]:
    """The tenant's rules in use, as plain rows. One query."""
    from messaging_app.models import NeedRule  # here, so that the rules compile without Django

    fields = ("kind", "name", "phrases", "exceptions", "threshold", "effect", "severity", "language")
    found = NeedRule.objects.filter(tenant_id=tenant_id, is_enabled=True).order_by("pk").values_list(*fields)
    return tuple(
        Row(kind, name, _texts(phrases), _texts(exceptions), *rest) for kind, name, phrases, exceptions, *rest in found
    )


def _texts(value: object) -> tuple[str, ...]:
    """A JSON column may hold anything; only texts in a list are phrases."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
