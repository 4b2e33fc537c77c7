"""Conversations, messages, operations and cursors in the admin, read-only."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.forms import PaginationInlineFormSet
from unfold.paginator import InfinitePaginator

from agents_app.admin.base import Isolated, OwnRelatedFilter, ReadOnly, TandemAdmin, json_field, moment
from messaging_app import stream
from messaging_app.admin import attachments as attachments_admin  # noqa: F401 – registers its model
from messaging_app.admin import webhooks as webhooks_admin  # noqa: F401 – registers its models
from messaging_app.models import Conversation, Message, Operation, ReadCursor, StreamHead
from messaging_app.models.attachments import Attachment

NEWEST = 50
"""Rows of each kind on a conversation's page. A link leads to all of them."""


class NewestFormSet(PaginationInlineFormSet):
    def get_queryset(self) -> QuerySet[Any]:
        if not hasattr(self, "_newest"):
            self._newest = self._queryset = super().get_queryset()[:NEWEST]
        return self._newest


class NewestInline(Isolated, ReadOnly, TabularInline):  # type: ignore[misc]
    """The newest rows of a conversation, in a tab. An index must serve `ordering`."""

    tenant_path = "tenant"
    select_related: tuple[str, ...] = ()
    formset = NewestFormSet
    extra = 0
    tab = True
    show_title = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows.select_related(*self.select_related) if self.select_related else rows

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields

    @display(description=_("number"))
    def page(self, row: Any) -> str:
        url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
        return format_html('<a class="text-link" href="{}">{}</a>', url, row.pk)


def chain_state(conversation: Conversation) -> str:
    """Whether a conversation's operations are the ones that were written: none changed, none missing."""
    operations = conversation.operations.filter(seq__lte=conversation.seq).order_by("seq")
    if broken := stream.first_broken_link(operations.iterator(2000)):
        return gettext("Broken at operation %(seq)s.") % {"seq": broken.seq}
    last = operations.values_list("seq", "chain").last() or (0, "")
    if last != (conversation.seq, conversation.chain):
        return gettext("Broken: it ends at operation %(seq)s of %(of)s.") % {"seq": last[0], "of": conversation.seq}
    return gettext("The chain is whole: %(count)s operations.") % {"count": last[0]}


def own_chain_state(operation: Operation) -> str:
    """Whether an operation that belongs to no conversation, a chain of its own, is as it was written."""
    if stream.first_broken_link([operation]):
        return gettext("Broken: it is not as it was written.")
    return gettext("The operation is as it was written; it belongs to no conversation.")


def listed(model: str, label: Any, **filters: Any) -> str:
    """A link to a model's list, filtered."""
    url = reverse(f"admin:{model}_changelist", query={f"{name}__exact": value for name, value in filters.items()})
    return format_html('<a class="text-link" href="{}">{}</a>', url, label)


# --- Conversations -----------------------------------------------------------------------------------------------


TIER_COLOURS: dict[Any, str] = {1: "danger", 2: "warning", 3: "warning", 4: "info", 5: ""}


class MessageInline(NewestInline):
    model = Message
    verbose_name_plural = _("newest messages")
    sent = moment("sent_at", _("sent"))
    fields = ("page", "sent", "sender_type", "sender_name", "content", "note")
    ordering = ("-sent_at", "-id")

    @display(description=_("private note"))
    def note(self, message: Message) -> str:
        return gettext("note") if message.is_note else ""


class OperationInline(NewestInline):
    model = Operation
    verbose_name_plural = _("newest operations")
    when = moment("at", _("when"))
    fields = ("page", "seq", "when", "type", "actor_kind", "actor_name", "session_id")
    ordering = ("-seq",)


class ConversationAdmin(ReadOnly, TandemAdmin):
    """Registered by `sessions_app.admin`, which adds whose turn it was."""

    tenant_path = "tenant"
    waiting = moment("waiting_since", _("waiting since"))
    active = moment("last_activity_at", _("last activity"))
    list_display = (
        "title",
        "tenant",
        "shop_id",
        "platform",
        "controller_label",
        "tier_label",
        "waiting",
        "last_words",
        "active",
    )
    list_filter = (("tenant", OwnRelatedFilter), "controller", "tier", "needs_human", "is_vip", "is_urgent", "kind")
    list_select_related = ("tenant",)
    list_fullwidth = True
    search_fields = ("account_id__startswith", "customer_name__startswith", "shop_id__exact", "id__exact")
    search_help_text = _("The beginning of an account or a customer’s name, a shop, or a conversation’s number.")
    ordering = ("tier", "desk_order", "id")
    show_full_result_count = False
    inlines: ClassVar[tuple[Any, ...]] = (MessageInline, OperationInline)
    actions_detail = ("open_in_desk",)
    actions_row = ("open_in_desk",)
    why = json_field("need", _("why"))
    fieldsets = (
        (
            _("Who"),
            {"fields": (("customer_name", "account_id"), ("shop_id", "platform", "tenant"), ("kind", "is_vip"))},
        ),
        (
            _("Whose turn"),
            {
                "fields": (
                    ("controller", "tier", "epoch"),
                    ("needs_human", "waiting_since", "unanswered_since", "is_urgent"),
                    "why",
                )
            },
        ),
        (
            _("Record"),
            {
                "fields": (
                    ("last_activity_at", "created_at"),
                    ("pinned_at", "todo_at"),
                    ("seq", "chain_is"),
                    "everything",
                )
            },
        ),
    )
    readonly_fields = ("why", "chain_is", "everything")

    @display(description=_("customer"), ordering="customer_name")
    def title(self, conversation: Conversation) -> str:
        return conversation.title

    @display(description=_("last words"))
    def last_words(self, conversation: Conversation) -> str:
        return Truncator(conversation.last_text).chars(30)

    @display(
        description=_("controller"),
        ordering="controller",
        label={"human": "success", "queue": "danger", "flow": "info", "bot": "primary", "none": ""},
    )
    def controller_label(self, conversation: Conversation) -> tuple[str, str]:
        return conversation.controller, conversation.get_controller_display()

    @display(description=_("tier"), ordering="tier", label=TIER_COLOURS)
    def tier_label(self, conversation: Conversation) -> tuple[int, str]:
        return conversation.tier, conversation.get_tier_display()

    @display(description=_("record"))
    def chain_is(self, conversation: Conversation) -> str:
        return chain_state(conversation)

    @display(description=_("all of it"))
    def everything(self, conversation: Conversation) -> str:
        links = (
            (listed(f"{model._meta.app_label}_{model._meta.model_name}", model._meta.verbose_name_plural, **filters),)
            for model, filters in self.related(conversation)
        )
        return format_html_join(" · ", "{}", links)

    def related(self, conversation: Conversation) -> list[tuple[Any, dict[str, Any]]]:
        """The lists that the page links to: models and their filters."""
        of_it = {"conversation__id": conversation.pk}
        return [(Message, of_it), (Operation, of_it), (Attachment, of_it)]

    @action(description=_("Open in the desk"), url_path="desk", icon="forum")
    def open_in_desk(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(reverse("conversation", args=[object_id]))


@admin.register(Message)
class MessageAdmin(ReadOnly, TandemAdmin):
    """No total, no dates to drill into: each would read the whole table."""

    tenant_path = "tenant"
    sent = moment("sent_at", _("sent"))
    list_display = ("sent", "tenant", "conversation", "sender_label", "sender_name", "__str__", "is_note")
    list_filter = (("tenant", OwnRelatedFilter), "sender_type", "is_note")
    list_select_related = ("tenant", "conversation")
    list_fullwidth = True
    search_fields = ("message_id__exact", "session_id__exact", "conversation__account_id__exact")
    search_help_text = _("A whole message id, a session’s number, or a whole account.")
    ordering = ("-id",)
    show_full_result_count = False
    paginator = InfinitePaginator
    fieldsets = (
        (None, {"fields": ("content", ("sent_at", "is_note"), ("sender_type", "sender_name", "sender_id"))}),
        (_("Place"), {"fields": (("conversation", "session_id", "tenant"), ("platform", "message_id", "seq"))}),
    )

    @display(
        description=_("from"),
        ordering="sender_type",
        label={
            "customer": "info",
            "bot": "primary",
            "agent": "success",
            "shop": "success",
            "participant": "warning",
            "system": "",
        },
    )
    def sender_label(self, message: Message) -> tuple[str, str]:
        return message.sender_type, message.get_sender_type_display()


@admin.register(Operation)
class OperationAdmin(ReadOnly, TandemAdmin):
    """The audit record. The page of one reads its conversation's operations and says whether the chain holds.

    An operation of the tenant alone (an agent's presence) is checked by itself.
    """

    tenant_path = "tenant"
    when = moment("at", _("when"))
    list_display = ("when", "tenant", "conversation", "seq", "type", "actor", "session_id")
    list_filter = (("tenant", OwnRelatedFilter), "actor_kind")
    list_select_related = ("tenant", "conversation")
    search_fields = ("type__exact", "session_id__exact", "conversation__id__exact", "conversation__account_id__exact")
    search_help_text = _("A type such as session.opened, the number of a session or conversation, or a whole account.")
    ordering = ("-id",)
    show_full_result_count = False
    paginator = InfinitePaginator
    what = json_field("data", _("data"))
    fieldsets = (
        (None, {"fields": (("type", "when"), ("actor_kind", "actor_name", "actor_id"), "what")}),
        (_("Place"), {"fields": (("conversation", "session_id", "tenant"), ("seq", "pos"))}),
        (_("Chain"), {"fields": ("chain", "chain_is")}),
    )
    readonly_fields = ("what", "when", "pos", "chain_is")

    @display(description=_("by"), ordering="actor_kind")
    def actor(self, operation: Operation) -> str:
        return f"{operation.actor_kind} {operation.actor_name}".strip()

    @display(description=_("record"))
    def chain_is(self, operation: Operation) -> str:
        return chain_state(operation.conversation) if operation.conversation else own_chain_state(operation)


@admin.register(StreamHead)
class StreamHeadAdmin(ReadOnly, TandemAdmin):
    tenant_path = "tenant"
    list_display = ("tenant_name", "pos")
    list_select_related = ("tenant",)
    fields = ("tenant", "pos")

    @display(description=_("tenant"), ordering="tenant__slug")
    def tenant_name(self, head: StreamHead) -> str:
        return str(head.tenant)


@admin.register(ReadCursor)
class ReadCursorAdmin(ReadOnly, TandemAdmin):
    tenant_path = "agent__tenant"
    list_display = ("agent", "conversation", "seq")
    list_filter = (("agent", OwnRelatedFilter),)
    list_select_related = ("agent", "conversation")
    search_fields = ("conversation__id__exact", "conversation__account_id__exact")
    show_full_result_count = False
    fields = ("agent", "conversation", "seq")
