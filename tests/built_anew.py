"""Statements for a clock of the test's own, which is a value in each: one that is kept would stand still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from config import compiled_query, statements


@contextmanager
def statements_built_anew() -> Iterator[None]:
    """No statement is kept."""
    in_json: Any = statements.in_json
    with (
        mock.patch.object(statements.Reading, "built", lambda reading, _: reading._build_now()),
        mock.patch.object(statements, "in_json", in_json.__wrapped__),
        mock.patch.object(compiled_query.CompiledQuery, "run", lambda query, **ids: query._compile(list(ids)).run(ids)),
    ):
        yield
