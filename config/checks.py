"""Django's checks of the settings, tagged `tandem`: `manage.py check --tag tandem`.

What stops a process at import is repeated here as errors, for settings that were put together in another way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Advice

from config import consistency
from config.environment import Figure

TAG = "tandem"


class _Settings(dict[str, Any]):
    """The settings as a mapping, read when they are asked for."""

    def __missing__(self, name: str) -> Any:
        return getattr(settings, name)


@register(TAG)
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Ranges (E001), contradictions (E002) and what is unwise (W…)."""
    now = _Settings()
    return [
        *(Error(text, id=f"{TAG}.E001") for text in out_of_range(settings.FIGURES)),
        *(Error(text, id=f"{TAG}.E002") for text in consistency.errors(now)),
        *(Advice(text, id=f"{TAG}.{number}") for number, text in consistency.warnings(now)),
    ]


def out_of_range(figures: dict[str, Figure]) -> list[str]:
    """What is wrong with the figures that are settings of their own or of the TANDEM block."""
    problems = []
    for name, figure in figures.items():
        value = settings.TANDEM[name] if name in settings.TANDEM else getattr(settings, name, None)
        if value is not None and (problem := figure.problem(value)):
            problems.append(problem)
    return problems
