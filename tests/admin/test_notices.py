"""The notice to an invited person, in the admin: how it went, and sending it again."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from sessions_app.actions import participants as people
from sessions_app.models import Participant
from tests.admin.sites import url
from tests.cast import Cast, Chat, snapshot

LIST = url(Participant, "changelist")


def invited(chat: Chat) -> Participant:
    outcome = people.invite_participant(
        actor=chat.cast.ann, conversation_id=chat.id, name="Gus", contact="gus@example.org"
    )
    return Participant.objects.get(pk=outcome.participant_id)


def send_again(browser: Client, *participants: Participant) -> str:
    chosen = {"action": "send_again", "_selected_action": [p.pk for p in participants]}
    answer: Any = browser.post(LIST, chosen)
    return " | ".join(str(message) for message in get_messages(answer.wsgi_request))


def test_a_failure_is_shown_with_its_reason(supervisor: Client, here: Cast) -> None:
    participant = invited(here.chat().serve())
    Participant.objects.filter(pk=participant.pk).update(notice_status="failed", notice_error="no <b>channel</b>")
    page = supervisor.get(url(Participant, "change", participant.pk)).content.decode()
    assert "no &lt;b&gt;channel&lt;/b&gt;" in page
    assert str(participant.link_seed) not in page
    assert "failed" in supervisor.get(LIST).content.decode()


def test_a_supervisor_sends_again_and_refusals_are_told(supervisor: Client, here: Cast) -> None:
    waiting = invited(here.chat().serve())
    [joined] = Participant.objects.filter(name="here guest")
    said = send_again(supervisor, waiting, joined)
    assert "1 notice is on its way." in said
    assert "here guest: This participant has joined already." in said
    before, waiting = waiting.token_hash, Participant.objects.get(pk=waiting.pk)
    assert waiting.token_hash != before
    assert waiting.conversation.operations.latest("seq").actor_id == here.sue.id


@pytest.mark.parametrize("who", ["operator", "clerk", "stranger"])
def test_only_supervisors_send_again(who: str, request: pytest.FixtureRequest, here: Cast) -> None:
    browser: Client = request.getfixturevalue(who)
    participant = invited(here.chat().serve())
    before = snapshot()
    assert 'value="send_again"' not in browser.get(LIST).content.decode()
    send_again(browser, participant)
    assert snapshot() == before


def test_not_in_another_tenant(supervisor: Client, elsewhere: Cast) -> None:
    participant = invited(elsewhere.chat().serve())
    before = snapshot()
    send_again(supervisor, participant)
    assert snapshot() == before
