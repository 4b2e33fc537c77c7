"""Mentions: whom a note names, and who finds it."""

from __future__ import annotations

import json

import pytest

from agents_app.actors import Actor
from agents_app.models import Agent
from messaging_app.agent_tools import mentions
from messaging_app.agent_tools.mentions import colleagues, mentions_of, named
from messaging_app.models import Message
from messaging_app.models.agent_tools import Mention
from messaging_app.thread import NewMessage
from sessions_app import queries
from sessions_app.actions import conversations, messages
from sessions_app.queries import View
from sessions_app.rights import visible
from tests.cast import Cast, Chat, refused


def note(actor: Actor, chat: Chat, text: str, message_id: str = "") -> None:
    messages.post_note(actor=actor, conversation_id=chat.id, words=NewMessage(content=text, message_id=message_id))


def hire(cast: Cast, key: str, name: str) -> None:
    cast.hire(key)
    Agent.objects.filter(pk=cast.agent(key).pk).update(name=name)


def who(cast: Cast, text: str) -> set[str]:
    """Whom a note of Sue's names, in small letters."""
    ids = named(text, tenant_id=cast.tenant.pk, by=cast.sue.id)
    return {name for name in cast._agents if cast._agents[name].pk in ids}


# --- Reading a note ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@Ann please look", {"ann"}),
        ("please look, @ann", {"ann"}),
        ("@ANN, @Ben: look.", {"ann", "ben"}),
        ("@[Ann]'s turn", {"ann"}),
        ("@Ann's turn", {"ann"}),
        ("(@Ann)", {"ann"}),
        ("@Ann@Ben", {"ann"}),
        ("＠Ann", {"ann"}),
        ("请@Ann看一下", {"ann"}),
        ("@Ann看一下", {"ann"}),
        ("@Annabel", set()),
        ("@An", set()),
        ("@[Ann", set()),
        ("mail ann@Ben.example", set()),
        ("@ Ann", set()),
        ("@Sue", set()),
        ("@nobody @[No Body] @[#999999]", set()),
        ("no sign at all", set()),
        ("@" * 300, set()),
    ],
)
def test_a_name_behind_the_sign_is_a_mention_and_all_else_is_text(cast: Cast, text: str, expected: set[str]) -> None:
    assert who(cast, text) == expected


def test_names_with_spaces_and_of_other_scripts(cast: Cast) -> None:
    for key, name in (
        ("lee", "Ann Lee"),
        ("li", "李雷"),
        ("lilei", "李雷雷"),
        ("ole", "Ole-Åse O'Hara"),
        ("straße", "Straße"),
    ):
        hire(cast, key, name)
    assert who(cast, "@Ann Lee look") == {"lee"}
    assert who(cast, "@Ann Leeds") == {"ann"}
    assert who(cast, "@[ann lee]") == {"lee"}
    assert who(cast, "@李雷请看") == {"li"}
    assert who(cast, "@李雷雷请看") == {"lilei"}
    assert who(cast, "@ole-åse o'hara!") == {"ole"}
    assert who(cast, "@STRASSE") == {"straße"}


def test_a_name_that_two_have_means_both_unless_the_number_says_which(cast: Cast) -> None:
    hire(cast, "other", "Ann")
    ann, other = cast.agent("ann").pk, cast.agent("other").pk
    assert who(cast, "@Ann") == who(cast, "@[Ann]") == {"ann", "other"}
    assert who(cast, f"@[Ann #{ann}]") == {"ann"}
    assert who(cast, f"@[#{other}]") == {"other"}
    assert who(cast, f"@[Ben #{ann}]") == set(), "name and number contradict each other"


def test_nobody_who_left_and_nobody_elsewhere(cast: Cast, others: Cast) -> None:
    cast.change("ben", is_active=False)
    others.hire("zoe")
    assert who(cast, f"@Ben @Zoe @[#{others.agent('ann').pk}]") == set()


def test_what_the_composer_puts_in_is_read_as_that_colleague_alone(cast: Cast) -> None:
    for key, name in (
        ("a", "Ann Lee"), ("b", "Ann"), ("c", "[Odd] name"), ("d", "x #5"), ("e", "李雷"), ("f", "O'Hara-Å"), ("g", "Two\nlines"),
    ):  # fmt: skip
        hire(cast, key, name)
    for key in cast._agents.keys() - {"sue"}:
        name = cast.agent(key).name
        tokens = [colleague.token for colleague in colleagues(cast.sue, name) if colleague.name == name]
        read = [who(cast, f"look {token} please") for token in tokens]
        assert {key} in read, tokens
        assert all(len(one) == 1 for one in read), tokens


def test_a_short_name_stays_short_whatever_is_typed_behind_it(cast: Cast) -> None:
    hire(cast, "lee", "Ann Lee")
    (ann,) = [colleague for colleague in colleagues(cast.sue, "ann") if colleague.name == "Ann"]
    assert who(cast, f"{ann.token} Lee was a general") == {"ann"}


def test_a_blank_name_is_nobodys(cast: Cast) -> None:
    hire(cast, "blank", "  ")
    assert who(cast, "@ nothing @  @") == set()


def test_colleagues_are_offered_by_the_beginning_of_a_word(cast: Cast, others: Cast) -> None:
    hire(cast, "lee", "Ann Lee")
    assert [c.name for c in colleagues(cast.sue, "le")] == ["Ann Lee"]
    assert [c.name for c in colleagues(cast.sue, "AN")] == ["Ann", "Ann Lee"]
    assert "Ann" not in [c.name for c in colleagues(cast.ann, "")]
    refused("forbidden", colleagues, cast.channel, "")


# --- Stored with the note ----------------------------------------------------------------------------------------


def test_the_note_stores_whom_it_names_and_the_record_holds_no_words(cast: Cast, chat: Chat) -> None:
    note(cast.sue, chat, "@Ann and @Ben: secret words")
    message = Message.objects.get()
    rows = Mention.objects.order_by("agent_id")
    assert [row.agent_id for row in rows] == [cast.ann.id, cast.ben.id]
    assert {(row.message_id, row.conversation_id, row.tenant_id, row.read_at) for row in rows} == {
        (message.pk, chat.id, cast.tenant.pk, None)
    }
    (said,) = [o for o in chat.operations if o.type == "message.created"]
    assert said.data["mentions"] == [cast.ann.id, cast.ben.id]
    assert "secret" not in json.dumps([o.data for o in chat.operations])


def test_a_note_sent_again_mentions_once(cast: Cast, chat: Chat) -> None:
    for _ in range(2):
        note(cast.sue, chat, "@Ann", "n-1")
    assert Mention.objects.count() == 1


def test_only_notes_mention(cast: Cast, chat: Chat) -> None:
    chat.serve()
    chat.says("@Ben help me")
    chat.speaks(cast.ann, "@Ben will help")
    assert not Mention.objects.exists()


def test_programs_and_people_outside_hear_nothing_of_it(cast: Cast, chat: Chat) -> None:
    chat.serve()
    note(cast.sue, chat, "@Ann")
    for reader in (cast.channel, cast.bargain, chat.customer):
        assert not [o for o in visible.operations(reader) if "mentions" in o.data]


# --- Reading them ------------------------------------------------------------------------------------------------


def test_one_finds_ones_own(cast: Cast, others: Cast, chat: Chat) -> None:
    note(cast.sue, chat, "@Ann")
    assert [m.agent_id for m in mentions_of(cast.ann)] == [cast.ann.id]
    for actor in (cast.ben, cast.sue, others.ann):
        assert not mentions_of(actor).exists()
    for actor in (cast.channel, cast.bargain, chat.customer):
        refused("forbidden", mentions_of, actor)


def test_read_is_noted_once_and_only_by_oneself(cast: Cast, chat: Chat) -> None:
    note(cast.sue, chat, "@Ann @Ben")
    mention = mentions_of(cast.ann).get()
    refused("not_found", mentions.read, actor=cast.ben, mention_id=mention.pk)
    first = mentions.read(actor=cast.ann, mention_id=mention.pk).read_at
    assert first is not None
    assert mentions.read(actor=cast.ann, mention_id=mention.pk).read_at == first
    assert mentions_of(cast.ben).get().read_at is None


def test_reading_the_conversation_reads_the_mentions_in_it_as_far(cast: Cast, chat: Chat) -> None:
    other = cast.chat()
    note(cast.sue, chat, "@Ann one")
    seen = chat.row.seq
    note(cast.sue, chat, "@Ann two")
    note(cast.sue, other, "@Ann three")
    conversations.mark_read(actor=cast.ann, conversation_id=chat.id, seq=seen)
    unread = mentions_of(cast.ann).filter(read_at=None).select_related("message")
    assert {m.message.content for m in unread} == {"@Ann two", "@Ann three"}


def test_the_desk_shows_what_mentions_the_agent_until_it_is_read(cast: Cast, chat: Chat) -> None:
    def shown(actor: Actor) -> list[int]:
        return [row.id for row in queries.list_page(actor=actor, view=View.MENTIONS).rows]

    note(cast.sue, chat, "@Ann")
    note(cast.sue, chat, "@Ann again")
    assert shown(cast.ann) == [chat.id]
    assert queries.counts(cast.ann)[View.MENTIONS] == 1
    assert queries.list_page(actor=cast.ann, view=View.ALL).rows[0].is_mentioned
    assert shown(cast.ben) == []
    assert not queries.list_page(actor=cast.ben, view=View.ALL).rows[0].is_mentioned
    conversations.mark_read(actor=cast.ann, conversation_id=chat.id, seq=chat.row.seq)
    assert shown(cast.ann) == []
