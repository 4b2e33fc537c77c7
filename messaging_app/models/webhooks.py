"""Webhooks and their deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agents_app.models import ApiClient, Tenant
from config import limits
from config.db import CheckedJSONField
from config.sealing import SealedField
from messaging_app.models import agent_tools  # noqa: F401 – registers its models
from messaging_app.models import attachments as attachment_models  # noqa: F401 – registers its model


class WebhookEndpoint(models.Model):
    """Where a tenant's events are sent. Up to `pos`, its cursor in the stream, every event it wants has its delivery.

    `owner` is the integrator that manages it, empty for the tenant's administrators. `changes` records what they did,
    so a deleted one stays, without its secrets. `lease_until` belongs to the one sender that serves it now.
    """

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="webhooks", verbose_name=_("tenant"))
    owner = models.ForeignKey(
        ApiClient, models.PROTECT, null=True, blank=True, related_name="webhooks", verbose_name=_("program")
    )
    url = models.CharField(_("address"), max_length=limits.MAX_URL)
    description = models.CharField(_("description"), max_length=limits.MAX_DESCRIPTION, blank=True)
    types = CheckedJSONField(_("types of events"), default=list, blank=True, help_text=_("Empty: all."))
    # Sealed and not hashed: signing (HMAC) needs the secret itself. Nothing but the verb that makes one shows it.
    secret = SealedField(_("secret"), blank=True, editable=False)
    old_secret = SealedField(_("secret before"), blank=True, editable=False)
    old_secret_until = models.DateTimeField(_("secret before signs until"), null=True, blank=True, editable=False)
    is_enabled = models.BooleanField(_("in use"), default=True)
    disabled_reason = models.CharField(_("why not in use"), max_length=limits.MAX_DELIVERY_ERROR, blank=True)
    pos = models.PositiveBigIntegerField(_("position"), default=0)
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True)
    last_success_at = models.DateTimeField(_("last success"), null=True, blank=True)
    not_before = models.DateTimeField(_("asked to wait until"), null=True, blank=True)
    lease_until = models.DateTimeField(_("served until"), null=True, blank=True, editable=False)
    changes = CheckedJSONField(_("changes"), default=list, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ("id",)

    def __str__(self) -> str:
        return self.url[:80]

    def wants(self, type: str) -> bool:
        """True for the types in its list, where `session.*` stands for all that begin with `session.`."""
        return not self.types or any(
            type == wanted or (wanted.endswith(".*") and type.startswith(wanted[:-1])) for wanted in self.types
        )

    def note(self, what: str, *, by: str, at: datetime, **more: Any) -> None:
        """Record who changed what; the caller saves. Only the newest 100 entries stay, so that the row stays small."""
        self.changes = [*self.changes, {"at": at.isoformat(), "by": by, "what": what, **more}][-100:]

    def disable(self, reason: str, *, by: str, at: datetime) -> None:
        """Send no more, for a reason that everybody sees. The caller saves."""
        self.is_enabled, self.disabled_reason = False, reason[: limits.MAX_DELIVERY_ERROR]
        self.note("disabled", by=by, at=at, reason=reason)


class WebhookDelivery(models.Model):
    """One event on its way to one endpoint, and the log of its attempts. Sent again, it keeps its `event_id`.

    It holds the event's position and not its content: each attempt renders the event from what is stored then.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        DELIVERED = "delivered", _("delivered")
        FAILED = "failed", _("failed")

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    endpoint = models.ForeignKey(
        WebhookEndpoint, models.CASCADE, db_index=False, related_name="deliveries", verbose_name=_("webhook")
    )
    event_id = models.CharField(_("event"), max_length=limits.MAX_EVENT_ID)
    type = models.CharField(_("what"), max_length=limits.MAX_EVENT_TYPE)
    pos = models.PositiveBigIntegerField(_("position"), null=True, blank=True)  # a ping has none
    status = models.CharField(_("status"), max_length=limits.MAX_WORD, choices=Status, default=Status.PENDING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)  # since it was last sent anew
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, blank=True)
    last_code = models.PositiveSmallIntegerField(_("last answer"), null=True, blank=True)
    last_error = models.CharField(_("last error"), max_length=limits.MAX_DELIVERY_ERROR, blank=True)
    log = CheckedJSONField(_("attempts"), default=list, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        constraints = (
            models.UniqueConstraint(fields=["endpoint", "event_id"], name="webhook_delivery_once"),
            models.CheckConstraint(
                name="webhook_delivery_pending_has_a_time",
                condition=Q(status="pending", next_attempt_at__isnull=False)
                | Q(status__in=["delivered", "failed"], next_attempt_at__isnull=True),
            ),
        )
        indexes = (models.Index(fields=["endpoint", "next_attempt_at"], name="webhook_delivery_due"),)

    def __str__(self) -> str:
        return f"{self.event_id} {self.type}"
