"""What the admin lets people do: two verbs, a new key, and rules that are checked."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from agents_app.credentials.secrets import find_client, issue_key
from agents_app.models import ApiClient, Backoff
from config import clock
from messaging_app.models import NeedRule, WebhookDelivery, WebhookEndpoint
from sessions_app.models import ChatSession
from tests.admin.sites import url
from tests.cast import Cast, broken_invariants, snapshot

SESSIONS = url(ChatSession, "changelist")


def _do(browser: Client, action: str, *sessions: ChatSession, **more: Any) -> Any:
    return browser.post(SESSIONS, {"action": action, "_selected_action": [s.pk for s in sessions], **more})


def _said(answer: Any) -> str:
    return " | ".join(str(message) for message in get_messages(answer.wsgi_request))


def test_cancel_asks_for_a_reason_and_calls_the_verb(supervisor: Client, here: Cast) -> None:
    chat = here.chat().serve()
    before = snapshot()
    asked = _do(supervisor, "cancel", chat.live)
    assert asked.status_code == 200
    assert "It goes on record." in asked.content.decode()
    assert _do(supervisor, "cancel", chat.live, reason=" ").status_code == 200
    assert snapshot() == before
    session = chat.live
    answer = _do(supervisor, "cancel", session, reason="Opened twice.")
    assert answer.status_code == 302
    assert "Done for 1 session." in _said(answer)
    session.refresh_from_db()
    assert session.status == "CANCELLED"
    operation = next(o for o in chat.operations if o.type == "session.cancelled")
    assert (operation.actor_kind, operation.actor_id, operation.data["reason"]) == (
        "agent",
        here.sue.id,
        "Opened twice.",
    )
    assert list(broken_invariants()) == []


def test_put_back_in_the_queue(supervisor: Client, here: Cast) -> None:
    chat = here.chat().serve()
    answer = _do(supervisor, "put_back", chat.live, reason="Went home.")
    assert "Done for 1 session." in _said(answer)
    assert chat.controller == "queue"
    assert chat.pending.kind == "reassignment"
    assert list(broken_invariants()) == []


def test_refusals_are_shown_and_each_stands_for_itself(supervisor: Client, here: Cast) -> None:
    ended, queued, served = here.chat().serve(), here.chat().queue(), here.chat().serve()
    done = ended.live
    ended.resolve()
    said = _said(_do(supervisor, "cancel", done, served.live, reason="x"))
    assert f"Session {done.pk}: " in said
    assert "Done for 1 session." in said
    assert "Nobody is serving" in _said(_do(supervisor, "put_back", queued.live, reason="x"))
    # A paused session of a conversation that another session is live in: the live one is left alone.
    busy = here.chat()
    busy.robot()
    paused = busy.live
    busy.human(here.ann)
    assert "Nobody is serving" in _said(_do(supervisor, "put_back", paused, reason="x"))
    assert busy.controller == "human"


@pytest.mark.parametrize("who", ["operator", "clerk", "stranger"])
@pytest.mark.parametrize("action", ["cancel", "put_back"])
def test_only_supervisors_act(request: pytest.FixtureRequest, here: Cast, who: str, action: str) -> None:
    """A superuser without an agent has no name to act in."""
    browser: Client = request.getfixturevalue(who)
    chat = here.chat().serve()
    before = snapshot()
    assert f'value="{action}"' not in browser.get(SESSIONS).content.decode()
    _do(browser, action, chat.live, reason="x")
    assert snapshot() == before


def test_nothing_is_done_elsewhere(supervisor: Client, here: Cast, elsewhere: Cast) -> None:
    chat = elsewhere.chat().serve()
    before = snapshot()
    _do(supervisor, "cancel", chat.live, reason="x")
    assert snapshot() == before


# --- Keys --------------------------------------------------------------------------------------------------------


def test_a_new_key_is_shown_once(supervisor: Client, here: Cast) -> None:
    client = here.bot_row("faq")
    old = issue_key(client)
    page = reverse("admin:agents_app_apiclient_new_key", args=[client.pk])
    before = snapshot()
    assert "tdm_" not in supervisor.get(page).content.decode()
    assert snapshot() == before, "asking issues nothing"
    answer = supervisor.post(page)
    found = re.search(r"tdm_\w{8}_[\w-]+", answer.content.decode())
    assert found
    assert "no-store" in answer.headers["Cache-Control"]
    assert find_client(found[0]) == client
    assert find_client(old) is None
    assert not list(get_messages(answer.wsgi_request))
    assert all(found[0] not in str(session.get_decoded()) for session in Session.objects.all())
    client.refresh_from_db()
    for shown in (page, url(ApiClient, "change", client.pk), url(ApiClient, "history", client.pk)):
        text = supervisor.get(shown).content.decode()
        assert found[0] not in text
        assert client.key_hash not in text


def test_no_key_without_the_right(stranger: Client, powerless: Client, supervisor: Client, elsewhere: Cast) -> None:
    foreign = elsewhere.bot_row("faq")
    page = reverse("admin:agents_app_apiclient_new_key", args=[foreign.pk])
    before = snapshot()
    for browser in (stranger, powerless, supervisor):
        assert browser.post(page).status_code in {403, 404}
    assert snapshot() == before


def test_who_may_only_look_issues_no_key(clerk: Client, here: Cast) -> None:
    from django.contrib.auth.models import Permission, User

    user = User.objects.get(username="here-ann")
    user.user_permissions.set(Permission.objects.filter(codename="view_apiclient"))
    page = reverse("admin:agents_app_apiclient_new_key", args=[here.faq.id])
    assert clerk.post(page).status_code == 403


# --- Rules of need -----------------------------------------------------------------------------------------------


def _rule(here: Cast, **more: Any) -> dict[str, Any]:
    return {
        "tenant": here.tenant.pk,
        "kind": "keyword",
        "name": "new",
        "threshold": 1,
        "effect": "escalate",
        "severity": "high",
        "is_enabled": "on",
    } | more


def test_a_rule_is_written_one_phrase_a_line(supervisor: Client, here: Cast) -> None:
    data = _rule(here, phrases="a person\r\n\r\n /human|agent/ \n转人工", exceptions="a person of interest")
    assert supervisor.post(url(NeedRule, "add"), data).status_code == 302
    rule = NeedRule.objects.get(name="new")
    assert rule.phrases == ["a person", "/human|agent/", "转人工"]
    assert rule.exceptions == ["a person of interest"]
    page = supervisor.get(url(NeedRule, "change", rule.pk)).content.decode()
    assert "a person\n/human|agent/\n转人工" in page


@pytest.mark.parametrize("field", ["phrases", "exceptions"])
@pytest.mark.parametrize("phrase", ["/(/", "/(a)\\1/", "\u200b"])
def test_a_phrase_that_cannot_work_is_refused(supervisor: Client, here: Cast, field: str, phrase: str) -> None:
    answer = supervisor.post(url(NeedRule, "add"), _rule(here, **{field: phrase}))
    assert answer.context["adminform"].form.errors[field]
    assert not NeedRule.objects.filter(name="new").exists()


def test_a_name_is_taken_once(supervisor: Client, here: Cast) -> None:
    answer = supervisor.post(url(NeedRule, "add"), _rule(here, name="here rule"))
    assert answer.status_code == 200
    other = NeedRule.objects.create(tenant=here.tenant, kind="keyword", name="other")
    answer = supervisor.post(url(NeedRule, "change", other.pk), _rule(here, name="here rule"))
    assert answer.context["adminform"].form.errors


@pytest.mark.parametrize(
    ("kind", "sentence", "told"),
    [
        ("keyword", "Get me a human!", "This rule hears: a human"),
        ("keyword", "Good morning", "This rule does not hear the sentence."),
        ("failure", "I am a human, sorry", "A failed answer by this rule."),
        ("failure", "Here you are", "Not a failed answer by this rule."),
    ],
)
def test_a_sentence_is_tried_and_not_kept(supervisor: Client, here: Cast, kind: str, sentence: str, told: str) -> None:
    answer = supervisor.post(url(NeedRule, "add"), _rule(here, kind=kind, phrases="a human", sentence=sentence))
    assert told in _said(answer)


# --- Webhooks ----------------------------------------------------------------------------------------------------

DELIVERIES = url(WebhookDelivery, "changelist")


def _send_again(browser: Client, *deliveries: WebhookDelivery) -> Any:
    return browser.post(DELIVERIES, {"action": "send_again", "_selected_action": [row.pk for row in deliveries]})


def test_an_administrator_sends_again(supervisor: Client, here: Cast, elsewhere: Cast) -> None:
    here.change("sue", role="admin")
    WebhookDelivery.objects.update(status="delivered", next_attempt_at=None)
    own = WebhookDelivery.objects.get(tenant=here.tenant)
    foreign = WebhookDelivery.objects.get(tenant=elsewhere.tenant)
    assert "1 delivery is sent again." in _said(_send_again(supervisor, own, foreign))
    own.refresh_from_db()
    foreign.refresh_from_db()
    assert (own.status, foreign.status) == ("pending", "delivered")
    assert own.endpoint.changes[-1]["by"] == "agent here Sue"


@pytest.mark.parametrize("who", ["operator", "supervisor", "clerk", "stranger"])
def test_only_administrators_send_again(request: pytest.FixtureRequest, here: Cast, who: str) -> None:
    browser: Client = request.getfixturevalue(who)
    before = snapshot()
    assert 'value="send_again"' not in browser.get(DELIVERIES).content.decode()
    _send_again(browser, WebhookDelivery.objects.get())
    assert snapshot() == before


def test_no_page_shows_a_webhooks_secret(operator: Client, here: Cast) -> None:
    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.secret == "here secret"
    for page in (url(WebhookEndpoint, "changelist"), url(WebhookEndpoint, "change", endpoint.pk)):
        text = operator.get(page).content.decode()
        assert endpoint.url in text
        assert endpoint.secret not in text


def test_t2_what_is_put_off_is_tried_again_at_once_in_ones_own_tenant(
    supervisor: Client, clerk: Client, here: Cast, elsewhere: Cast
) -> None:
    later = clock.now() + timedelta(hours=1)
    Backoff.objects.update(retry_at=later)
    chosen = {"action": "try_again", "_selected_action": list(Backoff.objects.values_list("pk", flat=True))}
    clerk.post(url(Backoff, "changelist"), chosen)
    assert set(Backoff.objects.values_list("retry_at", flat=True)) == {later}, "not by who is no supervisor"
    supervisor.post(url(Backoff, "changelist"), chosen)
    assert Backoff.objects.get(tenant=here.tenant).retry_at < later
    assert Backoff.objects.get(tenant=elsewhere.tenant).retry_at == later
