"""A tenant says what becomes of a customer who waits for an answer while nobody has the turn."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents_app", "0011_departures")]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="unanswered",
            field=models.CharField(
                choices=[("flag", "flag the conversation until somebody has it"), ("leave", "leave it")],
                default="flag",
                help_text=(
                    "A bot or agent stopped before it had answered, or nobody has taken what the customer wrote. Flagged, it "
                    "waits in sight of every agent. Left, nobody is called: for a shop whose answers Tandem does not see."
                ),
                max_length=8,
                verbose_name="when a customer waits for an answer and nobody has the turn",
            ),
        ),
    ]
