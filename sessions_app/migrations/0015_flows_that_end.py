"""A flow keeps its program's last move, by which a repeat is told; previews that wait have a day from now on."""

from datetime import timedelta
from typing import Any

from django.db import migrations, models
from django.utils import timezone

from config.db import ExactCharField


def give_previews_a_day(apps: Any, schema_editor: Any) -> None:
    """Their `expires_at` was that of the rerun before: most are over, and would all expire at once."""
    flows = apps.get_model("sessions_app", "GuidedFlow").objects.using(schema_editor.connection.alias)
    flows.filter(status="ready_preview").update(expires_at=timezone.now() + timedelta(days=1))


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0014_offer_rounds")]

    operations = [
        migrations.AddField(
            model_name="guidedflow",
            name="last_move",
            field=ExactCharField(blank=True, default="", editable=False, max_length=64, verbose_name="last move"),
        ),
        migrations.RunPython(give_previews_a_day, migrations.RunPython.noop),
    ]
