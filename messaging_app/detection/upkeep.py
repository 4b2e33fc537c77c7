"""Rules that the engine cannot use, or not all of: found, named, and switched off where nothing usable is left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.utils import timezone

from messaging_app.detection.rules import is_useless, problems
from messaging_app.models import NeedRule


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
    """Those of the rules that the engine cannot use as they stand."""
    for rule in rules:
        if found := problems(rule):
            yield Finding(rule, tuple(map(str, found)), is_useless(rule))


def keep(finding: Finding) -> None:
    """Keep the reason with the rule, for the admin, and switch it off if nothing of it can be used.

    What can still be used stays in use: a customer who asks for a human must not go unheard because of another phrase.
    """
    rule = finding.rule
    rule.problem, rule.changed_at = finding.problem, timezone.now()
    rule.is_enabled = rule.is_enabled and not finding.is_useless
    type(rule)._default_manager.filter(pk=rule.pk).update(
        problem=rule.problem, changed_at=rule.changed_at, is_enabled=rule.is_enabled
    )
