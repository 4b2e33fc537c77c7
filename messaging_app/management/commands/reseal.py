"""manage.py reseal: seal the stored secrets again, after SECRET_KEY was replaced."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from config.sealing import reseal
from messaging_app.models import WebhookEndpoint


class Command(BaseCommand):
    help = "Seal the secrets of webhooks with the present SECRET_KEY, so that the one before can leave SECRET_KEY_FALLBACKS."

    def handle(self, *args: Any, **options: Any) -> None:
        count = reseal(WebhookEndpoint, "secret", "old_secret")
        self.stdout.write(f"Sealed anew: {count}.")
