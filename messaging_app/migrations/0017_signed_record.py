"""From here on operations are signed (config/audit_keys.py), and none is deleted but by `retention`.

What is there keeps its unkeyed chain, because the triggers let nobody rewrite it, and rewriting millions of rows would prove
nothing about them. How it stood on this day is signed, a row for each tenant. Deploy with nothing else running: what the release before
writes after this is unsigned, and the check says so.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Min, Q
from django.utils import timezone

import config.db
from messaging_app import record_marks

_triggers = import_module("messaging_app.migrations.0002_stream_triggers")
TABLE, MARKS = _triggers.TABLE, "messaging_app_recordmark"
KEPT = "operations are kept"
FORGOTTEN = (
    f"EXISTS (SELECT 1 FROM {MARKS} WHERE kind = 'forgotten' AND tenant_id = OLD.tenant_id AND ("
    "(conversation_id = OLD.conversation_id AND seq >= OLD.seq)"
    " OR (conversation_id IS NULL AND OLD.conversation_id IS NULL AND seq >= OLD.id)))"
)

CREATE = {
    "sqlite": [
        f"CREATE TRIGGER operation_kept BEFORE DELETE ON {TABLE} WHEN NOT {FORGOTTEN}"
        f" BEGIN SELECT RAISE(ABORT, '{KEPT}'); END",
    ],
    "postgresql": [
        f"""CREATE FUNCTION operation_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NOT {FORGOTTEN} THEN
            RAISE EXCEPTION '{KEPT}' USING ERRCODE = 'integrity_constraint_violation'; END IF;
            RETURN OLD; END $$""",
        f"CREATE TRIGGER operation_kept BEFORE DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION operation_kept()",
    ],
    "mysql": [
        f"""CREATE TRIGGER operation_kept BEFORE DELETE ON {TABLE} FOR EACH ROW BEGIN
            IF NOT {FORGOTTEN} THEN SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062, MESSAGE_TEXT = '{KEPT}'; END IF;
            END""",
    ],
}
DROP = {
    "sqlite": ["DROP TRIGGER operation_kept"],
    "mysql": ["DROP TRIGGER operation_kept"],
    "postgresql": [f"DROP TRIGGER operation_kept ON {TABLE}", "DROP FUNCTION operation_kept()"],
}


def sign_what_is_there(apps: Any, schema_editor: Any) -> None:
    def rows(name: str) -> Any:
        return apps.get_model("messaging_app", name)._default_manager.using(schema_editor.connection.alias)

    now = timezone.now()
    recorded = (rows("Operation"), rows("Conversation").filter(seq__gt=0))
    for tenant_id in sorted({pk for some in recorded for pk in some.order_by().values_list("tenant_id", flat=True).distinct()}):
        conversations = rows("Conversation").filter(tenant_id=tenant_id, seq__gt=0)
        alone = rows("Operation").filter(tenant_id=tenant_id, conversation=None)
        heads = conversations.order_by("pk").values_list("pk", "seq", "chain").iterator(2000)
        others = alone.order_by("pk").values_list("pk", "chain").iterator(2000)
        count, fold, of_none = record_marks.unkeyed(heads, others)
        mark = rows("RecordMark").model(
            tenant_id=tenant_id, kind="unkeyed", count=count, chain=fold, unkeyed_head=of_none, at=now
        )
        record_marks.sign(mark)
        mark.save(using=schema_editor.connection.alias)
        _mark_what_is_gone(rows, tenant_id, now)


def _mark_what_is_gone(rows: Any, tenant_id: int, now: Any) -> None:
    """Operations could be deleted before: what is left of a conversation begins later, or with the next one."""
    def mark(conversation_id: int | None, **fields: Any) -> None:
        made = rows("RecordMark").model(
            tenant_id=tenant_id, kind="forgotten", conversation_id=conversation_id, at=now, **fields
        )
        record_marks.sign(made)
        made.save()

    conversations = rows("Conversation").filter(tenant_id=tenant_id, seq__gt=0)
    found = conversations.annotate(first=Min("operations__seq")).filter(Q(first=None) | Q(first__gt=1))
    gone = 0
    for pk, seq, chain, first in list(found.values_list("pk", "seq", "chain", "first")):
        cut, link = (seq, chain) if first is None else (first - 1, record_marks.UNKNOWN)
        mark(pk, seq=cut, count=cut, chain=link, unkeyed_head=f"{cut}:{link}")
        gone += cut
    there = rows("Operation").filter(tenant_id=tenant_id, pos__isnull=False).count()
    head = rows("StreamHead").filter(tenant_id=tenant_id).first()
    if head and head.pos > there + gone:
        mark(None, count=head.pos - there - gone, chain="")


class Migration(migrations.Migration):
    dependencies = (("messaging_app", "0016_unanswered_since"),)
    operations = (
        migrations.CreateModel(
            name="RecordMark",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    config.db.ExactCharField(
                        choices=[("unkeyed", "written before they were signed"), ("forgotten", "forgotten")],
                        max_length=16,
                        verbose_name="kind",
                    ),
                ),
                ("conversation_id", models.BigIntegerField(blank=True, null=True, verbose_name="conversation")),
                ("seq", models.PositiveBigIntegerField(default=0, verbose_name="up to number")),
                ("pos", models.PositiveBigIntegerField(default=0, verbose_name="up to position")),
                ("count", models.PositiveBigIntegerField(default=0, verbose_name="operations")),
                ("chain", models.CharField(max_length=64, verbose_name="hash")),
                (
                    "unkeyed_head",
                    models.CharField(blank=True, max_length=96, verbose_name="unsigned ones, number:hash"),
                ),
                ("at", models.DateTimeField(verbose_name="when")),
                ("signature", models.CharField(max_length=80, verbose_name="signature")),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="agents_app.tenant",
                        verbose_name="tenant",
                    ),
                ),
            ],
            options={"verbose_name": "mark of the record", "verbose_name_plural": "marks of the record"},
        ),
        migrations.AddConstraint(
            model_name="recordmark",
            constraint=models.UniqueConstraint(
                fields=["tenant", "kind", "conversation_id"], name="record_mark_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="recordmark",
            constraint=models.CheckConstraint(
                condition=models.Q(kind__in=["unkeyed", "forgotten"]), name="record_mark_kind_known"
            ),
        ),
        migrations.RunPython(sign_what_is_there, migrations.RunPython.noop),
        migrations.RunPython(_triggers.run(CREATE), _triggers.run(DROP), atomic=False),
    )
