"""The try-it page: a visitor plays the customer of a conversation. For development and demonstration only.

The account is a random one, kept in the visitor's Django session; no request can name another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from secrets import token_hex
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from agents_app.actors import Actor, customer_actor
from agents_app.models import Tenant
from config.errors import DomainError, Malformed, NotFound
from messaging_app.models import Controller
from messaging_app.thread import NewMessage
from sessions_app.actions import inbound, lifecycle
from sessions_app.queries import TRY_IT, CustomerPage, customer_page, played
from sessions_app.queries.expected_wait import waiting
from sessions_app.workbench import attachments, presenters, rule_bot, wording
from sessions_app.workbench.decorators import is_fragment
from sessions_app.workbench.forms import CustomerForm, SeqForm

SHOP = "corner-shop"


def _for_visitors(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Give the view its tenant: the demo one, else the first. 404 unless `TRY_IT` is on, 503 without a tenant."""

    @wraps(view)
    @never_cache
    def enter(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        if not settings.TRY_IT:
            raise Http404
        tenant = Tenant.objects.filter(slug="demo").first() or Tenant.objects.order_by("pk").first()
        if tenant is None:
            return render(request, "tryit/no_tenant.html", status=503)
        try:
            return view(request, tenant, **kwargs)
        except NotFound as error:
            raise Http404 from error

    return enter


@require_GET
@_for_visitors
def try_it(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return _page(request, tenant)


@require_GET
@_for_visitors
def news(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return _news(request, tenant)


@require_POST
@_for_visitors
def say(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Post the customer's message. Where the outcome leaves the turn to a bot, the rule bot answers."""
    form = CustomerForm(request.POST)
    visitor = request.session.get(TRY_IT) or _new_visitor()
    try:
        if not form.is_valid():
            raise Malformed(str(next(iter(form.errors.values()))[0]))
        sent = form.cleaned_data
        message = NewMessage(content=sent["content"], message_id=sent["message_id"], attachments=sent["attachment"])
        outcome = inbound.receive_message(
            actor=customer_actor(tenant, name=visitor["name"]),
            words=message,
            shop_id=SHOP,
            account_id=visitor["account_id"],
            platform="try-it",
        )
    except DomainError as error:
        if is_fragment(request):
            return _news(request, tenant, problem=error.detail, status=error.status)
        return _page(request, tenant, problem=error.detail, typed=request.POST.get("content", ""), status=error.status)
    request.session[TRY_IT] = visitor | {"conversation_id": outcome.conversation_id}
    if not outcome.is_repeat:
        rule_bot.answer_customer(tenant, outcome, message.content)
    return _news(request, tenant) if is_fragment(request) else redirect("try-it")


@require_POST
@_for_visitors
def again(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Start over as somebody else."""
    request.session.pop(TRY_IT, None)
    return redirect("try-it")


def _new_visitor() -> dict[str, Any]:
    account_id = f"visitor-{token_hex(4)}"
    return {"account_id": account_id, "name": _("Visitor %(code)s") % {"code": account_id[-4:]}}


def _page(request: HttpRequest, tenant: Tenant, *, status: int = 200, **more: str) -> HttpResponse:
    page = customer_page(tenant_id=tenant.pk, conversation_id=played(request.session))
    context = _context(page, tenant) | {"message_id": uuid4(), **more}
    return render(request, "tryit/page.html", context, status=status)


def _news(request: HttpRequest, tenant: Tenant, *, problem: str = "", status: int = 200) -> HttpResponse:
    values = request.POST if request.method == "POST" else request.GET
    form = SeqForm(values)
    after = form.cleaned_data["seq"] if form.is_valid() else 0
    page = customer_page(tenant_id=tenant.pk, conversation_id=played(request.session), after=after)
    response = render(request, "tryit/_news.html", _context(page, tenant) | {"problem": problem}, status=status)
    response["Desk-Fragment"] = "try-it"
    return response


def _context(page: CustomerPage, tenant: Tenant) -> dict[str, Any]:
    waits = waiting(page.conversation) if page.conversation else None
    return {
        "tenant": tenant,
        "page": page,
        "conversation": page.conversation,
        "controller": page.conversation.controller if page.conversation else Controller.NONE,
        "waiting": wording.waiting(waits) if waits else "",
        "lines": presenters.lines(page.items, page.conversation),
        **_files(),
    }


# --- Files -------------------------------------------------------------------------------------------------------


@require_POST
@_for_visitors
@attachments.with_a_file
def attach(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Upload a file for the next message. Before the first message, it creates the conversation."""
    visitor = request.session.get(TRY_IT) or _new_visitor()
    if "conversation_id" not in visitor:
        key = {"shop_id": SHOP, "account_id": visitor["account_id"], "platform": "try-it"}
        actor = customer_actor(tenant, name=visitor["name"])
        conversation = lifecycle.conversation_for(actor=actor, customer_name=visitor["name"], **key)
        request.session[TRY_IT] = visitor = visitor | {"conversation_id": conversation.pk}
    actor = customer_actor(tenant, visitor["conversation_id"], name=visitor["name"])
    return attachments.attached(request, actor, visitor["conversation_id"], _files())


@attachments.kept_by_the_browser
@_for_visitors
def content(request: HttpRequest, tenant: Tenant, attachment_id: int) -> HttpResponseBase:
    return attachments.shown(request, _visitor(request, tenant), attachment_id)


@attachments.kept_by_the_browser
@_for_visitors
def preview(request: HttpRequest, tenant: Tenant, attachment_id: int) -> HttpResponseBase:
    return attachments.shown(request, _visitor(request, tenant), attachment_id, preview=True)


@require_POST
@_for_visitors
def discard(request: HttpRequest, tenant: Tenant, attachment_id: int) -> HttpResponse:
    return attachments.discarded(_visitor(request, tenant), attachment_id)


def _visitor(request: HttpRequest, tenant: Tenant) -> Actor:
    """The visitor as an actor, bound to their conversation; before there is one, to -1, which no conversation has."""
    return customer_actor(tenant, played(request.session) or -1)


def _files() -> dict[str, Any]:
    return attachments.attaching(reverse("try-it-attach"), f"{reverse('try-it')}files/")
