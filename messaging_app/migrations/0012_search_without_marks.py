"""Search without the marks that people leave out (see `messaging_app.folding`).

Every tenant's stream passes the index once more, in the clock's bounded steps or at once by `manage.py index_search`;
until then what is indexed is found as before. Canned replies note their words anew here.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations


def begin_again(apps: Any, schema_editor: Any) -> None:
    from messaging_app.agent_tools import canned_replies

    replies = apps.get_model("messaging_app", "CannedReply")._default_manager.order_by("pk")
    for reply in replies.iterator(500):
        before = reply.sought
        canned_replies.remember(reply)
        if reply.sought != before:
            reply.save(update_fields=["sought"])
    apps.get_model("messaging_app", "SearchCursor")._default_manager.update(pos=0)


class Migration(migrations.Migration):
    dependencies = [("messaging_app", "0011_need_rules_in_linear_time")]

    operations = [migrations.RunPython(begin_again, migrations.RunPython.noop, elidable=True)]
