"""Saved views in the admin. They are in this app because only it knows what a filter may hold."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget

from agents_app.admin.base import OwnRelatedFilter, json_field, moment
from config.errors import Malformed
from messaging_app.admin.agent_tools import SharedAdmin, SharedForm, validated
from messaging_app.models.agent_tools import SavedView
from sessions_app.actions import saved_views
from sessions_app.queries import view_filters


class SavedViewForm(SharedForm):
    filter = forms.JSONField(
        label=_("Filter"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text=_('JSON, such as {"view": "queue", "waiting_over": 300}. It may hold: %(names)s.')
        % {"names": ", ".join(field.name for field in fields(view_filters.Filter))},
    )

    class Meta:
        model = SavedView
        fields = "__all__"

    def clean_name(self) -> str:
        return validated(saved_views.checked_name, self.cleaned_data["name"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if "filter" in cleaned and cleaned.get("tenant"):
            try:
                criteria = view_filters.checked(cleaned["filter"] or {}, tenant_id=cleaned["tenant"].pk)
            except Malformed as error:
                raise ValidationError({"filter": str(error)}) from error
            cleaned["filter"] = criteria.as_dict()
        return cleaned


@admin.register(SavedView)
class SavedViewAdmin(SharedAdmin):
    form = SavedViewForm
    asks_for = json_field("filter", _("filter"))
    changed = moment("changed_at", _("changed"))
    list_display = ("name", "tenant", "scope_label", "whose", "asks_for", "changed")
    list_filter = (("tenant", OwnRelatedFilter), ("team", OwnRelatedFilter), ("agent", OwnRelatedFilter))
    list_select_related = ("tenant", "team", "agent")
    search_fields = ("name",)
    fieldsets = (
        (_("Whose"), {"fields": (("tenant", "team", "agent"),)}),
        (None, {"fields": ("name", "filter")}),
    )
