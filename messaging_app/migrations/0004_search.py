"""The search index (see `messaging_app.search`): a table of terms for messages, one for customers, and each database's
own index over them.

PostgreSQL and MariaDB index the column. SQLite has an FTS5 table beside each, which holds the index alone and which
triggers keep in step. An SQLite without FTS5 is refused: reading every message would be no search.
"""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.db import NotSupportedError, migrations, models

TABLES = {"messaging_app_messageterms": "message_id", "messaging_app_conversationterms": "conversation_id"}
NO_FTS5 = (
    "Search needs SQLite with FTS5, and this Python's SQLite was built without it. Use another Python (those of"
    " python.org, Debian, Fedora and Homebrew have it), or PostgreSQL or MariaDB by DATABASE_URL."
)

CREATE = {
    "sqlite": [
        statement
        for table, key in TABLES.items()
        for statement in (
            f"CREATE VIRTUAL TABLE {table}_index USING fts5(terms, content='{table}', content_rowid='{key}',"
            " detail='none', columnsize=0, tokenize='ascii')",
            f"CREATE TRIGGER {table}_added AFTER INSERT ON {table} BEGIN"
            f" INSERT INTO {table}_index(rowid, terms) VALUES (NEW.{key}, NEW.terms); END",
            f"CREATE TRIGGER {table}_removed AFTER DELETE ON {table} BEGIN"
            f" INSERT INTO {table}_index({table}_index, rowid, terms) VALUES ('delete', OLD.{key}, OLD.terms); END",
            f"CREATE TRIGGER {table}_changed AFTER UPDATE ON {table} BEGIN"
            f" INSERT INTO {table}_index({table}_index, rowid, terms) VALUES ('delete', OLD.{key}, OLD.terms);"
            f" INSERT INTO {table}_index(rowid, terms) VALUES (NEW.{key}, NEW.terms); END",
        )
    ],
    "postgresql": [
        # A function of its own, so that the planner knows what making a tsvector costs: it takes the bare expression
        # for nothing and reads the table. COST is measured. A long list of pending entries would drive it there, too.
        "CREATE FUNCTION search_terms(terms text) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE"
        " COST 400 AS $$ BEGIN RETURN array_to_tsvector(string_to_array(terms, ' ')); END $$",
        *(
            f"CREATE INDEX {table}_index ON {table} USING gin (search_terms(terms)) WITH (gin_pending_list_limit = 256)"
            for table in TABLES
        ),
    ],
    "mysql": [f"CREATE FULLTEXT INDEX {table}_index ON {table} (terms)" for table in TABLES],
}
DROP = {
    "sqlite": [
        statement
        for table in TABLES
        for statement in (
            *(f"DROP TRIGGER {table}_{change}" for change in ("added", "removed", "changed")),
            f"DROP TABLE {table}_index",
        )
    ],
    "postgresql": [*(f"DROP INDEX {table}_index" for table in TABLES), "DROP FUNCTION search_terms(text)"],
    "mysql": [f"DROP INDEX {table}_index ON {table}" for table in TABLES],
}


def has_fts5(connection: Any) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'")
        return cursor.fetchone() is not None


def create(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "sqlite" and not has_fts5(schema_editor.connection):
        raise NotSupportedError(NO_FTS5)
    for statement in CREATE[schema_editor.connection.vendor]:
        schema_editor.execute(statement, params=None)


def drop(apps: Any, schema_editor: Any) -> None:
    for statement in DROP[schema_editor.connection.vendor]:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = (
        ("agents_app", "0001_initial"),
        ("messaging_app", "0003_webhooks"),
    )
    operations = (
        migrations.CreateModel(
            name="SearchCursor",
            fields=[
                (
                    "tenant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="agents_app.tenant",
                        verbose_name="tenant",
                    ),
                ),
                ("pos", models.PositiveBigIntegerField(default=0, verbose_name="position")),
            ],
            options={"verbose_name": "search cursor", "verbose_name_plural": "search cursors"},
        ),
        migrations.CreateModel(
            name="MessageTerms",
            fields=[
                (
                    "message",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="messaging_app.message",
                        verbose_name="message",
                    ),
                ),
                ("terms", models.TextField(verbose_name="terms")),
            ],
            options={"verbose_name": "terms of a message", "verbose_name_plural": "terms of messages"},
        ),
        migrations.CreateModel(
            name="ConversationTerms",
            fields=[
                (
                    "conversation",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="messaging_app.conversation",
                        verbose_name="conversation",
                    ),
                ),
                ("terms", models.TextField(verbose_name="terms")),
            ],
            options={"verbose_name": "terms of a conversation", "verbose_name_plural": "terms of conversations"},
        ),
        migrations.RunPython(create, drop, atomic=False),
    )
