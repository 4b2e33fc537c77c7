"""Since when a customer's words have had no answer. Where somebody has the turn now, the last of them are the first known."""

from django.db import migrations, models
from django.db.models import F


def who_waits_now(apps, schema_editor):
    rows = apps.get_model("messaging_app", "Conversation").objects.filter(last_sender="customer")
    rows.exclude(controller="none").update(unanswered_since=F("last_activity_at"))


class Migration(migrations.Migration):
    dependencies = [("messaging_app", "0015_threshold_with_a_most")]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="unanswered_since",
            field=models.DateTimeField(blank=True, null=True, verbose_name="unanswered since"),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(
                fields=["tenant", "controller", "needs_human", "unanswered_since"], name="conversation_unanswered"
            ),
        ),
        migrations.RunPython(who_waits_now, migrations.RunPython.noop),
    ]
