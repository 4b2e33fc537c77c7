"""Making and dropping databases on a server, for tests that need one of their own. No Django: it comes later."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
import pymysql

from tests.patience import PATIENCE

DEFAULTS = {
    "TEST_POSTGRES_URL": "postgres://postgres@127.0.0.1:5432/postgres",
    "TEST_MARIADB_URL": "mysql://root@127.0.0.1:3306/test",
}


class NotThere(Exception):
    """The server does not answer."""


def server_url(variable: str) -> str:
    """Where a server is. In CI it must have been named: a test that looks elsewhere would pass by accident."""
    url = os.environ.get(variable, "")
    if not url:
        if os.environ.get("CI") or os.environ.get("RACES_REQUIRED"):
            raise NotThere(f"{variable} is not set")
        url = DEFAULTS[variable]
    return url


class Server:
    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self.is_postgres = self._url.scheme.startswith("postgres")

    def url(self, name: str) -> str:
        return urlunsplit(self._url._replace(path=f"/{name}"))

    def execute(self, statement: str, database: str | None = None) -> None:
        with closing(self._connect(database)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)

    def create(self, name: str, template: str | None = None) -> None:
        if self.is_postgres:
            like = f' TEMPLATE "{template}"' if template else ""
            self.execute(f'CREATE DATABASE "{name}"{like}')
        else:
            self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")

    def drop(self, name: str) -> None:
        if self.is_postgres:
            self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        else:
            self.execute(f"DROP DATABASE IF EXISTS `{name}`")

    @contextmanager
    def database(self, name: str, template: str | None = None) -> Iterator[str]:
        """A database that lives as long as the block; yields its URL."""
        self.drop(name)
        self.create(name, template)
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    def _connect(self, database: str | None) -> Any:
        url = self._url
        try:
            if self.is_postgres:
                target = self.url(database) if database else urlunsplit(url)
                return psycopg.connect(target, autocommit=True, connect_timeout=int(PATIENCE))
            return pymysql.connect(
                host=url.hostname or "127.0.0.1",
                port=url.port or 3306,
                user=unquote(url.username or "root"),
                password=unquote(url.password or ""),
                database=database,
                autocommit=True,
                connect_timeout=int(PATIENCE),
            )
        except (psycopg.OperationalError, pymysql.err.OperationalError) as error:
            raise NotThere(f"{urlunsplit(url)}: {error}") from error
