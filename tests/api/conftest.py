from __future__ import annotations

from collections.abc import Iterator

import pytest

from config import buckets
from tests.api.serving import Served


@pytest.fixture(autouse=True)
def _nobody_has_called_yet() -> Iterator[None]:
    """Throttles count in the cache, which outlives a test."""
    buckets.forget()
    yield
    buckets.forget()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A real server process with a database of its own, and programs with keys."""
    served = Served(tmp_path_factory.mktemp("served"))
    yield served
    served.stop()
