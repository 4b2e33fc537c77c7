"""API clients in the admin: their keys are shown once."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from agents_app.admin.base import Lines, OwnRelatedFilter, TandemAdmin, moment
from agents_app.credentials.secrets import issue_key
from agents_app.models import (
    ApiClient,
)


class ApiClientForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    scopes = Lines(label=_("Scopes"), help_text=_("One a line."))

    class Meta:
        model = ApiClient
        fields = "__all__"  # noqa: DJ007 – the admin class names them


@admin.register(ApiClient)
class ApiClientAdmin(TandemAdmin):
    """The key itself is shown once, on the page that answers the request for it, and is stored nowhere."""

    tenant_path = "tenant"
    form = ApiClientForm
    fields = (
        "tenant",
        "name",
        "kind",
        "scopes",
        "turn_timeout",
        "heartbeat_timeout",
        "is_active",
        "key_prefix",
        "last_seen_at",
        "created_at",
    )
    readonly_fields = ("key_prefix", "last_seen_at", "created_at")
    last_seen = moment("last_seen_at", _("last heard of"))
    list_display = ("name", "tenant", "kind_label", "key_prefix", "last_seen", "is_active")
    list_filter = (("tenant", OwnRelatedFilter), "kind", "is_active")
    list_select_related = ("tenant",)
    search_fields = ("name", "key_prefix")
    actions_detail = ("new_key",)

    @display(description=_("kind"), ordering="kind", label={"bot": "primary", "integrator": "info"})
    def kind_label(self, client: ApiClient) -> tuple[str, str]:
        return client.kind, client.get_kind_display()

    @action(description=_("Issue a new key"), url_path="new-key", icon="key")
    def new_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A GET asks first, because the old key stops at once. Only the answer to the POST shows the new one."""
        client = self.get_object(request, object_id)
        if client is None:
            raise Http404
        if not self.has_change_permission(request, client):
            raise PermissionDenied
        key = ""
        if request.method == "POST":
            key = issue_key(client)
            self.log_change(request, client, gettext("A new key was issued."))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": client,
            "title": _("Issue a new key"),
            "key": key,
            "back": reverse("admin:agents_app_apiclient_change", args=[client.pk]),
        }
        return TemplateResponse(request, "admin/agents_app/apiclient/new_key.html", context)
