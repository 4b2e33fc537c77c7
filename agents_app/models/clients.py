"""The programs that call the API, and what is kept of their calls."""

from __future__ import annotations

from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from agents_app.models.teams import LONGEST
from agents_app.models.tenants import Tenant
from config import limits
from config.db import CheckedJSONField, ExactCharField


class ApiClient(models.Model):
    """A bot or an integrator. Its key is a prefix and 256 random bits, shown once and stored hashed."""

    class Kind(models.TextChoices):
        BOT = "bot", _("bot")
        INTEGRATOR = "integrator", _("integrator")

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="api_clients", verbose_name=_("tenant"))
    name = ExactCharField(_("name"), max_length=limits.MAX_GROUP_NAME)
    kind = models.CharField(_("kind"), max_length=limits.MAX_WORD, choices=Kind, default=Kind.BOT)
    key_prefix = models.CharField(_("key prefix"), max_length=limits.MAX_WORD, unique=True, null=True, editable=False)  # noqa: DJ001 – unique, and a client may have no key yet
    key_hash = models.CharField(_("key hash"), max_length=limits.MAX_DIGEST, blank=True, editable=False)
    scopes = CheckedJSONField(_("scopes"), default=list, blank=True)
    last_seen_at = models.DateTimeField(_("last heard of"), null=True, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    turn_timeout = models.PositiveIntegerField(
        _("seconds to answer a customer"),
        default=0,
        validators=[MaxValueValidator(LONGEST)],
        help_text=_(
            "A bot that lets a customer wait longer loses the conversation to a human. 0: it may take any time."
        ),
    )
    heartbeat_timeout = models.PositiveIntegerField(
        _("seconds between heartbeats"),
        default=0,
        validators=[MaxValueValidator(LONGEST)],
        help_text=_(
            "A bot not heard of for longer counts as dead. 0: it sends no heartbeat and always counts as alive."
        ),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("API client")
        verbose_name_plural = _("API clients")
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=["tenant", "name"], name="api_client_name_once"),)

    def __str__(self) -> str:
        return self.name


class IdempotencyRecord(models.Model):
    """The answer to a request with an Idempotency-Key, so that the same request again gets the same answer."""

    principal = models.CharField(_("caller"), max_length=96)
    key = ExactCharField(_("key"), max_length=limits.MAX_ID)
    route = models.CharField(_("route"), max_length=200)
    digest = models.CharField(_("hash of the body"), max_length=limits.MAX_DIGEST)
    status = models.PositiveSmallIntegerField(_("status"), default=0)
    body = models.JSONField(_("answer"), default=dict)  # sealed: a text
    created_at = models.DateTimeField(_("created"), auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = _("idempotency record")
        verbose_name_plural = _("idempotency records")
        # As it was created: a renamed table would stop the release that is still running.
        db_table = "agents_app_keptanswer"
        constraints = (models.UniqueConstraint(fields=["principal", "key"], name="kept_answer_once"),)

    def __str__(self) -> str:
        return f"{self.principal} {self.key}"


class EventTicket(models.Model):
    """A one-use way in to a socket of events, for a program or page that cannot send a header. Stored as a digest.

    `holder` is its caller's credential (see `agents_app.connections.credential`); using the ticket deletes the row.
    """

    token_hash = models.CharField(_("ticket"), max_length=limits.MAX_DIGEST, unique=True)
    holder = CheckedJSONField(_("holder"))
    expires_at = models.DateTimeField(_("valid until"), db_index=True)

    class Meta:
        verbose_name = _("event ticket")
        verbose_name_plural = _("event tickets")

    def __str__(self) -> str:
        return f"{self.pk} until {self.expires_at}"
