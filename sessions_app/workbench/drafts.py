"""Drafts of an agent's replies and notes, saved while they are typed. A page is given them with the conversation."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from agents_app.actors import Actor
from config.errors import Malformed
from messaging_app.agent_tools import drafts
from sessions_app.workbench.decorators import for_agents
from sessions_app.workbench.forms import DraftForm
from sessions_app.workbench.views import first_error


@require_POST
@for_agents
def save(request: HttpRequest, actor: Actor, conversation_id: int) -> HttpResponse:
    """Save the composer's text; an empty text removes the draft.

    The response is JSON: `at`, the version that is saved now (empty for none), and `other`, the text that another page
    had saved meanwhile.
    """
    form = DraftForm(request.POST)
    if not form.is_valid():
        raise Malformed(first_error(form))
    sent = form.cleaned_data
    saved = drafts.save_draft(
        actor=actor, conversation_id=conversation_id, mode=sent["mode"], text=sent["content"], seen=sent["seen"]
    )
    return JsonResponse({"at": saved.at.isoformat() if saved.at else "", "other": saved.other})
