"""Operations that belong to a tenant and to no conversation, such as an agent's presence.

The rules of 0002 hold for them as they stand: the next `seq` of no conversation is always 1, so another is refused, and
nothing is rewritten. SQLite makes the table anew to change a column, and its triggers go with the old one: they are made
again here, in both directions. PostgreSQL and MariaDB change the column in place and keep theirs.

Backwards, these operations are deleted, because the column cannot hold them. The others keep their positions (they are
the cursors of readers), so the stream has gaps from then on, which `check_stream` tells.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import django.db.models.deletion
from django.db import migrations, models

_triggers = import_module("messaging_app.migrations.0002_stream_triggers")


def guard_again(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "sqlite":
        _triggers.run(_triggers.CREATE)(apps, schema_editor)


def delete_what_has_no_conversation(apps: Any, schema_editor: Any) -> None:
    operations = apps.get_model("messaging_app", "Operation")._default_manager
    operations.using(schema_editor.connection.alias).filter(conversation=None).delete()


class Migration(migrations.Migration):
    dependencies = (("messaging_app", "0005_words"),)
    operations = (
        migrations.RunPython(migrations.RunPython.noop, guard_again),
        migrations.AlterField(
            model_name="operation",
            name="conversation",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="operations",
                to="messaging_app.conversation",
                verbose_name="conversation",
            ),
        ),
        migrations.RunPython(guard_again, delete_what_has_no_conversation),
    )
