"""Where an agent collaborates now is found without looking through where the agent ever has."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0007_services_measured")]

    operations = [
        migrations.AddIndex(
            model_name="participant",
            index=models.Index(fields=["agent", "status"], name="participant_agent"),
        ),
    ]
