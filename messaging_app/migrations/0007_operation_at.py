"""A page of a thread shows what happened between its first and its last words: found by time, however long the thread is."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging_app", "0006_tenant_operations")]

    operations = [
        migrations.AddIndex(
            model_name="operation",
            index=models.Index(fields=["conversation", "at", "seq"], name="operation_at"),
        ),
    ]
