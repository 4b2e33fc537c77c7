"""Attachments: files with messages."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from agents_app.models import Tenant
from config import limits
from config.db import ExactCharField

SIDE = 480
"""Pixels of a preview's longer side, at most."""


class Attachment(models.Model):
    """A file that somebody uploaded to a conversation, to send it with one message.

    Type, size and dimensions are those of its content. The file is stored under `storage_key`, in which nothing comes
    from the user. `client_id` is the uploader's own id for it, so that a repeated upload is harmless.
    """

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(
        "messaging_app.Conversation",
        models.PROTECT,
        db_index=False,
        related_name="attachments",
        verbose_name=_("conversation"),
    )
    message = models.ForeignKey(
        "messaging_app.Message",
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="attachments",
        verbose_name=_("message"),
        help_text=_("Empty until it is sent."),
    )
    place = models.PositiveSmallIntegerField(_("place in the message"), default=0)
    name = models.CharField(_("name"), max_length=limits.MAX_NAME)
    media_type = models.CharField(_("type"), max_length=100)
    size = models.PositiveBigIntegerField(_("bytes"))
    sha256 = models.CharField(_("digest"), max_length=limits.MAX_DIGEST)
    width = models.PositiveIntegerField(_("width"), null=True, blank=True)
    height = models.PositiveIntegerField(_("height"), null=True, blank=True)
    has_preview = models.BooleanField(_("has a preview"), default=False)
    storage_key = ExactCharField(_("place in the store"), max_length=100, editable=False)
    uploader_kind = models.CharField(_("uploaded by"), max_length=limits.MAX_WORD)
    uploader_id = models.BigIntegerField(_("uploader"), default=0)  # 0 for a customer, who has no row
    uploader_name = models.CharField(_("uploader's name"), max_length=limits.MAX_NAME, blank=True)
    client_id = ExactCharField(_("uploader's own id"), max_length=limits.MAX_ID)
    created_at = models.DateTimeField(_("uploaded"))

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        ordering = ("place", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["conversation", "uploader_kind", "uploader_id", "client_id"], name="attachment_once"
            ),
            models.UniqueConstraint(fields=["storage_key"], name="attachment_key_once"),
        )
        # The first serves the attachments of a message, and those never sent (no message), the oldest first.
        indexes: ClassVar = (
            models.Index(fields=["message", "created_at"], name="attachment_message"),
            # The sum of a tenant's files.
            models.Index(fields=["tenant", "size"], name="attachment_tenant_size"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def preview_size(self) -> tuple[int, int]:
        """Width and height of the preview, so that a page reserves its space and does not move when it loads."""
        width, height = self.width or 1, self.height or 1
        scale = min(1.0, SIDE / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))
