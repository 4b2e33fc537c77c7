"""From a request after hours to the e-mail: what it says, that it is sent again, and that nothing is lost or doubled."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail as outbox
from django.db import connection

from config import clock
from messaging_app.events import rendered
from messaging_app.models import Message, Operation
from sessions_app import tasks
from sessions_app.actions import mails
from sessions_app.models import Mail, Transfer
from sessions_app.states import MailStatus
from tests.cast import Cast, Chat, Later, refused
from tests.events.test_catalogue import fits
from tests.office import FRIDAYS, HOUR, MINUTE, berlin, by_email
from tests.races.invariants import check
from tests.standins import MailStandIn, closed_port

pytestmark = pytest.mark.django_db(transaction=True)  # what is sent is sent outside of every transaction


@pytest.fixture(autouse=True)
def _here_and_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mails._threads, "take", lambda key, work: work() is None)


@pytest.fixture
def email(settings: Any) -> Any:
    settings.EMAIL_URL = "memory://"
    return outbox.outbox


SAID = {"suggestion": "Refund the postage.", "promises": ["an answer", "tea"], "urgency": 2, "task_state": {"order": 7}}


@pytest.fixture
def asked(chat: Chat, later: Later, email: Any) -> Chat:
    """On Friday evening a bot asked for a human."""
    by_email(chat.cast)
    later.until(berlin(FRIDAYS["spring"], "18:00"))
    chat.robot()
    chat.says("Where is my parcel?")
    chat.escalate(reason="wants a refund", context=SAID)
    return chat


def state() -> tuple[str, int, str]:
    row = Mail.objects.get()
    assert (row.due_at is not None) == (row.status == MailStatus.WAITING)
    return row.status, row.attempts, row.error


def told(chat: Chat) -> list[str]:
    return [type for type in chat.event_types if type.startswith(("mail.", "attention."))]


def fails(settings: Any) -> None:
    """Nobody listens where the mail server should be."""
    options = {"host": "127.0.0.1", "port": closed_port(), "timeout": 1}
    settings.EMAIL_URL = "smtp://nobody"
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}


def test_the_team_is_told_what_a_human_needs_to_know(asked: Chat, email: list[Any], settings: Any) -> None:
    assert (state(), email) == (("waiting", 0, ""), []), "the verb itself sends nothing"
    assert tasks.send_mails() == 1
    [sent] = email
    assert sent.to == ["desk@example.org"]
    assert sent.subject == f"{asked.row.account_id} asks for a human (Shop)"
    for fact in (
        f"Account: {asked.row.account_id}",
        "Shop: shop-1",
        "Asked: Friday 27 March, 18:00",
        "Why: wants a refund",
        "Suggestion (bargain, Friday 27 March, 18:00): Refund the postage.",
        "Promised (bargain, Friday 27 March, 18:00): an answer, tea",
        "Urgency (bargain, Friday 27 March, 18:00): high",
        "Task (bargain, Friday 27 March, 18:00): order: 7",
        "[Friday 27 March, 18:00] customer:\nWhere is my parcel?",
        f"{settings.PUBLIC_URL}/desk/c/{asked.id}/",
    ):
        assert fact in sent.body
    assert state() == ("sent", 1, "")
    assert told(asked) == ["mail.queued", "mail.sent"]
    assert not asked.row.needs_human
    assert mails.send_waiting() == 0


def test_a_package_of_before_is_told_as_it_was(asked: Chat, email: list[Any]) -> None:
    """Version 1 did not keep who said what."""
    package = dict(asked.transfers[0].context)
    del package["said"], package["previous"]
    Transfer.objects.update(context=package | {"version": 1})
    tasks.send_mails()
    told = [line for line in email[0].body.splitlines() if line.startswith(("The bot", "Promised", "Urgency", "Task"))]
    assert told == ["The bot suggests: Refund the postage.", "Promised: an answer, tea", "Task: order: 7"]


def test_an_email_is_sent_once_however_many_look(asked: Chat, email: list[Any]) -> None:
    row = Mail.objects.get()
    for _ in range(3):
        mails.deliver(row.tenant_id, row.conversation_id, row.pk)
    assert len(email) == 1


def test_a_failure_is_tried_again_later_and_later(asked: Chat, later: Later, settings: Any) -> None:
    fails(settings)
    for number, pause in enumerate(mails.AGAIN_AFTER, 1):
        assert mails.send_waiting() == 1
        status, attempts, error = state()
        assert (status, attempts) == ("waiting", number)
        assert "cannot be reached" in error
        assert mails.send_waiting() == 0, "not before its time"
        later(pause.total_seconds() - MINUTE / 2)
        assert mails.send_waiting() == 0
        later(MINUTE / 2)
    settings.EMAIL_URL = "memory://"
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    assert mails.send_waiting() == 1
    assert state()[0] == "sent"
    assert told(asked) == ["mail.queued", "mail.sent"]


def test_what_fails_for_good_flags_the_conversation(asked: Chat, later: Later, settings: Any) -> None:
    fails(settings)
    for _ in range(len(mails.AGAIN_AFTER) + 1):
        assert mails.send_waiting() == 1
        later(3 * HOUR)
    assert mails.send_waiting() == 0
    assert state()[:2] == ("failed", len(mails.AGAIN_AFTER) + 1)
    assert told(asked) == ["mail.queued", "mail.failed", "attention.raised"]
    row = asked.row
    assert (row.needs_human, row.need["kind"], row.need["reason"]) == (True, "mail", "wants a refund")
    assert row.tier == 3, "among those at which somebody should look"
    assert check(asked.cast.tenant.pk, stamped=False) == []


def test_where_no_email_is_set_up_any_more_it_is_flagged_at_once(asked: Chat, settings: Any) -> None:
    settings.EMAIL_URL = ""
    mails.send_waiting()
    assert state() == ("failed", 1, "no e-mail is set up")
    assert asked.row.needs_human


def test_an_address_that_is_refused_for_good_is_not_tried_again(asked: Chat, mail_server: MailStandIn) -> None:
    mail_server.refused = {"desk@example.org"}
    mails.send_waiting()
    assert state() == ("failed", 1, "the mail server does not take this address: 550 no such mailbox here")
    assert asked.row.needs_human


def test_over_a_real_connection(asked: Chat, mail_server: MailStandIn) -> None:
    mails.send_waiting()
    assert state()[0] == "sent"
    [sent] = mail_server.mails
    assert "Where is my parcel?" in sent


def test_a_sender_that_dies_leaves_it_to_the_next_after_its_lease(asked: Chat, later: Later, email: list[Any]) -> None:
    row = Mail.objects.get()

    def taken() -> object:
        return mails.take_mail(actor=asked.cast.system, conversation_id=asked.id, mail_id=row.pk)

    assert taken()
    assert taken() is None, "it is somebody's"
    assert mails.send_waiting() == 0
    later(mails.LEASE.total_seconds())
    assert mails.send_waiting() == 1
    assert (len(email), state()) == (1, ("sent", 2, ""))


def test_one_that_kills_its_sender_each_time_is_given_up_visibly(asked: Chat, later: Later) -> None:
    row = Mail.objects.get()
    for _ in range(len(mails.AGAIN_AFTER) + 2):
        mails.take_mail(actor=asked.cast.system, conversation_id=asked.id, mail_id=row.pk)
        later(mails.LEASE.total_seconds())
    assert state()[0] == "failed"
    assert "without a word" in state()[2]
    assert asked.row.needs_human


def test_a_late_word_of_an_old_attempt_is_nothing(asked: Chat, later: Later) -> None:
    row = Mail.objects.get()
    letter = mails.take_mail(actor=asked.cast.system, conversation_id=asked.id, mail_id=row.pk)
    assert letter
    later(mails.LEASE.total_seconds())
    assert mails.take_mail(actor=asked.cast.system, conversation_id=asked.id, mail_id=row.pk)
    mails.end_mail(
        actor=asked.cast.system, conversation_id=asked.id, mail_id=row.pk, attempt=letter.attempt, error="late"
    )
    assert state() == ("waiting", 2, "")


def test_a_supervisor_sends_it_again(asked: Chat, email: list[Any], settings: Any) -> None:
    cast = asked.cast
    settings.EMAIL_URL = ""
    mails.send_waiting()
    row = Mail.objects.get()
    again = {"conversation_id": asked.id, "mail_id": row.pk}
    refused("forbidden", mails.send_mail_again, actor=cast.ann, **again)
    mails.send_mail_again(actor=cast.sue, **again)
    assert state() == ("waiting", 0, "")
    refused("conflict", mails.send_mail_again, actor=cast.sue, **again)
    settings.EMAIL_URL = "memory://"
    mails.send_waiting()
    assert (len(email), state()) == (1, ("sent", 1, ""))
    mails.send_mail_again(actor=cast.sue, **again)
    assert asked.operations[-1].actor_id == cast.sue.id
    mails.send_waiting()
    assert len(email) == 2


def test_another_tenants_email_does_not_exist(asked: Chat, others: Cast) -> None:
    row = Mail.objects.get()
    refused("not_found", mails.send_mail_again, actor=others.sue, conversation_id=asked.id, mail_id=row.pk)
    elsewhere = others.chat()
    refused("not_found", mails.send_mail_again, actor=others.sue, conversation_id=elsewhere.id, mail_id=row.pk)


def test_no_name_writes_a_header_and_no_word_makes_it_endless(chat: Chat, later: Later, email: list[Any]) -> None:
    cast = chat.cast
    by_email(cast)
    later.until(berlin(FRIDAYS["spring"], "18:00"))
    type(chat.row).objects.filter(pk=chat.id).update(customer_name="Eve\r\nBcc: all@example.org" + "e" * 100)
    chat.robot()
    for number in range(30):
        chat.says(f"{number} " + "long " * 3000)
    chat.escalate(reason="two\nlines\nBcc: x")
    mails.send_waiting()
    [sent] = email
    assert "\n" not in sent.subject
    assert len(sent.subject) < 100
    assert sent.recipients() == ["desk@example.org"]
    assert "Why: two lines Bcc: x" in sent.body
    assert len(sent.body) < mails.MOST_MESSAGES * (mails.MOST_CHARACTERS + 100) + 1000


def test_the_record_holds_no_address_and_no_words(asked: Chat) -> None:
    mails.send_waiting()
    record = json.dumps([o.data for o in asked.operations if o.type.startswith("mail.")])
    assert "example.org" not in record
    assert "parcel" not in record


def test_its_events_fit_their_schemas(asked: Chat, settings: Any) -> None:
    settings.EMAIL_URL = ""
    mails.send_waiting()
    row = Mail.objects.get()
    mails.send_mail_again(actor=asked.cast.sue, conversation_id=asked.id, mail_id=row.pk)
    settings.EMAIL_URL = "memory://"
    mails.send_waiting()
    operations = list(Operation.objects.filter(conversation_id=asked.id).select_related("tenant").order_by("seq"))
    for number, operation in enumerate(operations, 1):  # as the relay would
        operation.pos = operation.pos or number
    for event in rendered(operations, Message.objects.all()):
        fits(event)
    assert {"mail.queued", "mail.sent", "mail.failed"} <= {o.type for o in operations}


def test_nothing_is_sent_inside_a_transaction(asked: Chat) -> None:
    from django.db import transaction

    row = Mail.objects.get()
    with transaction.atomic(), pytest.raises(RuntimeError, match="No network"):
        mails.deliver(row.tenant_id, row.conversation_id, row.pk)
    assert not connection.in_atomic_block
    assert row.due_at
    assert row.due_at <= clock.now() + timedelta(seconds=1)
