"""The model is called what the field calls it. Its table keeps its name, so that the release of before goes on meanwhile."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("agents_app", "0013_policies")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RenameModel("KeptAnswer", "IdempotencyRecord"),
                migrations.AlterModelTable("IdempotencyRecord", "agents_app_keptanswer"),
                migrations.AlterModelOptions(
                    "IdempotencyRecord",
                    {"verbose_name": "idempotency record", "verbose_name_plural": "idempotency records"},
                ),
            ],
        )
    ]
