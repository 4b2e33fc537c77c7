"""Assignment strategies as parameters: two in the quick tests, the others by the same day in `make slow`.

What each strategy prefers is in `tests/assignment/test_strategies.py`, for all of them.
"""

from __future__ import annotations

import pytest

from agents_app.models import Team

QUICK = (Team.Strategy.ROUND_ROBIN, Team.Strategy.BEST_SKILLED)

STRATEGIES = [
    strategy.value if strategy in QUICK else pytest.param(strategy.value, marks=pytest.mark.slow)
    for strategy in Team.Strategy
]
