"""On PostgreSQL: the indexes of columns that are mostly empty hold what is there, and nothing else.

Whoever changes a row enters it in every index anew. A session has no agent, no deadline and no warning for most of its
life; it ended with entries for all of them, at half of what its change cost. The models say the same as before: no query asks for
what is empty by one of these, and another database has no such indexes, or its own way.

`session_load` is then what `session_of_agent` is, which goes: SQLite needs both, because a full index misleads its planner.
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
SAME = f"CREATE INDEX session_of_agent ON {TABLE} (agent_id, owner_kind, status) WHERE agent_id IS NOT NULL"


def rebuilt(*, without_nulls: bool) -> Any:
    def apply(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            return
        for name, columns in INDEXES.items():
            only = f" WHERE {columns[0]} IS NOT NULL" if without_nulls else ""
            schema_editor.execute(f"DROP INDEX {name}")
            schema_editor.execute(f"CREATE INDEX {name} ON {TABLE} ({', '.join(columns)}){only}")
        schema_editor.execute("DROP INDEX session_of_agent" if without_nulls else SAME)

    return apply


class Migration(migrations.Migration):
    dependencies = (("sessions_app", "0016_few_of_many"),)
    operations = (migrations.RunPython(rebuilt(without_nulls=True), rebuilt(without_nulls=False)),)
