"""The agents' tools in the admin. Canned replies and labels are edited here; how agents used them is only shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from agents_app.admin.base import OwnRelatedFilter, ReadOnly, TandemAdmin, agent_of, moment
from agents_app.sharing import Shared, holder_errors
from config.errors import Malformed
from messaging_app.agent_tools import canned_replies, labels
from messaging_app.models.agent_tools import CannedReply, ConversationLabel, Label, Mention

SHARING_COLOURS = {"personal": "", "team": "info", "tenant": "primary"}


def validated(check: Callable[[str], str], text: str) -> str:
    """A form's text as the verbs would keep it; what they refuse is the field's error."""
    try:
        return check(text)
    except Malformed as error:
        raise ValidationError(str(error)) from error


class SharedForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Exactly one holder: a team, an agent or, with neither, the whole tenant."""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if errors := holder_errors(cleaned.get("tenant"), cleaned.get("team"), cleaned.get("agent")):
            raise ValidationError(errors)
        return cleaned


class SharedAdmin(TandemAdmin):
    """A page of a `Shared` model. The holder never changes, so its fields are fixed once the row exists."""

    tenant_path = "tenant"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        for name in ("team", "agent"):
            if name in form.base_fields:
                form.base_fields[name].disabled = obj is not None
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.changed_by = str(agent_of(request) or request.user)
        super().save_model(request, obj, form, change)

    @display(description=_("scope"), ordering="holder", label=SHARING_COLOURS)
    def scope_label(self, row: Shared) -> tuple[str, str]:
        return row.scope.value, str(row.scope.label)

    @display(description=_("whose"))
    def whose(self, row: Shared) -> str:
        return str(row.agent or row.team or gettext("everybody’s"))


# --- Canned replies ----------------------------------------------------------------------------------------------


class CannedReplyForm(SharedForm):
    class Meta:
        model = CannedReply
        fields = "__all__"  # noqa: DJ007 – the admin class names them
        widgets = {"text": UnfoldAdminTextareaWidget(attrs={"rows": 8})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "text" in self.fields:
            self.fields["text"].help_text = "; ".join(
                f"{{{name}}} {meaning}" for name, meaning in canned_replies.VARIABLES.items()
            )

    def clean_shortcut(self) -> str:
        return validated(canned_replies.checked_shortcut, self.cleaned_data["shortcut"])

    def clean_title(self) -> str:
        return validated(canned_replies.checked_title, self.cleaned_data["title"])

    def clean_text(self) -> str:
        return validated(canned_replies.checked_text, self.cleaned_data["text"])


@admin.register(CannedReply)
class CannedReplyAdmin(SharedAdmin):
    form = CannedReplyForm
    changed = moment("changed_at", _("changed"))
    list_display = ("shortcut", "title", "tenant", "scope_label", "whose", "words", "language", "changed")
    list_filter = (("tenant", OwnRelatedFilter), ("team", OwnRelatedFilter), ("agent", OwnRelatedFilter), "language")
    list_select_related = ("tenant", "team", "agent")
    search_fields = ("shortcut", "title", "text")
    fieldsets = (
        (_("Whose"), {"fields": (("tenant", "team", "agent"),)}),
        (None, {"fields": (("shortcut", "language"), "title", "text")}),
    )

    @display(description=_("text"))
    def words(self, reply: CannedReply) -> str:
        return Truncator(reply.text).chars(60)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        canned_replies.remember(obj)
        super().save_model(request, obj, form, change)


# --- Labels ------------------------------------------------------------------------------------------------------


class LabelForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    class Meta:
        model = Label
        fields = "__all__"  # noqa: DJ007 – the admin class names them

    def clean_name(self) -> str:
        return validated(labels.checked_name, self.cleaned_data["name"])


@admin.register(Label)
class LabelAdmin(TandemAdmin):
    """A label that conversations have is not deleted but taken out of use: what was done with it stays on record."""

    tenant_path = "tenant"
    form = LabelForm
    fields = ("tenant", "name", "colour", "is_enabled")
    list_display = ("name", "tenant", "colour", "is_enabled", "changed_by")
    list_filter = (("tenant", OwnRelatedFilter), "colour", "is_enabled")
    list_select_related = ("tenant",)
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.changed_by = str(agent_of(request) or request.user)
        super().save_model(request, obj, form, change)


@admin.register(ConversationLabel)
class ConversationLabelAdmin(ReadOnly, TandemAdmin):
    tenant_path = "tenant"
    when = moment("labelled_at", _("labelled"))
    list_display = ("label", "tenant", "conversation", "labelled_by", "when")
    list_filter = (("tenant", OwnRelatedFilter), ("label", OwnRelatedFilter))
    list_select_related = ("tenant", "conversation", "label")
    search_fields = ("label__name", "conversation__id__exact", "conversation__account_id__exact")
    search_help_text = _("A part of a label, a conversation’s number, or a whole account.")
    ordering = ("-id",)
    show_full_result_count = False
    fields = ("label", "conversation", "labelled_by", "labelled_at", "tenant")


# --- Mentions ----------------------------------------------------------------------------------------------------


@admin.register(Mention)
class MentionAdmin(ReadOnly, TandemAdmin):
    tenant_path = "tenant"
    when = moment("at", _("when"))
    was_read = moment("read_at", _("read"))
    list_display = ("when", "tenant", "agent", "conversation", "was_read")
    list_filter = (("tenant", OwnRelatedFilter), ("agent", OwnRelatedFilter))
    list_select_related = ("tenant", "agent", "conversation")
    search_fields = ("agent__name__startswith", "conversation__id__exact", "conversation__account_id__exact")
    search_help_text = _("The beginning of an agent’s name, a conversation’s number, or a whole account.")
    ordering = ("-id",)
    show_full_result_count = False
    fields = ("agent", "conversation", "message", "at", "read_at", "tenant")
