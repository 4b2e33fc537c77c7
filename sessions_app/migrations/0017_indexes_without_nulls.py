"""On PostgreSQL: the indexes of columns that are mostly empty hold what is there, and nothing else.

Whoever changes a row enters it in every index anew. A session has no agent, no deadline and no warning for most of its
life; it ended with entries for all of them, at half of what its change cost. The models say the same as before: no query asks for
what is empty by one of these, and another database has no such indexes, or its own way.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

TABLE = "sessions_app_chatsession"
INDEXES = {
    "session_expiry": ("expires_at",),
    "session_reply": ("reply_due_at",),
    "session_warning": ("warns_at",),
    "session_load": ("agent_id", "owner_kind", "status"),
}
"""By their names, the columns, of which the first is never empty in the index."""


def rebuilt(*, without_nulls: bool) -> Any:
    def apply(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            return
        for name, columns in INDEXES.items():
            only = f" WHERE {columns[0]} IS NOT NULL" if without_nulls else ""
            schema_editor.execute(f"DROP INDEX {name}")
            schema_editor.execute(f"CREATE INDEX {name} ON {TABLE} ({', '.join(columns)}){only}")

    return apply


class Migration(migrations.Migration):
    dependencies = (("sessions_app", "0016_few_of_many"),)
    operations = (migrations.RunPython(rebuilt(without_nulls=True), rebuilt(without_nulls=False)),)
