"""The desk's views: whose turn it is, how long somebody has waited and what is to do are found by an index each."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging_app", "0008_attachments")]

    operations = [
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(
                fields=["tenant", "controller", "tier", "desk_order", "id"], name="conversation_turn"
            ),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(fields=["tenant", "waiting_since", "id"], name="conversation_waiting"),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(fields=["tenant", "todo_at"], name="conversation_todo"),
        ),
    ]
