"""T19: what keeps a notice back for now is tried again, with growing pauses; what keeps it back for good is not."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from sessions_app.actions import notices
from sessions_app.models import Participant
from sessions_app.notices import NotSent, Passing
from sessions_app.notices.email import Email
from sessions_app.notices.webhook import Webhook
from sessions_app.notices.wecom import MOST_BYTES, WeCom
from tests.cast import Chat, Later
from tests.notices.test_channels import NOTICE, WECOM, card_of
from tests.notices.test_delivery import email, invite, seen  # noqa: F401 – a fixture
from tests.standins import HttpStandIn, MailStandIn, closed_port


@pytest.fixture(autouse=True)
def _here_and_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices._threads, "take", lambda _key, work: work() is None)


def kind_of(notifier: Any, notice: Any = NOTICE) -> type[NotSent]:
    with pytest.raises(NotSent) as why:
        notifier.send(notice)
    return why.type


@pytest.mark.django_db(transaction=True)
def test_t19_greylisting_is_waited_for_and_the_same_link_goes_out(
    chat: Chat, later: Later, mail_server: MailStandIn
) -> None:
    chat.serve()
    mail_server.refused, mail_server.refusal = {"gus@example.org"}, "451 greylisted, try again later"
    invited = invite(chat)
    for number, pause in enumerate(notices.AGAIN_AFTER[:3], 1):
        assert notices.send_waiting() == 1
        assert seen(invited) == (
            "waiting",
            "the mail server does not take this address: 451 greylisted, try again later",
        )
        assert Participant.objects.get().notice_attempts == number
        later(pause.total_seconds() - 5)
        assert notices.send_waiting() == 0, "not before its time"
        later(10)
    mail_server.refused = set()
    assert notices.send_waiting() == 1
    assert seen(invited) == ("sent", "")
    assert invited.token in mail_server.mails[0].replace("=\n", "")
    assert [word for word in chat.event_types if "noti" in word] == ["participant.notified"], (
        "and no failure is on record"
    )


@pytest.mark.django_db(transaction=True)
def test_t19_what_does_not_pass_has_failed_in_the_end(chat: Chat, later: Later, webhook: HttpStandIn) -> None:
    chat.serve()
    webhook.answer(503)
    invited = invite(chat, contact="+49 170 1234567")
    for pause in notices.AGAIN_AFTER:
        notices.send_waiting()
        assert seen(invited) == ("waiting", "webhook: answered 503")
        later(pause.total_seconds() + 1)
    notices.send_waiting()
    assert seen(invited) == ("failed", "webhook: answered 503")
    assert (notices.send_waiting(), len(webhook.asked)) == (0, 6)
    assert chat.event_types[-1] == "participant.notice_failed"


@pytest.mark.parametrize(("answer", "is_passing"), [("421", True), ("450", True), ("452", True), ("550", False)])
def test_t19_a_mail_servers_answer_says_whether_it_is_for_good(
    answer: str, is_passing: bool, mail_server: MailStandIn
) -> None:
    mail_server.refused, mail_server.refusal = {"gus@example.org"}, f"{answer} no"
    assert (kind_of(Email()) is Passing) is is_passing


def test_t19_a_mail_server_that_is_away_will_be_back(mail_server: MailStandIn, settings: Any) -> None:
    settings.MAILERS["default"]["OPTIONS"]["port"] = closed_port()
    assert kind_of(Email()) is Passing


@pytest.mark.parametrize("errcode", [-1, 45009, 45033])
def test_t19_wecoms_limits_pass(errcode: int, wecom_server: HttpStandIn) -> None:
    usual = wecom_server.answers
    limited = {"errcode": errcode, "errmsg": "api freq out of limit"}
    wecom_server.answers = lambda asked: (200, limited) if asked.path.endswith("send") else usual(asked)
    assert kind_of(WeCom(), WECOM) is Passing
    wecom_server.answers = lambda asked: (200, limited)
    assert kind_of(WeCom(), WECOM) is Passing, "also where the token is asked for"
    wecom_server.answers = lambda asked: (200, {"errcode": 60011, "errmsg": "no privilege"})
    assert kind_of(WeCom(), WECOM) is NotSent


@pytest.mark.parametrize(("status", "is_passing"), [(429, True), (500, True), (503, True), (400, False), (404, False)])
def test_t19_a_webhooks_status_says_whether_it_is_for_good(status: int, is_passing: bool, webhook: HttpStandIn) -> None:
    webhook.answer(status)
    assert (kind_of(Webhook()) is Passing) is is_passing


ESCAPE = re.compile(r"&(?:amp|lt|gt|quot|#x27);")


@pytest.mark.parametrize("name", ['"' * 40, "'" * 99, "<&>" * 20, "李" * 40, "A & B"])
def test_t19_names_are_counted_as_they_are_sent_and_never_cut_inside_an_escape(
    name: str, wecom_server: HttpStandIn
) -> None:
    WeCom().send(replace(WECOM, invited_by=name, tenant_name=name))
    text = card_of(wecom_server)["textcard"]["description"]
    assert len(text.encode()) <= MOST_BYTES
    assert text.endswith("</div>")
    assert "&" not in ESCAPE.sub("", text)
    shown = unescape(text).removeprefix('<div class="normal">').split(" invites")[0]
    assert name.startswith(shown)
    assert len(shown) >= min(len(name), 20)
