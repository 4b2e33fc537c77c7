"""What nobody answers stays one transfer, and counts how often it has been asked again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0009_flow_trigger_of_its_client")]

    operations = [
        migrations.AddField(
            model_name="transfer",
            name="asked_again",
            field=models.PositiveIntegerField(default=0, verbose_name="asked again"),
        ),
    ]
