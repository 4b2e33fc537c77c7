"""The other people at the desk: the panel's forms, each one verb; who is in, in the header; flow and queue beside them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from agents_app.actors import agent_actor, system_actor
from agents_app.models import Department
from messaging_app.models import Conversation
from sessions_app.actions import flows, notices, presence, takeovers
from sessions_app.models import Participant
from tests.workbench.conftest import Desk

SCRIPT = {"HX-Request": "true"}


@pytest.fixture
def served(desk: Desk) -> Conversation:
    """Maya serves; Jun is available."""
    conversation = desk.with_bot(name="Carla")
    takeovers.take_over(actor=agent_actor(desk.agents["maya"]), conversation_id=conversation.pk)
    presence.declare_availability(actor=agent_actor(desk.agents["jun"]), availability="available")
    return conversation


def send(client: Client, conversation: Conversation, verb: str, script: bool = True, **values: Any) -> Any:
    headers = SCRIPT if script else {}
    return client.post(f"/desk/c/{conversation.pk}/{verb}/", values, headers=headers)


def panel(client: Client, conversation: Conversation) -> str:
    page = client.get(f"/desk/c/{conversation.pk}/").content.decode()
    return page[page.index('id="people"') : page.index("</section>", page.index('id="people"'))]


def guest(client: Client, conversation: Conversation, **more: Any) -> Participant:
    given = {"name": "Gus", "role": "guest", "history": "none"} | more
    assert send(client, conversation, "invite", **given).status_code == 200
    return Participant.objects.latest("pk")


def test_a_colleague_is_invited_speaks_and_leaves(served: Conversation, maya: Client, jun: Client, desk: Desk) -> None:
    assert ">Jun</option>" in panel(maya, served)
    assert ">Maya</option>" not in panel(maya, served)
    send(maya, served, "invite-colleague", agent=desk.agents["jun"].pk)
    page = maya.get(f"/desk/c/{served.pk}/").content.decode()
    assert "with <bdi>Jun</bdi>" in page
    assert "No other colleague is available now." in panel(maya, served)
    assert "Leave this conversation" in panel(jun, served)
    assert "Leave this conversation" not in panel(maya, served)
    send(jun, served, "leave")
    assert Participant.objects.get().status == "left"
    assert "with <bdi>" not in maya.get(f"/desk/c/{served.pk}/").content.decode()


def test_a_guests_link_is_shown_once_and_works(served: Conversation, maya: Client, settings: Any) -> None:
    settings.PUBLIC_URL = "https://tandem.example"
    answer = send(maya, served, "invite", name="Gus", role="guest", history="last", history_count=2)
    found = re.search(r'value="https://tandem.example(/join/[^"]+)"', answer.content.decode())
    assert found
    shown = panel(maya, served)
    assert "the last 2 messages before joining" in shown
    assert "invited" in shown
    assert "/join/" not in maya.get(f"/desk/c/{served.pk}/").content.decode()
    assert Client().get(found[1]).status_code == 200


def test_without_scripts_the_link_is_on_the_page_that_answers(served: Conversation, maya: Client) -> None:
    answer = send(maya, served, "invite", script=False, name="Gus", role="guest", history="none")
    assert answer.status_code == 200
    assert re.search(r'<input readonly[^>]*value="\S+/join/\S+"', answer.content.decode())


def test_a_notice_that_failed_says_why_and_is_sent_again(served: Conversation, maya: Client, settings: Any) -> None:
    settings.EMAIL_URL = settings.NOTICE_WEBHOOK_URL = ""
    invited = guest(maya, served, contact="gus@example.org")
    assert "notice on its way" in panel(maya, served)
    system = system_actor(served.tenant_id)
    named = {"actor": system, "conversation_id": served.pk, "participant_id": invited.pk}
    taken = notices.take_notice(**named)
    assert taken
    notices.end_notice(**named, key=taken.key, error="no such box")
    assert "Notice not sent: no such box" in panel(maya, served)
    assert "/join/" in send(maya, served, "send-again", participant=invited.pk).content.decode()
    assert "notice on its way" in panel(maya, served)


def test_who_is_removed_is_gone_from_the_panel(served: Conversation, maya: Client) -> None:
    invited = guest(maya, served)
    assert f'id="person-{invited.pk}"' in panel(maya, served)
    send(maya, served, "remove", participant=invited.pk)
    invited.refresh_from_db()
    assert invited.status == "removed"
    assert "Nobody beside the owner." in panel(maya, served)


def test_what_may_not_be_done_is_not_offered_and_says_why(
    served: Conversation, desk: Desk, jun: Client, sam: Client
) -> None:
    assert "Maya serves, and invites others." in panel(jun, served)
    assert "fold-invite" not in panel(jun, served)
    assert "fold-colleague" not in panel(jun, served)
    assert "fold-invite" in panel(sam, served), "a supervisor may, on record"
    idle = desk.with_bot()
    assert "Whoever serves the conversation invites others to it." in panel(jun, idle)


@pytest.mark.parametrize(
    ("verb", "values", "status"),
    [
        ("invite", {"name": " ", "role": "guest"}, 400),
        ("invite", {"name": "Gus", "role": "owner"}, 400),
        ("invite", {"name": "Gus", "role": "guest", "history": "last"}, 400),
        ("invite-colleague", {}, 404),
        ("invite-department", {"department": "Warehouse"}, 409),
        ("remove", {"participant": 10**9}, 404),
        ("send-again", {}, 404),
        ("leave", {}, 409),
    ],
)
def test_a_refusal_is_said_in_the_page(
    served: Conversation, maya: Client, verb: str, values: dict[str, Any], status: int
) -> None:
    answer = send(maya, served, verb, **values)
    assert answer.status_code == status
    assert 'id="problem"' in answer.content.decode()
    assert not Participant.objects.exists()


def test_a_department_is_invited(served: Conversation, maya: Client, desk: Desk, settings: Any) -> None:
    assert "fold-department" not in panel(maya, served)
    settings.DIRECTORY = "agents_app.directory.Rows"
    warehouse = Department.objects.create(tenant=desk.tenant, name="Warehouse")
    warehouse.members.create(name="Wes", contact="wes@example.org")
    assert "fold-department" in panel(maya, served)
    for told in ("1 person was invited.", "0 people were invited. In or invited already: Wes."):
        assert told in send(maya, served, "invite-department", department="Warehouse").content.decode()


def test_a_flow_stands_beside_with_its_question_and_state(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot()
    flow = flows.open_flow(
        actor=desk.bot, trigger_id="t", question="Which size?", conversation_id=conversation.pk, missing_info=["size"]
    )
    page = maya.get(f"/desk/c/{conversation.pk}/").content.decode()
    for shown in ("Guided flow", "waits for the customer’s answer", "Which size?", "side-card asking"):
        assert shown in page
    desk.hears("Large", conversation.account_id)
    page = maya.get(f"/desk/c/{conversation.pk}/").content.decode()
    assert "works on the answer" in page
    assert "Large" in page
    flow.refresh_from_db()
    flows.move_flow(actor=desk.bot, flow_id=flow.pk, to="failed", version=flow.version, failed_reason="no stock")
    page = maya.get(f"/desk/c/{conversation.pk}/").content.decode()
    assert "no stock" in page
    assert "side-card asking" not in page


def test_the_place_in_the_queue_stands_in_the_header(desk: Desk, maya: Client) -> None:
    desk.queued()
    conversation = desk.queued()
    assert "Number 2 in the queue" in maya.get(f"/desk/c/{conversation.pk}/").content.decode()
