"""T4.5: a credential that may not read is told no words and no names, by whichever way they could travel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from django.db import transaction

from agents_app.actors import Actor, client_actor
from agents_app.connections import credential
from agents_app.credentials.tokens import read_token
from agents_app.scopes import OF_TOKENS, Scope
from messaging_app.agent_tools.labels import create_label
from messaging_app.events import PLAIN, rendered
from messaging_app.models import Conversation, Operation
from messaging_app.thread import NewMessage
from messaging_app.webhooks import endpoints
from sessions_app.actions import conversations, flows, inbound, labels, messages, participants, presence
from sessions_app.events import subscription
from sessions_app.events.catalogue import EVENT_TYPES
from sessions_app.events.schemas import Schema
from sessions_app.events.subscription import Subscription
from sessions_app.rights import visible
from tests.api import matrix
from tests.api.world import Caller, program, served, world
from tests.cast import Cast, Chat
from tests.webhooks.conftest import dispatched, hooked, sent
from tests.webhooks.receivers import receiver

ALL = frozenset(Scope)
READS_NOTHING = sorted(ALL - {Scope.READ})
WORDS = (
    "My card is 4111",
    "Shall I book it",
    "an angry one",
    "wants a refund",
    "Because I know her",
    "Xaviera",
    "Zeno",
    "Which colour",
    "fraudster",
    "at the dentist",
)
"""What was said, written and called in `talked`."""


@dataclass
class Talked:
    chat: Chat
    cast: Cast


@pytest.fixture
def talked(cast: Cast) -> Talked:
    """A conversation full of words: a customer's, a bot's, an agent's, a note, reasons, names, a label, a question."""
    chat = cast.chat()
    Conversation.objects.filter(pk=chat.id).update(customer_name="Xaviera")
    inbound.receive_message(
        actor=cast.channel, conversation_id=chat.id, words=NewMessage(content="My card is 4111", sender_name="Xaviera")
    )
    chat.robot()
    chat.speaks(cast.bargain, "Shall I book it?")
    flows.open_flow(actor=cast.bargain, trigger_id="t", question="Which colour?", conversation_id=chat.id)
    conversations.raise_flag(actor=cast.channel, conversation_id=chat.id, reason="an angry one")
    chat.escalate(reason="wants a refund")
    chat.accept()
    participants.invite_participant(actor=cast.ann, conversation_id=chat.id, name="Zeno")
    chat.grab(cast.ben, reason="Because I know her")
    messages.post_note(actor=cast.ben, conversation_id=chat.id, words=NewMessage(content="an angry one"))
    labels.label(actor=cast.ben, conversation_id=chat.id, label_id=create_label(actor=cast.sue, name="fraudster").pk)
    presence.declare_availability(actor=cast.ann, availability="away", reason="at the dentist")
    return Talked(chat, cast)


def with_scopes(cast: Cast, *scopes: str, name: str = "channel") -> Caller:
    cast.change(name, scopes=list(scopes))
    return program(cast, name)


def words_in(text: str) -> set[str]:
    return {word for word in WORDS if word in text}


# --- Events ------------------------------------------------------------------------------------------------------


def test_t4_5_a_key_that_may_follow_but_not_read_is_told_what_happened_and_no_words(talked: Talked) -> None:
    follows = with_scopes(talked.cast, Scope.EVENTS)
    page = follows.get("events?after=0")
    assert words_in(page.content.decode()) == set()
    events = page.json()["events"]
    said = [event for event in events if event["type"] == "message.created"]
    assert [event["message"] for event in said] == [None, None]  # and nothing of the note
    assert {event["data"]["digest"] for event in said} == {""}  # a short text is guessed from its digest
    assert {event["actor"]["name"] for event in events} == {""}
    grabbed = next(e for e in events if e["type"] == "transfer.accepted" and e["data"]["kind"] == "grab")
    assert (grabbed["data"]["reason"], grabbed["data"]["agent_id"]) == ("", str(talked.cast.ben.id))


def test_t4_5_a_key_that_may_read_is_told_them(talked: Talked) -> None:
    """The failing control."""
    reads = with_scopes(talked.cast, Scope.EVENTS, Scope.READ)
    page = reads.get("events?after=0").content.decode()
    assert words_in(page) == set(WORDS) - {"Zeno", "Which colour"}  # names and questions are no part of events


def test_t4_5_followers_who_may_read_and_who_may_not_share_no_page(talked: Talked) -> None:
    """Two integrators ask at the same moment: one look must not serve both."""
    talked.cast.program("other", "integrator")
    talked.cast.change("other", scopes=[Scope.EVENTS])
    reads, follows = (client_actor(talked.cast.bot_row(name)) for name in ("channel", "other"))
    assert subscription.audience(reads, Subscription()) != subscription.audience(follows, Subscription())
    assert words_in(json.dumps(subscription.read(follows, Subscription(), 0).events)) == set()


def test_t4_5_a_ticket_for_a_socket_carries_no_more_than_its_key(talked: Talked) -> None:
    follows = with_scopes(talked.cast, Scope.EVENTS)
    ticket = follows.post("events/tickets").json()["ticket"]
    holder = credential.use_ticket(ticket)
    assert holder is not None
    assert holder.actor.scopes == {Scope.EVENTS}
    assert words_in(json.dumps(subscription.read(holder.actor, Subscription(), 0).events)) == set()


def test_t4_5_a_scope_that_is_taken_away_ends_the_stream(talked: Talked) -> None:
    with_scopes(talked.cast, Scope.EVENTS, Scope.READ)
    secret = program(talked.cast, "channel").secret
    held = credential.authenticate(authorization=f"Bearer {secret}")
    assert held is not None
    assert credential.which_are_revoked({held}) == set()
    talked.cast.change("channel", scopes=[Scope.EVENTS])
    assert credential.which_are_revoked({held}) == {held}


def text_fields(schema: Schema, name: str = "") -> Iterator[tuple[str, Schema]]:
    if "properties" in schema:
        for field, its in schema["properties"].items():
            yield from text_fields(its, field)
    elif "items" in schema:
        yield from text_fields(schema["items"], name)
    elif "string" in str(schema.get("type")):
        yield name, schema


def test_t4_5_kind_each_text_of_an_event_is_known_as_words_or_as_none() -> None:
    """A new text field is emptied until somebody says that it holds an id or a fixed word."""
    ids_and_codes = {"message_id", "trigger_id", "rule", "outcome", "channel", "severity", "kind", "status"}
    for type, told in EVENT_TYPES.items():
        for name, schema in text_fields(told.schema()):
            is_fixed = "enum" in schema or schema.get("format") == "date-time"
            assert (name in PLAIN) == (is_fixed or name in ids_and_codes), (type, name)


# --- Webhooks ----------------------------------------------------------------------------------------------------


def test_t4_5_a_webhook_of_a_key_that_may_not_read_is_sent_no_words(talked: Talked, settings: Any) -> None:
    """By the scopes that its owner has when it is sent: those of when it was made count no more."""
    settings.WEBHOOK_ALLOW_LOOPBACK = True
    cast, chat = talked.cast, talked.chat
    with receiver() as to:
        dispatched()
        with_scopes(cast, Scope.WEBHOOKS)
        hook = hooked(client_actor(cast.bot_row("channel")), to)
        chat.says("My card is 4111")
        sent()
        assert [got.json["data"]["message"] for got in to.got] == [None]
        assert words_in(to.got[-1].body.decode()) == set()

        cast.change("channel", scopes=[Scope.WEBHOOKS, Scope.READ])
        endpoints.replay(actor=hook.actor, delivery_id=hook.deliveries[-1].pk)
        sent()
        assert to.got[-1].json["data"]["message"]["content"] == "My card is 4111"

        cast.change("channel", scopes=[Scope.WEBHOOKS])
        endpoints.replay_since(actor=hook.actor, endpoint_id=hook.id, after=0)
        sent()
        assert len(to.got) > 10
        assert words_in(b"".join(got.body for got in to.got[2:]).decode()) == set()


def test_t4_5_a_webhook_of_the_tenants_administrators_carries_words(talked: Talked, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOOPBACK = True
    with receiver() as to:
        dispatched()
        hooked(talked.cast.hire("ada", role="admin"), to)
        talked.chat.says("My card is 4111")
        sent()
        assert to.got[-1].json["data"]["message"]["content"] == "My card is 4111"


# --- Minted tokens -----------------------------------------------------------------------------------------------


def minted(talked: Talked, *scopes: str) -> Caller:
    maker = with_scopes(talked.cast, *scopes)
    answer = maker.post("tokens", {"conversation_id": str(talked.chat.id)})
    assert answer.status_code == 201, answer.content
    return Caller(answer.json()["token"])


def test_t4_5_a_token_does_nothing_that_its_maker_may_not(talked: Talked) -> None:
    at, token = f"conversations/{talked.chat.id}", minted(talked, Scope.TOKENS)
    named = {"conversation_id": str(talked.chat.id)}
    refused = [
        token.get(at),
        token.get(f"{at}/messages"),
        token.get("events"),
        token.post("events/tickets"),
        token.post("inbound", named | {"content": "Hello?"}),
        token.post("messages", named | {"content": "Hello?"}),
        token.post("sessions", named | {"robot": False}),
        token.post(f"{at}/escalate", {}),
        token.post(f"{at}/raise-hand", {}),
    ]
    assert {answer.status_code for answer in refused} == {403}
    assert "Xaviera" not in json.dumps(jwt.decode(token.secret, options={"verify_signature": False}))


@pytest.mark.parametrize(
    ("scopes", "opened"),
    [
        *(({scope}, {scope}) for scope in sorted(OF_TOKENS - {Scope.MESSAGES})),
        ({Scope.MESSAGES}, set()),  # what a customer says comes from whoever may bring it
        ({Scope.MESSAGES, Scope.INBOUND}, {Scope.MESSAGES, Scope.INBOUND}),
    ],
    ids=lambda named: "-".join(sorted(named)) or "nothing",
)
def test_t4_5_a_token_does_what_its_maker_may(talked: Talked, scopes: set[str], opened: set[str]) -> None:
    """One scope each, so that none opens another's door."""
    at, token = f"conversations/{talked.chat.id}", minted(talked, Scope.TOKENS, *scopes)
    named = {"conversation_id": str(talked.chat.id)}
    doors = {
        Scope.READ: token.get(f"{at}/messages"),
        Scope.EVENTS: token.get("events?after=0"),
        Scope.INBOUND: token.post("inbound", named | {"content": "Hello?"}),
        Scope.MESSAGES: token.post("messages", named | {"content": "Hello?"}),
        Scope.SESSIONS: token.post("sessions", named | {"robot": False}),
        Scope.TRANSFERS: token.post(f"{at}/escalate", {}),
    }
    assert {door.value for door, answer in doors.items() if answer.status_code < 300} == opened
    if Scope.EVENTS in opened:
        assert words_in(doors[Scope.EVENTS].content.decode()) == set()


def test_t4_5_a_token_of_a_key_with_all_scopes_is_a_customers_as_before(talked: Talked) -> None:
    maker = with_scopes(talked.cast)
    token = maker.post("tokens", {"conversation_id": str(talked.chat.id)}).json()["token"]
    actor = read_token(token)
    assert actor is not None
    assert (actor.scopes, actor.name) == (OF_TOKENS, "Xaviera")


# --- Every other way ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("many_requests")
def test_t4_5_kind_no_address_of_the_api_tells_words_to_a_key_that_may_not_read(cast: Cast, others: Cast) -> None:
    """Every scope but that one, at every address with every method."""
    made = world(served, cast, others)
    own = made.places["own"]
    Conversation.objects.filter(pk=own.conversation).update(customer_name="Xaviera", last_text="A human, please.")
    caller = with_scopes(cast, *READS_NOTHING)
    answered, told = 0, []
    for row in matrix.rows():
        if row.is_page or "openapi" in row.pattern or "metrics" in row.pattern:
            continue
        with transaction.atomic():
            answer = caller.send(row.method, row.path(own), row.body(own))
            transaction.set_rollback(True)
        text = b"".join(answer.streaming_content) if answer.streaming else answer.content
        answered += answer.status_code < 300
        found = {word for word in (b"A human, please", b"Xaviera", b"Which size") if word in text}
        told += [f"{row.method} {row.pattern}: {found}"] if found else []
    assert told == []
    assert answered >= 20


def test_t4_5_what_a_bot_missed_is_told_without_words_where_it_may_not_read(talked: Talked) -> None:
    bot = with_scopes(talked.cast, Scope.SESSIONS, name="bargain")
    missed = bot.post(f"sessions/{talked.chat.live.pk}/recover", {})
    assert missed.status_code == 200
    assert len(missed.json()["missed"]) > 5
    assert words_in(missed.content.decode()) == set()


def test_t4_5_a_flow_of_another_program_is_told_without_its_words(talked: Talked) -> None:
    flow = flows.open_flow(actor=talked.cast.faq, trigger_id="other", question="Which colour?")
    runs = with_scopes(talked.cast, Scope.FLOWS)
    moved = runs.post(f"flows/{flow.pk}/move", {"to": "ignored", "version": 1})
    assert (moved.status_code, moved.json()["pending_question"]) == (200, "")
    own = runs.post("flows", {"trigger_id": "mine", "question": "Which colour?"})
    assert own.json()["pending_question"] == "Which colour?"


def test_t4_5_what_a_customer_answered_its_flow_is_told_to_who_may_read(chat: Chat) -> None:
    chat.robot()
    asked = {"trigger_id": "own", "question": "Which colour?", "conversation_id": str(chat.id)}
    runs = with_scopes(chat.cast, Scope.FLOWS, name="bargain")
    flow = runs.post("flows", asked).json()
    chat.says("The blue one")
    again = runs.post("flows", asked).json()
    moved = runs.post(f"flows/{flow['id']}/move", {"to": "ready_preview", "version": again["version"]}).json()
    assert [told["answer"] for told in (again, moved)] == ["", ""]
    assert again["pending_question"] == "Which colour?"
    reads = with_scopes(chat.cast, Scope.FLOWS, Scope.READ, name="bargain")
    assert reads.get(f"flows/{flow['id']}").json()["answer"] == "The blue one"


def test_t4_5_the_verbs_readings_give_nothing_to_who_may_not_read(talked: Talked) -> None:
    """Below the doors: whoever renders something asks `visible`."""
    cast = talked.cast
    cast.change("channel", scopes=[Scope.EVENTS])
    blind: Actor = client_actor(cast.bot_row("channel"))
    assert not visible.messages(blind).exists()
    assert visible.messages(cast.channel).exists()
    told = rendered(list(Operation.objects.select_related("tenant")), reads=False)
    assert words_in(json.dumps(told)) == set()
