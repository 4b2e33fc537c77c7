"""T9: who has a key that was replaced cannot go on with a chain of the newer one."""

from __future__ import annotations

import pytest
from django.conf import LazySettings

from messaging_app import relay, stream
from messaging_app.models import Conversation
from tests.cases.test_t09_the_record import ONE, TWO
from tests.cases.the_record import a_short_story, checked
from tests.cast import Cast, Chat
from tests.unguarded import unguarded


@pytest.fixture
def under_key_2(transactional_db: None, settings: LazySettings) -> Chat:
    settings.AUDIT_KEYS = [ONE, TWO]
    cast = Cast()
    chat = a_short_story(cast)
    relay.stamp(cast.tenant.pk)
    assert {operation.chain.partition(":")[0] for operation in chat.operations} == {"2"}
    assert checked() == []
    return chat


def sign_anew(chat: Chat, *, since: int) -> None:
    """Somebody with the database and key 1 changes who did it."""
    with unguarded():
        chain = ""
        for operation in chat.operations:
            if operation.seq >= since:
                operation.actor_name = "Somebody else"
                operation.chain = stream.link(chain, operation, number=1, key=bytes.fromhex("11" * 32))
                operation.save()
            chain = operation.chain
    Conversation.objects.filter(pk=chat.id).update(chain=chain)


@pytest.mark.parametrize("back", [0, 2], ids=["the last one", "the last three"])
def test_a_key_that_was_replaced_signs_nothing_behind_the_newer_one(under_key_2: Chat, back: int) -> None:
    since = under_key_2.row.seq - back
    sign_anew(under_key_2, since=since)
    [told] = checked()
    assert told.startswith(f"conversation {under_key_2.id}: operation {since} ")
    assert told.endswith("found that it is signed with key 1, and the one before it with key 2")


def test_a_chain_signed_anew_from_its_beginning_is_for_checkpoints_to_tell(under_key_2: Chat) -> None:
    """As docs/operations.md says: nothing in the database can."""
    sign_anew(under_key_2, since=1)
    assert checked() == []
