"""The header of an open conversation: where the turn may go, what is behind 'More', and where one goes on."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from agents_app.actors import agent_actor
from agents_app.models import Agent, Membership, Team
from config import clock
from messaging_app.agent_tools import labels
from messaging_app.models import Conversation
from sessions_app.actions import labels as labelling
from sessions_app.actions import lifecycle, participants, presence, saved_views, takeovers
from sessions_app.models import ChatSession, Transfer
from sessions_app.workbench.buttons import Button
from tests.cast import Later
from tests.workbench.conftest import Desk

SCRIPT = {"HX-Request": "true"}


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


def buttons(client: Client, conversation: Conversation) -> dict[str, Button]:
    """What the header offers, by its verb: in the row and behind 'More'."""
    context = client.get(f"/desk/c/{conversation.pk}/").context
    shown = [*context["buttons"], *(button for group in context["more"] for button in group)]
    return {button.verb: button for button in shown}


def in_the_row(client: Client, conversation: Conversation) -> list[str]:
    return [button.verb for button in client.get(f"/desk/c/{conversation.pk}/").context["buttons"]]


def send(client: Client, conversation: Conversation, verb: str, **values: Any) -> Any:
    """What a form of the header sends from a page that was drawn just now."""
    conversation.refresh_from_db()
    values = {"epoch": conversation.epoch} | values
    return client.post(f"/desk/c/{conversation.pk}/{verb}/", values, headers=SCRIPT)


def turn(conversation: Conversation) -> str:
    conversation.refresh_from_db()
    return conversation.controller


def serves(desk: Desk, name: str, *, after_a_bot: bool = False) -> Conversation:
    """A conversation that an agent serves: one taken from nobody, or from a bot."""
    actor = agent_actor(desk.agents[name])
    if after_a_bot:
        conversation = desk.with_bot()
        takeovers.take_over(actor=actor, conversation_id=conversation.pk)
    else:
        conversation = Conversation.objects.get(pk=desk.hears("hello").conversation_id)
        lifecycle.open_session(actor=actor, conversation_id=conversation.pk, robot=False)
    conversation.refresh_from_db()
    return conversation


# --- What stands where -------------------------------------------------------------------------------------------


def test_the_row_stays_short_and_the_rest_is_behind_more(desk: Desk, maya: Client) -> None:
    conversation = serves(desk, "maya")
    assert in_the_row(maya, conversation) == ["release", "resolve", "resolve-next"]
    assert set(buttons(maya, conversation)) - {"release", "resolve", "resolve-next"} == {
        "transfer", "pause", "call-colleague", "invite-somebody", "pin", "todo", "mark-urgent"
    }  # fmt: skip


def test_the_header_says_how_old_the_work_is_and_when_somebody_last_spoke(
    desk: Desk, maya: Client, later: Later
) -> None:
    conversation = serves(desk, "maya")
    later(600)
    heard = desk.hears("are you there?", conversation.account_id)
    later(60)
    maya.post(f"/desk/c/{conversation.pk}/say/", {"mode": "note", "content": "thinking"})
    page = maya.get(f"/desk/c/{conversation.pk}/").context["page"]
    assert page.session.pk == heard.session_id
    assert (page.now - page.said_at).seconds // 60 == 1, "a note is not said to the customer"
    assert (page.now - page.session.opened_at).seconds // 60 == 11


def test_whoever_looks_on_is_told_why_not(desk: Desk, jun: Client) -> None:
    conversation = serves(desk, "maya")
    its = buttons(jun, conversation)
    for verb in ("release", "resolve", "transfer", "pause", "invite-somebody"):
        assert "Maya" in its[verb].why, verb
    assert "resolve-next" not in its
    assert "call-colleague" not in its


# --- Transfer ----------------------------------------------------------------------------------------------------


def test_the_form_of_a_transfer_offers_who_is_there_and_teams(desk: Desk, maya: Client) -> None:
    conversation = serves(desk, "maya")
    presence.declare_availability(actor=agent_actor(desk.agents["jun"]), availability="available")
    Team.objects.create(tenant=desk.tenant, name="Refunds")
    Desk("elsewhere").hire("ben")
    form = text(maya.get(f"/desk/c/{conversation.pk}/recipients/", headers=SCRIPT))
    there, away = form.split("Colleagues who are away")
    assert "Jun · 0 of" in there
    assert "Sam · offline" in away
    assert "Refunds" in there
    assert ">Maya" not in form
    assert "Ben" not in form
    assert 'value="queue"' not in form, "only a supervisor puts it back in the queue"
    alone = text(maya.get(f"/desk/c/{conversation.pk}/recipients/"))
    assert "Back to the conversation" in alone, "without scripts it is a page"


def test_a_conversation_goes_to_a_colleague_who_accepts(desk: Desk, maya: Client, jun: Client, act: Any) -> None:
    conversation = serves(desk, "maya", after_a_bot=True)
    to = f"agent:{desk.agents['jun'].pk}"
    news = text(send(maya, conversation, "transfer", to=to, reason="knows refunds"))
    assert "Maya asked for a handover: knows refunds" in news
    assert turn(conversation) == "human", "the sender serves until it is accepted"
    assert "Withdraw it first" in buttons(maya, conversation)["transfer"].why
    assert "withdraw" not in buttons(jun, conversation)
    act(jun, conversation.pk, "accept")
    assert ChatSession.objects.get(conversation=conversation).agent == desk.agents["jun"]


def test_a_conversation_goes_to_a_team(desk: Desk, maya: Client, jun: Client, act: Any) -> None:
    conversation = serves(desk, "maya")
    team = Team.objects.create(tenant=desk.tenant, name="Refunds")
    Membership.objects.create(team=team, agent=desk.agents["jun"])
    send(maya, conversation, "transfer", to=f"team:{team.pk}")
    assert Transfer.objects.get(kind="handover").to_team == team
    act(jun, conversation.pk, "accept")
    assert ChatSession.objects.get(conversation=conversation).agent == desk.agents["jun"]


def test_what_was_asked_for_is_withdrawn(desk: Desk, maya: Client) -> None:
    conversation = serves(desk, "maya")
    send(maya, conversation, "transfer", to=f"agent:{desk.agents['jun'].pk}")
    withdraw = buttons(maya, conversation)["withdraw"]
    send(maya, conversation, "withdraw", transfer=withdraw.transfer_id)
    assert Transfer.objects.get(kind="handover").status == "WITHDRAWN"
    assert not buttons(maya, conversation)["transfer"].why


def test_a_supervisor_puts_a_conversation_back_in_the_queue(desk: Desk, sam: Client) -> None:
    conversation = serves(desk, "maya")
    assert 'value="queue"' in text(sam.get(f"/desk/c/{conversation.pk}/recipients/", headers=SCRIPT))
    news = text(send(sam, conversation, "transfer", to="queue", reason="Maya is ill"))
    assert "Sam put this back in the queue: Maya is ill" in news
    assert turn(conversation) == "queue"


def test_an_agent_may_not_put_a_conversation_back_in_the_queue(desk: Desk, maya: Client) -> None:
    conversation = serves(desk, "maya")
    assert send(maya, conversation, "transfer", to="queue").status_code == 403
    assert turn(conversation) == "human"


def test_a_human_is_asked_for_while_the_bot_speaks(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot()
    assert 'value="queue"' in text(maya.get(f"/desk/c/{conversation.pk}/recipients/", headers=SCRIPT))
    send(maya, conversation, "escalate", to="queue", reason="it goes in circles")
    assert turn(conversation) == "queue"
    assert Transfer.objects.get().reason == "it goes in circles"


@pytest.mark.parametrize("to", ["", "agent", "agent:", "agent:x", "team:-1", "shop:1", "queue:1", "agent:1\u0663"])
def test_a_transfer_to_nobody_is_refused(desk: Desk, maya: Client, to: str) -> None:
    conversation = serves(desk, "maya")
    assert send(maya, conversation, "transfer", to=to).status_code == 400
    assert not Transfer.objects.filter(status="PENDING").exists()


def test_nothing_is_transferred_of_what_nobody_has(desk: Desk, maya: Client) -> None:
    conversation = Conversation.objects.get(pk=desk.hears("hello").conversation_id)
    assert "nothing to transfer" in text(maya.get(f"/desk/c/{conversation.pk}/recipients/", headers=SCRIPT))


# --- Pause and resume --------------------------------------------------------------------------------------------


def test_what_an_agent_pauses_waits_until_the_agent_resumes(desk: Desk, maya: Client, jun: Client) -> None:
    conversation = serves(desk, "maya")
    pause = buttons(maya, conversation)["pause"]
    news = text(send(maya, conversation, "pause", session=pause.session_id, reason="until the parcel is there"))
    assert "The session was paused: until the parcel is there" in news
    assert turn(conversation) == "none"
    assert "Paused by Maya" in news
    assert in_the_row(maya, conversation)[0] == "resume"
    assert buttons(jun, conversation)["resume"].why == "Maya has paused this"
    send(maya, conversation, "resume", session=buttons(maya, conversation)["resume"].session_id)
    assert turn(conversation) == "human"
    assert ChatSession.objects.get().agent == desk.agents["maya"]


def test_what_was_taken_over_from_a_bot_is_not_paused_and_says_why(desk: Desk, maya: Client) -> None:
    conversation = serves(desk, "maya", after_a_bot=True)
    pause = buttons(maya, conversation)["pause"]
    assert "cannot be paused" in pause.why
    assert send(maya, conversation, "pause", session=pause.session_id).status_code == 409


def test_a_supervisor_pauses_a_bot_and_lets_it_go_on(desk: Desk, sam: Client, maya: Client) -> None:
    conversation = desk.with_bot()
    assert "pause" not in buttons(maya, conversation)
    send(sam, conversation, "pause", session=buttons(sam, conversation)["pause"].session_id)
    assert "The bot is paused" in text(maya.get(f"/desk/c/{conversation.pk}/"))
    assert buttons(maya, conversation)["resume"].why == "helper has paused this"
    send(sam, conversation, "resume", session=buttons(sam, conversation)["resume"].session_id)
    assert turn(conversation) == "bot"


def test_another_tenants_session_is_not_paused(desk: Desk, maya: Client) -> None:
    elsewhere = Desk("elsewhere")
    elsewhere.hire("ben")
    theirs = serves(elsewhere, "ben")
    mine = serves(desk, "maya")
    session = ChatSession.objects.get(conversation=theirs)
    assert send(maya, mine, "pause", session=session.pk).status_code == 404
    assert turn(theirs) == "human"


# --- Marks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("put", "take", "chip"),
    [("pin", "unpin", "Pinned"), ("todo", "untodo", "To do"), ("mark-urgent", "unmark-urgent", "Urgent")],
)
def test_any_agent_puts_marks_on_and_takes_them_off(desk: Desk, jun: Client, put: str, take: str, chip: str) -> None:
    conversation = serves(desk, "maya")
    head = text(send(jun, conversation, put)).split("</header>")[0]
    assert f"{chip}</span>" in head
    assert take in buttons(jun, conversation)
    assert put not in buttons(jun, conversation)
    head = text(send(jun, conversation, take)).split("</header>")[0]
    assert f"{chip}</span>" not in head


# --- Resolve and next --------------------------------------------------------------------------------------------


def test_resolve_and_next_goes_to_what_follows_in_the_agents_view(desk: Desk, maya: Client) -> None:
    mine = [serves(desk, "maya") for _ in range(3)]
    serves(desk, "jun")
    order = [row.row.id for row in maya.get("/desk/?view=mine").context["rows"]]
    assert sorted(order) == sorted(one.pk for one in mine)
    middle = Conversation.objects.get(pk=order[1])
    news = send(maya, middle, "resolve-next", view="mine", reason="done")
    assert f'id="onward" href="/desk/c/{order[2]}/?view=mine"' in text(news)
    assert turn(middle) == "none"
    last = Conversation.objects.get(pk=order[2])
    news = send(maya, last, "resolve-next", view="mine")
    assert f'id="onward" href="/desk/c/{order[0]}/?view=mine"' in text(news), "after the last one comes the first"
    news = send(maya, Conversation.objects.get(pk=order[0]), "resolve-next", view="mine")
    assert 'id="onward" href="/desk/?view=mine"' in text(news), "and in the end the list"


def test_resolve_and_next_keeps_to_a_saved_view_and_the_search(desk: Desk, maya: Client) -> None:
    me, sam = agent_actor(desk.agents["maya"]), agent_actor(desk.agents["sam"])
    first, other, labelled = (serves(desk, "maya") for _ in range(3))
    label = labels.create_label(actor=sam, name="refund")
    for one in (first, labelled):
        labelling.label(actor=sam, conversation_id=one.pk, label_id=label.pk)
    view = saved_views.create_view(actor=me, name="refunds", filter={"labels": [str(label.pk)]})
    news = send(maya, first, "resolve-next", saved=view.pk)
    assert f'href="/desk/c/{labelled.pk}/?saved={view.pk}"' in text(news)
    news = send(maya, labelled, "resolve-next", view="mine", q=other.account_id)
    assert f'href="/desk/c/{other.pk}/?view=mine"' in text(news)


def test_resolve_and_next_leads_to_nothing_that_has_ended(desk: Desk, maya: Client, act: Any) -> None:
    ended, served = serves(desk, "maya"), serves(desk, "maya")
    maya.post(f"/desk/c/{ended.pk}/read/", {"seq": ended.seq})  # else it would wait for an answer
    act(maya, ended.pk, "resolve")
    assert 'id="onward" href="/desk/?view=all"' in text(send(maya, served, "resolve-next", view="all"))


def test_without_scripts_resolve_and_next_is_a_redirect(desk: Desk, maya: Client) -> None:
    first, second = serves(desk, "maya"), serves(desk, "maya")
    page = text(maya.get(f"/desk/c/{first.pk}/?view=mine"))
    assert f'action="/desk/c/{first.pk}/resolve-next/?view=mine"' in page
    answer = maya.post(f"/desk/c/{first.pk}/resolve-next/?view=mine", {"epoch": first.epoch})
    assert answer.headers["Location"] == f"/desk/c/{second.pk}/?view=mine"


def test_a_refused_resolve_leads_nowhere(desk: Desk, maya: Client, jun: Client) -> None:
    conversation = serves(desk, "maya")
    serves(desk, "jun")
    answer = send(jun, conversation, "resolve-next", view="all")
    assert answer.status_code == 403
    assert "onward" not in text(answer)
    assert "Maya is serving" in text(answer)


def test_the_way_back_leads_to_the_view_one_came_from(desk: Desk, maya: Client) -> None:
    conversation = serves(desk, "maya")
    back = 'class="back" href="/desk/?view=mine"'
    for answer in (
        maya.get(f"/desk/c/{conversation.pk}/?view=mine"),
        maya.get(f"/desk/c/{conversation.pk}/?view=mine", headers=SCRIPT),
        maya.get(f"/desk/c/{conversation.pk}/news/?seq=1&view=mine", headers=SCRIPT),
        send(maya, conversation, "pin", view="mine"),
    ):
        assert back in text(answer)


def test_the_menu_leads_to_the_forms_of_the_side_panel(desk: Desk, maya: Client) -> None:
    conversation = serves(desk, "maya")
    Agent.objects.filter(name="Jun").update(availability="available", last_seen_at=clock.now())
    page = text(maya.get(f"/desk/c/{conversation.pk}/"))
    for fold in ("fold-colleague", "fold-invite"):
        assert f'data-fold="{fold}"' in page
        assert f'id="{fold}"' in page
    participants.invite_colleague(
        actor=agent_actor(desk.agents["maya"]), conversation_id=conversation.pk, agent_id=desk.agents["jun"].pk
    )
    its = buttons(desk.browser("jun"), conversation)
    assert not its["call-colleague"].why
    assert "Maya" in its["invite-somebody"].why
