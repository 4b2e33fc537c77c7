"""The search of the command bar: conversations and canned replies that match the typed text.

Pages and actions are on the page already; the browser searches those itself.
"""

from __future__ import annotations

from django import forms
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from agents_app.actors import Actor
from config import limits
from messaging_app.agent_tools import canned_replies
from messaging_app.models.agent_tools import CannedReply
from sessions_app import queries
from sessions_app.queries import reply_rendering
from sessions_app.workbench import wording
from sessions_app.workbench.decorators import for_agents
from sessions_app.workbench.forms import SearchForm
from sessions_app.workbench.views import fragment


class CommandForm(SearchForm):
    """`conversation` is the open one, for which canned replies are filled in."""

    conversation = forms.IntegerField(min_value=1, max_value=limits.MAX_NUMBER, required=False)


@require_GET
@for_agents
def results(request: HttpRequest, actor: Actor) -> HttpResponse:
    """At most eight of each; none for an empty text. Raises `NotFound` for a conversation the agent may not see."""
    form = CommandForm(request.GET)
    text = form.cleaned_data["q"].strip() if form.is_valid() else ""
    open_id = form.cleaned_data.get("conversation")
    context = {
        "offered": _replies(actor, text, open_id) if text and open_id else [],
        "found": [(row, wording.controller(row.controller)) for row in queries.search_for(actor, text)],
    }
    return fragment(request, "desk/_command_results.html", context, "command")


def _replies(actor: Actor, text: str, conversation_id: int) -> list[tuple[CannedReply, str]]:
    """The matching replies, each with its text filled in for the conversation."""
    values = reply_rendering.values_in(actor, conversation_id)
    return [(reply, canned_replies.fill_in(reply.text, values)) for reply in canned_replies.offered(actor, text)]
