"""The command bar's door: whose conversations it finds, which replies it offers, what it costs; and what calls an agent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents_app.actors import agent_actor
from agents_app.models import Agent, SlaPolicy
from config import clock
from messaging_app import relay, search
from messaging_app.agent_tools import canned_replies
from messaging_app.thread import NewMessage
from sessions_app.actions import messages, sweep, transfers
from sessions_app.models import ChatSession, Transfer
from tests.workbench.conftest import Desk

# MariaDB's full-text index shows a row once it is committed, even to the transaction that wrote it.
pytestmark = pytest.mark.django_db(transaction=connection.vendor == "mysql")

SCRIPT = {"HX-Request": "true"}


def text(response: Any) -> str:
    return str(response.content.decode())


def found(client: Client, sought: str, **more: Any) -> list[int]:
    answer = client.get("/desk/command/", {"q": sought, **more}, headers=SCRIPT)
    assert answer.status_code == 200
    assert answer["Desk-Fragment"] == "command"
    return [int(n) for n in re.findall(r'data-conversation="(\d+)"', text(answer))]


def indexed(desk: Desk) -> None:
    relay.stamp(desk.tenant.pk)
    while search.index(desk.tenant.pk):
        pass


# --- Finding -----------------------------------------------------------------------------------------------------


def test_a_conversation_is_found_by_customer_account_and_shop(desk: Desk, maya: Client) -> None:
    wanted = desk.with_bot("li.wei.88", name="Li Wei")
    desk.with_bot("somebody", name="Somebody Else")
    for sought in ("Li Wei", "li w", "wei.88", "LI.WEI"):
        assert found(maya, sought) == [wanted.pk]
    assert len(found(maya, "sho")) == 2
    assert found(maya, "nobody of that name") == []
    assert found(maya, "   ") == []


def test_a_conversation_is_found_by_what_was_said_in_it_and_in_notes(desk: Desk, maya: Client) -> None:
    wanted, other = desk.with_bot(), desk.with_bot()
    desk.hears("the blue kettle leaks", wanted.account_id)
    desk.hears("the red kettle sings", other.account_id)
    jun = agent_actor(desk.agents["jun"])
    messages.post_note(actor=jun, conversation_id=wanted.pk, words=NewMessage(content="a goodwill voucher?"))
    indexed(desk)
    assert found(maya, "kettle leaks") == [wanted.pk]
    assert found(maya, "goodwill vou") == [wanted.pk]
    assert set(found(maya, "kettle")) == {wanted.pk, other.pk}


def test_at_most_eight_come_and_whoever_waits_comes_first(desk: Desk, maya: Client) -> None:
    for number in range(9):
        desk.with_bot(f"many-{number}")
    waits = desk.queued("many-waits")
    assert len(found(maya, "many-")) == 8
    assert found(maya, "many-")[0] == waits.pk


def test_another_tenants_conversations_never_appear(desk: Desk) -> None:
    theirs = desk.with_bot("secret", name="Sekou Secret")
    desk.hears("the secret word", theirs.account_id)
    elsewhere = Desk("elsewhere")
    elsewhere.hire("ben")
    indexed(desk)
    for sought in ("secret", "Sekou", "secret word", "shop"):
        assert found(elsewhere.browser("ben"), sought) == []
    answer = elsewhere.browser("ben").get("/desk/command/", {"q": "hi", "conversation": theirs.pk}, headers=SCRIPT)
    assert answer.status_code == 404


def test_it_is_for_agents_only(desk: Desk) -> None:
    assert Client().get("/desk/command/?q=shop", headers=SCRIPT).status_code == 401
    assert Client().get("/desk/command/?q=shop").status_code == 302


def test_what_is_found_is_shown_as_text(desk: Desk, maya: Client) -> None:
    desk.with_bot('"><script>alert(1)</script>', name="<img src=x onerror=alert(1)>")
    shown = text(maya.get("/desk/command/", {"q": "script"}, headers=SCRIPT))
    assert "&lt;img" in shown
    assert "<img" not in shown
    assert "<script" not in shown


@pytest.mark.parametrize("conversation", ["", "nonsense", "0", "9" * 30])
def test_what_is_not_understood_finds_nothing_and_is_no_error(desk: Desk, maya: Client, conversation: str) -> None:
    desk.with_bot("known")
    assert maya.get("/desk/command/", {"q": "x" * 500, "conversation": conversation}).status_code == 200
    assert found(maya, "%") == []
    assert found(maya, "_") == []


# --- Replies -----------------------------------------------------------------------------------------------------


def test_canned_replies_are_offered_for_the_open_conversation_as_they_would_be_said(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot("li.wei", name="Li Wei")
    actor = agent_actor(desk.agents["maya"])
    canned_replies.create_reply(
        actor=actor, shortcut="/refund", title="Money back", text="Hello {first_name}, {agent} here."
    )
    asked = {"q": "money", "conversation": conversation.pk}
    assert 'data-insert="Hello Li, Maya here."' in text(maya.get("/desk/command/", asked, headers=SCRIPT))
    for other in ({"q": "money"}, {"q": "", "conversation": conversation.pk}):
        assert "data-insert" not in text(maya.get("/desk/command/", other, headers=SCRIPT))


def test_a_colleagues_own_replies_are_not_offered(desk: Desk, jun: Client) -> None:
    conversation = desk.with_bot()
    canned_replies.create_reply(
        actor=agent_actor(desk.agents["maya"]), shortcut="/mine", title="Mine", text="Mine alone."
    )
    assert "Mine alone" not in text(jun.get("/desk/command/", {"q": "mine", "conversation": conversation.pk}))


# --- What it costs -----------------------------------------------------------------------------------------------


def test_it_costs_six_queries_however_much_there_is(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot("cost")
    asked = {"q": "cost", "conversation": conversation.pk}

    def cost() -> int:
        indexed(desk)
        with CaptureQueriesContext(connection) as queries:
            assert maya.get("/desk/command/", asked, headers=SCRIPT).status_code == 200
        return len(queries)

    few = cost()
    for number in range(20):
        desk.with_bot(f"cost-{number}")
        actor = agent_actor(desk.agents["maya"])
        canned_replies.create_reply(actor=actor, shortcut=f"/cost-{number}", title="cost", text="{customer}")
    assert cost() == few <= 6


# --- The words of the shortcuts ----------------------------------------------------------------------------------


def test_every_shortcut_has_words_and_no_word_is_left_over(desk: Desk, maya: Client) -> None:
    page = text(maya.get("/desk/"))
    words = set(re.findall(r'data-key="([\w-]+)"', page))
    code = "".join(
        (Path(settings.BASE_DIR) / "static/js" / f"{name}.js").read_text()
        for name in ("desk/shortcuts", "desk/command-bar")
    )
    table = set(re.findall(r'\{ id: "([\w-]+)"', code)) | set(re.findall(r'group: "([\w-]+)"', code))
    asked_for = set(re.findall(r'word\("([\w-]+)"\)', code)) | {"at-end", "at-start", "none-listed"}
    assert len(table) > 10
    assert words == table | asked_for


# --- What calls the agent ----------------------------------------------------------------------------------------


def alerts(client: Client, path: str = "/desk/list/?view=resolved") -> dict[str, str]:
    """Whatever the list shows: here none of it is in the list."""
    found = re.search(r'<data id="alert-data" hidden(.*?)>', text(client.get(path, headers=SCRIPT)))
    assert found
    return dict(re.findall(r'data-(\w+)="([^"]*)"', found[1]))


def test_an_offer_calls_the_agent_to_whom_it_is_made(desk: Desk, maya: Client, jun: Client) -> None:
    conversation = desk.queued()
    transfer = Transfer.objects.get(conversation=conversation)
    Transfer.objects.filter(pk=transfer.pk).update(offered_to=desk.agents["maya"], offer_expires_at=clock.now())
    assert alerts(maya)["offered"] == f"{conversation.pk}:{transfer.pk}"
    assert alerts(jun)["offered"] == ""


def test_a_handover_calls_the_colleague_it_is_meant_for(desk: Desk, maya: Client, jun: Client, act: Any) -> None:
    conversation = desk.queued()
    act(maya, conversation.pk, "accept")
    maya_, jun_ = (agent_actor(desk.agents[name]) for name in ("maya", "jun"))
    Agent.objects.update(availability=Agent.Availability.AVAILABLE, last_seen_at=clock.now())
    transfers.hand_over(actor=maya_, conversation_id=conversation.pk, to_agent_id=jun_.pk, reason="lunch")
    assert alerts(jun)["offered"].startswith(f"{conversation.pk}:")
    assert alerts(maya)["offered"] == ""


def test_what_customers_say_to_an_agent_calls_until_it_is_read(desk: Desk, maya: Client, jun: Client, act: Any) -> None:
    conversation, other = desk.queued(), desk.queued()
    act(maya, conversation.pk, "accept")
    conversation.refresh_from_db()
    maya.post(f"/desk/c/{conversation.pk}/read/", {"seq": conversation.seq})
    assert alerts(maya)["unread"] == ""
    desk.hears("are you there?", conversation.account_id)
    desk.hears("and me?", other.account_id)  # waits for anybody: nobody in particular is called
    conversation.refresh_from_db()
    session = ChatSession.objects.get(live_key=conversation.pk)
    assert alerts(maya)["unread"].startswith(f"{conversation.pk}:")
    assert "," not in alerts(maya)["unread"]
    assert alerts(maya)["mine"] == f"{conversation.pk}:{session.pk}"
    assert alerts(jun) == {"offered": "", "mine": "", "unread": "", "near": ""}
    first = alerts(maya)["unread"]
    desk.hears("hello?", conversation.account_id)
    assert alerts(maya)["unread"] != first  # said again, called again
    conversation.refresh_from_db()
    maya.post(f"/desk/c/{conversation.pk}/read/", {"seq": conversation.seq})
    assert alerts(maya)["unread"] == ""


def test_a_deadline_calls_whoever_serves_once_it_is_near(desk: Desk, maya: Client, act: Any, later: Any) -> None:
    levels = {"first_response": 600, "next_response": 600, "resolution": 86_400}
    desk.tenant.sla = SlaPolicy.objects.create(tenant=desk.tenant, name="Promised", **levels)
    desk.tenant.save()
    conversation = desk.queued()
    act(maya, conversation.pk, "accept")
    assert alerts(maya)["near"] == ""
    later(590)
    sweep.sweep_due()
    assert alerts(maya)["near"].startswith(f"{conversation.pk}:")


def test_the_page_brings_its_calls_along(desk: Desk, maya: Client, act: Any) -> None:
    conversation = desk.queued()
    act(maya, conversation.pk, "accept")
    assert alerts(maya, "/desk/")["mine"].startswith(f"{conversation.pk}:")
    assert alerts(maya, "/desk/") == alerts(maya)
