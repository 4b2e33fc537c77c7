"""Agents in the admin: dismissed and drained by the verbs, in the name of who is logged in."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from agents_app.actors import Actor, agent_actor, system_actor
from agents_app.admin.agents import AgentAdmin
from agents_app.admin.base import agent_of, is_supervisor
from agents_app.admin.login_rights import may_dismiss
from agents_app.models import Agent
from config.errors import DomainError, Forbidden
from sessions_app.actions import departure
from sessions_app.admin.reasons import WithReason


@admin.register(Agent)
class AgentWithDepartureAdmin(WithReason, AgentAdmin):
    actions = ("dismiss", "drain", "undrain")

    def has_supervise_permission(self, request: HttpRequest) -> bool:
        """Supervisors, and superusers, who may have no agent: these act under the name of their login."""
        return is_supervisor(request) or bool(request.user.is_superuser)

    def actor_for(self, request: HttpRequest, row: Agent) -> Actor:
        own = agent_of(request)
        if own is not None and is_supervisor(request):
            return agent_actor(own)
        return system_actor(row.tenant_id, name=request.user.get_username())

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save only the changed fields: others may have changed since the page was shown. A verb dismisses."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        is_dismissal = "is_active" in form.changed_data and not obj.is_active
        obj.save(update_fields=[name for name in form.changed_data if not (is_dismissal and name == "is_active")])
        if is_dismissal:
            # After the page's own transaction: the verb takes each conversation in a transaction of its own.
            transaction.on_commit(lambda: self._dismiss(request, obj))

    def _dismiss(self, request: HttpRequest, agent: Agent) -> None:
        try:
            self._dismiss_by_verb(request, self.actor_for(request, agent), agent, "")
        except DomainError as error:
            self.message_user(request, self.refused(agent, error), messages.WARNING)

    @action(description=_("Dismiss: what is theirs goes on with others, their logins end"), permissions=["supervise"])
    def dismiss(self, request: HttpRequest, queryset: QuerySet[Agent]) -> HttpResponse | None:
        def verb(actor: Actor, agent: Agent, reason: str) -> None:
            self._dismiss_by_verb(request, actor, agent, reason)

        return self.with_reason(request, queryset, verb, "dismiss", _("Dismiss these agents"))

    @action(description=_("Give them nothing new; they keep what they serve"), permissions=["supervise"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Agent]) -> HttpResponse | None:
        def verb(actor: Actor, agent: Agent, reason: str) -> None:
            departure.drain_agent(actor=actor, agent_id=agent.pk, reason=reason)

        return self.with_reason(request, queryset, verb, "drain", _("Give these agents nothing new"))

    @action(description=_("Give them new work again"), permissions=["supervise"])
    def undrain(self, request: HttpRequest, queryset: QuerySet[Agent]) -> HttpResponse | None:
        def verb(actor: Actor, agent: Agent, reason: str) -> None:
            departure.undrain_agent(actor=actor, agent_id=agent.pk, reason=reason)

        return self.with_reason(request, queryset, verb, "undrain", _("Give these agents new work again"))

    def _dismiss_by_verb(self, request: HttpRequest, actor: Actor, agent: Agent, reason: str) -> None:
        if not may_dismiss(request, agent):
            raise Forbidden("Nobody dismisses themselves, or somebody who may do more.")
        departure.dismiss_agent(actor=actor, agent_id=agent.pk, reason=reason)

    def refused(self, row: Model, error: DomainError) -> str:
        return gettext("%(name)s: %(why)s") % {"name": row, "why": error}

    def count(self, done: int) -> str:
        return ngettext("Done for %(count)s agent.", "Done for %(count)s agents.", done) % {"count": done}
