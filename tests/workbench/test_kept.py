"""What agents keep and use at the desk: replies, colleagues, labels, saved views, mentions, many rows at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from agents_app.actors import agent_actor
from agents_app.models import Agent
from messaging_app.agent_tools import canned_replies, labels
from messaging_app.models import Conversation
from messaging_app.models.agent_tools import CannedReply, Label, Mention, SavedView
from messaging_app.thread import NewMessage
from sessions_app.actions import labels as labelling
from sessions_app.actions import messages, saved_views, takeovers
from tests.workbench.conftest import Desk

SCRIPT = {"HX-Request": "true"}


def text(response: Any) -> str:
    return str(response.content.decode())


def shown(response: Any) -> list[int]:
    return [int(n) for n in re.findall(r'<li id="c(\d+)"', text(response))]


def inserts(response: Any) -> list[str]:
    return re.findall(r'data-insert="(.*?)"', text(response), re.DOTALL)


# --- For the composer --------------------------------------------------------------------------------------------


def test_the_composer_is_offered_replies_as_they_would_be_said(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot("li.wei", name="Li Wei")
    actor = agent_actor(desk.agents["maya"])
    canned_replies.create_reply(actor=actor, shortcut="/refund", title="Soon", text="Hello {first_name}, {agent} here.")
    canned_replies.create_reply(actor=actor, shortcut="/thanks", title="Thanks", text="Thank you.")
    answer = maya.get(f"/desk/c/{conversation.pk}/replies/?q=ref", headers=SCRIPT)
    assert answer["Desk-Fragment"] == "options"
    assert inserts(answer) == ["Hello Li, Maya here."]
    assert text(answer).count('role="option"') == 1
    assert "1 canned reply" in text(answer)
    assert "2 canned replies" in text(maya.get(f"/desk/c/{conversation.pk}/replies/"))
    assert inserts(maya.get(f"/desk/c/{conversation.pk}/replies/?q=nothing-of-that")) == []


def test_the_composer_is_offered_colleagues(desk: Desk, maya: Client) -> None:
    Desk("elsewhere").hire("julia")
    assert inserts(maya.get("/desk/colleagues/?q=ju")) == ["@Jun "]
    assert inserts(maya.get("/desk/colleagues/?q=")) == ["@Jun ", "@Sam "]
    assert inserts(maya.get("/desk/colleagues/?q=" + "x" * 500)) == ["@Jun ", "@Sam "]


def test_replies_are_offered_for_ones_own_tenants_conversations_only(desk: Desk) -> None:
    conversation, elsewhere = desk.with_bot(), Desk("elsewhere")
    elsewhere.hire("ben")
    assert elsewhere.browser("ben").get(f"/desk/c/{conversation.pk}/replies/").status_code == 404


def test_an_agent_keeps_replies_of_its_own_without_scripts(desk: Desk, maya: Client, jun: Client) -> None:
    new = {"shortcut": "Refund", "title": "Soon", "text": "Hello {customer}\r\nBye"}
    assert maya.post("/desk/replies/", new).status_code == 302
    reply = CannedReply.objects.get()
    assert (reply.shortcut, reply.text, reply.scope) == ("/refund", "Hello {customer}\nBye", "personal")
    kept = '<b dir="auto">/refund</b>'
    assert kept in text(maya.get("/desk/replies/?q=soon"))
    assert kept not in text(maya.get("/desk/replies/?q=elsewhere"))
    assert kept not in text(jun.get("/desk/replies/"))
    assert maya.post(f"/desk/replies/{reply.pk}/", new | {"title": "Later"}).status_code == 302
    assert CannedReply.objects.get().title == "Later"
    assert jun.post(f"/desk/replies/{reply.pk}/", new).status_code == 404
    assert jun.post(f"/desk/replies/{reply.pk}/delete/").status_code == 404
    assert maya.post(f"/desk/replies/{reply.pk}/delete/").status_code == 302
    assert not CannedReply.objects.exists()


def test_a_reply_that_was_refused_is_given_back_with_the_reason(desk: Desk, maya: Client) -> None:
    form = {"shortcut": "/x", "title": "X", "text": "Hello {custmer} <b>"}
    refused = maya.post("/desk/replies/", form)
    assert refused.status_code == 400
    assert "There is no variable {custmer}. There are {customer}" in text(refused)
    assert "Hello {custmer} &lt;b&gt;</textarea>" in text(refused)
    maya.post("/desk/replies/", form | {"text": "Hello"})
    reply = CannedReply.objects.get()
    refused = maya.post(f"/desk/replies/{reply.pk}/", form)
    assert refused.status_code == 400
    assert text(refused).count("Hello {custmer} &lt;b&gt;</textarea>") == 1
    assert maya.post("/desk/replies/", {}).status_code == 400


def test_supervisors_keep_replies_for_everybody(desk: Desk, maya: Client, sam: Client) -> None:
    form = {"shortcut": "/x", "title": "X", "text": "Hello", "scope": "tenant"}
    assert maya.post("/desk/replies/", form).status_code == 403
    assert sam.post("/desk/replies/", form).status_code == 302
    assert 'name="text"' in text(sam.get("/desk/replies/")).split('id="reply-')[1]
    assert 'name="text"' not in text(maya.get("/desk/replies/")).split('id="reply-')[1]


# --- Labels ------------------------------------------------------------------------------------------------------


def test_a_label_is_put_on_from_the_side_panel_and_seen_everywhere(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot()
    assert "Add a label" not in text(maya.get(f"/desk/c/{conversation.pk}/"))
    label = labels.create_label(actor=agent_actor(desk.agents["sam"]), name="refund", colour="teal")
    page = f"/desk/c/{conversation.pk}/"
    assert maya.post(f"{page}label/", {"label": label.pk}).status_code == 302
    assert text(maya.get(page)).count('label-teal" dir="auto">refund') == 2, "in the row and in the header"
    assert "Take off refund" in text(maya.get(page))
    news = maya.post(f"{page}unlabel/", {"label": label.pk, "seq": 0}, headers=SCRIPT)
    assert "Add a label" in text(news)
    assert "label-teal" not in text(maya.get(page))
    assert maya.post(f"{page}label/", {"label": "x"}).status_code == 400
    assert maya.post(f"{page}label/", {}).status_code == 404


# --- Saved views -------------------------------------------------------------------------------------------------


def test_what_the_list_shows_is_saved_under_a_name(desk: Desk, maya: Client, jun: Client) -> None:
    queued, _ = desk.queued("one"), desk.with_bot("two")
    answer = maya.post("/desk/views/", {"name": "The queue only", "view": "all", "controller": "queue", "q": ""})
    view = SavedView.objects.get()
    assert answer.headers["Location"] == f"/desk/?saved={view.pk}"
    assert view.filter == {"controller": ["queue"]}
    page = maya.get(answer.headers["Location"])
    assert shown(page) == [queued.pk]
    assert re.search(
        r'saved=\d+" title="Personal" aria-current="page".*?The queue only.*?class="count">1<', text(page), re.DOTALL
    )
    assert "The queue only" not in text(jun.get("/desk/"))
    assert shown(jun.get(answer.headers["Location"])) == shown(jun.get("/desk/")), "a bookmark of what is not one's own"
    narrower = maya.post("/desk/views/", {"name": "Urgent waits", "saved": view.pk, "q": "one"})
    assert SavedView.objects.get(name="Urgent waits").filter == view.filter | {"search": "one"}
    assert narrower.status_code == 302


def test_a_name_that_is_taken_is_told(desk: Desk, maya: Client) -> None:
    for status in (302, 409):
        answer = maya.post("/desk/views/", {"name": "Waits"})
        assert answer.status_code == status
    assert "There is a saved view" in text(answer)
    assert maya.post("/desk/views/", {"name": ""}).status_code == 400


def test_supervisors_save_for_everybody(desk: Desk, maya: Client, sam: Client, jun: Client) -> None:
    assert "For everybody" in text(sam.get("/desk/"))
    assert "For everybody" not in text(maya.get("/desk/"))
    assert maya.post("/desk/views/", {"name": "Ours", "scope": "tenant"}).status_code == 403
    sam.post("/desk/views/", {"name": "Ours", "scope": "tenant"})
    view = SavedView.objects.get()
    assert "Ours" in text(jun.get("/desk/"))
    assert "Delete the view" not in text(jun.get(f"/desk/?saved={view.pk}"))
    assert jun.post(f"/desk/views/{view.pk}/delete/").status_code == 403
    assert "Delete the view Ours" in text(sam.get(f"/desk/?saved={view.pk}"))
    assert sam.post(f"/desk/views/{view.pk}/delete/").status_code == 302
    assert not SavedView.objects.exists()
    assert sam.post(f"/desk/views/{view.pk}/delete/").status_code == 404


@pytest.mark.parametrize("number", [1, 30])
def test_the_list_with_everything_costs_the_same_however_long(
    desk: Desk, maya: Client, number: int, django_assert_max_num_queries: Any
) -> None:
    sam, me = agent_actor(desk.agents["sam"]), agent_actor(desk.agents["maya"])
    kept = [labels.create_label(actor=sam, name=f"label {n}").pk for n in range(3)]
    for name in range(3):
        saved_views.create_view(actor=me, name=f"view {name}", filter={"labels": [str(kept[0])]})
    for _ in range(number):
        conversation = desk.queued()
        for pk in kept:
            labelling.label(actor=sam, conversation_id=conversation.pk, label_id=pk)
        messages.post_note(actor=sam, conversation_id=conversation.pk, words=NewMessage(content="@Maya look"))
    saved = SavedView.objects.first()
    assert saved
    maya.get("/desk/")
    with django_assert_max_num_queries(7):
        assert len(shown(maya.get(f"/desk/?saved={saved.pk}"))) == number


# --- Mentions ----------------------------------------------------------------------------------------------------


def test_mentions_are_found_counted_and_read_by_opening(desk: Desk, maya: Client, jun: Client) -> None:
    conversation = desk.with_bot()
    desk.with_bot()
    jun.post(f"/desk/c/{conversation.pk}/say/", {"mode": "note", "content": "@Maya please look"})
    page = maya.get("/desk/?view=mentions")
    assert shown(page) == [conversation.pk]
    assert re.search(r'Mentions</span> <span class="count">1<', text(page))
    assert "Mentioned" in text(page)
    assert shown(jun.get("/desk/?view=mentions")) == []
    assert "Nobody mentions you" in text(jun.get("/desk/?view=mentions"))
    opened = text(maya.get(f"/desk/c/{conversation.pk}/"))
    assert '<p class="named">Mentions <b dir="auto">Maya</b></p>' in opened
    maya.post(f"/desk/c/{conversation.pk}/read/", {"seq": 2**50})
    assert shown(maya.get("/desk/?view=mentions")) == []


def test_a_supervisor_who_looks_reads_the_mention_and_nothing_else(desk: Desk, maya: Client, sam: Client) -> None:
    conversation = desk.queued()
    maya.post(f"/desk/c/{conversation.pk}/say/", {"mode": "note", "content": "@Sam please decide"})
    sam.post(f"/desk/c/{conversation.pk}/read/", {"seq": 2**50})
    assert Mention.objects.get().read_at
    assert shown(sam.get("/desk/?view=mentions")) == []


# --- Many rows at once -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_script", [True, False])
def test_many_rows_are_acted_on_and_what_could_not_be_done_is_told(desk: Desk, maya: Client, as_script: bool) -> None:
    waits, served = desk.queued("waits"), desk.with_bot("served", name="Li <b>Wei</b>")
    takeovers.take_over(actor=agent_actor(desk.agents["jun"]), conversation_id=served.pk)
    form = {"id": [waits.pk, served.pk], "action": "accept"}
    answer = maya.post("/desk/bulk/", form, headers=SCRIPT if as_script else {})
    assert answer.status_code == 200
    told = text(answer)
    assert "1 done. 1 could not be done:" in re.sub(r"\s+", " ", told)
    assert "Li &lt;b&gt;Wei&lt;/b&gt;</a>: This conversation is not waiting for a human." in told
    waits.refresh_from_db()
    assert waits.controller == "human"
    assert ("<html" in told) == (not as_script)


def test_a_label_is_put_on_many(desk: Desk, maya: Client) -> None:
    label = labels.create_label(actor=agent_actor(desk.agents["sam"]), name="refund")
    made = [desk.with_bot().pk for _ in range(3)]
    maya.post("/desk/bulk/", {"id": made, "action": "label", "label": label.pk})
    assert label.labelled.count() == 3
    maya.post("/desk/bulk/", {"id": made, "action": "pin", "label": label.pk})
    assert Conversation.objects.exclude(pinned_at=None).count() == 3, "a label left over in the form is no hindrance"


@pytest.mark.parametrize(
    "form", [{}, {"action": "pin"}, {"id": "x", "action": "pin"}, {"id": "1", "action": "explode"}]
)
def test_what_makes_no_sense_is_told(desk: Desk, maya: Client, form: dict[str, str]) -> None:
    assert maya.post("/desk/bulk/", form).status_code == 400


def test_nothing_of_another_tenant_is_acted_on_nor_named(desk: Desk, maya: Client) -> None:
    elsewhere = Desk("elsewhere")
    foreign = elsewhere.with_bot("secret-account")
    answer = maya.post("/desk/bulk/", {"id": foreign.pk, "action": "pin"})
    assert "There is no such conversation." in text(answer)
    assert "secret-account" not in text(answer)
    foreign.refresh_from_db()
    assert foreign.pinned_at is None


# --- Markup ------------------------------------------------------------------------------------------------------

PAYLOADS = ['"><script>window.__xss=1</script>', "<img src=x onerror=window.__xss=1>", "'\"`{{7*7}}</textarea>"]
SHARED = Path(settings.BASE_DIR).parent / "shared" / "data" / "xss.txt"


def _payloads() -> list[str]:
    more = SHARED.read_text(encoding="utf-8").split("\n") if SHARED.exists() else []
    return list(dict.fromkeys([*PAYLOADS, *(line for line in more if line.strip())]))


def test_markup_in_what_agents_keep_is_only_text(desk: Desk, maya: Client) -> None:
    sam, me = agent_actor(desk.agents["sam"]), agent_actor(desk.agents["maya"])
    conversation = desk.with_bot(name=PAYLOADS[0])
    for number, payload in enumerate(_payloads()):
        label = labels.create_label(actor=sam, name=payload[:50].strip()) if payload[:50].isprintable() else None
        if label:
            labelling.label(actor=me, conversation_id=conversation.pk, label_id=label.pk)
        if payload[:60].isprintable() and number < saved_views.MOST_VIEWS - 1:
            saved_views.create_view(actor=me, name=payload[:60].strip(), filter={})
        CannedReply.objects.create(
            tenant=desk.tenant, agent=desk.agents["maya"], shortcut=f"/x{number}", title=payload[:200], text=payload,
            sought="x",
        )  # fmt: skip
    Agent.objects.filter(pk=desk.agents["jun"].pk).update(name=PAYLOADS[0])
    messages.post_note(actor=me, conversation_id=conversation.pk, words=NewMessage(content=f"@{PAYLOADS[0]} look"))
    assert Mention.objects.exists()
    pages = [
        maya.get(f"/desk/c/{conversation.pk}/"),
        maya.get("/desk/list/", headers=SCRIPT),
        maya.get(f"/desk/c/{conversation.pk}/news/?seq=0", headers=SCRIPT),
        *(maya.get(f"/desk/c/{conversation.pk}/replies/?q=/x{n}", headers=SCRIPT) for n in range(len(_payloads()))),
        maya.get("/desk/colleagues/?q=", headers=SCRIPT),
        maya.get("/desk/replies/"),
        maya.post("/desk/bulk/", {"id": conversation.pk, "action": "resolve"}),
    ]
    for page in pages:
        assert page.status_code == 200
        body = text(page)
        for sign in (
            "<script>window",
            "<img src=x",
            "<svg onload",
            "<iframe",
            "<svg><script",
            "<details open ontoggle",
        ):
            assert sign not in body
    assert Label.objects.count() >= len(PAYLOADS)
