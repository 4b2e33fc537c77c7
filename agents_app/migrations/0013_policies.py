"""A tenant sets its own times and limits, in one column for all of them; a team that has none follows its tenant."""

from django.core.validators import MaxValueValidator
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents_app", "0012_unanswered")]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="policies",
            field=models.JSONField(blank=True, default=dict, editable=False, verbose_name="times and limits"),
        ),
        migrations.AlterField(
            model_name="team",
            name="offer_timeout",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Empty: as the tenant has it.",
                null=True,
                validators=[MaxValueValidator(500_000_000)],
                verbose_name="seconds to accept an offer",
            ),
        ),
    ]
