"""What the database itself refuses, for the day somebody forgets a lock or goes past the verbs.

Raw writes through the ORM; the same on SQLite, PostgreSQL and MariaDB.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction
from django.db.migrations.executor import MigrationExecutor

from agents_app.models import Agent, ApiClient, Team, Tenant
from config import clock
from messaging_app import stream
from messaging_app.models import Conversation, Message, Operation, ReadCursor, RecordMark
from sessions_app.models import ChatSession, GuidedFlow, Participant, Transfer
from sessions_app.states import LIVE, Kind, Status, TransferStatus
from tests import packages
from tests.cast import APPS, Cast, Chat
from tests.unguarded import delete_operations


@pytest.fixture
def chat(db: None) -> Chat:
    """Without the check of the invariants afterwards: these tests break them."""
    return Cast().chat()


def refuses(write: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        write()


def session(chat: Chat, **fields: Any) -> ChatSession:
    now = clock.now()
    given = {"kind": Kind.AUTO_BARGAIN, "status": Status.PENDING, "priority": 3, "rank": 34} | fields
    return ChatSession.objects.create(
        tenant=chat.cast.tenant, conversation_id=chat.id, opened_at=now, last_activity_at=now, **given
    )


def transfer(chat: Chat, of: ChatSession, **fields: Any) -> Transfer:
    now = clock.now()
    given = {"kind": "escalation", "status": TransferStatus.PENDING, "context": packages.plain()} | fields
    return Transfer.objects.create(
        tenant=chat.cast.tenant, conversation_id=chat.id, session=of, requested_at=now, waiting_since=now, **given
    )


def message(chat: Chat, message_id: str = "m-1", **fields: Any) -> Message:
    given = {"sender_type": "customer", "content": "Hello", "seq": 1, "platform": "default"} | fields
    return Message.objects.create(
        tenant_id=chat.cast.tenant.pk, conversation_id=chat.id, message_id=message_id, sent_at=clock.now(), **given
    )


def operation(chat: Chat, seq: int, **fields: Any) -> Operation:
    given = {"type": "tested", "actor_kind": "system", "chain": "x" * 64} | fields
    return Operation.objects.create(
        tenant_id=chat.cast.tenant.pk, conversation_id=chat.id, seq=seq, at=clock.now(), **given
    )


def alone(chat: Chat, **fields: Any) -> Operation:
    """Of no conversation."""
    given = {"seq": 1, "type": "tested", "actor_kind": "system", "chain": "x" * 64} | fields
    return Operation.objects.create(tenant_id=chat.cast.tenant.pk, at=clock.now(), **given)


# --- One live session ---


@pytest.mark.parametrize("second", sorted(LIVE))
@pytest.mark.parametrize("first", sorted(LIVE))
def test_a_second_live_session_is_refused(chat: Chat, first: str, second: str) -> None:
    session(chat, status=first)
    refuses(lambda: session(chat, status=second))
    waiting = session(chat)
    refuses(lambda: ChatSession.objects.filter(pk=waiting.pk).update(status=second))
    assert ChatSession.objects.filter(status__in=sorted(LIVE)).count() == 1


def test_any_number_may_wait_or_have_ended_and_the_turn_may_be_given_on(chat: Chat) -> None:
    for status in sorted(set(Status) - LIVE):
        session(chat, status=status)
        session(chat, status=status)
    live = session(chat, status=Status.ACTIVE)
    ChatSession.objects.filter(pk=live.pk).update(status=Status.COMPLETED)
    session(chat, status=Status.TRANSFERRED)
    session(chat.cast.chat(), status=Status.ACTIVE)  # another conversation has a turn of its own


def test_the_live_key_follows_the_status_by_itself(chat: Chat) -> None:
    row = session(chat)
    for status in Status:
        ChatSession.objects.filter(pk=row.pk).update(status=status)
        row.refresh_from_db()
        assert row.live_key == (chat.id if status in LIVE else None)


# --- One unanswered transfer ---


def test_a_second_pending_transfer_of_a_session_is_refused(chat: Chat) -> None:
    live = session(chat, status=Status.TRANSFERRED)
    transfer(chat, live)
    refuses(lambda: transfer(chat, live))
    ended = transfer(chat, live, status=TransferStatus.DECLINED)
    refuses(lambda: Transfer.objects.filter(pk=ended.pk).update(status=TransferStatus.PENDING))


def test_any_number_of_answered_transfers_is_kept(chat: Chat) -> None:
    """The fault of LangBot's takeover: one row per session, so that the second takeover was an error."""
    live = session(chat, status=Status.TRANSFERRED)
    for status in TransferStatus:
        for _ in range(1 if status == TransferStatus.PENDING else 2):
            transfer(chat, live, status=status)


# --- Once only ---


def test_a_message_id_is_stored_once_in_a_tenant_and_platform(chat: Chat) -> None:
    other_tenant = Cast("elsewhere").chat()
    message(chat)
    refuses(lambda: message(chat))
    refuses(lambda: message(chat.cast.chat()))  # also not in another conversation
    message(chat, platform="web")
    message(other_tenant)
    assert Message.objects.count() == 3


@pytest.mark.parametrize("other", ["M-1", "m-1 ", " m-1", "ｍ-1", "m‑1", "m-１"])
def test_ids_that_only_look_alike_are_different(chat: Chat, other: str) -> None:
    """A collation that folds case, width or trailing spaces would swallow messages."""
    message(chat, "m-1")
    message(chat, other)
    assert Message.objects.filter(message_id=other).count() == 1


@pytest.mark.parametrize("field", ["shop_id", "account_id", "platform"])
def test_a_conversation_exists_once_by_its_exact_key(chat: Chat, field: str) -> None:
    key: dict[str, Any] = {"tenant": chat.cast.tenant, "platform": "p", "shop_id": "s", "account_id": "a"}
    Conversation.objects.create(**key)
    refuses(lambda: Conversation.objects.create(**key))
    for other in (key[field].upper(), f"{key[field]} "):
        Conversation.objects.create(**key | {field: other})


@pytest.mark.parametrize("model", [Team, ApiClient])
def test_a_name_is_given_once_in_a_tenant(chat: Chat, model: type[models.Model]) -> None:
    named = {"tenant": chat.cast.tenant, "name": "refunds"}
    model._default_manager.create(**named)
    refuses(lambda: model._default_manager.create(**named))
    model._default_manager.create(tenant=Cast("elsewhere").tenant, name="refunds")


def test_a_trigger_begins_one_flow(chat: Chat) -> None:
    now = clock.now()
    times = dict.fromkeys(("expires_at", "created_at", "updated_at"), now)
    flow = {"tenant": chat.cast.tenant, "client": chat.cast.bot_row("bargain"), "trigger_id": "t"} | times
    GuidedFlow.objects.create(**flow)
    refuses(lambda: GuidedFlow.objects.create(**flow))
    GuidedFlow.objects.create(**flow | {"trigger_id": "T"})
    GuidedFlow.objects.create(**flow | {"client": chat.cast.bot_row("faq")})


def test_a_link_belongs_to_one_participant(chat: Chat) -> None:
    guest = {
        "tenant": chat.cast.tenant, "conversation_id": chat.id, "role": "guest", "status": "invited", "name": "Gus", "invited_at": clock.now(),
    }  # fmt: skip
    Participant.objects.create(**guest, token_hash="a" * 64)
    refuses(lambda: Participant.objects.create(**guest, token_hash="a" * 64))
    Participant.objects.create(**guest)
    Participant.objects.create(**guest)  # without a token any number


def test_an_agent_has_one_read_cursor_in_a_conversation(chat: Chat) -> None:
    cursor = {"agent": chat.cast.agent("ann"), "conversation_id": chat.id}
    ReadCursor.objects.create(**cursor)
    refuses(lambda: ReadCursor.objects.create(**cursor))


# --- The stream ---


def test_a_gap_in_the_numbers_is_refused(chat: Chat) -> None:
    refuses(lambda: operation(chat, 2))
    refuses(lambda: operation(chat, 0))
    operation(chat, 1)
    refuses(lambda: operation(chat, 3))
    operation(chat, 2)
    assert list(Operation.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2]


def test_a_number_given_twice_is_refused(chat: Chat) -> None:
    for seq in (1, 2):
        operation(chat, seq)
    for seq in (1, 2):
        refuses(lambda seq=seq: operation(chat, seq))


def test_operations_stored_together_are_numbered_without_a_gap_too(chat: Chat) -> None:
    def made(*seqs: int) -> list[Operation]:
        common = {
            "tenant_id": chat.row.tenant_id,
            "conversation_id": chat.id,
            "at": clock.now(),
            "actor_kind": "system",
            "chain": "x",
        }
        return [Operation(seq=seq, type="tested", **common) for seq in seqs]

    refuses(lambda: Operation.objects.bulk_create(made(1, 3)))
    refuses(lambda: Operation.objects.bulk_create(made(1, 1)))
    Operation.objects.bulk_create(made(1, 2, 3))
    assert Operation.objects.count() == 3


def test_each_conversation_is_numbered_by_itself(chat: Chat) -> None:
    operation(chat, 1)
    operation(chat.cast.chat(), 1)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "nothing happened"},
        {"seq": 2},
        {"chain": "y" * 64},
        {"data": {"reason": "another"}},
        {"session_id": 4711},
        {"actor_kind": "agent"},
        {"actor_id": 7},
        {"actor_name": "Somebody else"},
        {"at": "later"},
        {"conversation": "another"},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("is_stamped", [False, True], ids=["before its position", "after its position"])
def test_an_operation_is_not_rewritten(chat: Chat, change: dict[str, Any], is_stamped: bool) -> None:
    made = operation(chat, 1, data={"reason": "one"})
    if is_stamped:
        Operation.objects.filter(pk=made.pk).update(pos=1)
    values = {"at": made.at + timedelta(hours=1), "conversation": chat.cast.chat().row}
    change = {name: values.get(name, value) for name, value in change.items()}
    refuses(lambda: Operation.objects.filter(pk=made.pk).update(**change))
    kept = Operation.objects.get()
    assert (kept.data, kept.type, kept.conversation_id) == ({"reason": "one"}, "tested", chat.id)


def test_an_operation_of_no_conversation_is_number_one_and_not_rewritten(chat: Chat) -> None:
    alone(chat)
    made = alone(chat)
    for seq in (0, 2):
        refuses(lambda seq=seq: alone(chat, seq=seq))
    for change in ({"conversation": chat.row}, {"data": {"made": "up"}}, {"seq": 2}, {"tenant": Cast("else").tenant}):
        refuses(lambda change=change: Operation.objects.filter(pk=made.pk).update(**change))
    operation(chat, 1)
    refuses(lambda: Operation.objects.filter(conversation=chat.id).update(conversation=None))
    Operation.objects.filter(pk=made.pk).update(pos=1)
    refuses(lambda: Operation.objects.filter(pk=made.pk).update(pos=2))


def test_an_operation_is_not_deleted(chat: Chat) -> None:
    made, other = operation(chat, 1), alone(chat)
    refuses(lambda: Operation.objects.filter(pk=made.pk).delete())
    refuses(lambda: Operation.objects.filter(pk=other.pk).delete())
    refuses(lambda: Operation.objects.all().delete())
    assert Operation.objects.count() == 2


def test_what_a_mark_covers_may_go_and_no_more(chat: Chat) -> None:
    operation(chat, 1), operation(chat, 2)
    first, second = alone(chat), alone(chat)
    tenant, rest = chat.cast.tenant, {"kind": "forgotten", "chain": "x", "at": clock.now(), "signature": "x"}
    RecordMark.objects.create(tenant=tenant, conversation_id=chat.id, seq=1, **rest)
    RecordMark.objects.create(tenant=tenant, seq=first.pk, **rest)
    RecordMark.objects.create(tenant=Cast("else").tenant, conversation_id=chat.id, seq=9, **rest)
    refuses(lambda: Operation.objects.filter(seq=2).delete())
    refuses(lambda: Operation.objects.filter(pk=second.pk).delete())
    Operation.objects.filter(conversation=chat.id, seq=1).delete()
    Operation.objects.filter(pk=first.pk).delete()
    assert set(Operation.objects.values_list("seq", "conversation_id")) == {(2, chat.id), (1, None)}


def test_an_operation_gets_its_position_once(chat: Chat) -> None:
    first, second = operation(chat, 1), operation(chat, 2)
    Operation.objects.filter(pk=first.pk).update(pos=1)
    refuses(lambda: Operation.objects.filter(pk=first.pk).update(pos=2))
    refuses(lambda: Operation.objects.filter(pk=first.pk).update(pos=None))
    refuses(lambda: Operation.objects.filter(pk=second.pk).update(pos=1))


# --- Known words only ---

WORDS = [
    (ChatSession, "status"),
    (ChatSession, "kind"),
    (Transfer, "status"),
    (Transfer, "kind"),
    (GuidedFlow, "status"),
    (Participant, "status"),
    (Conversation, "controller"),
    (Message, "sender_type"),
    (Agent, "availability"),
]


@pytest.mark.parametrize(
    ("model", "field"), WORDS, ids=lambda value: value if isinstance(value, str) else value.__name__
)
@pytest.mark.parametrize("word", ["dancing", "Active", "completed "])
def test_an_unknown_word_is_refused(chat: Chat, model: type[models.Model], field: str, word: str) -> None:
    _one_of_each(chat)
    word = word[: model._meta.get_field(field).max_length]  # type: ignore[union-attr]
    refuses(lambda: model._default_manager.update(**{field: word}))


@pytest.mark.parametrize("tier", [0, 6])
def test_an_unknown_tier_is_refused(chat: Chat, tier: int) -> None:
    refuses(lambda: Conversation.objects.update(tier=tier))


def test_a_session_owned_by_an_agent_names_the_agent(chat: Chat) -> None:
    refuses(lambda: session(chat, owner_kind="agent"))
    session(chat, owner_kind="agent", agent=chat.cast.agent("ann"))


def _one_of_each(chat: Chat) -> None:
    now = clock.now()
    live = session(chat)
    transfer(chat, live)
    message(chat)
    GuidedFlow.objects.create(
        tenant=chat.cast.tenant, trigger_id="t", expires_at=now, created_at=now, updated_at=now, conversation_id=chat.id
    )
    Participant.objects.create(
        tenant=chat.cast.tenant, conversation_id=chat.id, role="guest", status="invited", name="Gus", invited_at=now
    )


# --- Nothing disappears under what refers to it ---


@pytest.mark.parametrize("of", [Tenant, Conversation, Agent, ApiClient])
def test_what_history_refers_to_is_not_deleted(chat: Chat, of: type[models.Model]) -> None:
    chat.serve()
    chat.says()
    before = of._default_manager.count()
    row = {
        Conversation: chat.row,
        Tenant: chat.cast.tenant,
        Agent: chat.cast.agent("ann"),
        ApiClient: chat.cast.bot_row("bargain"),
    }[of]
    with pytest.raises(models.ProtectedError), transaction.atomic():
        row.delete()
    assert of._default_manager.count() == before


# --- Migrations ---


def test_the_rules_outlast_the_migration_to_operations_of_no_conversation(transactional_db: None) -> None:
    """SQLite makes the table anew, and its triggers would go with the old one. There and back again."""

    def migrate(*targets: tuple[str, str | None]) -> None:
        executor = MigrationExecutor(connection)
        executor.loader.build_graph()
        executor.migrate(targets)

    leaves = [node for node in MigrationExecutor(connection).loader.graph.leaf_nodes() if node[0] in APPS]
    chat = Cast().chat()
    operation(chat, 1)
    alone(chat)
    try:
        migrate(("messaging_app", "0005_words"))
        assert list(Operation.objects.values_list("conversation_id", "seq")) == [(chat.id, 1)], "what is left"
        operation(chat, 2)
        refuses(lambda: operation(chat, 4))
        refuses(lambda: Operation.objects.update(type="rewritten"))
        refuses(lambda: alone(chat))
    finally:
        migrate(*leaves)
    operation(chat, 3)
    alone(chat)
    refuses(lambda: operation(chat, 5))
    refuses(lambda: operation(chat, 3))
    refuses(lambda: Operation.objects.filter(seq=3).update(type="rewritten"))
    refuses(lambda: Operation.objects.filter(conversation=None).update(type="rewritten"))


@pytest.mark.slow
def test_the_migrations_go_back_and_forth_and_the_rules_are_there_again(transactional_db: None) -> None:
    def migrate(targets: list[tuple[str, str | None]]) -> None:
        executor = MigrationExecutor(connection)
        executor.loader.build_graph()
        executor.migrate(targets)

    leaves = [node for node in MigrationExecutor(connection).loader.graph.leaf_nodes() if node[0] in APPS]
    tables = {model._meta.db_table for label in APPS for model in apps.get_app_config(label).get_models()}
    try:
        migrate([(label, None) for label in APPS])
        assert not tables & set(connection.introspection.table_names())
    finally:
        migrate(leaves)
    assert tables <= set(connection.introspection.table_names())
    chat = Cast().chat()
    operation(chat, 1)
    refuses(lambda: operation(chat, 3))
    refuses(lambda: Operation.objects.update(type="rewritten"))
    session(chat, status=Status.ACTIVE)
    refuses(lambda: session(chat, status=Status.ACTIVE))
    refuses(lambda: Operation.objects.all().delete())
    delete_operations()
    chat.cast.chat().serve()
    assert stream.first_broken_link(Operation.objects.order_by("seq")) is None
