"""The search index: the terms of messages and customers."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from agents_app.models import Tenant
from messaging_app.models import agent_tools  # noqa: F401 – registers its models
from messaging_app.models import attachments as attachment_models  # noqa: F401 – registers its model
from messaging_app.models.conversations import Conversation, Message


class SearchCursor(models.Model):
    """How far a tenant's stream is indexed for search. Everything that writes to the index locks this row."""

    tenant = models.OneToOneField(Tenant, models.CASCADE, primary_key=True, verbose_name=_("tenant"))
    pos = models.PositiveBigIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("search cursor")
        verbose_name_plural = _("search cursors")

    def __str__(self) -> str:
        return f"{self.tenant_id} at {self.pos}"


class MessageTerms(models.Model):
    """The terms by which a message is found, as `search` writes them. A migration makes each database's own index."""

    message = models.OneToOneField(
        Message, models.CASCADE, primary_key=True, db_constraint=False, related_name="+", verbose_name=_("message")
    )
    terms = models.TextField(_("terms"))

    class Meta:
        verbose_name = _("terms of a message")
        verbose_name_plural = _("terms of messages")

    def __str__(self) -> str:
        return self.terms[:60]


class ConversationTerms(models.Model):
    """The terms by which a conversation's customer is found: like `MessageTerms`, of name and account."""

    conversation = models.OneToOneField(
        Conversation,
        models.CASCADE,
        primary_key=True,
        db_constraint=False,
        related_name="+",
        verbose_name=_("conversation"),
    )
    terms = models.TextField(_("terms"))

    class Meta:
        verbose_name = _("terms of a conversation")
        verbose_name_plural = _("terms of conversations")

    def __str__(self) -> str:
        return self.terms[:60]
