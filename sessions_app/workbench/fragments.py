"""Parts of an open conversation that are fetched when somebody opens them: the page itself stays quick.

Without scripts each is a small page of its own.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from agents_app.actors import Actor
from messaging_app.models import Conversation
from sessions_app import queries
from sessions_app.rights import visible
from sessions_app.workbench import header_actions, wording
from sessions_app.workbench.decorators import for_agents, is_fragment


@require_GET
@for_agents
def timeline(request: HttpRequest, actor: Actor, conversation_id: int) -> HttpResponse:
    """The newest operations of every type; a run of repeated requests is one line (`newest_of_runs`)."""
    conversation = visible.conversation(actor, conversation_id)
    newest = list(queries.timeline(actor, conversation))
    lines = [
        (
            operation,
            wording.happened(operation),
            wording.since(operation),
            wording.rule(str(operation.data.get("rule") or "")),
        )
        for operation in reversed(queries.newest_of_runs(newest))
    ]
    context = {"operations": lines, "rest": conversation.seq - len(newest)}
    return _part(request, conversation, "conversation/_timeline.html", _("Timeline"), context)


@require_GET
@for_agents
def past(request: HttpRequest, actor: Actor, conversation_id: int) -> HttpResponse:
    """What was done for the same account before."""
    conversation = visible.conversation(actor, conversation_id)
    sessions = [
        {
            "session": session,
            "type": wording.session_type(session.kind),
            "ended": wording.ended(session),
            "by": session.agent or session.bot,
            "is_here": session.conversation_id == conversation.pk,
        }
        for session in queries.past_sessions(actor, conversation)
    ]
    return _part(request, conversation, "conversation/_earlier_sessions.html", _("Before"), {"past": sessions})


@require_GET
@for_agents
def recipients(request: HttpRequest, actor: Actor, conversation_id: int) -> HttpResponse:
    """The transfer form: to whom the conversation may go, with who is available and how busy they are."""
    conversation = visible.conversation(actor, conversation_id)
    live = queries.live_sessions([conversation.pk]).get(conversation.pk)
    context = {"recipients": header_actions.recipients(actor, live)}
    return _part(request, conversation, "conversation/_recipients.html", _("Transfer"), context)


def _part(
    request: HttpRequest, conversation: Conversation, template: str, heading: str, context: dict[str, Any]
) -> HttpResponse:
    context |= {"conversation": conversation, "part": template, "heading": heading}
    response = render(request, template if is_fragment(request) else "conversation/section.html", context)
    response["Desk-Fragment"] = "part"
    return response
