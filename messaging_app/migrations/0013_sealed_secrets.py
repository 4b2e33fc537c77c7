from django.db import migrations

import config.sealing


def seal(apps, schema_editor):
    """What is there in clear is read as it stands and written sealed."""
    rows = apps.get_model("messaging_app", "WebhookEndpoint").objects.using(schema_editor.connection.alias)
    for row in rows.only("pk", "secret", "old_secret").iterator():
        row.save(update_fields=["secret", "old_secret"])


def unseal(apps, schema_editor):
    rows = apps.get_model("messaging_app", "WebhookEndpoint").objects.using(schema_editor.connection.alias)
    with schema_editor.connection.cursor() as cursor:
        for row in rows.only("pk", "secret", "old_secret"):
            cursor.execute(
                "UPDATE messaging_app_webhookendpoint SET secret = %s, old_secret = %s WHERE id = %s",
                [row.secret, row.old_secret, row.pk],
            )


class Migration(migrations.Migration):
    dependencies = [("messaging_app", "0012_search_without_marks")]

    operations = [
        migrations.AlterField(
            model_name="webhookendpoint",
            name="secret",
            field=config.sealing.SealedField(blank=True, editable=False, verbose_name="secret"),
        ),
        migrations.AlterField(
            model_name="webhookendpoint",
            name="old_secret",
            field=config.sealing.SealedField(blank=True, editable=False, verbose_name="secret before"),
        ),
        migrations.RunPython(seal, unseal),
    ]
