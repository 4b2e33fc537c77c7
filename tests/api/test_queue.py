"""The line for a human, as it is told: to the customer, in the answer to a message, in the conversation's detail."""

from __future__ import annotations

import pytest

from tests.api.world import bearer, program
from tests.cast import Cast, Chat, Later

pytestmark = pytest.mark.django_db


def test_the_customer_reads_the_own_place(cast: Cast, chat: Chat, later: Later) -> None:
    cast.chat().queue()
    later(1)
    carla = bearer(chat.customer)
    path = f"conversations/{chat.id}/queue"
    assert carla.get(path).json() == {"is_waiting": False, "position": None, "expected_wait": None}
    chat.queue()
    assert carla.get(path).json() == {"is_waiting": True, "position": 2, "expected_wait": 0}


def test_the_answer_to_a_message_and_the_detail_tell_it_too(cast: Cast, chat: Chat) -> None:
    chat.queue()
    shop = program(cast, "channel")
    answer = shop.post("inbound", {"conversation_id": str(chat.id), "content": "Hello?"}).json()
    assert answer["detail"] == {"queue_position": 1, "expected_wait": 0}
    detail = shop.get(f"conversations/{chat.id}").json()
    assert (detail["queue_position"], detail["expected_wait"]) == (1, 0)
    (listed,) = shop.get("conversations").json()["results"]
    assert "queue_position" not in listed
    chat.accept()
    detail = shop.get(f"conversations/{chat.id}").json()
    assert (detail["queue_position"], detail["expected_wait"]) == (None, None)
