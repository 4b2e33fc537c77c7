"""The rules of need, compiled: what a customer says, what a bot admits, how often it failed.

Pure apart from `load` and `version`. The rules themselves are rows: `NeedRule`, or `RuleRow` without a database.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from config import statements
from config.errors import Malformed
from messaging_app.detection.patterns import (
    MASK,
    UNKNOWN,
    Pattern,
    Patterns,
    PhraseRefused,
    Text,
    compile_phrase,
    compile_phrases,
    normalised,
    validate_phrases,
)

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from messaging_app.models import NeedRule

__all__ = [
    "Detector",
    "Need",
    "RuleLike",
    "RuleRow",
    "Rules",
    "is_useless",
    "load",
    "problems",
    "validate_phrases",
    "version",
]

logger = logging.getLogger(__name__)

ORDER = ("vip", "keyword", "failure", "sentiment", "model")
"""`NeedRule.Kind`, in the order in which the rules are checked (docs/rules.md, Detection)."""
HEARD = frozenset({"vip", "keyword", "sentiment"})
WITH_PHRASES = frozenset({"keyword", "failure", "sentiment"})
SEVERITIES = ("high", "medium", "low")
ESCALATE = "escalate"
EFFECTS = (ESCALATE, "flag")
MAX_EVIDENCE = 80


@dataclass(frozen=True, slots=True)
class Need:
    """A need for a human: what to do, how urgent it is, which rule decided, and the words that it matched."""

    effect: str
    severity: str
    kind: str
    rule: str
    evidence: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class Detector(Protocol):
    """The interface of detection, which the rules and the analyser behind them share."""

    def customer_said(self, text: str, *, is_vip: bool) -> Need | None:
        """What one message of a customer asks for."""

    def admits_failure(self, text: str) -> bool:
        """Whether one answer of a bot admits that it could not help."""

    def failed(self, count: int) -> Need | None:
        """What `count` failed answers in a row ask for. The caller counts, per session; a good answer resets it."""


class RuleLike(Protocol):
    """The fields that a rule has, be it a `NeedRule` or a `RuleRow`."""

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
class RuleRow:
    """A rule without a database. Hashable, so that compiled rules can be cached by their content."""

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
    who asks for a human from getting one.) Rules of the kind `model` are not checked here: the gravest of them,
    `self.model`, switches the analyser on.

    A rule or phrase that cannot be used is skipped with an error in the log: the admin refuses it, and one that came
    another way must not stop a tenant's messages. `problems` says what is wrong with a rule.
    """

    def __init__(self, rows: Iterable[RuleLike]) -> None:
        ordered = sorted(filter(_is_known, rows), key=_rank)
        self.model = next((row for row in ordered if row.kind == "model"), None)
        self._heard = _Group(row for row in ordered if row.kind in HEARD)
        self._failure = _Group(row for row in ordered if row.kind == "failure")

    def customer_said(self, text: str, *, is_vip: bool) -> Need | None:
        message = Text(normalised(text))
        occurring = self._heard.occurring(message)
        flag = None
        for number, rule in enumerate(self._heard.rules):
            if flag is not None and rule.effect != ESCALATE:
                continue
            if rule.kind == "vip":
                need = rule.need("") if is_vip else None
            else:
                need = rule.need_in(message) if number in occurring else None
            if need is not None and need.effect == ESCALATE:
                return need
            flag = flag or need
        return flag

    def admits_failure(self, text: str) -> bool:
        answer = Text(normalised(text))
        return any(self._failure.rules[number].found_in(answer) for number in self._failure.occurring(answer))

    def failed(self, count: int) -> Need | None:
        reached = [rule for rule in self._failure.rules if count >= rule.threshold]
        reached.sort(key=lambda rule: rule.effect != ESCALATE)
        return reached[0].need(str(count)) if reached else None


class _Rule:
    """One rule with its patterns."""

    def __init__(self, row: RuleLike) -> None:
        self.kind, self.name, self.effect, self.severity = row.kind, row.name, row.effect, row.severity
        self.threshold = max(row.threshold, 1)
        self.phrases = _together(row, _usable(row, row.phrases))
        # Each on its own: two exceptions may overlap, and both count.
        self._exceptions = [compile_phrase(phrase) for phrase in _usable(row, row.exceptions)]

    def need(self, evidence: str) -> Need:
        return Need(self.effect, self.severity, self.kind, self.name, evidence[:MAX_EVIDENCE])

    def need_in(self, text: Text) -> Need | None:
        """The need that a text shows. Anger takes as many hits as the threshold says, a keyword one."""
        hits = self.found_in(text)
        if len(hits) < (self.threshold if self.kind == "sentiment" else 1):
            return None
        return self.need(", ".join(dict.fromkeys(hits)))

    def found_in(self, text: Text) -> list[str]:
        """The texts that the phrases match outside of the exceptions, left to right, each place once."""
        text = self._masked(text)
        spans = sorted(span for pattern in self.phrases for span in pattern.spans(text))
        hits, end = [], 0
        for start, stop in spans:
            if start >= end:
                hits.append(text.plain[start:stop])
                end = stop
        return hits

    def _masked(self, text: Text) -> Text:
        characters = list(text.plain)
        for pattern in self._exceptions:
            for start, stop in pattern.spans(text):
                characters[start:stop] = MASK * (stop - start)
        return Text("".join(characters))


class _Group:
    """Rules for the same texts. One pass over a text finds those that may match it."""

    def __init__(self, rows: Iterable[RuleLike]) -> None:
        self.rules = list(filter(None, map(_built, rows)))
        owned = [(pattern, number) for number, rule in enumerate(self.rules) for pattern in rule.phrases]
        self._owners = [number for _, number in owned]
        self._patterns = Patterns([pattern for pattern, _ in owned])

    def occurring(self, text: Text) -> set[int]:
        """The numbers of the rules that have a phrase which occurs; exceptions are not considered yet."""
        return {self._owners[number] for number in self._patterns.occurring(text)}


def _built(row: RuleLike) -> _Rule | None:
    """The compiled rule; None after an unexpected error, so that this row alone is left out."""
    try:
        return _Rule(row)
    except Exception:
        logger.exception("Rule of need %r (%s) is passed over.", row.name, row.kind)
        return None


def _rank(row: RuleLike) -> tuple[int, bool, int, str]:
    return ORDER.index(row.kind), row.effect != ESCALATE, SEVERITIES.index(row.severity), str(row.name)


def _is_known(row: RuleLike) -> bool:
    if why := _unknown(row):
        logger.error("Rule of need %r is passed over. %s", row.name, why)
    return why is None


def _unknown(row: RuleLike) -> PhraseRefused | None:
    """The first field with a value that no rule can have; None without one. Rows may come by import or SQL."""
    for field, value, known in (
        ("kind", row.kind, ORDER),
        ("effect", row.effect, EFFECTS),
        ("severity", row.severity, SEVERITIES),
    ):
        if value not in known:
            return PhraseRefused(UNKNOWN, field=field, value=repr(value), known=", ".join(known))
    return None


def _usable(row: RuleLike, phrases: Iterable[str]) -> list[str]:
    """The phrases that compile."""
    usable = []
    for phrase in phrases:
        try:
            compile_phrase(phrase)
        except Malformed as error:
            logger.error("Rule of need %r (%s): a phrase is passed over. %s", row.name, row.kind, error)
        else:
            usable.append(phrase)
    return usable


def _together(row: RuleLike, phrases: Sequence[str]) -> list[Pattern]:
    """The phrases in few patterns; none where they are too much for one rule."""
    try:
        return compile_phrases(phrases)
    except PhraseRefused as error:
        logger.error("Rule of need %r (%s) is passed over. %s", row.name, row.kind, error)
        return []


def problems(rule: RuleLike) -> list[PhraseRefused]:
    """Why a rule, or some of its phrases, cannot be used; empty when all of it can."""
    problems = [why] if (why := _unknown(rule)) else []
    for phrases in (rule.phrases, rule.exceptions):
        listed = phrases if isinstance(phrases, (list, tuple)) else ()
        refused = [why for phrase in listed if (why := _refusal(compile_phrase, phrase))]
        problems += refused or ([why] if (why := _refusal(validate_phrases, phrases)) else [])
    return problems


def is_useless(rule: RuleLike) -> bool:
    """Whether the rule can never match: none of its phrases can be used, or one of its fields has an unknown value."""
    if _unknown(rule) or rule.kind not in WITH_PHRASES:
        return _unknown(rule) is not None
    return not _together(rule, _usable(rule, _texts(rule.phrases)))


def _refusal(check: Callable[[object], object], value: object) -> PhraseRefused | None:
    try:
        check(value)
    except PhraseRefused as refusal:
        return refusal
    return None


type Version = tuple[tuple[int, datetime], ...]


def version(tenant_id: int) -> Version:
    """A value that changes with each of the tenant's rules in use, unless by SQL past `NeedRule.save`. One query.

    It holds all times of change and not the latest: an edit that is committed late may have an earlier one.
    """
    return tuple(_VERSION.rows(tenant_id))


def load(tenant_id: int) -> tuple[RuleRow, ...]:
    """The tenant's rules in use, as plain rows. One query."""
    fields = ("kind", "name", "phrases", "exceptions", "threshold", "effect", "severity", "language")
    rows = _in_use(tenant_id).values_list(*fields)
    return tuple(
        RuleRow(kind, name, _texts(phrases), _texts(exceptions), *rest)
        for kind, name, phrases, exceptions, *rest in rows
    )


def _in_use(tenant_id: int) -> QuerySet[NeedRule]:
    from messaging_app.models import NeedRule  # here, so that the rules compile without a database

    return NeedRule.objects.filter(tenant_id=tenant_id, is_enabled=True).order_by("pk")


_VERSION = statements.Reading(lambda tenant_id: _in_use(tenant_id).values_list("pk", "changed_at"), 0)


def _texts(value: object) -> tuple[str, ...]:
    """A JSON column may hold anything; only texts in a list are phrases."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
