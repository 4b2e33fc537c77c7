"""What was said about the work of a session stays with it: each entry with who said it and when.

Sessions that are open now get what they were opened with, and what their transfers have carried; transfers stay as they are.
"""

from django.db import migrations, models

_BY = ("system", "bot", "integrator", "agent")


def keep_what_was_said(apps, schema_editor):
    ChatSession = apps.get_model("sessions_app", "ChatSession")
    Transfer = apps.get_model("sessions_app", "Transfer")
    open_ones = ChatSession.objects.filter(status__in=("ACTIVE", "PAUSED", "PENDING", "TRANSFERRED")).exclude(
        origin="grouped"
    )
    for session in open_ones.select_related("bot").order_by("pk").iterator(chunk_size=500):
        said = _opened_with(session)
        for transfer in Transfer.objects.filter(session_id=session.pk).order_by("pk"):
            _add(said, session, transfer)
        if said:
            ChatSession.objects.filter(pk=session.pk).update(said=said)


def _opened_with(session):
    state = session.context
    if not isinstance(state, dict) or not state:
        return {}
    who = {"by": "bot" if session.bot else "system", "name": session.bot.name if session.bot else ""}
    told = who | {"at": session.opened_at.isoformat(), "opening": True}
    return {"task_state": {name: {"value": value, **told} for name, value in state.items()}}


def _add(said, session, transfer):
    """By the rules of `sessions_app.context.added`, from what fits the schema of version 1."""
    package = transfer.context
    if not isinstance(package, dict) or transfer.from_kind not in _BY:
        return
    who = {"by": transfer.from_kind, "name": transfer.from_name, "at": transfer.requested_at.isoformat()}
    suggestion, promises, urgency, state = (
        package.get(name) for name in ("suggestion", "promises", "urgency", "task_state")
    )
    if isinstance(suggestion, str) and suggestion.strip():
        said["suggestion"] = {"value": suggestion, **who}
    for promise in promises if isinstance(promises, list) else ():
        known = [one["value"] for one in said.setdefault("promises", [])]
        if isinstance(promise, str) and promise.strip() and promise not in known:
            said["promises"].append({"value": promise, **who})
    for name, value in state.items() if isinstance(state, dict) else ():
        kept = said.setdefault("task_state", {})
        if name not in kept or kept[name]["value"] != value:
            kept[name] = {"value": value, **who}
    least = said["urgency"]["value"] if "urgency" in said else session.priority
    if type(urgency) is int and 1 <= urgency < least:
        said["urgency"] = {"value": urgency, **who}


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0010_asked_again")]

    operations = [
        migrations.AddField(
            model_name="chatsession",
            name="said",
            field=models.JSONField(blank=True, default=dict, verbose_name="said about the work"),
        ),
        migrations.RunPython(keep_what_was_said, migrations.RunPython.noop),
    ]
