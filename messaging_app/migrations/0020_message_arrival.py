"""What came since an operation, and the last of it, is found without reading the whole conversation."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging_app", "0017_signed_record")]

    operations = [
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["conversation", "seq", "id"], name="message_arrival"),
        ),
    ]
