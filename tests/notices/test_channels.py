"""The three channels, each against a server that stands in for the real one."""

from __future__ import annotations

import logging
from dataclasses import replace
from email import message_from_string, policy
from typing import Any

import pytest
from django.db import transaction
from standardwebhooks import Webhook as Signer

from sessions_app.notices import Notice, NotSent, notifier_for, send
from sessions_app.notices.email import Email
from sessions_app.notices.webhook import Webhook
from sessions_app.notices.wecom import WeCom
from tests.notices.conftest import SECRET
from tests.standins import Asked, HttpStandIn, MailStandIn, closed_port

NOTICE = Notice(
    key="0123456789abcdef" * 4,
    participant_id=7,
    conversation_id=3,
    contact="gus@example.org",
    name="Gus",
    role="guest",
    invited_by="Ann",
    tenant="shop",
    tenant_name="The Shop",
    link="https://tandem.example/join/abc",
)


def why_not(notifier: Any, notice: Notice = NOTICE) -> str:
    with pytest.raises(NotSent) as refusal:
        notifier.send(notice)
    return str(refusal.value)


# --- Which channel ---


@pytest.mark.parametrize(
    ("contact", "channel"),
    [
        ("gus@example.org", "e-mail"),
        ("wecom:gus", "wecom"),
        ("wecom:gus@example.org", "wecom"),
        ("+49 170 1234567", "webhook"),
        ("gus", "webhook"),
    ],
)
def test_the_address_names_its_channel(
    contact: str, channel: str, mail_server: MailStandIn, wecom_server: HttpStandIn, webhook: HttpStandIn
) -> None:
    notifier = notifier_for(contact)
    assert notifier is not None
    assert notifier.name == channel


@pytest.mark.parametrize("contact", ["gus@example.org", "wecom:gus", "+49 170 1234567"])
def test_the_webhook_takes_what_has_no_channel_of_its_own(contact: str, webhook: HttpStandIn) -> None:
    assert send(replace(NOTICE, contact=contact)) == "webhook"
    assert webhook.asked[0].json["data"]["contact"] == contact


@pytest.mark.parametrize("contact", ["gus@example.org", "wecom:gus", "+49 170 1234567"])
def test_nothing_set_up_is_said_in_words(contact: str) -> None:
    with pytest.raises(NotSent, match="no channel is set up"):
        send(replace(NOTICE, contact=contact))


def test_a_webhook_without_a_secret_is_not_set_up(webhook: HttpStandIn, settings: Any) -> None:
    settings.NOTICE_WEBHOOK_SECRET = ""
    assert notifier_for("gus") is None


# --- E-mail ---


def test_a_mail_holds_the_link_and_no_word_of_the_conversation(mail_server: MailStandIn) -> None:
    Email().send(NOTICE)
    [raw] = mail_server.mails
    mail = message_from_string(raw, policy=policy.default)
    assert (mail["To"], mail["Subject"]) == ("gus@example.org", "Ann invites you to a conversation (The Shop)")
    assert mail.get_content().split("\n\n") == [
        "Hello Gus,",
        "Ann invites you to a conversation (The Shop):",
        "https://tandem.example/join/abc",
        "The link works once. Do not pass it on.\n",
    ]


def test_a_name_writes_no_header_and_no_second_paragraph(mail_server: MailStandIn) -> None:
    Email().send(replace(NOTICE, invited_by="Ann\r\nBcc: eve@example.org", name="Gus\n\nCall 555" + "!" * 99))
    mail = message_from_string(mail_server.mails[0], policy=policy.default)
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Ann Bcc: eve@example.org invites you to a conversation (The Shop)"
    assert mail.get_content().splitlines()[0] == "Hello Gus Call 555" + "!" * 28 + ","


@pytest.mark.parametrize("contact", ["gus@", "a@example.org, b@example.org", "gus@example.org\nBcc: eve@example.org"])
def test_what_is_no_address_is_not_written_to(contact: str, mail_server: MailStandIn) -> None:
    assert "no e-mail address" in why_not(Email(), replace(NOTICE, contact=contact))
    assert mail_server.mails == []


def test_an_address_that_the_mail_server_refuses(mail_server: MailStandIn) -> None:
    mail_server.refused = {"gus@example.org"}
    assert why_not(Email()) == "the mail server does not take this address: 550 no such mailbox here"


def test_a_mail_server_that_is_silent_or_away(mail_server: MailStandIn, settings: Any) -> None:
    options = settings.MAILERS["default"]["OPTIONS"]
    mail_server.is_silent, options["timeout"] = True, 0.2
    assert why_not(Email()) == "the mail server broke off: Connection unexpectedly closed: timed out"
    options["port"] = closed_port()
    assert why_not(Email()) == "the mail server cannot be reached: Connection refused"


# --- The webhook ---


def test_a_webhook_is_signed_and_says_whom_to_tell_what(webhook: HttpStandIn) -> None:
    Webhook().send(NOTICE)
    Webhook().send(NOTICE)
    first, second = webhook.asked
    told = Signer(SECRET).verify(first.body, first.headers)
    assert (told["type"], told["data"]["link"]) == ("participant.notice", NOTICE.link)
    assert told["data"]["participant_id"] == "7"
    assert first.headers["webhook-id"] == second.headers["webhook-id"], "a repeat can be told"


@pytest.mark.parametrize("status", [400, 404, 500, 302])
def test_whatever_is_no_success_is_a_failure(status: int, webhook: HttpStandIn) -> None:
    """A redirect is not followed: the link must not go to another server than the one that was named."""
    webhook.answer(status)
    assert why_not(Webhook()) == f"webhook: answered {status}"
    assert len(webhook.asked) == 1


def test_a_webhook_that_is_silent_endless_or_away(webhook: HttpStandIn, settings: Any) -> None:
    webhook.answer(200, "x" * 100_000)
    assert why_not(Webhook()) == "webhook: the answer is too long"
    settings.NOTICE_TIMEOUT = 0.2
    webhook.is_silent = True
    assert why_not(Webhook()) == "webhook: no answer within 0.2 s"
    settings.NOTICE_WEBHOOK_URL = f"http://127.0.0.1:{closed_port()}/?key=hidden"
    assert why_not(Webhook()) == "webhook: the server cannot be reached: [Errno 111] Connection refused"
    settings.NOTICE_WEBHOOK_URL = "no-address?key=hidden"
    assert why_not(Webhook()) == "webhook: the server cannot be asked: UnsupportedProtocol"


# --- WeCom ---

WECOM = replace(NOTICE, contact="wecom:gus.w@corp")


def card_of(server: HttpStandIn) -> Any:
    return server.asked[-1].json


def test_a_card_with_the_join_button(wecom_server: HttpStandIn) -> None:
    WeCom().send(WECOM)
    token, sent = wecom_server.asked
    assert (token.method, token.path) == ("GET", "/cgi-bin/gettoken")
    assert token.query == {"corpid": "corp", "corpsecret": "the secret"}
    assert (sent.method, sent.path, sent.query) == ("POST", "/cgi-bin/message/send", {"access_token": "token-1"})
    card = sent.json
    assert (card["touser"], card["msgtype"], card["agentid"]) == ("gus.w@corp", "textcard", 1000002)
    assert (card["textcard"]["url"], card["textcard"]["btntxt"]) == (NOTICE.link, "Join")


def test_a_department_is_a_party(wecom_server: HttpStandIn) -> None:
    WeCom().send(replace(NOTICE, contact="wecom:12", role="department"))
    assert card_of(wecom_server)["toparty"] == "12"
    assert "touser" not in card_of(wecom_server)


def test_what_people_typed_is_text_in_the_card(wecom_server: HttpStandIn) -> None:
    WeCom().send(replace(WECOM, invited_by='<a href="//evil">', tenant_name="Bits & Bobs</div>"))
    text = card_of(wecom_server)["textcard"]["description"]
    assert "&lt;a href=&quot;//evil&quot;&gt; invites you to a conversation (Bits &amp; Bobs&lt;/div&gt;)" in text
    assert text.count("<") == 4, "our own two paragraphs, and nobody else's"


@pytest.mark.parametrize(
    ("contact", "role"),
    [
        ("wecom:@all", "guest"),
        ("wecom:@ALL", "guest"),
        ("wecom:ann|ben", "guest"),
        ("wecom:", "guest"),
        ("wecom:gus", "department"),
        ("wecom:1|2", "department"),
        ("wecom:@all", "department"),
    ],
)
def test_a_link_for_one_is_never_sent_to_many(contact: str, role: str, wecom_server: HttpStandIn) -> None:
    assert "no id of one" in why_not(WeCom(), replace(NOTICE, contact=contact, role=role))
    assert wecom_server.asked == []


def test_one_token_serves_until_it_ends(wecom_server: HttpStandIn) -> None:
    now = [0.0]
    wecom = WeCom(clock=lambda: now[0])
    for now[0], token in ((0.0, "token-1"), (6899.0, "token-1"), (6900.0, "token-2")):
        wecom.send(WECOM)
        assert wecom_server.asked[-1].query == {"access_token": token}


def refusing(server: HttpStandIn, *tokens: str, errcode: int = 42001) -> None:
    """The server says that these tokens are over."""
    usual = server.answers

    def answers(asked: Asked) -> tuple[int, Any]:
        over = asked.query.get("access_token") in tokens
        return (200, {"errcode": errcode, "errmsg": "not this one"}) if over else usual(asked)

    server.answers = answers


@pytest.mark.parametrize("errcode", [40014, 42001])
def test_a_token_that_is_over_is_fetched_anew_once(errcode: int, wecom_server: HttpStandIn) -> None:
    wecom = WeCom()
    refusing(wecom_server, "token-1", errcode=errcode)
    wecom.send(WECOM)
    tried = [asked.query.get("access_token", "new") for asked in wecom_server.asked]
    assert tried == ["new", "token-1", "new", "token-2"]
    refusing(wecom_server, "token-2", "token-3", errcode=errcode)
    assert why_not(wecom, WECOM) == f"WeCom refused: {errcode} not this one"
    assert len(wecom_server.asked) == 7, "and not for ever"


def test_every_other_errcode_is_the_reason(wecom_server: HttpStandIn) -> None:
    refusing(wecom_server, "token-1", errcode=60011)
    assert why_not(WeCom(), WECOM) == "WeCom refused: 60011 not this one"
    assert len(wecom_server.asked) == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((200, {"errcode": 40013, "errmsg": "invalid corpid"}), "WeCom gives no access token: 40013 invalid corpid"),
        ((200, {"errcode": 0}), "WeCom gives no access token: 0 "),
        ((200, []), "WeCom: the answer has no errcode"),
        ((200, "<html>"), "WeCom: the answer is no JSON"),
        ((502, ""), "WeCom: answered 502"),
    ],
)
def test_no_token_no_notice(answer: tuple[int, Any], reason: str, wecom_server: HttpStandIn) -> None:
    wecom_server.answer(*answer)
    assert why_not(WeCom(), WECOM) == reason


def test_a_member_whom_wecom_does_not_know(wecom_server: HttpStandIn) -> None:
    usual = wecom_server.answers
    wecom_server.answers = lambda asked: (usual(asked)[0], usual(asked)[1] | {"invaliduser": "gus.w@corp"})
    assert "knows nobody" in why_not(WeCom(), WECOM)


def test_secrets_stay_out_of_reasons_and_logs(
    wecom_server: HttpStandIn, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        WeCom().send(WECOM)
        settings.NOTICE_TIMEOUT, wecom_server.is_silent = 0.2, True
        said = why_not(WeCom(), WECOM)
    for secret in ("the secret", "the+secret", "the%20secret", "token-1"):
        assert secret not in said + caplog.text


# --- The house's rule ---


@pytest.mark.django_db
def test_no_network_inside_a_transaction(
    webhook: HttpStandIn, wecom_server: HttpStandIn, mail_server: MailStandIn
) -> None:
    for notifier in (Webhook(), WeCom(), Email()):
        with transaction.atomic(), pytest.raises(RuntimeError, match="No network"):
            notifier.send(WECOM)
    assert (webhook.asked, wecom_server.asked, mail_server.mails) == ([], [], [])
