"""Finds rules that the engine can use in part or not at all, records why, and switches off those that are useless."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from agents_app import loops
from messaging_app.detection.rules import EFFECTS, ORDER, SEVERITIES, is_useless, problems
from messaging_app.models import NeedRule

LOOP = "check-rules"
AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule, why it or some of its phrases cannot be used, and whether anything of it is left."""

    rule: NeedRule
    problems: tuple[str, ...]
    is_useless: bool

    def __str__(self) -> str:
        state = "nothing of it can be used" if self.is_useless else "the rest of it stays in use"
        return f"tenant {self.rule.tenant_id}, {self.rule.kind} {self.rule.name!r} ({state}): {self.problem}"

    @property
    def problem(self) -> str:
        return " ".join(self.problems)


def find(rules: Iterable[NeedRule]) -> Iterator[Finding]:
    """The rules that the engine cannot use completely, each with the reasons."""
    for rule in rules:
        if refused := problems(rule):
            yield Finding(rule, tuple(map(str, refused)), is_useless(rule))


def note_unknown() -> int:
    """For the clock: record for the admin that a rule is left out, because its kind, severity or effect is unknown.

    Such a row comes from an import or SQL. The rule stays switched on, because its author may still correct it.
    Returns how many were new.
    """
    known = Q(kind__in=ORDER, effect__in=EFFECTS, severity__in=SEVERITIES)
    rows = NeedRule.objects.exclude(known).filter(loops.not_put_off(LOOP, "pk"), is_enabled=True, problem="")[:AT_ONCE]
    return sum(loops.each(LOOP, ((rule.tenant_id, rule.pk, rule) for rule in rows), _noted))


def _noted(tenant_id: int, rule_id: int, rule: NeedRule) -> int:
    [finding] = find([rule])
    return NeedRule.objects.filter(pk=rule_id, problem="").update(problem=finding.problem)


def keep(finding: Finding) -> None:
    """Keep the reason with the rule, for the admin, and switch it off if nothing of it can be used.

    What can still be used stays in use: a customer who asks for a human must not be missed because of another phrase.
    """
    rule = finding.rule
    rule.problem, rule.changed_at = finding.problem, timezone.now()
    rule.is_enabled = rule.is_enabled and not finding.is_useless
    type(rule)._default_manager.filter(pk=rule.pk).update(
        problem=rule.problem, changed_at=rule.changed_at, is_enabled=rule.is_enabled
    )
