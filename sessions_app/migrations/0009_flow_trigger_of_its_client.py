"""A trigger is its program's own: two programs that use one word for it each have a flow. Flows keep whose they are."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0008_views")]

    operations = [
        migrations.RemoveConstraint(model_name="guidedflow", name="flow_trigger_once"),
        migrations.AddConstraint(
            model_name="guidedflow",
            constraint=models.UniqueConstraint(fields=["tenant", "client", "trigger_id"], name="flow_trigger_once"),
        ),
    ]
