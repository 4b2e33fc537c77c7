"""A statement that is built once finds what the query set finds, whoever asks; what it cannot be asked again is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import QuerySet, Value
from django.db.models.functions import Concat

from agents_app.actors import Actor
from config.compiled_query import CompiledForIds, CompiledQuery
from config.errors import NotFound
from messaging_app.models import Conversation
from messaging_app.models.agent_tools import Label
from sessions_app.actions import conversations as marks
from sessions_app.actions import labels as labelling
from sessions_app.queries import answered
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
