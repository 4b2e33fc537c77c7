"""Every model has its pages; who may see them; what is read-only refuses to be written."""

from __future__ import annotations

from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from agents_app.models import EventTicket, IdempotencyRecord, LoopFailures, Tenant
from config.admin import NAVIGATION
from messaging_app.models import (
    Conversation,
    ConversationTerms,
    Message,
    MessageTerms,
    NeedRule,
    Operation,
    RecordMark,
    SearchCursor,
)
from messaging_app.models.agent_tools import Draft
from sessions_app.actions.presence import declare_availability
from sessions_app.models import ChatSession
from tests.admin.sites import MODELS, READ_ONLY, name, url
from tests.cast import APPS, Cast, snapshot
from tests.unguarded import delete_operations


def _first(model: type[Model]) -> Model:
    row = model._default_manager.first()
    assert row is not None, name(model)
    return row


def test_every_model_is_registered_and_in_the_sidebar() -> None:
    ours = {model for label in APPS for model in apps.get_app_config(label).get_models()}
    # A membership is a line of its team's page.
    # Search's own tables only repeat what messages and conversations say; the other two hold nothing but digests and
    # what is sealed. What an agent has typed and not sent is nobody else's to read. Marks of the record are for check_stream,
    # and a loop's failures are a metric.
    unseen = {
        SearchCursor,
        MessageTerms,
        ConversationTerms,
        IdempotencyRecord,
        EventTicket,
        Draft,
        LoopFailures,
        RecordMark,
    }
    on_others_pages = {inline.model for site in admin.site._registry.values() for inline in site.inlines}
    assert ours - unseen - on_others_pages <= set(MODELS)
    assert {name(model) for model in MODELS} == {label for _, models in NAVIGATION for label in models}


def test_list_and_page_open(operator: Client, here: Cast) -> None:
    for model in MODELS:
        row = _first(model)
        for page in (url(model, "changelist"), url(model, "change", row.pk), url(model, "history", row.pk)):
            assert operator.get(page).status_code == 200, page
        expected = 403 if name(model) in READ_ONLY else 200
        assert operator.get(url(model, "add")).status_code == expected, name(model)


def test_every_column_sorts_and_search_finds(operator: Client, here: Cast) -> None:
    for model in MODELS:
        columns = range(1, len(admin.site._registry[model].list_display) + 1)
        by_all = ".".join(map(str, columns))
        assert operator.get(url(model, "changelist"), {"o": by_all}).status_code == 200, model
        if admin.site._registry[model].search_fields:
            assert operator.get(url(model, "changelist"), {"q": "here 1"}).status_code == 200, model


def test_who_may_not(client: Client, powerless: Client, here: Cast) -> None:
    for model in MODELS:
        for page in (url(model, "changelist"), url(model, "change", _first(model).pk), url(model, "add")):
            assert client.get(page).status_code == 302, f"{page} without a login: to the login"
            assert powerless.get(page).status_code == 403, page


def test_read_only_is_never_written(operator: Client, here: Cast) -> None:
    before = snapshot()
    for model in (model for model in MODELS if name(model) in READ_ONLY):
        pk = _first(model).pk
        for page in (url(model, "change", pk), url(model, "add"), url(model, "delete", pk)):
            assert operator.post(page, {"status": "CANCELLED", "post": "yes"}).status_code == 403, page
        operator.post(url(model, "changelist"), {"action": "delete_selected", "_selected_action": pk, "post": "yes"})
    assert snapshot() == before


def test_search_takes_whole_ids(operator: Client, here: Cast) -> None:
    message = Message.objects.get(is_note=False)
    for model, q in (
        (Message, message.message_id),
        (Message, str(message.session_id)),
        (Operation, "session.opened"),
        (Operation, "here-account-1"),
        (Conversation, "here-acc"),
        (Conversation, str(message.conversation_id)),
        (ChatSession, str(message.session_id)),
    ):
        shown = operator.get(url(model, "changelist"), {"q": q}).context["cl"].result_list
        assert len(shown) >= 1, (model, q)
    assert not operator.get(url(Message, "changelist"), {"q": message.message_id[:-1]}).context["cl"].result_list


def test_the_conversation_leads_to_the_desk_and_to_all_of_it(operator: Client, here: Cast) -> None:
    conversation = Conversation.objects.get()
    page = operator.get(url(Conversation, "change", conversation.pk)).content.decode()
    assert reverse("admin:messaging_app_conversation_open_in_desk", args=[conversation.pk]) in page
    answer = operator.get(reverse("admin:messaging_app_conversation_open_in_desk", args=[conversation.pk]))
    assert answer.headers["Location"] == reverse("conversation", args=[conversation.pk])
    for model in (Message, Operation, ChatSession):
        assert f"{url(model, 'changelist')}?conversation__id__exact={conversation.pk}" in page
        listed = operator.get(url(model, "changelist"), {"conversation__id__exact": conversation.pk})
        assert listed.context["cl"].result_list


def test_the_conversation_shows_the_newest(operator: Client, here: Cast) -> None:
    chat = here.chat("here-long")
    for number in range(55):
        chat.says(f"word {number}.")
    page = operator.get(url(Conversation, "change", chat.id)).content.decode()
    assert "word 54." in page
    assert "word 5." in page
    assert "word 4." not in page


def test_the_chain_is_checked_on_view(operator: Client, here: Cast) -> None:
    """The database refuses a change to what the trigger watches; what somebody changed all the same is seen here."""
    conversation = Conversation.objects.get()
    operation = Operation.objects.get(conversation=conversation, seq=2)
    pages = (url(Operation, "change", operation.pk), url(Conversation, "change", conversation.pk))
    for page in pages:
        assert f"The chain is whole: {conversation.seq} operations." in operator.get(page).content.decode()
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER operation_fixed")
    operation.data = {"made": "up"}
    operation.save()
    for page in pages:
        assert "Broken at operation 2." in operator.get(page).content.decode()


def test_an_operation_of_no_conversation_is_checked_by_itself(operator: Client, here: Cast) -> None:
    declare_availability(actor=here.ann, availability="training", reason="The new till.")
    operation = Operation.objects.filter(conversation=None).latest("pk")
    assert "agent.presence" in operator.get(url(Operation, "changelist")).content.decode()
    page = url(Operation, "change", operation.pk)
    told = operator.get(page).content.decode()
    assert "The operation is as it was written; it belongs to no conversation." in told
    assert "The new till." in told
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER operation_fixed")
    Operation.objects.filter(pk=operation.pk).update(data={"made": "up"})
    assert "Broken: it is not as it was written." in operator.get(page).content.decode()


def test_a_chain_without_its_end_is_broken(operator: Client, here: Cast) -> None:
    conversation = Conversation.objects.get()
    delete_operations(conversation=conversation, seq=conversation.seq)
    page = operator.get(url(Conversation, "change", conversation.pk)).content.decode()
    assert f"it ends at operation {conversation.seq - 1} of {conversation.seq}." in page


def test_json_is_readable(operator: Client, here: Cast) -> None:
    chat = here.chat("here-json")
    chat.robot()
    chat.escalate(reason="客户要求转人工")
    operation = chat.operations[-1]
    asked = next(o for o in chat.operations if "客户" in str(o.data))
    assert operation is not None
    assert "客户要求转人工" in operator.get(url(Operation, "change", asked.pk)).content.decode()


def test_only_the_admin_has_its_own_policy(operator: Client, client: Client, here: Cast) -> None:
    for page in (reverse("admin:index"), url(Conversation, "changelist")):
        policy = operator.get(page).headers["Content-Security-Policy"]
        assert "script-src 'self' 'unsafe-eval';" in policy
    assert "'unsafe-eval'" in client.get(reverse("admin:login")).headers["Content-Security-Policy"]
    assert "unsafe" not in client.get(reverse("login")).headers["Content-Security-Policy"]


def test_a_new_tenant_begins_with_the_default_rules(operator: Client, here: Cast) -> None:
    new = {"name": "New", "slug": "new", "transfer_policy": "return", "assignment": "pull", "unanswered": "flag"}
    assert operator.post(url(Tenant, "add"), new).status_code == 302
    assert NeedRule.objects.filter(tenant__slug="new", kind="keyword").exists()
