"""Indexes of the few among many sessions: those that an agent has or had, and those that are paused.

A database without partial indexes (MariaDB) goes on with `session_load` and `session_tenant`.
"""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("messaging_app", "0020_message_arrival"), ("sessions_app", "0015_flows_that_end")]

    operations = [
        migrations.AddIndex(
            model_name="chatsession",
            index=models.Index(
                fields=["agent", "owner_kind", "status"], name="session_of_agent", condition=Q(agent__isnull=False)
            ),
        ),
        migrations.AddIndex(
            model_name="chatsession",
            index=models.Index(
                fields=["tenant", "kind", "conversation"], name="session_paused", condition=Q(status="PAUSED")
            ),
        ),
    ]
