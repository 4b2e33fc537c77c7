"""What is sent by e-mail after hours."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from agents_app.models import Tenant
from config import limits
from config.db import ExactCharField
from messaging_app.models import Conversation
from sessions_app.models.choices import _choices, _known
from sessions_app.models.sessions import ChatSession
from sessions_app.models.transfers import Transfer
from sessions_app.states import (
    MailStatus,
)


class Mail(models.Model):
    """A request that came after hours and goes to the team by e-mail (`actions/mails.py`).

    Its text is made at each attempt from the transfer's context package. `due_at` is when it may be sent, or counts as
    lost and may be sent again; NULL unless it waits.
    """

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(Conversation, models.PROTECT, related_name="mails", verbose_name=_("conversation"))
    session = models.ForeignKey(ChatSession, models.PROTECT, related_name="mails", verbose_name=_("session"))
    transfer = models.ForeignKey(Transfer, models.PROTECT, related_name="mails", verbose_name=_("transfer"))
    to = models.EmailField(_("to"))
    status = ExactCharField(_("status"), max_length=8, choices=_choices(MailStatus), default=MailStatus.WAITING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)  # since it was last queued
    due_at = models.DateTimeField(_("next attempt"), null=True, blank=True)
    error = models.CharField(_("why it was not sent"), max_length=limits.MAX_ERROR, blank=True)
    created_at = models.DateTimeField(_("created"))
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)

    class Meta:
        verbose_name = _("e-mail after hours")
        verbose_name_plural = _("e-mails after hours")
        constraints = (_known("status", MailStatus, "mail_status_known"),)
        indexes = (models.Index(fields=["due_at"], name="mail_due"),)

    def __str__(self) -> str:
        return f"{self.to} {self.status}"
