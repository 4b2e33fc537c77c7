"""Addresses of the admin's pages, and the models that have them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.urls import reverse

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
READ_ONLY = {
    "agents_app.Backoff",
    "agents_app.PresenceChange",
    "messaging_app.Attachment",
    "messaging_app.Conversation",
    "messaging_app.ConversationLabel",
    "messaging_app.Mention",
    "messaging_app.Message",
    "messaging_app.Operation",
    "messaging_app.ReadCursor",
    "messaging_app.StreamHead",
    "messaging_app.WebhookDelivery",
    "messaging_app.WebhookEndpoint",
    "sessions_app.AssignmentDecision",
    "sessions_app.Batch",
    "sessions_app.ChatSession",
    "sessions_app.GuidedFlow",
    "sessions_app.Mail",
    "sessions_app.Participant",
    "sessions_app.SlaClock",
    "sessions_app.Transfer",
}


def name(model: type[Model]) -> str:
    return str(model._meta.label)


def url(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)
