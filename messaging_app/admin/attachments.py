"""Attachments in the admin, read-only: only the verbs add and remove them."""

from __future__ import annotations

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from agents_app.admin.base import OwnRelatedFilter, ReadOnly, TandemAdmin, moment
from messaging_app.models.attachments import Attachment


@admin.register(Attachment)
class AttachmentAdmin(ReadOnly, TandemAdmin):
    """No total: it would read the whole table. The desk serves the file itself, because it checks who may see it."""

    tenant_path = "tenant"
    uploaded = moment("created_at", _("uploaded"))
    list_display = ("uploaded", "tenant", "conversation", "name", "media_type", "bytes", "by", "is_sent")
    list_filter = (("tenant", OwnRelatedFilter), "media_type", "uploader_kind", "created_at")
    list_select_related = ("tenant", "conversation")
    list_fullwidth = True
    search_fields = ("name__startswith", "sha256__exact", "conversation__id__exact", "conversation__account_id__exact")
    search_help_text = _("The beginning of a name, a whole digest or account, or a conversation’s number.")
    ordering = ("-id",)
    show_full_result_count = False
    paginator = InfinitePaginator
    fieldsets = (
        (None, {"fields": (("name", "file"), ("media_type", "bytes", "measures"), "sha256")}),
        (_("Place"), {"fields": (("where", "message", "place"), ("tenant", "storage_key"))}),
        (_("Uploaded"), {"fields": (("uploaded", "by", "client_id"),)}),
    )
    readonly_fields = ("file", "bytes", "measures", "where", "by", "uploaded", "storage_key")

    @display(description=_("size"), ordering="size")
    def bytes(self, row: Attachment) -> str:
        return filesizeformat(row.size)

    @display(description=_("width and height"))
    def measures(self, row: Attachment) -> str:
        return f"{row.width} × {row.height}" if row.width else "–"

    @display(description=_("by"), ordering="uploader_kind")
    def by(self, row: Attachment) -> str:
        return f"{row.uploader_kind} {row.uploader_name}".strip()

    @display(description=_("sent"), boolean=True)
    def is_sent(self, row: Attachment) -> bool:
        return row.message_id is not None

    @display(description=_("conversation"))
    def where(self, row: Attachment) -> str:
        url = reverse("admin:messaging_app_conversation_change", args=[row.conversation_id])
        return format_html('<a class="text-link" href="{}">{}</a>', url, row.conversation)

    @display(description=_("file"))
    def file(self, row: Attachment) -> str:
        if row.message_id is None:  # only the uploader may fetch it
            return gettext("Not sent yet.")
        return format_html(
            '<a class="text-link" href="{}" download="{}">{}</a>',
            reverse("desk-file", args=[row.pk]),
            row.name,
            gettext("Download"),
        )
