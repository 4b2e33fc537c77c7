"""A statement that is built once finds what the query set finds, whoever asks; what it cannot be asked again is refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model, QuerySet, Value, signals
from django.db.models.functions import Concat
from django.test.utils import CaptureQueriesContext

from agents_app.actors import Actor
from config import clock
from config.compiled_query import CompiledForIds, CompiledQuery
from config.errors import NotFound
from messaging_app.models import Conversation, Message
from messaging_app.models.agent_tools import Label
from messaging_app.models.attachments import Attachment
from messaging_app.thread import NewMessage
from sessions_app.actions import conversations as marks
from sessions_app.actions import labels as labelling
from sessions_app.actions import messages
from sessions_app.models import ChatSession
from sessions_app.queries import answered, related
from sessions_app.rights import visible
from tests.cast import Cast

pytestmark = pytest.mark.django_db


def _told(actor: Actor, rows: list[Any]) -> list[Any]:
    """All that a row brings but the clock."""
    return [
        (
            {name: value for name, value in vars(row).items() if name not in ("_state", "now")},
            answered.answer_of(actor, row),
        )
        for row in rows
    ]


def test_the_first_page_and_one_conversation_are_those_of_the_query_set(cast: Cast, others: Cast) -> None:
    for tenant in (cast, others):
        for number in range(5):
            chat = tenant.chat()
            chat.robot(tenant.bargain if number % 2 else tenant.faq)
            if number > 1:
                chat.says("A human, please.")
                chat.escalate(tenant.bargain if number % 2 else tenant.faq)
            if number > 2:
                chat.accept(tenant.ann)
            label = Label.objects.create(tenant=tenant.tenant, name=f"label {number}")
            labelling.label(actor=tenant.sue, conversation_id=chat.id, label_id=label.pk)
        marks.raise_flag(actor=tenant.ann, conversation_id=chat.id)
    for actor in (cast.ann, others.ann, cast.sue, cast.bargain, cast.faq, others.bargain, cast.channel, others.channel):
        expected = list(answered.answered(actor, visible.conversations(actor)).order_by("-pk"))
        for size in (2, 51):
            page = answered.NewestFirst(actor).order_by("-pk")[0:size]
            assert _told(actor, page) == _told(actor, expected[:size])
        assert expected
        for row in expected:
            assert _told(actor, [answered.one(actor, row.pk)]) == _told(actor, [row])
        assert sorted(answered.labels_of(expected)) == sorted(
            pk for row in expected for pk in answered.answer_of(actor, row).label_ids
        )
    foreign = expected[0].pk
    with pytest.raises(NotFound):
        answered.one(cast.ann, foreign)


def test_the_newest_messages_are_those_of_the_query_set_with_their_files(cast: Cast, others: Cast) -> None:
    chats = []
    for tenant in (cast, others):
        chat = tenant.chat()
        chat.robot(tenant.bargain)
        for number in range(3):
            chat.says(f"words {number}")
        chat.take(tenant.ann)
        messages.post_note(actor=tenant.ann, conversation_id=chat.id, words=NewMessage(content="A note."))
        chats.append(chat)
    for number, said in enumerate([*Message.objects.filter(conversation=chats[0].id)] * 2):
        its: dict[str, Any] = {"tenant": cast.tenant, "conversation_id": chats[0].id, "created_at": clock.now()}
        names = {"name": f"{number}.txt", "storage_key": f"key-{number}", "client_id": f"client-{number}"}
        Attachment.objects.create(message=said, media_type="text/plain", size=1, place=9 - number, **names, **its)
    for actor in (cast.ann, cast.bargain, cast.faq, cast.channel):
        for chat in chats:
            shown = visible.conversations(actor).filter(pk=chat.id)
            if not shown:
                with pytest.raises(NotFound):
                    answered.NewestMessages(actor, chat.id)
                continue
            for size in (2, 51):
                page = answered.NewestMessages(actor, chat.id).order_by(*answered.NEWEST)[:size]
                expected = visible.messages(actor).filter(conversation=chat.id).order_by(*answered.NEWEST)[:size]
                assert page == list(expected)
                assert [list(row.attachments.all()) for row in page] == [
                    list(row.attachments.all()) for row in expected
                ]


@pytest.mark.parametrize("many", [0, 1, 8, 9, 20])
def test_a_query_of_many_ids_finds_each_once(many: int, cast: Cast) -> None:
    made = [cast.chat().id for _ in range(many)]
    cast.chat()
    query = CompiledForIds(lambda wanted, tenant_id: Conversation.objects.filter(tenant_id=tenant_id, pk__in=wanted))
    for _ in range(2):
        assert sorted(row.pk for row in query.run(made, tenant_id=cast.tenant.pk)) == made
    assert query.run(made, tenant_id=0) == []


def test_an_id_that_the_statement_does_not_take_is_refused(cast: Cast) -> None:
    def as_text(tenant_id: int) -> QuerySet[Conversation]:
        return Conversation.objects.filter(shop_id=Concat(Value("shop-"), Value(str(tenant_id))))

    def as_limit(tenant_id: int) -> QuerySet[Conversation]:
        return Conversation.objects.filter(tenant_id=tenant_id)[:tenant_id]

    def not_at_all(tenant_id: int) -> QuerySet[Conversation]:
        return Conversation.objects.filter(platform="default")

    for build in (as_text, as_limit, not_at_all):
        with pytest.raises(LookupError):
            CompiledQuery(build).run(tenant_id=cast.tenant.pk)


def _whole(row: Any, seen: frozenset[int] = frozenset()) -> Any:
    """An instance with all that it has, and the instances that are kept with it."""
    if not isinstance(row, Model):
        return type(row), row
    if id(row) in seen:
        return type(row), row.pk
    near = {name: _whole(other, seen | {id(row)}) for name, other in row._state.fields_cache.items()}
    own = {name: (type(value), value) for name, value in vars(row).items() if name not in ("_state", "open_session")}
    own |= {name: _whole(value, seen | {id(row)}) for name, value in vars(row).items() if name == "open_session"}
    state = {name: value for name, value in vars(row._state).items() if name != "fields_cache"}
    return type(row), own, state, near


def test_what_is_made_at_once_is_what_the_framework_makes_to_the_last_attribute(cast: Cast) -> None:
    chats = [cast.chat() for _ in range(4)]
    for chat in chats[1:]:
        chat.robot(cast.faq)
        chat.says("A human, please.")
    chats[2].take(cast.ann)
    chats[3].escalate(cast.faq)
    label = Label.objects.create(tenant=cast.tenant, name="label")
    labelling.label(actor=cast.sue, conversation_id=chats[2].id, label_id=label.pk)
    ids = [chat.id for chat in chats]
    for query in (related._compiled_lines, related._listed_lines):
        expected = list(query._build(ids, agent_id=cast.ann.pk).order_by("pk"))
        made = sorted(query.run(ids, agent_id=cast.ann.pk), key=lambda row: row.pk)
        assert [_whole(row) for row in made] == [_whole(row) for row in expected]
    live = list(ChatSession.objects.filter(tenant=cast.tenant).select_related("agent__tenant", "bot").order_by("pk"))
    quick = CompiledQuery(
        lambda tenant_id: (
            ChatSession.objects.filter(tenant=tenant_id).select_related("agent__tenant", "bot").order_by("pk")
        )
    ).run(tenant_id=cast.tenant.pk)
    assert [_whole(row) for row in quick] == [_whole(row) for row in live]
    assert {row.agent is None for row in quick} == {True, False}


def test_a_model_that_somebody_listens_to_is_made_by_the_framework(cast: Cast) -> None:
    cast.chat()
    heard: list[Any] = []

    def hear(instance: Any, **_: Any) -> None:
        heard.append(instance)

    signals.post_init.connect(hear, sender=Conversation)
    try:
        made = CompiledQuery(lambda tenant_id: Conversation.objects.filter(tenant=tenant_id)).run(
            tenant_id=cast.tenant.pk
        )
    finally:
        signals.post_init.disconnect(hear, sender=Conversation)
    assert heard == made


def test_a_list_asks_for_nothing_that_it_has_left_out(
    cast: Cast, django_assert_num_queries: Callable[[int], AbstractContextManager[Any]]
) -> None:
    """The failing control of what is deferred: whoever asks for it pays a query."""
    chat = cast.chat()
    chat.robot(cast.faq)
    [entry] = related.related(cast.ann, [chat.id], for_list=True).values()
    with django_assert_num_queries(0):
        assert entry.live
        assert entry.live.bot
        assert entry.live.bot.name
    with django_assert_num_queries(1):
        assert entry.conversation.need == {}


def test_texts_of_the_query_itself_mean_the_same_in_the_statement(cast: Cast) -> None:
    """Those that SQL or the driver could take for something else."""
    for text in ("50%", "it's", "$1", "%s", "%%s", "\\", '"', "a_b", "?1", "é"):
        named = cast.chat(account=f"account {text}").id
        for its in ({"account_id": f"account {text}"}, {"account_id__endswith": f" {text}"}):

            def build(tenant_id: int, its: dict[str, str] = its) -> QuerySet[Conversation]:
                return Conversation.objects.filter(tenant_id=tenant_id, **its).order_by("pk")

            expected = list(build(cast.tenant.pk))
            assert named in {row.pk for row in expected}
            assert CompiledQuery(build).run(tenant_id=cast.tenant.pk) == expected


@pytest.mark.skipif(connection.vendor != "postgresql", reason="the others bind nothing on the server")
def test_the_server_is_given_ids_alone(cast: Cast) -> None:
    """What else the query has stays in its text, so that it is the same statement for whoever asks."""
    query = CompiledQuery(lambda tenant_id: Conversation.objects.filter(tenant=tenant_id, platform="50%", kind="'$1"))
    with CaptureQueriesContext(connection) as captured:
        assert query.run(tenant_id=cast.tenant.pk) == []
    [statement] = captured
    assert all(text in statement["sql"] for text in ("'50%'", "'''$1'", "= $1"))
    assert "$2" not in statement["sql"]
