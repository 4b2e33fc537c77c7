"""T9: one row that cannot be read hides no other, and what an operation records is what the row says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from agents_app.models import Tenant
from config import audit_keys
from messaging_app import relay, stream
from messaging_app.models import Conversation, Message
from messaging_app.thread import NewMessage
from sessions_app.actions import batches, inbound, lifecycle
from sessions_app.models import ChatSession, Participant, Transfer
from sessions_app.states import Kind
from tests.cases.the_record import a_short_story, checked
from tests.cast import Cast, Chat, Later
from tests.unguarded import unguarded, without_foreign_keys


def _set(table: str, column: str, value: str, pk: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {column} = {value} WHERE id = %s", [pk])


def _first(chat: Chat) -> Message:
    return Message.objects.filter(conversation_id=chat.id).order_by("pk")[0]


# --- One row that cannot be read ---


def time_of_a_message(chat: Chat) -> str:
    _set("messaging_app_message", "sent_at", "'x'", pk := _first(chat).pk)
    return f"message {pk} "


def words_that_are_no_text(chat: Chat) -> str:
    _set("messaging_app_message", "content", "CAST(x'ff' AS TEXT)", pk := _first(chat).pk)
    return f"message {pk}"


def time_of_an_operation(chat: Chat) -> str:
    _set("messaging_app_operation", "at", "'nonsense'", chat.operations[1].pk)
    return "operation 2 "


def actor_that_is_no_text(chat: Chat) -> str:
    _set("messaging_app_operation", "actor_name", "CAST(x'ff' AS TEXT)", pk := chat.operations[1].pk)
    return f"operation {pk}"


def name_of_the_customer(chat: Chat) -> str:
    _set("messaging_app_conversation", "customer_name", "CAST(x'ff' AS TEXT)", chat.id)
    return f"conversation {chat.id}"


def owner_of_a_session(chat: Chat) -> str:
    _set("sessions_app_chatsession", "owner_kind", "CAST(x'ff' AS TEXT)", pk := chat.live.pk)
    return f"chatsession {pk}"


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the others store no such row")
@pytest.mark.parametrize(
    "spoil",
    [time_of_a_message, words_that_are_no_text, time_of_an_operation, actor_that_is_no_text, name_of_the_customer,
     owner_of_a_session],
)  # fmt: skip
def test_one_row_that_cannot_be_read_hides_no_other(transactional_db: None, spoil: Callable[[Chat], str]) -> None:
    cast = Cast("first")
    odd, beside, elsewhere = a_short_story(cast), a_short_story(cast), a_short_story(Cast("second"))
    forged = Message.objects.filter(conversation_id__in=[beside.id, elsewhere.id], sender_type="agent")
    assert forged.update(content="What nobody said") == 2
    with unguarded():
        named = spoil(odd)
    told = checked()
    assert [line.partition(":")[0] for line in told] == [f"conversation {one.id}" for one in (odd, beside, elsewhere)]
    assert told[0].startswith(f"conversation {odd.id}: {named}")
    assert "found that it cannot be read: " in told[0]
    assert "\ufffd" not in told[0], "not the words"


# --- Whose it is ---

THEIRS = (Conversation, Message, ChatSession, Transfer)


def all_of_it(chat: Chat, other: Tenant) -> str:
    for model in THEIRS:
        rows = {"pk": chat.id} if model is Conversation else {"conversation_id": chat.id}
        model._default_manager.filter(**rows).update(tenant=other)
    return (
        f"its tenant, by operation 1 (id {chat.operations[0].pk}): expected tenant {chat.cast.tenant.pk}, found tenant "
    )


def only_the_conversation(chat: Chat, other: Tenant) -> str:
    Conversation.objects.filter(pk=chat.id).update(tenant=other)
    return "its tenant, by operation 1 "


def its_messages(chat: Chat, other: Tenant) -> str:
    Message.objects.filter(conversation_id=chat.id).update(tenant=other)
    return f"message {_first(chat).pk} "


def a_session(chat: Chat, other: Tenant) -> str:
    ChatSession.objects.filter(pk=chat.live.pk).update(tenant=other)
    return f"session {chat.live.pk}, tenant: expected tenant {chat.cast.tenant.pk}, found tenant {other.pk}"


def a_transfer(chat: Chat, other: Tenant) -> str:
    Transfer.objects.filter(pk=chat.transfers[-1].pk).update(tenant=other)
    return f"transfer {chat.transfers[-1].pk}, tenant: "


@pytest.mark.parametrize("move", [all_of_it, only_the_conversation, its_messages, a_session, a_transfer])
def test_what_was_moved_to_another_tenant_is_found(transactional_db: None, move: Callable[[Chat, Tenant], str]) -> None:
    chat, other = a_short_story(Cast()), Cast("elsewhere").tenant
    relay.stamp(chat.cast.tenant.pk)
    with unguarded():
        expected = move(chat, other)
    [told] = checked()
    assert told.startswith(f"conversation {chat.id}: {expected}")


@pytest.mark.parametrize("change", [{"account_id": "somebody-else"}, {"shop_id": "another"}, {"platform": "another"}])
def test_a_conversation_given_to_another_customer_is_found(transactional_db: None, change: dict[str, str]) -> None:
    """Its first link was made with whose it is."""
    chat = a_short_story(Cast())
    relay.stamp(chat.cast.tenant.pk)
    Conversation.objects.filter(pk=chat.id).update(**change)
    if "platform" in change:
        Message.objects.filter(conversation_id=chat.id).update(**change)
    [told] = checked()
    assert told.startswith(f"conversation {chat.id}: operation 1 ")
    assert "the platform, shop and account of its conversation" in told


def test_a_chain_that_was_begun_before_this_holds(transactional_db: None) -> None:
    chat = a_short_story(Cast())
    relay.stamp(chat.cast.tenant.pk)
    keys, chain = audit_keys.ring(), ""
    with unguarded():
        for operation in chat.operations:
            chain = operation.chain = stream.link(chain, operation, number=keys.newest, key=keys.signing)
            operation.save()
    Conversation.objects.filter(pk=chat.id).update(chain=chain)
    assert checked() == []


# --- What an operation records ---


def _of(model: Any, **fields: Any) -> Any:
    return model._default_manager.filter(**fields).order_by("pk")[0]


def reason_of_a_transfer(chat: Chat) -> str:
    Transfer.objects.filter(pk=(pk := chat.transfers[-1].pk)).update(reason="The customer is a liar")
    return f"transfer {pk}, reason: "


def how_a_transfer_ended(chat: Chat) -> str:
    Transfer.objects.filter(pk=(pk := chat.transfers[-1].pk)).update(end_reason="Made up")
    return f"transfer {pk}, end_reason: "


def override_of_a_transfer(chat: Chat) -> str:
    Transfer.objects.filter(pk=(pk := chat.transfers[-1].pk)).update(is_override=True)
    return f"transfer {pk}, is_override: expected False, found True"


def sender_of_a_transfer(chat: Chat) -> str:
    Transfer.objects.filter(pk=(pk := chat.transfers[-1].pk)).update(from_id=99)
    return f"transfer {pk}, from_id: "


def kind_of_the_sender(chat: Chat) -> str:
    Transfer.objects.filter(pk=(pk := chat.transfers[-1].pk)).update(from_kind="shop")
    return f"transfer {pk}, from_kind: expected bot, found shop"


def role_of_a_participant(chat: Chat) -> str:
    one = _of(Participant)
    Participant.objects.filter(pk=one.pk).update(role="collaborator" if one.role != "collaborator" else "guest")
    return f"participant {one.pk}: expected {one.status} {one.notice_status} {one.role}, found "


def outcome_of_a_session(chat: Chat) -> str:
    session = _of(ChatSession, status="COMPLETED", outcome="success")
    ChatSession.objects.filter(pk=session.pk).update(outcome="failed")
    return f"session {session.pk}, outcome: expected success, found failed"


def end_of_a_session(chat: Chat) -> str:
    session = _of(ChatSession, status="TIMEOUT")
    ChatSession.objects.filter(pk=session.pk).update(ended_at=session.ended_at - timedelta(days=1))
    return f"session {session.pk}, ended_at: expected {session.ended_at}, found "


def end_of_an_open_session(chat: Chat) -> str:
    ChatSession.objects.filter(pk=(pk := chat.live.pk)).update(ended_at=chat.live.opened_at)
    return f"session {pk}, ended_at: expected nothing, found "


def why_a_session_ended(chat: Chat) -> str:
    session = _of(ChatSession, status="TIMEOUT")
    ChatSession.objects.filter(pk=session.pk).update(reason="Made up")
    return f"session {session.pk}, reason: "


def customer_who_waits(chat: Chat) -> str:
    chat.says("Well?")
    Conversation.objects.filter(pk=chat.id).update(unanswered_since=None)
    return f"unanswered since: expected {chat.operations[-1].at}, found nothing"


def since_when_the_customer_waits(chat: Chat) -> str:
    chat.says("Well?")
    at = chat.row.unanswered_since
    assert at
    Conversation.objects.filter(pk=chat.id).update(unanswered_since=at + timedelta(hours=1))
    return f"unanswered since: expected {at}, found "


def need_of_nothing(chat: Chat) -> str:
    Conversation.objects.filter(pk=chat.id).update(need={"kind": "complaint"})
    return "need: expected , found complaint"


def name_taken_away(chat: Chat) -> str:
    words = NewMessage(content="Well?")
    inbound.receive_message(actor=chat.cast.channel, conversation_id=chat.id, words=words, customer_name="Carla")
    assert checked() == []
    Conversation.objects.filter(pk=chat.id).update(customer_name="")
    return "the customer's name: expected "


def session_of_a_brought_message(chat: Chat) -> str:
    message = Message.objects.get(message_id="old-2")
    Message.objects.filter(pk=message.pk).update(session_id=chat.live.pk)
    return f"message {message.pk} (old-2), session: expected {message.session_id}, found {chat.live.pk}"


RECORDED = [
    reason_of_a_transfer, how_a_transfer_ended, override_of_a_transfer, sender_of_a_transfer, kind_of_the_sender,
    role_of_a_participant, outcome_of_a_session, end_of_a_session, end_of_an_open_session, why_a_session_ended,
    customer_who_waits, since_when_the_customer_waits, need_of_nothing, name_taken_away, session_of_a_brought_message,
]  # fmt: skip


@pytest.mark.parametrize("change", RECORDED)
def test_what_an_operation_records_is_what_the_row_says(record: Chat, change: Callable[[Chat], str]) -> None:
    expected = change(record)
    [told] = checked()
    assert told.partition(": ")[2].startswith(expected)


def test_a_name_that_was_erased_on_record_may_be_gone(record: Chat) -> None:
    name_taken_away(record)
    row = record.row
    told = stream.entry(row, actor=record.cast.system, type="messages.erased", at=record.operations[-1].at, data={})
    stream.seal(row, [told])
    stream.write([told])
    row.save()
    assert checked() == []


@pytest.mark.parametrize("who", ["customer", "bot", "shop"])
def test_a_stretch_that_was_found_in_messages_passes_before_and_after_a_person_takes_it(
    cast: Cast, chat: Chat, who: str
) -> None:
    """When it began is known by its words, which may still come: no operation says it."""
    chat.brings((who, 60, "Hello"), ("customer", 30, "Is anybody there?"))
    assert checked() == []
    if who == "customer":
        chat.opens(cast.ann, Kind.MANUAL_CUSTOMER_SERVICE)
    elif who == "bot":
        chat.take(cast.ann)
    else:
        chat.grab(cast.ann)
    assert checked() == []


@pytest.mark.parametrize("how", ["by itself", "given up", "done"])
def test_a_stretch_that_had_ended_and_was_joined_to_a_later_one_passes(
    cast: Cast, chat: Chat, later: Later, how: str
) -> None:
    """Its row is gone, and so is what its end said."""
    chat.says("hello")
    later(61)
    batches.group_unsessioned()
    first = chat.sessions[-1]
    if how == "by itself":
        later(1800)
        chat.sweep()
    elif how == "done":
        lifecycle.complete_session(actor=cast.channel, session_id=first.pk, outcome="success")
    else:
        lifecycle.cancel_session(actor=cast.channel, session_id=first.pk, reason="he hung up")
    later(100)
    chat.says("again")
    later(61)
    batches.group_unsessioned()
    chat.brings(("customer", 1000, "in between"))
    assert checked() == []


def test_a_conversation_whose_row_is_gone_is_found_by_its_operations(record: Chat) -> None:
    count = len(record.operations)
    with unguarded(), without_foreign_keys(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM messaging_app_conversation WHERE id = %s", [record.id])
    assert checked() == [
        f"conversation {record.id}: the row: expected to be there: {count} operations are its, found none"
    ]
