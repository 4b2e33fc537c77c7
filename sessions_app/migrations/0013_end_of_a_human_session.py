"""When a human session ends stays what it was through every pause, and its owner is told before."""

from datetime import timedelta

from django.conf import settings
from django.db import migrations, models
from django.db.models import F


def end_and_warning(apps, schema_editor):
    """Of those that agents serve now. One that is paused has its time anew, once, when it is resumed."""
    served = apps.get_model("sessions_app", "ChatSession").objects.filter(owner_kind="agent", expires_at__isnull=False)
    served = served.filter(status__in=["ACTIVE", "TRANSFERRED"])
    warning = timedelta(seconds=min(settings.TANDEM[f"HUMAN_SESSION_{name}"] for name in ("WARNING", "TIMEOUT")))
    served.update(human_until=F("expires_at"), warns_at=F("expires_at") - warning)


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0012_seen_by_arrival")]

    operations = [
        migrations.AddField(
            model_name="chatsession",
            name="human_until",
            field=models.DateTimeField(blank=True, null=True, verbose_name="ends for the agent"),
        ),
        migrations.AddField(
            model_name="chatsession",
            name="warns_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="warns of its end"),
        ),
        migrations.AddIndex(
            model_name="chatsession",
            index=models.Index(fields=["warns_at"], name="session_warning"),
        ),
        migrations.RunPython(end_and_warning, migrations.RunPython.noop),
    ]
