"""Verbs as actions of the admin: by supervisors in their own name, with a reason that goes on record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from agents_app.actors import Actor, agent_actor
from agents_app.admin.base import agent_of, is_supervisor
from config import limits
from config.errors import DomainError


class BySupervisors:
    """Supervisors act in their own name; a superuser without an agent has none to act in."""

    def has_supervise_permission(self, request: HttpRequest) -> bool:
        return is_supervisor(request)


def acting(request: HttpRequest) -> Actor:
    """The actor of the supervisor who is logged in. The action's permission has made sure that there is one."""
    agent = agent_of(request)
    assert agent is not None
    return agent_actor(agent)


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=limits.MAX_REASON,
        help_text=_("It goes on record."),
        widget=UnfoldAdminTextInputWidget,
    )


class WithReason:
    """For an admin whose actions ask for a reason. A subclass may replace `actor_for`, `refused` and `count`."""

    admin_site: Any
    opts: Any
    message_user: Any

    def actor_for(self, request: HttpRequest, row: Any) -> Actor:
        return acting(request)

    def with_reason(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        verb: Callable[[Actor, Any, str], object],
        action_name: str,
        title: Any,
    ) -> HttpResponse | None:
        """Ask for the reason on a page of its own, then call the verb for each row. A refusal stops no other row."""
        form = ReasonForm(request.POST if "reason" in request.POST else None)
        rows = list(queryset)
        if not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": title,
                "form": form,
                "rows": rows,
                "action_name": action_name,
                "checkbox_name": ACTION_CHECKBOX_NAME,
            }
            return TemplateResponse(request, "admin/sessions_app/reason.html", context)
        done = 0
        for row in rows:
            try:
                verb(self.actor_for(request, row), row, form.cleaned_data["reason"])
            except DomainError as error:
                self.message_user(request, self.refused(row, error), messages.WARNING)
            else:
                done += 1
        if done:
            self.message_user(request, self.count(done), messages.SUCCESS)
        return None

    def refused(self, row: Model, error: DomainError) -> str:
        return gettext("Session %(number)s: %(why)s") % {"number": row.pk, "why": error}

    def count(self, done: int) -> str:
        return ngettext("Done for %(count)s session.", "Done for %(count)s sessions.", done) % {"count": done}
