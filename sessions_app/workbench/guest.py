"""The entry by an invitation's link, and the small live chat behind it. No login: the browser's session is the key.

Opening a link does not use it up, because mail scanners and chat previews open every link; the button does.
The token is sent on in the form's body and never in another address, so it is in no Referer and no log.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import uuid4

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from config.errors import DomainError, Malformed, NotFound
from messaging_app.attachments.errors import AttachmentNotFound
from messaging_app.thread import NewMessage
from sessions_app.actions import messages, participants
from sessions_app.errors import LinkIsOver
from sessions_app.models import Participant
from sessions_app.queries import guest
from sessions_app.queries.guest import GuestPage
from sessions_app.states import ParticipantStatus
from sessions_app.workbench import attachments, presenters, wording
from sessions_app.workbench.decorators import is_fragment
from sessions_app.workbench.forms import CustomerForm, SeqForm

GONE = 410
"""The participation has ended: there is nothing here for this browser any more."""


@require_GET
@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show who invites whom, and a button to join. A browser that has used this link is sent to its conversation."""
    if entered := guest.entered_by(request.session, token):
        return redirect("joined", entered)
    try:
        participant = guest.invitation(token)
    except LinkIsOver as error:
        return _private(_invalid_invitation(request, error))
    context = {"participant": participant, "token": token, "shared": wording.shared(participant)}
    return _private(render(request, "joined/invitation.html", context))


def _private(response: HttpResponse) -> HttpResponse:
    """Keep the token in the address private: the Referer is the origin only, and search engines skip the page."""
    response["Referrer-Policy"] = "strict-origin"  # no-referrer would send the form without an origin, which is refused
    response["X-Robots-Tag"] = "noindex"
    return response


@require_POST
@never_cache
def join(request: HttpRequest) -> HttpResponse:
    """Use up the link: from here on, this browser's session is the participant."""
    token = request.POST.get("token", "")
    if entered := guest.entered_by(request.session, token):
        return redirect("joined", entered)
    try:
        participant = guest.invitation(token)
        participants.join(tenant_id=participant.tenant_id, token=token)
    except DomainError as error:
        return _invalid_invitation(request, error)
    request.session.cycle_key()  # a session cookie that was known before gives no access
    guest.remember(request.session, participant.pk, token)
    return redirect("joined", participant.pk)


def _invalid_invitation(request: HttpRequest, error: DomainError) -> HttpResponse:
    return render(request, "joined/invalid_invitation.html", {"problem": wording.refusal(error)}, status=error.status)


# --- Inside ------------------------------------------------------------------------------------------------------


def _for_participants(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Give the view its participant: 404 for a browser that has not joined, `GONE` when the participation has ended."""

    @wraps(view)
    @never_cache
    def enter(request: HttpRequest, participant_id: int, **kwargs: Any) -> HttpResponseBase:
        participant = guest.joined(request.session, participant_id)
        if participant is None:
            raise Http404
        if participant.status != ParticipantStatus.JOINED:
            return _ended(request, participant)
        try:
            return view(request, participant, **kwargs)
        except NotFound as error:  # perhaps removed during this request
            participant.refresh_from_db()
            if participant.status == ParticipantStatus.JOINED:
                raise Http404 from error
            return _ended(request, participant)

    return enter


@require_GET
@_for_participants
def chat(request: HttpRequest, participant: Participant) -> HttpResponse:
    """The conversation, or the messages before the cursor `before`."""
    before = request.GET.get("before", "")
    try:
        page = guest.guest_page(participant, before=before)
    except Malformed as error:
        raise Http404 from error
    if before and is_fragment(request):
        return fragment(request, "joined/_earlier.html", _context(page))
    return render(request, "joined/page.html", _context(page))


@require_GET
@_for_participants
def news(request: HttpRequest, participant: Participant) -> HttpResponse:
    return _news(request, participant)


@require_POST
@_for_participants
def say(request: HttpRequest, participant: Participant) -> HttpResponse:
    """Post a message. A refused text is given back."""
    form = CustomerForm(request.POST)
    try:
        if not form.is_valid():
            raise Malformed(str(next(iter(form.errors.values()))[0]))
        sent = form.cleaned_data
        messages.post_message(
            actor=participants.as_actor(participant),
            conversation_id=participant.conversation_id,
            words=NewMessage(content=sent["content"], message_id=sent["message_id"], attachments=sent["attachment"]),
        )
    except DomainError as error:
        if isinstance(error, NotFound) and not isinstance(error, AttachmentNotFound):
            raise
        if is_fragment(request):
            return _news(request, participant, problem=wording.refusal(error), status=error.status)
        context = _context(guest.guest_page(participant))
        answer = {"problem": wording.refusal(error), "typed": request.POST.get("content", "")}
        return render(request, "joined/page.html", context | answer, status=error.status)
    return _news(request, participant) if is_fragment(request) else redirect("joined", participant.pk)


@require_POST
@_for_participants
def leave(request: HttpRequest, participant: Participant) -> HttpResponse:
    participants.leave(actor=participants.as_actor(participant), conversation_id=participant.conversation_id)
    return redirect("joined", participant.pk)


# --- Rendering ---------------------------------------------------------------------------------------------------


def _ended(request: HttpRequest, participant: Participant) -> HttpResponse:
    context = {"participant": participant, "over": wording.participation_over(participant.status)}
    if is_fragment(request):
        return fragment(request, "joined/_ended.html", context, status=GONE)
    return render(request, "joined/ended.html", context, status=GONE)


def _news(request: HttpRequest, participant: Participant, *, problem: str = "", status: int = 200) -> HttpResponse:
    form = SeqForm(request.POST if request.method == "POST" else request.GET)
    page = guest.guest_news(participant, after=form.cleaned_data["seq"] if form.is_valid() else 0)
    return fragment(request, "joined/_news.html", _context(page) | {"problem": problem}, status=status)


def fragment(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    response = render(request, template, context, status=status)
    response["Desk-Fragment"] = "joined"
    return response


def _context(page: GuestPage) -> dict[str, Any]:
    return {
        "page": page,
        "participant": page.participant,
        "people": [(wording.person(person), person) for person in page.people],
        "lines": presenters.lines(page.items, page.conversation),
        "message_id": uuid4(),
        **_files(page.participant),
    }


# --- Files -------------------------------------------------------------------------------------------------------


@require_POST
@_for_participants
@attachments.with_a_file
def attach(request: HttpRequest, participant: Participant) -> HttpResponse:
    """Upload a file, to be sent with the next message."""
    actor = participants.as_actor(participant)
    return attachments.attached(request, actor, participant.conversation_id, _files(participant))


@attachments.kept_by_the_browser
@_for_participants
def content(request: HttpRequest, participant: Participant, attachment_id: int) -> HttpResponseBase:
    return attachments.shown(request, participants.as_actor(participant), attachment_id)


@attachments.kept_by_the_browser
@_for_participants
def preview(request: HttpRequest, participant: Participant, attachment_id: int) -> HttpResponseBase:
    return attachments.shown(request, participants.as_actor(participant), attachment_id, preview=True)


@require_POST
@_for_participants
def discard(request: HttpRequest, participant: Participant, attachment_id: int) -> HttpResponse:
    return attachments.discarded(participants.as_actor(participant), attachment_id)


def _files(participant: Participant) -> dict[str, Any]:
    return attachments.attaching(
        reverse("joined-attach", args=[participant.pk]), f"{reverse('joined', args=[participant.pk])}files/"
    )
