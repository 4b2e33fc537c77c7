"""Who is let in by which credential, and what ends it. Identity comes from nowhere else."""

from __future__ import annotations

import logging
from typing import Any

import jwt
import pytest
from django.conf import settings

from agents_app.api.viewsets import Endpoints
from agents_app.credentials import tokens
from agents_app.credentials.secrets import issue_key
from agents_app.credentials.tokens import issue_token
from agents_app.models import ApiClient
from agents_app.scopes import Scope, scopes_of
from messaging_app.models import Message
from sessions_app.actions import participants
from sessions_app.api.urls import router
from tests.api.world import V1, Caller, agent, bearer, key_of, login_of, program
from tests.cast import Cast, Chat, snapshot

pytestmark = pytest.mark.django_db


def _is_let_in(caller: Caller) -> bool:
    answer = caller.get("conversations")
    if answer.status_code == 401:
        assert answer.json()["code"] == "not_authenticated"
        assert answer["WWW-Authenticate"] == 'Bearer realm="tandem"'
    return bool(answer.status_code == 200)


# --- Keys --------------------------------------------------------------------------------------------------------


def test_a_key_lets_in_until_another_takes_its_place(cast: Cast) -> None:
    before = program(cast, "bargain")
    assert _is_let_in(before)
    after = program(cast, "bargain")
    assert (_is_let_in(before), _is_let_in(after)) == (False, True)


def test_a_program_that_is_switched_off_is_refused_at_once(cast: Cast) -> None:
    bot = program(cast, "bargain")
    cast.change("bargain", is_active=False)
    assert not _is_let_in(bot)


@pytest.mark.parametrize("change", ["tdm_", "", "tdm__", "nonsense", "tdm_ü_x"])
def test_what_is_no_key_is_refused(cast: Cast, change: str) -> None:
    assert not _is_let_in(Caller(change or " "))


def test_a_key_of_another_client_with_this_ones_prefix_is_refused(cast: Cast) -> None:
    mine, theirs = key_of(cast, "bargain"), key_of(cast, "faq")
    assert not _is_let_in(Caller(f"tdm_{mine.split('_')[1]}_{theirs.split('_', 2)[2]}"))


def test_a_key_in_the_address_is_not_read(cast: Cast) -> None:
    key = key_of(cast, "bargain")
    for name in ("key", "token", "api_key", "access_token", "authorization"):
        assert Caller().get("conversations", **{name: key}).status_code in (400, 401)


# --- Logins ------------------------------------------------------------------------------------------------------


def test_an_agents_login_lets_in_until_the_agent_is_dismissed(cast: Cast) -> None:
    ann = agent(cast, "ann")
    assert _is_let_in(ann)
    cast.change("ann", is_active=False)
    assert not _is_let_in(ann)


def test_a_login_that_belongs_to_no_agent_is_nobody(cast: Cast, django_user_model: Any) -> None:
    assert not _is_let_in(Caller(user=django_user_model.objects.create_user("clerk")))


def test_a_login_that_is_switched_off_is_refused(cast: Cast) -> None:
    ann, user = agent(cast, "ann"), login_of(cast, "ann")
    user.is_active = False
    user.save()
    assert not _is_let_in(ann)


def test_a_login_writes_only_with_the_pages_token(chat: Chat) -> None:
    """A browser sends the login from any site; the CSRF token only from ours."""
    ann = agent(chat.cast, "ann", csrf=True)
    before = snapshot()
    refused = ann.post(f"conversations/{chat.id}/pin")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert snapshot() == before
    ann.client.get("/desk/")
    token = ann.client.cookies["csrftoken"].value
    assert ann.post(f"conversations/{chat.id}/pin", **{"X-CSRFToken": token}).status_code == 200


def test_a_key_needs_no_pages_token(chat: Chat) -> None:
    bot = Caller(key_of(chat.cast, "bargain"), csrf=True)
    assert bot.post("sessions", {"conversation_id": str(chat.id)}).status_code == 201


def test_a_header_that_is_not_valid_is_not_passed_over_for_the_login(cast: Cast) -> None:
    ann = agent(cast, "ann")
    assert ann.client.get(f"{V1}conversations", headers={"Authorization": "Bearer tdm_0_0"}).status_code == 401


# --- Tokens ------------------------------------------------------------------------------------------------------


def _claims(chat: Chat, **changed: Any) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(issue_token(chat.customer), options={"verify_signature": False})
    return {name: value for name, value in (claims | changed).items() if changed.get(name, "") is not None}


def _signed(chat: Chat, key: bytes | None = None, **changed: Any) -> Caller:
    return Caller(jwt.encode(_claims(chat, **changed), key or tokens._key(settings.SECRET_KEY), algorithm="HS256"))


def test_a_token_signed_by_us_is_the_customers(chat: Chat) -> None:
    """The control of those below: it is not the way they are made that has them refused."""
    assert _is_let_in(_signed(chat))


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": 1},
        {"exp": None},
        {"aud": "elsewhere"},
        {"aud": None},
        {"kind": "admin"},
        {"conversation": None},
        {"tenant": None},
    ],
    ids=str,
)
def test_a_token_that_has_ended_or_is_for_something_else_is_refused(chat: Chat, changed: dict[str, Any]) -> None:
    assert not _is_let_in(_signed(chat, **changed))


def test_a_forged_token_is_refused(chat: Chat, settings: Any) -> None:
    assert not _is_let_in(_signed(chat, key=b"0" * 32))
    assert not _is_let_in(_signed(chat, key=settings.SECRET_KEY.encode()))


def test_a_token_that_names_no_algorithm_is_refused(chat: Chat) -> None:
    assert not _is_let_in(Caller(jwt.encode(_claims(chat), None, algorithm="none")))


@pytest.mark.parametrize("kind", ["agent", "bot", "integrator", "system"])
def test_no_token_makes_an_agent_or_a_program(chat: Chat, kind: str) -> None:
    """Even one that we signed ourselves: tokens are for those who are bound to one conversation."""
    assert not _is_let_in(_signed(chat, kind=kind))


def test_a_removed_participants_token_reads_and_writes_nothing(cast: Cast) -> None:
    chat = cast.chat().serve()
    guest = chat.guest(history="all")
    gus = bearer(guest)
    assert gus.get(f"conversations/{chat.id}").status_code == 200
    participants.remove_participant(actor=cast.ann, conversation_id=chat.id, participant_id=guest.pk)
    before = snapshot()
    for path in ("", "/messages", "/timeline", "/participants"):
        assert gus.get(f"conversations/{chat.id}{path}").status_code == 401, path
    body = {"conversation_id": str(chat.id), "content": "Still here."}
    assert gus.post("messages", body).status_code == 401
    assert gus.get("conversations").status_code == 401
    assert snapshot() == before


# --- Scopes ------------------------------------------------------------------------------------------------------


def _actions() -> dict[str, str | None]:
    """Every endpoint of the API, with the scope it names."""
    found = {}
    for prefix, endpoints, _ in router.registry:
        for name in dir(endpoints):
            method = getattr(endpoints, name)
            if hasattr(method, "scope") and callable(method):
                found[f"{prefix} {name}"] = method.scope
    return found


def test_every_endpoint_names_its_scope() -> None:
    """Whoever joins by a link has no key yet. Anything else that named none would be open to every key."""
    assert {name for name, scope in _actions().items() if scope is None} == {"join create"}
    for _, endpoints, _ in router.registry:
        assert issubclass(endpoints, Endpoints)
        for action in ("list", "retrieve", "create"):
            assert hasattr(getattr(endpoints, action, None), "scope") == hasattr(endpoints, action)


BEHIND = {
    Scope.READ: ("GET", "conversations"),
    Scope.INBOUND: ("POST", "inbound"),
    Scope.MESSAGES: ("POST", "messages"),
    Scope.SESSIONS: ("POST", "sessions/heartbeat"),
    Scope.TRANSFERS: ("POST", "conversations/1/escalate"),
    Scope.FLOWS: ("POST", "flows"),
    Scope.EVENTS: ("GET", "events"),
    Scope.TOKENS: ("POST", "tokens"),
    Scope.WEBHOOKS: ("GET", "webhooks"),
}


def test_every_scope_is_tried() -> None:
    assert set(BEHIND) == set(Scope)


@pytest.mark.parametrize("scope", list(BEHIND))
def test_a_scope_opens_its_own_door_and_no_other(cast: Cast, scope: Scope) -> None:
    cast.change("channel", scopes=[scope])
    channel = program(cast, "channel")
    for other, behind in BEHIND.items():
        answer = channel.send(*behind, body={})
        if other == scope:
            assert answer.status_code != 403, behind
        else:
            assert (answer.status_code, answer.json()["scope"]) == (403, other), behind


def test_a_client_without_scopes_has_those_of_its_kind(cast: Cast) -> None:
    assert scopes_of(cast.bot_row("channel")) == frozenset(Scope)
    assert scopes_of(cast.bot_row("bargain")) == frozenset(Scope) - {Scope.INBOUND, Scope.TOKENS, Scope.WEBHOOKS}
    assert scopes_of(ApiClient(kind="bot", scopes=[Scope.READ])) == {Scope.READ}


# --- Identity ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["actor", "agent_id", "actor_id", "tenant", "tenant_id", "sender_type", "kind", "id"])
def test_nobody_says_in_the_body_who_they_are(chat: Chat, name: str) -> None:
    chat.robot()
    bot = program(chat.cast, "bargain")
    body = {"conversation_id": str(chat.id), "content": "Me.", "epoch": chat.epoch, name: "1"}
    answer = bot.post("messages", body)
    assert (answer.status_code, set(answer.json()["errors"])) == (400, {name})
    assert not Message.objects.exists()


def test_what_is_said_carries_the_name_of_the_credential(chat: Chat) -> None:
    chat.robot()
    body = {"conversation_id": str(chat.id), "content": "Me.", "epoch": chat.epoch}
    program(chat.cast, "bargain").post("messages", body)
    said = Message.objects.get()
    assert (said.sender_type, said.sender_id, said.sender_name) == ("bot", str(chat.cast.bargain.id), "bargain")


# --- What is written of refusals ---------------------------------------------------------------------------------


def test_each_refusal_is_one_line_with_who_where_and_why(chat: Chat, caplog: pytest.LogCaptureFixture) -> None:
    bot = program(chat.cast, "bargain")
    key = bot.secret
    with caplog.at_level(logging.WARNING, "tandem.refused"):
        bot.post(f"conversations/{chat.id}/pin")
        bot.post(f"conversations/{chat.id}/pin", key="once")
        bot.post(f"conversations/{chat.id}/pin", key="once")
        bot.get("sessions/4%0aforged")
        Caller("nonsense").get("sessions")
    lines = [record.getMessage() for record in caplog.records if record.name == "tandem.refused"]
    who = f"{chat.cast.tenant.pk}:bot:0:{chat.cast.bargain.id}"
    pinned = f"403 forbidden by={who} POST '/api/v1/conversations/{chat.id}/pin'"
    assert lines == [
        *[pinned] * 3,
        f"404 not_found by={who} GET '/api/v1/sessions/4\\nforged'",
        "401 not_authenticated by=127.0.0.1 GET '/api/v1/sessions'",
    ]
    assert key not in caplog.text


def test_what_is_done_and_what_the_state_forbids_is_no_refusal(chat: Chat, caplog: pytest.LogCaptureFixture) -> None:
    ann = agent(chat.cast, "ann")
    with caplog.at_level(logging.WARNING, "tandem.refused"):
        assert ann.post(f"conversations/{chat.id}/pin").status_code == 200
        assert ann.post(f"conversations/{chat.id}/resolve").status_code == 409
    assert [record for record in caplog.records if record.name == "tandem.refused"] == []


def test_a_program_without_a_key_cannot_be_guessed(cast: Cast) -> None:
    assert cast.bot_row("faq").key_hash == ""
    issue_key(cast.bot_row("bargain"))
    assert not _is_let_in(Caller("tdm_None_"))
