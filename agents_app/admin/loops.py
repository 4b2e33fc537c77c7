"""Items that failed and are put off, in the admin: read-only, except for the action that tries them again now."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action

from agents_app import loops
from agents_app.admin.base import OwnRelatedFilter, ReadOnly, TandemAdmin, agent_of, is_supervisor, moment
from agents_app.models import Backoff


@admin.register(Backoff)
class BackoffAdmin(ReadOnly, TandemAdmin):
    """Items that belong to no tenant are shown only to superusers without an agent."""

    tenant_path = "tenant"
    since = moment("first_failed_at", _("first failed"))
    following = moment("retry_at", _("next try"))
    list_display = ("loop", "key", "tenant", "attempts", "since", "following", "error")
    list_filter = (("tenant", OwnRelatedFilter), "loop")
    list_select_related = ("tenant",)
    list_fullwidth = True
    search_fields = ("key__exact", "error__contains")
    search_help_text = _("The number of the conversation, agent or webhook, or a part of the error.")
    show_full_result_count = False
    actions = ("try_again",)

    def has_try_again_permission(self, request: HttpRequest) -> bool:
        """Supervisors, and whoever looks after the installation."""
        return is_supervisor(request) or (agent_of(request) is None and request.user.is_superuser)

    @action(description=_("Try again now"), permissions=["try_again"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Backoff]) -> None:
        count = loops.try_again(queryset)
        message = ngettext("%(count)s is tried again now.", "%(count)s are tried again now.", count)
        self.message_user(request, message % {"count": count})
