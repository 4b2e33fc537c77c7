"""What a participant sees is decided by the operations of the conversation, no longer by the times that senders claim."""

from typing import Any

from django.db import migrations, models


def to_operations(apps: Any, schema_editor: Any) -> None:
    """From a time to the operation: the last one at that time or before it. Where the last n messages were shared, these
    are counted anew by arrival, as of the joining: a sender's late message would make them more.
    """
    on = schema_editor.connection.alias
    operations = apps.get_model("messaging_app", "Operation")._default_manager.using(on)
    messages = apps.get_model("messaging_app", "Message")._default_manager.using(on)
    rows = apps.get_model("sessions_app", "Participant")._default_manager.using(on)

    def operation_at(participant: Any, moment: Any) -> int:
        until = operations.filter(conversation_id=participant.conversation_id, at__lte=moment)
        return until.order_by("-at", "-seq").values_list("seq", flat=True).first() or 1

    for participant in rows.exclude(history_from=None).order_by("pk").iterator(chunk_size=1000):
        seq, first = operation_at(participant, participant.history_from), None
        if participant.history == "last" and participant.joined_at:
            seq = operation_at(participant, participant.joined_at)
            said = messages.filter(conversation_id=participant.conversation_id, is_note=False, seq__lt=seq)
            said = said.order_by("-seq", "-id").values_list("seq", "pk")
            seq, first = (list(said[: participant.history_count]) or [(seq, None)])[-1]
        rows.filter(pk=participant.pk).update(history_from_seq=seq, history_from_id=first)


def to_times(apps: Any, schema_editor: Any) -> None:
    on = schema_editor.connection.alias
    operations = apps.get_model("messaging_app", "Operation")._default_manager.using(on)
    rows = apps.get_model("sessions_app", "Participant")._default_manager.using(on)
    for participant in rows.exclude(history_from_seq=None).order_by("pk").iterator(chunk_size=1000):
        since = operations.filter(
            conversation_id=participant.conversation_id, seq__gte=participant.history_from_seq
        ).order_by("seq")
        moment = since.values_list("at", flat=True).first() or participant.joined_at or participant.invited_at
        rows.filter(pk=participant.pk).update(history_from=moment)


class Migration(migrations.Migration):
    dependencies = [("messaging_app", "0020_message_arrival"), ("sessions_app", "0011_said_about_the_work")]

    operations = [
        migrations.AddField(
            model_name="participant",
            name="history_from_seq",
            field=models.PositiveBigIntegerField(blank=True, null=True, verbose_name="sees what came from operation"),
        ),
        migrations.AddField(
            model_name="participant",
            name="history_from_id",
            field=models.BigIntegerField(blank=True, null=True, verbose_name="and of its messages from"),
        ),
        migrations.RunPython(to_operations, to_times),
        migrations.RemoveField(model_name="participant", name="history_from"),
    ]
