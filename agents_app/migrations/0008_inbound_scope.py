from django.db import migrations


def keep_delivering(apps, schema_editor):
    """Integrators whose scopes were listed delivered customers' words by `messages:write` until now. Bots do not any more."""
    for client in apps.get_model("agents_app", "ApiClient").objects.filter(kind="integrator"):
        if "messages:write" in client.scopes and "inbound:write" not in client.scopes:
            client.scopes = [*client.scopes, "inbound:write"]
            client.save(update_fields=["scopes"])


class Migration(migrations.Migration):
    dependencies = [
        ("agents_app", "0007_allowed_origins"),
    ]

    operations = [
        migrations.RunPython(keep_delivering, migrations.RunPython.noop),
    ]
