"""Canned replies: what may stand in one, whose it is, how it is found and filled in."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from agents_app.actors import Actor
from messaging_app.agent_tools import canned_replies
from messaging_app.agent_tools.canned_replies import (
    VARIABLES,
    change_reply,
    create_reply,
    delete_reply,
    fill_in,
    find,
    replies_of,
)
from messaging_app.models import Conversation
from messaging_app.models.agent_tools import CannedReply
from sessions_app.queries import reply_rendering
from tests.cast import Cast, Chat, refused


def keep(actor: Actor, shortcut: str = "/refund", text: str = "Hello.", **more: object) -> CannedReply:
    return create_reply(actor=actor, shortcut=shortcut, text=text, **({"title": "A refund"} | more))  # type: ignore[arg-type]


def shortcuts(actor: Actor, text: str) -> list[str]:
    return [reply.shortcut for reply in find(replies_of(actor), text)]


# --- What may stand in one ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("/Refund", "/refund"),
        ("refund", "/refund"),
        (" /re-fund_2 ", "/re-fund_2"),
        ("/退款", "/退款"),
        ("/ＡＢ", "/ab"),
    ],
)
def test_a_shortcut_is_kept_small_and_with_its_slash(cast: Cast, typed: str, kept: str) -> None:
    assert keep(cast.ann, typed).shortcut == kept


@pytest.mark.parametrize("typed", ["", "/", "//", "/a b", "/a/b", "/<b>", "/" + "x" * 41, "/\x00"])
def test_what_is_no_shortcut_is_refused(cast: Cast, typed: str) -> None:
    refused("malformed", keep, cast.ann, typed)


@pytest.mark.parametrize(
    "name", ["custmer", "customer.name", "customer!r", "0", "", "agent:>10", "__class__", "Customer"]
)
def test_a_variable_that_there_is_not_is_refused_with_those_that_there_are(cast: Cast, name: str) -> None:
    told = refused("malformed", keep, cast.ann, text=f"Hello {{{name}}}")
    assert f"{{{name}}}" in told.detail
    assert all(f"{{{known}}}" in told.detail for known in VARIABLES)


@pytest.mark.parametrize("text", ["", "  \n", "x" * 5001, "nul \x00"])
def test_a_text_is_neither_empty_nor_endless(cast: Cast, text: str) -> None:
    refused("malformed", keep, cast.ann, text=text)


@pytest.mark.parametrize("text", ["a { b", "} :-{", "{\n}", "{{customer}}"])
def test_a_brace_that_surrounds_no_word_is_only_a_brace(cast: Cast, text: str) -> None:
    assert keep(cast.ann, text=text).text == text


# --- Filling it in -----------------------------------------------------------------------------------------------


def _named(chat: Chat, name: str) -> None:
    Conversation.objects.filter(pk=chat.id).update(customer_name=name)


def test_every_variable_is_filled_in(cast: Cast) -> None:
    chat = cast.chat("li.wei")
    _named(chat, "Li Wei")
    reply = keep(cast.ann, text="{customer}|{first_name}|{account}|{shop}|{agent}")
    said = reply_rendering.render(actor=cast.ann, reply_id=reply.pk, conversation_id=chat.id)
    assert said == "Li Wei|Li|li.wei|shop-1|Ann"


def test_without_a_name_the_account_speaks_for_the_customer(cast: Cast) -> None:
    chat = cast.chat("tb_88321")
    reply = keep(cast.ann, text="{customer} {first_name}")
    assert reply_rendering.render(actor=cast.ann, reply_id=reply.pk, conversation_id=chat.id) == "tb_88321 tb_88321"


@pytest.mark.parametrize("name", ["{agent}", "{__class__}", "{0.__init__}", "%(agent)s", "\\1 \\g<0>", "$agent"])
def test_what_a_customer_is_called_is_never_read_as_a_variable(cast: Cast, name: str) -> None:
    chat = cast.chat()
    _named(chat, name)
    reply = keep(cast.ann, text="Hello {customer}!")
    assert reply_rendering.render(actor=cast.ann, reply_id=reply.pk, conversation_id=chat.id) == f"Hello {name}!"


def test_an_old_text_with_an_unknown_variable_stays_as_it_is() -> None:
    assert fill_in("{gone} {customer.__class__}", {"customer": "Li"}) == "{gone} {customer.__class__}"


def test_a_program_speaks_as_who_serves_else_as_the_tenant(cast: Cast, chat: Chat) -> None:
    reply = keep(cast.sue, text="{agent}", scope="tenant")

    def said() -> str:
        return reply_rendering.render(actor=cast.channel, reply_id=reply.pk, conversation_id=chat.id)

    assert said() == cast.tenant.name
    chat.serve()
    assert said() == "Ann"


def test_it_is_filled_in_only_for_a_conversation_one_may_see(cast: Cast, others: Cast) -> None:
    reply = keep(cast.ann)
    foreign = others.chat()
    refused("not_found", reply_rendering.render, actor=cast.ann, reply_id=reply.pk, conversation_id=foreign.id)
    refused("not_found", reply_rendering.render, actor=cast.ben, reply_id=reply.pk, conversation_id=cast.chat().id)


# --- Whose it is -------------------------------------------------------------------------------------------------


def test_everybody_sees_what_is_theirs_to_use(cast: Cast, others: Cast) -> None:
    team = cast.team("Returns", "ben")
    keep(cast.ann, "/ann")
    keep(cast.ben, "/ben")
    keep(cast.sue, "/team", scope="team", team_id=team.pk)
    keep(cast.sue, "/all", scope="tenant")
    keep(others.sue, "/elsewhere", scope="tenant")
    assert set(shortcuts(cast.ann, "")) == {"/ann", "/all"}
    assert set(shortcuts(cast.ben, "")) == {"/ben", "/team", "/all"}
    assert set(shortcuts(cast.sue, "")) == {"/team", "/all"}
    for program in (cast.bargain, cast.channel):
        assert shortcuts(program, "") == ["/all"]
    refused("forbidden", replies_of, cast.chat().customer)


def test_an_agent_keeps_its_own_and_supervisors_what_others_use(cast: Cast) -> None:
    team = cast.team("Returns", "ann")
    own = keep(cast.ann, "/own")
    shared = keep(cast.sue, "/all", scope="tenant")
    assert change_reply(actor=cast.ann, reply_id=own.pk, title="Other").title == "Other"
    refused("forbidden", change_reply, actor=cast.ann, reply_id=shared.pk, title="Mine")
    refused("forbidden", delete_reply, actor=cast.ann, reply_id=shared.pk)
    refused("forbidden", keep, cast.ann, scope="tenant")
    refused("forbidden", keep, cast.ann, scope="team", team_id=team.pk)
    refused("not_found", change_reply, actor=cast.ben, reply_id=own.pk, title="Mine")
    refused("not_found", delete_reply, actor=cast.sue, reply_id=own.pk)
    for program in (cast.bargain, cast.channel):
        refused("forbidden", keep, program)
        refused("forbidden", delete_reply, actor=program, reply_id=shared.pk)
    delete_reply(actor=cast.sue, reply_id=shared.pk)
    delete_reply(actor=cast.ann, reply_id=own.pk)
    assert not CannedReply.objects.exists()


def test_the_team_is_the_tenants_own_and_named_for_a_team_only(cast: Cast, others: Cast) -> None:
    foreign = others.team("Theirs")
    refused("not_found", keep, cast.sue, scope="team", team_id=foreign.pk)
    refused("malformed", keep, cast.sue, scope="team")
    refused("malformed", keep, cast.sue, scope="tenant", team_id=cast.team("Ours").pk)
    refused("malformed", keep, cast.sue, scope="galaxy")


def test_a_shortcut_is_taken_once_by_each_holder(cast: Cast, others: Cast) -> None:
    one, other = cast.team("One"), cast.team("Other")
    for actor, more in (
        (cast.ann, {}),
        (cast.ben, {}),
        (cast.sue, {"scope": "tenant"}),
        (cast.sue, {"scope": "team", "team_id": one.pk}),
        (cast.sue, {"scope": "team", "team_id": other.pk}),
        (others.sue, {"scope": "tenant"}),
    ):
        keep(actor, **more)
        refused("name_taken", keep, actor, "/REFUND", **more)
    more_of_anns = keep(cast.ann, "/more")
    refused("name_taken", change_reply, actor=cast.ann, reply_id=more_of_anns.pk, shortcut="/refund")


@pytest.mark.parametrize("holder", ["tenant", "team", "agent"])
def test_the_database_refuses_a_shortcut_twice_and_two_holders(cast: Cast, holder: str) -> None:
    team = cast.team("Returns")
    its = {"tenant": {}, "team": {"team": team}, "agent": {"agent": cast.agent("ann")}}[holder]
    CannedReply.objects.create(tenant=cast.tenant, shortcut="/x", **its)
    with pytest.raises(IntegrityError), transaction.atomic():
        CannedReply.objects.create(tenant=cast.tenant, shortcut="/x", **its)
    CannedReply.objects.create(tenant=cast.tenant, shortcut="/X", **its)
    with pytest.raises(IntegrityError), transaction.atomic():
        CannedReply.objects.create(tenant=cast.tenant, shortcut="/y", team=team, agent=cast.agent("ann"))


def test_there_are_not_endlessly_many(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canned_replies, "MOST_REPLIES", 2)
    keep(cast.ann, "/1")
    keep(cast.ann, "/2")
    refused("conflict", keep, cast.ann, "/3")
    keep(cast.ben, "/1")


# --- Finding -----------------------------------------------------------------------------------------------------


def test_any_word_finds_and_who_holds_more_of_them_comes_first(cast: Cast) -> None:
    keep(cast.ann, "/a", "The courier is late.", title="Late")
    keep(cast.ann, "/b", "The courier brings it back.", title="Late refund")
    keep(cast.ann, "/c", "Thank you.", title="Thanks")
    assert shortcuts(cast.ann, "refund courier") == ["/b", "/a"]
    assert shortcuts(cast.ann, "LATE") == ["/a", "/b"]
    assert shortcuts(cast.ann, "nothing-of-that") == []


def test_whose_shortcut_begins_with_it_comes_first_then_ones_own(cast: Cast) -> None:
    team = cast.team("Returns", "ann")
    keep(cast.sue, "/refund-all", "x", scope="tenant", title="x")
    keep(cast.sue, "/refund-team", "x", scope="team", team_id=team.pk, title="x")
    keep(cast.ann, "/thanks", "refund", title="refund")
    keep(cast.ann, "/refund-own", "x", title="x")
    assert shortcuts(cast.ann, "/refund") == ["/refund-own", "/refund-team", "/refund-all"]
    assert shortcuts(cast.ann, "refund") == ["/refund-own", "/refund-team", "/refund-all", "/thanks"]


@pytest.mark.parametrize("text", ["ÜBERWEISUNG", "überw", "退款", "ＲＥＦＵＮＤ", "100%", "a_b"])
def test_letters_of_every_script_are_found_whatever_their_case(cast: Cast, text: str) -> None:
    keep(cast.ann, "/a", "Die Überweisung, 我们会退款 the refund, 100% of a_b")
    keep(cast.ann, "/b", "100 of axb", title="Other")
    assert shortcuts(cast.ann, text) == ["/a"]


def test_a_changed_reply_is_found_by_its_new_words(cast: Cast) -> None:
    reply = keep(cast.ann, text="old words")
    change_reply(actor=cast.ann, reply_id=reply.pk, text="new words")
    assert shortcuts(cast.ann, "new") == ["/refund"]
    assert shortcuts(cast.ann, "old") == []


@pytest.mark.parametrize("text", ["'; DROP TABLE x", "%", "\\", "\x00", "  ", "/", "x " * 200])
def test_a_strange_question_is_answered(cast: Cast, text: str) -> None:
    keep(cast.ann)
    assert len(shortcuts(cast.ann, text)) <= 1


def test_the_scope_narrows(cast: Cast) -> None:
    keep(cast.sue, "/all", scope="tenant")
    keep(cast.sue, "/own")
    kept = replies_of(cast.sue)
    assert [reply.shortcut for reply in canned_replies.shared_as(kept, "tenant")] == ["/all"]
    assert [reply.shortcut for reply in canned_replies.shared_as(kept, "personal")] == ["/own"]
    assert not canned_replies.shared_as(kept, "team").exists()


def test_the_composer_is_offered_a_few_in_one_query(cast: Cast, django_assert_num_queries: Any) -> None:
    for number in range(12):
        keep(cast.ann, f"/refund-{number}")
    with django_assert_num_queries(1):
        assert len(list(canned_replies.offered(cast.ann, "refund"))) == canned_replies.SHOWN
