"""The database itself keeps the stream: no gap in a conversation's `seq`, nothing rewritten afterwards.

A constraint refuses a double; only a trigger can refuse a gap. Operations may be stamped with their position once and
not changed otherwise. (They may be deleted: events are kept for a while, not for ever.)
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

TABLE = "messaging_app_operation"
NEXT = f"(SELECT COALESCE(MAX(seq), 0) + 1 FROM {TABLE} WHERE conversation_id = NEW.conversation_id)"
COLUMNS = "tenant_id conversation_id seq type session_id actor_kind actor_id actor_name data at chain".split()
DIFFERS = {  # NULL-safe
    "sqlite": "NEW.{0} IS NOT OLD.{0}",
    "postgresql": "NEW.{0} IS DISTINCT FROM OLD.{0}",
    "mysql": "NOT (NEW.{0} <=> OLD.{0})",
}
REWRITTEN = {
    vendor: " OR ".join(["OLD.pos IS NOT NULL", *(differs.format(column) for column in COLUMNS)])
    for vendor, differs in DIFFERS.items()
}
GAP = "operation seq leaves a gap"
FIXED = "operations are append-only"

CREATE = {
    "sqlite": [
        f"CREATE TRIGGER operation_no_gap BEFORE INSERT ON {TABLE} WHEN NEW.seq <> {NEXT}"
        f" BEGIN SELECT RAISE(ABORT, '{GAP}'); END",
        f"CREATE TRIGGER operation_fixed BEFORE UPDATE ON {TABLE} WHEN {REWRITTEN['sqlite']}"
        f" BEGIN SELECT RAISE(ABORT, '{FIXED}'); END",
    ],
    "postgresql": [
        f"""CREATE FUNCTION operation_no_gap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.seq <> {NEXT} THEN RAISE EXCEPTION '{GAP}' USING ERRCODE = 'integrity_constraint_violation'; END IF;
            RETURN NEW; END $$""",
        f"""CREATE FUNCTION operation_fixed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION '{FIXED}' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
        f"CREATE TRIGGER operation_no_gap BEFORE INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION operation_no_gap()",
        f"CREATE TRIGGER operation_fixed BEFORE UPDATE ON {TABLE} FOR EACH ROW WHEN ({REWRITTEN['postgresql']})"
        " EXECUTE FUNCTION operation_fixed()",
    ],
    "mysql": [
        f"""CREATE TRIGGER operation_no_gap BEFORE INSERT ON {TABLE} FOR EACH ROW BEGIN
            IF NEW.seq <> {NEXT} THEN SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062, MESSAGE_TEXT = '{GAP}'; END IF;
            END""",
        f"""CREATE TRIGGER operation_fixed BEFORE UPDATE ON {TABLE} FOR EACH ROW BEGIN
            IF {REWRITTEN['mysql']} THEN SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062, MESSAGE_TEXT = '{FIXED}'; END IF;
            END""",
    ],
}
_DROP = ["DROP TRIGGER operation_no_gap", "DROP TRIGGER operation_fixed"]
DROP = {
    "sqlite": _DROP,
    "mysql": _DROP,
    "postgresql": [
        *(f"{statement} ON {TABLE}" for statement in _DROP),
        "DROP FUNCTION operation_no_gap()",
        "DROP FUNCTION operation_fixed()",
    ],
}


def run(statements: dict[str, list[str]]) -> Any:
    def apply(apps: Any, schema_editor: Any) -> None:
        for statement in statements[schema_editor.connection.vendor]:
            schema_editor.execute(statement, params=None)

    return apply


class Migration(migrations.Migration):
    dependencies = (("messaging_app", "0001_initial"),)
    operations = (migrations.RunPython(run(CREATE), run(DROP), atomic=False),)
