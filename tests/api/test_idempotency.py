"""A write that may be sent again: done once, answered as the first time."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from agents_app.credentials.tokens import read_token
from agents_app.models import IdempotencyRecord
from agents_app.tasks import forget_answers
from config import celery
from config.errors import Busy
from messaging_app.models import Conversation, Message, Operation
from sessions_app.actions import conversations, participants
from sessions_app.models import ChatSession, Participant
from tests.api.world import Caller, agent, program
from tests.cast import Cast, Chat, Later, snapshot
from tests.patience import PATIENCE

once = pytest.mark.django_db


def _opens(caller: Caller, chat: Chat, key: str, **more: Any) -> Any:
    return caller.post("sessions", {"conversation_id": str(chat.id)} | more, key=key)


@once
def test_the_same_request_again_is_answered_as_the_first_time(chat: Chat) -> None:
    bot = program(chat.cast, "bargain")
    first, again = _opens(bot, chat, "k"), _opens(bot, chat, "k")
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert ChatSession.objects.count() == 1


@once
def test_without_a_key_it_is_done_again(chat: Chat) -> None:
    channel = program(chat.cast, "channel")
    for _ in range(2):
        assert channel.post("inbound", {"conversation_id": str(chat.id), "content": "Hello?"}).status_code == 201
    assert Message.objects.count() == 2


@once
def test_it_is_answered_as_then_also_when_the_turn_has_moved(chat: Chat) -> None:
    bot = program(chat.cast, "bargain")
    first = _opens(bot, chat, "k")
    chat.take()
    assert _opens(bot, chat, "k").json() == first.json()


@once
def test_one_key_for_another_request_is_refused_and_changes_nothing(chat: Chat) -> None:
    bot = program(chat.cast, "bargain")
    _opens(bot, chat, "k")
    before = snapshot()
    for other in (_opens(bot, chat, "k", task="negotiation"), bot.post("sessions/heartbeat", key="k")):
        assert (other.status_code, other.json()["code"], other.json()["key"]) == (422, "unprocessable", "k")
    assert snapshot() == before


@once
def test_the_order_of_a_bodys_fields_makes_no_other_request(chat: Chat) -> None:
    bot = program(chat.cast, "bargain")
    bodies = [
        {"conversation_id": str(chat.id), "task": "negotiation"},
        {"task": "negotiation", "conversation_id": str(chat.id)},
    ]
    assert [bot.post("sessions", body, key="k").status_code for body in bodies] == [201, 201]


@once
def test_anothers_key_of_the_same_name_is_another_key(chat: Chat) -> None:
    for name in ("bargain", "faq"):
        assert "Idempotent-Replayed" not in _opens(program(chat.cast, name), chat, "k")
    assert ChatSession.objects.count() == 2


@once
def test_a_new_credential_of_the_same_caller_repeats_its_requests(chat: Chat) -> None:
    _opens(program(chat.cast, "bargain"), chat, "k")
    assert _opens(program(chat.cast, "bargain"), chat, "k")["Idempotent-Replayed"] == "true"


@once
def test_a_refusal_is_kept_like_any_answer(chat: Chat) -> None:
    """Else a client that heard 'no' and repeats itself might be told 'yes', and not know which of the two was done."""
    ann = agent(chat.cast, "ann")
    path = f"conversations/{chat.id}/take-over"
    first = ann.post(path, key="k")
    chat.robot()
    again = ann.post(path, key="k")
    assert (first.status_code, again.status_code) == (409, 409)
    assert first.content == again.content
    assert (again["Content-Type"], again["Idempotent-Replayed"]) == ("application/problem+json", "true")
    assert ann.post(path, key="another").status_code == 200


@once
def test_what_is_malformed_uses_up_no_key(chat: Chat) -> None:
    bot = program(chat.cast, "bargain")
    assert _opens(bot, chat, "k", priority=9).status_code == 400
    assert _opens(bot, chat, "k").status_code == 201


@once
def test_a_failure_of_ours_is_not_kept(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, path = agent(chat.cast, "ann"), f"conversations/{chat.id}/pin"
    with monkeypatch.context() as patch:
        patch.setattr(conversations, "pin", _busy)
        failed = ann.post(path, key="k")
    assert (failed.status_code, failed.json()["code"], failed["Retry-After"]) == (503, "busy", "1")
    assert not IdempotencyRecord.objects.exists()
    done = ann.post(path, key="k")
    assert done.status_code == 200
    assert "Idempotent-Replayed" not in done
    assert chat.event_types == ["conversation.pinned"]


def _busy(**_: Any) -> None:
    raise Busy


@once
def test_an_error_nobody_foresaw_leaves_neither_the_work_nor_the_key(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, path, pin = agent(chat.cast, "ann"), f"conversations/{chat.id}/pin", conversations.pin
    before = snapshot()

    def breaks(**given: Any) -> None:
        pin(**given)
        raise ZeroDivisionError

    monkeypatch.setattr(conversations, "pin", breaks)
    with pytest.raises(ZeroDivisionError):
        ann.post(path, key="k")
    assert snapshot() == before


@once
@pytest.mark.parametrize("key", ["k" * 192, "with space", "ü", " "])
def test_what_is_no_key_is_malformed(chat: Chat, key: str) -> None:
    bot = program(chat.cast, "bargain")
    answer = _opens(bot, chat, key)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert not ChatSession.objects.exists()


@once
def test_the_longest_key_is_a_key(chat: Chat) -> None:
    assert _opens(program(chat.cast, "bargain"), chat, "k" * 191).status_code == 201


# --- Secrets -----------------------------------------------------------------------------------------------------


@once
def test_a_secret_is_answered_again_and_stands_in_no_row(chat: Chat) -> None:
    chat.serve()
    ann, channel = agent(chat.cast, "ann"), program(chat.cast, "channel")
    link = [ann.post(f"conversations/{chat.id}/invite", {"name": "Gus"}, key="k").json()["token"] for _ in range(2)]
    token = [channel.post("tokens", {"conversation_id": str(chat.id)}, key="k").json()["token"] for _ in range(2)]
    assert link[0] == link[1] != ""
    assert token[0] == token[1] != ""
    assert Participant.objects.count() == 1
    stored = repr(snapshot())
    assert link[0] not in stored
    assert token[0] not in stored
    participants.join(tenant_id=chat.cast.tenant.pk, token=link[1])
    assert read_token(token[1]) is not None


@once
def test_after_the_installations_key_has_changed_nothing_is_done_twice(chat: Chat, settings: Any) -> None:
    bot = program(chat.cast, "bargain")
    _opens(bot, chat, "k")
    settings.SECRET_KEY = "another"
    assert _opens(bot, chat, "k").status_code == 422
    assert ChatSession.objects.count() == 1


# --- Forgetting --------------------------------------------------------------------------------------------------


@once
def test_answers_are_forgotten_after_seven_days(chat: Chat, later: Later) -> None:
    bot = program(chat.cast, "bargain")
    _opens(bot, chat, "old")
    later(timedelta(days=7, minutes=-1).total_seconds())
    assert forget_answers() == 0
    later(120)
    assert forget_answers() == 1
    assert not IdempotencyRecord.objects.exists()


def test_a_clock_sees_to_that() -> None:
    assert "agents_app.tasks.forget_answers" in {task for task, _ in celery.BEAT.values()}
    assert "agents_app.tasks.forget_answers" in celery.app.tasks


# --- At once -----------------------------------------------------------------------------------------------------

SENDERS = 50


def _rounds(cast: Cast, rounds: int) -> None:
    """Each round fifty threads send one and the same message, with one key and without an id of its own."""
    channel = cast.chat()
    secret = program(cast, "channel").secret
    answers: list[Counter[bytes]] = []
    with ThreadPoolExecutor(SENDERS) as pool:
        for number in range(rounds):
            gate = threading.Barrier(SENDERS, timeout=PATIENCE)
            sent = {"conversation_id": str(channel.id), "content": f"Word {number}"}
            answers.append(Counter(pool.map(lambda _: _sends(gate, secret, sent, f"key-{number}"), range(SENDERS))))  # noqa: B023 – done before the next
        list(pool.map(lambda _: connection.close(), range(SENDERS * 4)))
    assert [len(told) for told in answers] == [1] * rounds, "somebody was answered something else"
    said = Message.objects.filter(conversation_id=channel.id)
    assert (said.count(), said.values("content").distinct().count()) == (rounds, rounds)
    assert Operation.objects.filter(conversation_id=channel.id, type="message.created").count() == rounds
    assert Conversation.objects.get(pk=channel.id).seq == rounds
    assert IdempotencyRecord.objects.count() == rounds


def _sends(gate: threading.Barrier, secret: str, body: dict[str, str], key: str) -> bytes:
    """What the sender is told in the end: 'busy' means to send the same again."""
    try:
        connection.ensure_connection()
        gate.wait()
        for _ in range(20):
            answer = Caller(secret).post("inbound", body, key=key)
            if answer.status_code != 503:
                return bytes(answer.content)
        return b"still busy"
    finally:
        connection.close()


@pytest.mark.races
@pytest.mark.django_db(transaction=True)
def test_fifty_requests_at_once_with_one_key_have_one_effect(cast: Cast, settings: Any) -> None:
    """The short form of 'with one key, 200 times: 200 effects'."""
    _undisturbed(settings)
    _rounds(cast, 10)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.django_db(transaction=True)
def test_fifty_requests_at_once_with_one_key_200_times_have_200_effects(cast: Cast, settings: Any) -> None:
    _undisturbed(settings)
    _rounds(cast, 200)


def _undisturbed(settings: Any) -> None:
    """Neither a throttle comes between, nor the clock that flags words which nobody answers, on however slow a machine."""
    rates = {"caller": "1000000/min", "anonymous": "1000000/min"}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}
    settings.TANDEM = settings.TANDEM | {"GROUP_AFTER": 86_400}
