"""From the invitation to the notice: what is sent, what is seen on the participant, and that nothing is lost or doubled."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest
from django.core import mail
from django.db import connections

from config.threads import Threads
from sessions_app import notices as channels
from sessions_app.actions import notices, participants
from sessions_app.core.locked_conversation import Outcome
from sessions_app.models import Participant
from sessions_app.notices import Notice, link
from sessions_app.states import NoticeStatus
from tests.cast import Cast, Chat, Later, refused
from tests.patience import PATIENCE
from tests.races.invariants import check
from tests.standins import Asked, HttpStandIn

pytestmark = pytest.mark.django_db(transaction=True)  # what is sent is sent outside of every transaction


@pytest.fixture(autouse=True)
def _here_and_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep's work is done on the spot; threads have a test of their own."""
    monkeypatch.setattr(notices._threads, "take", lambda key, work: work() is None)


@pytest.fixture
def email(settings: Any) -> Any:
    """E-mail is set up; what is sent lands in the returned list."""
    settings.EMAIL_URL = "memory://"
    return mail.outbox


def invite(chat: Chat, contact: str = "gus@example.org", **more: Any) -> Outcome:
    return participants.invite_participant(
        actor=chat.cast.ann, conversation_id=chat.id, name="Gus", contact=contact, **more
    )


def again(chat: Chat, invited: Outcome, actor: Any = None, **more: Any) -> Outcome:
    return participants.send_notice_again(
        actor=actor or chat.cast.ann, conversation_id=chat.id, participant_id=invited.participant_id or 0, **more
    )


def take(chat: Chat, invited: Outcome) -> Notice | None:
    return notices.take_notice(
        actor=chat.cast.system, conversation_id=chat.id, participant_id=invited.participant_id or 0
    )


def seen(invited: Outcome) -> tuple[str, str]:
    """What the participant's page shows."""
    row = Participant.objects.get(pk=invited.participant_id)
    assert (row.notice_due_at is not None) == (row.notice_status == NoticeStatus.WAITING)
    return row.notice_status, row.notice_error


def joins(chat: Chat, token: str) -> None:
    participants.join(tenant_id=chat.cast.tenant.pk, token=token)


def test_who_is_invited_gets_the_link_that_the_inviter_was_shown(chat: Chat, email: list[Any]) -> None:
    chat.serve()
    invited = invite(chat)
    assert seen(invited) == ("waiting", "")
    assert email == [], "the verb itself sends nothing"
    assert notices.send_waiting() == 1
    assert link.join_url(invited.token) in email[0].body
    assert seen(invited) == ("sent", "")
    assert Participant.objects.get().notice_sent_at is not None
    told = chat.operations[-1]
    assert (told.type, told.actor_kind, told.data["channel"]) == ("participant.notified", "system", "e-mail")
    assert notices.send_waiting() == 0
    joins(chat, invited.token)
    assert check(chat.cast.tenant.pk, stamped=False) == []


def test_without_an_address_there_is_nothing_to_send(chat: Chat, email: list[Any]) -> None:
    chat.serve()
    invited = invite(chat, contact=" ")
    assert (seen(invited), notices.send_waiting()) == (("", ""), 0)
    refused("malformed", again, chat, invited)
    again(chat, invited, contact="gus@example.org")
    assert notices.send_waiting() == 1


def test_a_failure_is_seen_and_again_sends_a_new_link(chat: Chat, settings: Any) -> None:
    chat.serve()
    invited = invite(chat)
    notices.send_waiting()
    assert seen(invited) == ("failed", "no channel is set up for this address")
    assert notices.send_waiting() == 0, "it is not tried again by itself"

    settings.EMAIL_URL = "memory://"
    anew = again(chat, invited)
    assert (seen(invited), anew.participant_id) == (("waiting", ""), invited.participant_id)
    notices.send_waiting()
    assert link.join_url(anew.token) in mail.outbox[0].body
    refused("not_found", joins, chat, invited.token)
    joins(chat, anew.token)
    kinds = ["invited", "notice_failed", "invited_again", "notified", "joined"]
    assert chat.event_types[-5:] == [f"participant.{kind}" for kind in kinds]
    assert check(chat.cast.tenant.pk, stamped=False) == []


def test_the_record_holds_neither_link_nor_address_nor_reason(chat: Chat, webhook: HttpStandIn) -> None:
    """The reason may name the address; a record that cannot be changed must not."""
    chat.serve()
    webhook.answer(400)
    first = invite(chat)
    notices.send_waiting()
    anew = again(chat, first)
    notices.send_waiting()
    row = Participant.objects.get()
    assert row.notice_error == "webhook: answered 400"
    recorded = str([operation.data for operation in chat.operations])
    for secret in (first.token, anew.token, row.link_seed, str(row.token_hash), row.contact, "answered 400"):
        assert secret not in recorded
    assert anew.token not in str(Participant.objects.values().get())


def test_who_may_send_again(chat: Chat, others: Cast) -> None:
    chat.serve()
    invited = invite(chat)
    refused("forbidden", again, chat, invited, actor=chat.cast.ben)
    refused("forbidden", again, chat, invited, actor=chat.cast.bargain)
    refused("not_found", again, chat, invited, actor=others.sue)
    elsewhere = chat.cast.chat().serve()
    refused("not_found", again, elsewhere, invited)
    again(chat, invited, actor=chat.cast.sue)


@pytest.mark.parametrize("then", ["joined", "left", "removed"])
def test_nothing_is_sent_to_who_is_not_invited_any_more(then: str, chat: Chat, email: list[Any]) -> None:
    chat.serve()
    invited = invite(chat)
    if then == "removed":
        participants.remove_participant(
            actor=chat.cast.ann, conversation_id=chat.id, participant_id=invited.participant_id or 0
        )
    else:
        joins(chat, invited.token)  # the inviter passed the link on by hand
        if then == "left":
            participants.leave(actor=chat.participant_actor(invited.participant_id), conversation_id=chat.id)
    assert (seen(invited), notices.send_waiting(), email) == (("", ""), 0, [])
    refused("conflict", again, chat, invited)
    assert check(chat.cast.tenant.pk, stamped=False) == []


def test_a_sender_that_dies_costs_time_and_not_the_notice(chat: Chat, email: list[Any], later: Later) -> None:
    chat.serve()
    invited = invite(chat)
    assert take(chat, invited) is not None  # and its process is killed
    assert notices.send_waiting() == 0
    later(notices.LEASE.total_seconds() + 1)
    assert notices.send_waiting() == 1
    assert link.join_url(invited.token) in email[0].body, "the link that was shown, still"
    assert Participant.objects.get().notice_attempts == 2


def test_a_notice_that_ends_its_senders_is_given_up(chat: Chat, email: list[Any], later: Later) -> None:
    chat.serve()
    invited = invite(chat)
    for _ in range(notices.MAX_ATTEMPTS):
        assert take(chat, invited) is not None
        later(notices.LEASE.total_seconds() + 1)
    notices.send_waiting()
    assert seen(invited) == ("failed", "given up: 6 attempts ended without a word")
    assert email == []


def test_of_two_senders_one_sends(chat: Chat) -> None:
    chat.serve()
    invited = invite(chat)
    assert take(chat, invited) is not None
    assert take(chat, invited) is None


def test_the_report_on_an_old_link_says_nothing_of_the_new_one(chat: Chat, email: list[Any]) -> None:
    chat.serve()
    invited = invite(chat)
    old = take(chat, invited)
    assert old is not None
    again(chat, invited)
    notices.end_notice(
        actor=chat.cast.system,
        conversation_id=chat.id,
        participant_id=old.participant_id,
        key=old.key,
        error="too late",
    )
    assert seen(invited) == ("waiting", "")
    notices.send_waiting()
    assert (seen(invited), len(email)) == (("sent", ""), 1)


def test_a_changed_secret_key_is_a_failure_with_a_way_out(chat: Chat, email: list[Any], settings: Any) -> None:
    chat.serve()
    invited = invite(chat)
    before, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    notices.send_waiting()
    assert seen(invited) == ("failed", "SECRET_KEY has changed since; send it again")
    again(chat, invited)
    notices.send_waiting()
    assert (seen(invited), len(email)) == (("sent", ""), 1)
    settings.SECRET_KEY_FALLBACKS = [before]  # by which the record of before is still known


def test_a_mistake_of_our_own_is_a_failure_too(
    chat: Chat, email: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mistaken(notice: Notice) -> None:
        raise LookupError("nobody thought of this")

    monkeypatch.setattr(channels._email, "send", mistaken)
    chat.serve()
    invited = invite(chat)
    notices.send_waiting()
    assert seen(invited) == ("failed", "an error of Tandem's own; the log has it")
    assert "could not be sent" in caplog.text


def test_the_lock_is_not_held_while_the_other_side_takes_its_time(chat: Chat, webhook: HttpStandIn) -> None:
    chat.serve()
    invited = invite(chat)
    ours, held = connections["default"], []

    def answers(asked: Asked) -> tuple[int, Any]:
        held.append(ours.in_atomic_block)
        return 200, {}

    webhook.answers = answers
    notices.send_waiting()
    assert (seen(invited), held) == (("sent", ""), [False])


def test_threads_neither_wait_nor_double_nor_take_more_than_they_can_hold() -> None:
    threads, go = Threads("test", threads=1, room=2), Event()
    assert threads.take(1, lambda: go.wait(PATIENCE))
    assert not threads.take(1, go.set), "under way"
    assert threads.take(2, lambda: 1 / 0)
    assert not threads.take(3, go.set), "no room"
    go.set()
    pool = threads._pool
    assert pool is not None
    pool.submit(int).result(30)  # behind the others, one of which failed
    assert threads.take(2, lambda: None), "room again"
    pool.shutdown()
