"""Which servers the races run on.

`make races` runs the tests once for each database, with its DATABASE_URL: then a test that brings databases of its own
runs on that server only. A plain `pytest -m races` runs it on every server.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.races.servers import NotThere, Server, server_url

HERE = Path(__file__).parent
ENGINES = {"postgresql": "TEST_POSTGRES_URL", "mariadb": "TEST_MARIADB_URL"}


def _engine_of_this_run() -> str:
    scheme = os.environ.get("DATABASE_URL", "").split(":", 1)[0]
    return {"postgres": "postgresql", "postgresql": "postgresql", "mysql": "mariadb"}.get(scheme, "")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        metafunc.parametrize("server", list(ENGINES), indirect=True, scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    engine = _engine_of_this_run()
    if not engine:
        return
    elsewhere = [item for item in items if _needs(item) not in ("", engine)]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]


def _needs(item: pytest.Item) -> str:
    if item.path.parent != HERE:
        return ""  # the hook sees the tests of every folder
    if "postgres" in getattr(item, "fixturenames", ()):
        return "postgresql"
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return str(parameters.get("server", ""))


def _reached(engine: str) -> str:
    try:
        url = server_url(ENGINES[engine])
        Server(url).execute("SELECT 1")
    except NotThere as reason:
        if os.environ.get("CI") or os.environ.get("RACES_REQUIRED"):
            pytest.fail(f"{engine} is needed: {reason}")
        pytest.skip(f"{engine}: {reason}")
    return url


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> str:
    """The URL of a PostgreSQL or MariaDB server on which databases may be made."""
    return _reached(request.param)


@pytest.fixture(scope="module")
def postgres() -> str:
    return _reached("postgresql")
