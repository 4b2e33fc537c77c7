"""Tenants with a row of everything.

Every name of a tenant's rows holds the tenant's word, so that a page that says 'elsewhere' has shown too much.
"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import F, Value
from django.db.models.functions import Concat

from agents_app.models import Agent, ApiClient, Backoff, Calendar, Department, Holiday, OpeningHours, SlaPolicy
from config import clock
from messaging_app.agent_tools.canned_replies import create_reply
from messaging_app.agent_tools.labels import create_label
from messaging_app.models import NeedRule, WebhookEndpoint
from messaging_app.models.attachments import Attachment
from messaging_app.thread import NewMessage
from messaging_app.webhooks import endpoints
from sessions_app.actions import conversations, flows, labels, presence
from sessions_app.actions import messages as talk_verbs
from sessions_app.actions.saved_views import create_view
from sessions_app.models import AssignmentDecision, Batch, Mail, Transfer
from tests.cast import Cast, Chat


def everything(slug: str) -> Cast:
    """A tenant with at least one row of each model."""
    cast = Cast(slug)
    Agent.objects.filter(tenant=cast.tenant).update(name=Concat(Value(f"{slug} "), F("name")))
    ApiClient.objects.filter(tenant=cast.tenant).update(name=Concat(Value(f"{slug} "), F("name")))
    cast.team(f"{slug} team", "ann", "ben")
    NeedRule.objects.create(tenant=cast.tenant, kind="keyword", name=f"{slug} rule", phrases=["a human", "/agents?/"])
    calendar = Calendar.objects.create(tenant=cast.tenant, name=f"{slug} calendar", time_zone="Europe/Berlin")
    OpeningHours.objects.create(calendar=calendar, weekday=0, opens="00:00", closes="00:00")
    Holiday.objects.create(calendar=calendar, date="2026-12-25", name=f"{slug} holiday")
    now = clock.now()
    Backoff.objects.create(
        loop="sweep", key=cast.tenant.pk, tenant=cast.tenant, error=f"{slug} error", first_failed_at=now, retry_at=now
    )
    policy = SlaPolicy.objects.create(tenant=cast.tenant, name=f"{slug} levels", first_response=600, resolution=3600)
    cast.policy(sla=policy)
    for name in ("ann", "sue"):
        user = User.objects.create_user(f"{slug}-{name}", is_staff=True)
        cast.change(name, user=user)
    talk(cast, 1)
    return cast


def talk(cast: Cast, number: int) -> Chat:
    """A conversation in which a bot asked for a human, who serves it with a guest; a flow asks something, too."""
    slug = cast.tenant.slug
    chat = cast.chat(f"{slug}-account-{number}")
    chat.robot()
    chat.says(f"{slug} words")
    flows.open_flow(
        actor=cast.bargain,
        trigger_id=f"{slug}-flow-{number}",
        question=f"{slug} question?",
        conversation_id=chat.id,
    )
    chat.escalate(reason=f"{slug} reason")
    chat.accept(cast.ann) if number == 1 else chat.accept(cast.sue, override=True)
    chat.guest(cast.ann if number == 1 else cast.sue, name=f"{slug} guest")
    conversations.mark_read(actor=cast.ann, conversation_id=chat.id, seq=1)
    hook = WebhookEndpoint.objects.create(
        tenant=cast.tenant, owner_id=cast.channel.id, url=f"https://{slug}.example/{number}", secret=f"{slug} secret"
    )
    endpoints.ping(actor=cast.channel, endpoint_id=hook.pk)
    for word in ("break", "available"):
        presence.declare_availability(actor=cast.ann, availability=word, reason=f"{slug} reason")
    asked = Transfer.objects.get(conversation=chat.id, kind="escalation")
    AssignmentDecision.objects.create(
        tenant=cast.tenant, transfer=asked, at=asked.requested_at, strategy="sticky", why=slug
    )
    Mail.objects.create(
        tenant=cast.tenant,
        conversation=asked.conversation,
        session=asked.session,
        transfer=asked,
        to=f"team@{slug}.example",
        due_at=asked.requested_at,
        created_at=asked.requested_at,
    )
    _keep(cast, chat, number)
    Attachment.objects.create(
        tenant=cast.tenant,
        conversation=asked.conversation,
        name=f"{slug} picture.png",
        media_type="image/png",
        size=1,
        storage_key=f"{cast.tenant.pk}/{number}",
        uploader_kind="customer",
        client_id=f"{slug}-{number}",
        created_at=asked.requested_at,
    )
    department = Department.objects.create(tenant=cast.tenant, name=f"{slug} department {number}")
    department.members.create(name=f"{slug} member", contact=f"{slug}@example.org")
    Batch.objects.create(tenant=cast.tenant, client_id=cast.channel.id, error=f"{slug} error")
    return chat


def _keep(cast: Cast, chat: Chat, number: int) -> None:
    """What the desk keeps: a label and where it is, a note that mentions somebody, words, a view."""
    slug = cast.tenant.slug
    label = create_label(actor=cast.sue, name=f"{slug} label {number}")
    labels.label(actor=cast.ann, conversation_id=chat.id, label_id=label.pk)
    named = cast.agent("ben").name
    talk_verbs.post_note(actor=cast.ann, conversation_id=chat.id, words=NewMessage(content=f"@{named} {slug} note"))
    create_reply(actor=cast.ann, shortcut=f"/{slug}-{number}", title=f"{slug} title", text=f"{slug} text")
    create_view(actor=cast.sue, name=f"{slug} view {number}", filter={"shop_id": f"{slug} shop"}, scope="tenant")
