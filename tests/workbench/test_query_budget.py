"""What a page of the desk costs: at most twelve queries, whatever it shows, and as many of sixty rows as of five."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents_app.actors import agent_actor
from agents_app.models import Agent, SlaPolicy
from config import clock
from messaging_app.agent_tools import labels
from messaging_app.agent_tools.canned_replies import create_reply
from messaging_app.models import Conversation
from messaging_app.thread import NewMessage
from sessions_app.actions import conversations as marks
from sessions_app.actions import flows, lifecycle, messages, participants, saved_views, takeovers, transfers
from sessions_app.actions import labels as labelling
from sessions_app.models import Participant, Transfer
from sessions_app.queries import view_counts
from tests.workbench.conftest import Desk

MOST = 12
SCRIPT = {"HX-Request": "true"}


class Full:
    """A desk on which every kind of thing has happened: `grow` makes more of all of it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.maya, self.jun, self.sam = (agent_actor(desk.agents[name]) for name in ("maya", "jun", "sam"))
        levels = {"first_response": 600, "next_response": 900, "resolution": 86_400}
        desk.tenant.sla = SlaPolicy.objects.create(tenant=desk.tenant, name="Promised", **levels)
        desk.tenant.save()
        Agent.objects.update(availability=Agent.Availability.AVAILABLE, last_seen_at=clock.now(), max_load=1000)
        self.labels = [labels.create_label(actor=self.sam, name=f"label {n}").pk for n in range(6)]
        for number in range(view_counts.COUNTED + 2):
            wanted = {"labels": [str(self.labels[0])], "waiting_over": number, "search": "hello", "owner": "me"}
            saved_views.create_view(actor=self.maya, name=f"view {number}", filter=wanted)
        self.any = saved_views.create_view(actor=self.maya, name="any of it", filter={"waiting_over": 0}).pk
        create_reply(actor=self.maya, shortcut="/hi", title="Hi", text="Hello {customer}")
        self.served, self.queued = desk.queued("served").pk, desk.queued("queued").pk
        transfers.accept_transfer(actor=self.maya, transfer_id=Transfer.objects.get(conversation=self.served).pk)
        self.guest = self._guest()

    def _guest(self) -> Client:
        invited = participants.invite_participant(actor=self.maya, conversation_id=self.served, name="Gus")
        client = Client()
        client.post("/join/", {"token": invited.token})
        return client

    @property
    def joined(self) -> str:
        return f"/joined/{Participant.objects.filter(role='guest', status='joined').earliest('pk').pk}/"

    def grow(self, more: int) -> None:
        """So many more conversations, and lines, labels, moves and people of those that are opened."""
        for number in range(more):
            self._happens(self.desk.queued() if number % 2 else self.desk.with_bot(), number)
        for pk in (self.served, self.queued):
            its: dict[str, Any] = {"conversation_id": pk}
            for number in range(more):
                if number % 2:
                    self.desk.hears(f"question {number}", Conversation.objects.get(pk=pk).account_id)
                else:
                    messages.post_note(actor=self.jun, words=NewMessage(content="@Maya and @Sam, look"), **its)
            for label_id in self.labels[: 2 + more // 20]:
                labelling.label(actor=self.sam, label_id=label_id, **its)
        lifecycle.open_session(actor=self.desk.bot, conversation_id=self.served, robot=True)  # waits behind
        messages.post_message(actor=self.maya, conversation_id=self.served, words=NewMessage(content="answer"))
        for number in range(1 + more // 20):
            participants.invite_participant(actor=self.maya, conversation_id=self.served, name=f"Guest {more} {number}")

    def _happens(self, conversation: Conversation, number: int) -> None:
        its: dict[str, Any] = {"conversation_id": conversation.pk}
        for label_id in self.labels[: 1 + number % 3]:
            labelling.label(actor=self.sam, label_id=label_id, **its)
        asked = Transfer.objects.filter(status="PENDING", **its)
        if number % 4 == 1:  # it is offered to maya, as assignment does
            asked.update(offered_to=self.maya.pk, offer_expires_at=clock.now())
            messages.post_note(actor=self.jun, words=NewMessage(content="@Maya look"), **its)
        elif number % 4 == 0:
            takeovers.take_over(actor=self.maya if number % 8 else self.jun, **its)
            participants.invite_colleague(actor=self.maya if number % 8 else self.jun, agent_id=self.sam.pk, **its)
            marks.pin(actor=self.sam, **its)
        elif number % 4 == 2:
            flows.open_flow(actor=self.desk.bot, trigger_id=f"{conversation.pk}", question="Which size?", **its)
            marks.raise_flag(actor=self.sam, **its)


@pytest.fixture
def full(desk: Desk) -> Full:
    return Full(desk)


def pages(full: Full, client: Client) -> Iterator[tuple[str, Client, str, dict[str, str]]]:
    """Every page and fragment of the desk, by name."""
    for part, headers in (("", {}), (", fragment", SCRIPT)):
        path = "/desk/list/" if part else "/desk/"
        for query in ("", "view=mine", "q=account"):
            yield f"list {query}{part}", client, f"{path}?{query}", headers
        yield f"saved view{part}", client, f"{path}?saved={full.any}", headers
        for name, pk in (("served", full.served), ("queued", full.queued)):
            yield f"{name}{part}", client, f"/desk/c/{pk}/", headers
            yield f"{name} beside a saved view{part}", client, f"/desk/c/{pk}/?saved={full.any}", headers
            yield f"{name}, an older page{part}", client, f"/desk/c/{pk}/?before=2100-01-01T00:00:00%2B00:00_1", headers
    for name, pk in (("served", full.served), ("queued", full.queued)):
        seq = Conversation.objects.get(pk=pk).seq - 10
        yield f"{name}, news", client, f"/desk/c/{pk}/news/?seq={seq}", SCRIPT
        yield f"{name}, nothing new", client, f"/desk/c/{pk}/news/?seq=999999", SCRIPT
    yield "canned replies", client, f"/desk/c/{full.served}/replies/?q=h", SCRIPT
    yield "colleagues", client, "/desk/colleagues/?q=s", SCRIPT
    yield "own replies", client, "/desk/replies/", {}
    yield "join page", full.guest, full.joined, {}
    yield "join page, news", full.guest, f"{full.joined}news/?seq=1", SCRIPT
    yield "join page, an older page", full.guest, f"{full.joined}?before=2100-01-01T00:00:00%2B00:00_1", SCRIPT


def costs(client: Client, path: str, headers: dict[str, str]) -> int:
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(path, headers=headers)
    assert answer.status_code == 200, (path, answer.status_code)
    return len(asked)


def test_every_page_costs_at_most_twelve_queries_and_as_many_of_sixty_rows_as_of_five(full: Full, maya: Client) -> None:
    full.grow(5)
    few = {name: costs(*page) for name, *page in pages(full, maya)}
    full.grow(55)
    many = {name: costs(*page) for name, *page in pages(full, maya)}
    assert many == few
    assert {name: cost for name, cost in many.items() if cost > MOST} == {}


def test_a_supervisor_and_whoever_looks_on_pay_no_more(full: Full, sam: Client, jun: Client) -> None:
    full.grow(5)
    for client in (sam, jun):
        told = {name: costs(*page) for name, *page in pages(full, client) if page[0] is client}
        assert {name: cost for name, cost in told.items() if cost > MOST} == {}


def test_a_visitor_of_the_try_it_page_pays_no_more(desk: Desk) -> None:
    visitor = Client()
    visitor.post("/try-it/say/", {"content": "human please", "message_id": "1"})
    assert costs(visitor, "/try-it/", {}) <= MOST
    assert costs(visitor, "/try-it/news/", SCRIPT) <= MOST
