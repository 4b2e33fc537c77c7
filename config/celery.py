"""Celery's entry point and the whole beat table.

Beat only wakes the sweepers. What is due is decided by columns and the database's clock, so a late, doubled or missing
beat changes nothing but latency. In the embedded default `manage.py serve` runs the same table inside its process.
"""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("tandem", fixups=["config.worker_pool:fixup"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# Name → task and period in seconds. A beat that no worker took before the next one is worthless: it expires.
BEAT = {
    "sweep-due": ("sessions_app.tasks.sweep_due", 1),
    "move-on-from-silent-agents": ("sessions_app.tasks.move_on_from_silent_agents", 1),
    "finish-departures": ("sessions_app.tasks.finish_departures", 1),
    "escalate-from-dead-bots": ("sessions_app.tasks.escalate_from_dead_bots", 1),
    "note-presence": ("sessions_app.tasks.note_presence", 5),
    "forget-decisions": ("sessions_app.tasks.forget_decisions", 3600),
    "send-notices": ("sessions_app.tasks.send_notices", 1),
    "send-mails": ("sessions_app.tasks.send_mails", 5),
    "group-messages": ("sessions_app.tasks.group_messages", 60),
    "store-batches": ("sessions_app.tasks.store_batches", 1),
    "forget-batches": ("sessions_app.tasks.forget_batches", 3600),
    "forget-attachments": ("messaging_app.tasks.forget_attachments", 3600),
    "stamp": ("messaging_app.tasks.stamp", 1),
    "send-webhooks": ("messaging_app.tasks.send_webhooks", 1),
    "forget-webhooks": ("messaging_app.tasks.forget_webhooks", 3600),
    "forget-answers": ("agents_app.tasks.forget_answers", 3600),
    "forget-logins": ("agents_app.tasks.forget_logins", 3600),
    "checkpoint": ("messaging_app.tasks.checkpoint", 3600),
    "check-rules": ("messaging_app.tasks.check_rules", 60),
    "forget-put-off": ("agents_app.tasks.forget_put_off", 3600),
    "index-search": ("messaging_app.tasks.index_search", 1),
}
app.conf.beat_schedule = {
    name: {"task": task, "schedule": float(period), "options": {"expires": period * 2}}
    for name, (task, period) in BEAT.items()
}
