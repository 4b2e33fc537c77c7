"""Who got in is asked again: one question for all who stay, whatever let them in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from agents_app.actors import Actor
from agents_app.connections import credential
from agents_app.connections.credential import ConnectionCredential, authenticate, issue_ticket, use_ticket
from agents_app.credentials.secrets import issue_key
from agents_app.credentials.tokens import issue_token
from agents_app.models import Agent, ApiClient, EventTicket
from sessions_app.actions import participants
from tests.cast import Cast, Chat, Later


def by_token(actor: Actor) -> ConnectionCredential:
    found = authenticate(authorization=f"Bearer {issue_token(actor)}")
    assert found
    return found


@pytest.fixture
def by_key(key: Callable[[str], str]) -> ConnectionCredential:
    found = authenticate(authorization=f"Bearer {key('channel')}")
    assert found
    return found


@pytest.fixture
def browser(cast: Cast) -> Client:
    """Ann's, logged in."""
    user = get_user_model().objects.create_user("ann", password="demo")
    Agent.objects.filter(pk=cast.ann.pk).update(user=user)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def by_login(browser: Client) -> ConnectionCredential:
    found = authenticate(session_key=browser.session.session_key)
    assert found
    return found


def test_each_way_in_names_its_actor(
    cast: Cast, chat: Chat, by_key: ConnectionCredential, by_login: ConnectionCredential
) -> None:
    assert (by_key.actor, by_login.actor) == (cast.channel, cast.ann)
    assert by_token(chat.customer).actor == chat.customer
    assert credential.which_are_revoked({by_key, by_login, by_token(chat.customer)}) == set()


@pytest.mark.parametrize("authorization", ["Bearer tdm_12345678_nothing", "Bearer x.y.z", "Bearer "])
def test_a_header_that_is_no_good_is_not_made_good_by_a_login(browser: Client, authorization: str) -> None:
    assert authenticate(authorization=authorization, session_key=browser.session.session_key) is None


def test_nobody_is_not_admitted(db: None) -> None:
    assert authenticate() is None
    assert authenticate(session_key="made up") is None


@pytest.mark.parametrize(
    "change",
    [
        lambda: ApiClient.objects.filter(name="channel").update(is_active=False),
        lambda: ApiClient.objects.filter(name="channel").update(scopes=["messages:write"]),
        lambda: issue_key(ApiClient.objects.get(name="channel")),
    ],
    ids=["switched off", "without the scope", "a new key"],
)
def test_a_key_lapses(by_key: ConnectionCredential, by_login: ConnectionCredential, change: Callable[[], Any]) -> None:
    change()
    assert credential.which_are_revoked({by_key, by_login}) == {by_key}


def _new_password() -> None:
    user = get_user_model().objects.get(username="ann")
    user.set_password("another")
    user.save()


@pytest.mark.parametrize(
    "change",
    [
        lambda browser: browser.logout(),
        lambda browser: Agent.objects.filter(name="Ann").update(is_active=False),
        lambda browser: get_user_model().objects.filter(username="ann").update(is_active=False),
        lambda browser: _new_password(),
    ],
    ids=["logged out", "dismissed", "login switched off", "a new password"],
)
def test_a_login_lapses(
    browser: Client, by_key: ConnectionCredential, by_login: ConnectionCredential, change: Callable[[Client], Any]
) -> None:
    change(browser)
    assert credential.which_are_revoked({by_key, by_login}) == {by_login}


def test_a_token_lapses_at_its_end(
    chat: Chat, by_key: ConnectionCredential, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    short = by_token(chat.customer)
    settings.TOKEN_LIFETIME *= 3
    long = by_token(chat.customer)
    assert short.until
    monkeypatch.setattr(credential.time, "time", lambda: short.until)  # type: ignore[attr-defined]
    assert credential.which_are_revoked({short, long, by_key}) == {short}


def test_a_participants_pass_lapses_with_leaving(cast: Cast, chat: Chat) -> None:
    chat.serve()
    gus, gil = chat.guest(), chat.guest(name="Gil")
    held = {by_token(gus), by_token(gil)}
    assert credential.which_are_revoked(held) == set()
    participants.remove_participant(actor=cast.ann, conversation_id=chat.id, participant_id=gus.pk)
    assert {one.actor for one in credential.which_are_revoked(held)} == {gus}


def test_a_thousand_who_stay_cost_as_many_queries_as_one_of_each(
    cast: Cast,
    chat: Chat,
    by_key: ConnectionCredential,
    by_login: ConnectionCredential,
    django_assert_max_num_queries: Any,
) -> None:
    chat.serve()
    guests = {by_token(chat.guest(name=f"guest {number}")) for number in range(20)}
    customers = {by_token(cast.chat().customer) for _ in range(20)}
    with django_assert_max_num_queries(4):
        assert credential.which_are_revoked(guests | customers | {by_key, by_login}) == set()


# --- Tickets -----------------------------------------------------------------------------------------------------


def test_a_ticket_lets_in_once_as_the_one_who_asked_for_it(
    by_key: ConnectionCredential, by_login: ConnectionCredential, chat: Chat
) -> None:
    for holder in (by_key, by_login, by_token(chat.customer)):
        ticket = issue_ticket(holder)
        assert use_ticket(ticket) == holder
        assert use_ticket(ticket) is None


def test_a_ticket_ends_by_itself_and_is_swept_with_the_next(by_key: ConnectionCredential, later: Later) -> None:
    ticket = issue_ticket(by_key)
    later(credential.TICKET_SECONDS + 1)
    assert use_ticket(ticket) is None
    issue_ticket(by_key)
    assert EventTicket.objects.count() == 1


def test_a_ticket_is_stored_as_a_digest(by_key: ConnectionCredential) -> None:
    ticket = issue_ticket(by_key)
    row = EventTicket.objects.get()
    assert ticket not in f"{row.token_hash} {row.holder}"


def test_a_made_up_ticket_lets_nobody_in(db: None) -> None:
    assert use_ticket("made up") is None


def test_a_ticket_of_a_key_that_was_replaced_meanwhile_has_lapsed(by_key: ConnectionCredential) -> None:
    ticket = issue_ticket(by_key)
    issue_key(ApiClient.objects.get(name="channel"))
    holder = use_ticket(ticket)
    assert holder
    assert credential.which_are_revoked({holder}) == {holder}


def test_the_api_gives_tickets_to_keys_tokens_and_logins(
    cast: Cast, chat: Chat, key: Callable[[str], str], browser: Client
) -> None:
    address = "/api/v1/events/tickets"
    for secret in (key("bargain"), issue_token(chat.customer)):
        answer = Client().post(address, headers={"Authorization": f"Bearer {secret}"}, content_type="application/json")
        assert answer.status_code == 201, answer.content
        assert use_ticket(answer.json()["ticket"])
    answer = browser.post(address, content_type="application/json")
    assert answer.status_code == 201
    holder = use_ticket(answer.json()["ticket"])
    assert holder
    assert holder.actor == cast.ann
    assert Client().post(address, content_type="application/json").status_code == 401
