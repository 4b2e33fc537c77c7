"""Drafts at the server: whose they are, which one wins, what ends them; and what a page that follows along asks for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents_app.actors import Actor, agent_actor
from config.errors import DomainError
from config.limits import MAX_CONTENT
from messaging_app.agent_tools import drafts
from messaging_app.models import Conversation, Operation
from messaging_app.models.agent_tools import Draft
from sessions_app.actions import takeovers
from tests.workbench.conftest import Desk
from tests.workbench.test_query_budget import MOST, Full

SCRIPT = {"HX-Request": "true"}


@pytest.fixture
def actor(desk: Desk) -> Actor:
    return agent_actor(desk.agents["maya"])


@pytest.fixture
def served(desk: Desk, actor: Actor) -> Conversation:
    conversation = desk.with_bot()
    takeovers.take_over(actor=actor, conversation_id=conversation.pk)
    return conversation


def kept(page: Any) -> dict[str, str]:
    """The drafts that a page brings along, by mode."""
    found = re.findall(r'<template data-draft="(\w+)"[^>]*>(.*?)</template>', page.content.decode(), re.DOTALL)
    return dict(found)


def save(client: Client, conversation: Conversation, text: str, mode: str = "reply", seen: str = "") -> Any:
    form = {"mode": mode, "content": text, "seen": seen}
    answer = client.post(f"/desk/c/{conversation.pk}/draft/", form, headers=SCRIPT)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_draft_is_there_at_another_screen_by_conversation_and_mode(
    desk: Desk, maya: Client, jun: Client, served: Conversation
) -> None:
    other = desk.with_bot()
    assert kept(maya.get(f"/desk/c/{served.pk}/")) == {}
    save(maya, served, "half a <b> sen\n\ntence")
    save(maya, served, "a note", "note")
    page = f"/desk/c/{served.pk}/"
    both = {"reply": "half a &lt;b&gt; sen\n\ntence", "note": "a note"}
    assert kept(maya.get(page)) == kept(maya.get(page, headers=SCRIPT)) == both
    assert kept(maya.get(f"/desk/c/{other.pk}/")) == {}
    assert kept(jun.get(page)) == {}, "nobody else sees what one types"


def test_the_later_one_wins_and_what_was_not_seen_is_given_back(maya: Client, served: Conversation) -> None:
    first = save(maya, served, "typed at the desk")
    assert first["other"] == ""
    second = save(maya, served, "typed at the desk, gone on with", seen=first["at"])
    assert second["other"] == "", "this page had seen it"
    unseen = save(maya, served, "typed on the phone", seen=first["at"])
    assert unseen["other"] == "typed at the desk, gone on with"
    assert Draft.objects.get().text == "typed on the phone"
    assert save(maya, served, "typed on the phone")["other"] == "", "the same words are no other draft"


def test_an_emptied_draft_is_gone_and_another_ones_words_are_given_back(maya: Client, served: Conversation) -> None:
    first = save(maya, served, "typed")
    assert save(maya, served, "  \n", seen=first["at"]) == {"at": "", "other": ""}
    assert not Draft.objects.exists()
    assert save(maya, served, "", seen=first["at"]) == {"at": "", "other": ""}
    save(maya, served, "typed elsewhere")
    assert save(maya, served, "")["other"] == "typed elsewhere"


@pytest.mark.parametrize("mode", ["reply", "note"])
def test_what_is_sent_is_no_draft_any_more(maya: Client, served: Conversation, mode: str) -> None:
    save(maya, served, "It is in stock.\nYes.", mode)
    save(maya, served, "unfinished", "note" if mode == "reply" else "reply")
    sent = {"mode": mode, "content": "It is in stock.\r\nYes.", "message_id": "once"}
    assert maya.post(f"/desk/c/{served.pk}/say/", sent, headers=SCRIPT).status_code == 200
    assert Draft.objects.get().text == "unfinished"


def test_what_another_screen_keeps_is_not_cleared_by_sending_something_else(
    maya: Client, jun: Client, served: Conversation
) -> None:
    save(maya, served, "a longer answer, typed on the phone")
    save(jun, served, "ok", "note")
    maya.post(f"/desk/c/{served.pk}/say/", {"mode": "reply", "content": "ok"}, headers=SCRIPT)
    assert {draft.text for draft in Draft.objects.all()} == {"a longer answer, typed on the phone", "ok"}


def test_a_refused_message_leaves_the_draft(desk: Desk, jun: Client, served: Conversation) -> None:
    save(jun, served, "I would say")
    refused = jun.post(f"/desk/c/{served.pk}/say/", {"mode": "reply", "content": "I would say"}, headers=SCRIPT)
    assert refused.status_code == 403
    assert Draft.objects.get().text == "I would say"


def test_a_draft_is_told_to_nobody(maya: Client, served: Conversation) -> None:
    served.refresh_from_db()
    before = Operation.objects.count(), served.seq
    save(maya, served, "thinking aloud")
    served.refresh_from_db()
    assert (Operation.objects.count(), served.seq) == before


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"mode": "shout", "content": "x"},
        {"mode": "reply", "content": "x" * (MAX_CONTENT + 1)},
        {"mode": "reply", "content": "x", "seen": "yesterday"},
    ],
)
def test_what_is_no_draft_is_refused(maya: Client, served: Conversation, form: dict[str, str]) -> None:
    assert maya.post(f"/desk/c/{served.pk}/draft/", form, headers=SCRIPT).status_code == 400
    assert not Draft.objects.exists()


def test_drafts_are_kept_by_agents_in_their_own_tenant(desk: Desk, served: Conversation, actor: Actor) -> None:
    elsewhere = Desk("elsewhere")
    elsewhere.hire("ben")
    form = {"mode": "reply", "content": "x"}
    assert elsewhere.browser("ben").post(f"/desk/c/{served.pk}/draft/", form).status_code == 404
    assert Client().post(f"/desk/c/{served.pk}/draft/", form, headers=SCRIPT).status_code == 401
    with pytest.raises(DomainError) as refusal:
        drafts.save_draft(actor=desk.bot, conversation_id=served.pk, mode="reply", text="x")
    assert refusal.value.code == "forbidden"
    with pytest.raises(DomainError):
        drafts.clear_draft(actor=actor, conversation_id=served.pk, mode="shout", text="x")
    assert not Draft.objects.exists()


# --- Following along ---------------------------------------------------------------------------------------------


def test_the_list_comes_with_the_news_in_one_request(desk: Desk, maya: Client, served: Conversation) -> None:
    served.refresh_from_db()
    other = desk.queued("another")
    desk.hears("Are you there?", served.account_id)
    path = f"/desk/c/{served.pk}/news/?seq={served.seq}"
    both = maya.get(f"{path}&list=1&view=queue&rows=50", headers=SCRIPT)
    assert both["Desk-Fragment"] == "news"
    news, rows = both.content.decode().split('<template id="together-list">')
    assert "Are you there?" in news
    assert re.findall(r'<li id="c(\d+)"', rows) == [str(other.pk)]
    assert 'id="fresh-tabs"' in rows
    assert "together-list" not in maya.get(path, headers=SCRIPT).content.decode()


def test_list_and_news_together_cost_no_more_than_a_page(desk: Desk, maya: Client) -> None:
    full = Full(desk)
    full.grow(5)

    def costs() -> dict[str, int]:
        told = {}
        for name, pk in (("served", full.served), ("queued", full.queued)):
            save(maya, Conversation.objects.get(pk=pk), "half a sen")
            seq = Conversation.objects.get(pk=pk).seq - 10
            for view in ("view=mine&q=account", f"saved={full.any}"):
                with CaptureQueriesContext(connection) as asked:
                    answer = maya.get(f"/desk/c/{pk}/news/?seq={seq}&list=1&{view}", headers=SCRIPT)
                assert answer.status_code == 200
                told[f"{name}, {view}"] = len(asked)
        return told

    few = costs()
    full.grow(25)
    assert costs() == few
    assert {name: cost for name, cost in few.items() if cost > MOST} == {}
