"""T3, its kind beside the API: what a body is refused for, the facade and Python code are refused for too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from config.errors import DomainError, Malformed
from sessions_app.manager import AutoSessionManager
from sessions_app.models import ChatSession
from sessions_app.states import Status
from tests.cast import Cast

CALLS: dict[str, Callable[[AutoSessionManager, int, str], Any]] = {
    "a reason of an escalation": lambda m, s, text: m.transfer_to_human(session_id=s, reason=text),
    "a reason of an end": lambda m, s, text: m.complete_session(session_id=s, reason=text),
    "a reason of a pause": lambda m, s, text: m.pause_session(session_id=s, reason=text),
    "a reason of a human session": lambda m, s, text: m.create_human_session(shop_id=1, user_id=2, reason=text),
    "an agent's name": lambda m, s, text: m.create_human_session(shop_id=1, user_id=2, human_user_id=text),
    "a tenant's name": lambda m, s, text: AutoSessionManager(tenant=text),
    "a bot's name": lambda m, s, text: AutoSessionManager(tenant="shop", bot=text),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("text", ["\ud800", "a\x00b"], ids=["half a surrogate pair", "NUL"])
def test_t3_a_program_is_refused_a_text_that_no_database_holds(cast: Cast, call: str, text: str) -> None:
    manager = AutoSessionManager(tenant="shop")
    session_id = manager.create_robot_session(shop_id=1, user_id=1).session_id
    with pytest.raises(Malformed, match="surrogate pair"):
        CALLS[call](manager, session_id, text)
    assert ChatSession.objects.get(pk=session_id).status == Status.ACTIVE


def test_t3_a_number_of_another_script_is_no_agents_id(cast: Cast) -> None:
    with pytest.raises(DomainError, match="no agent"):
        AutoSessionManager(tenant="shop").create_human_session(shop_id=1, user_id=2, human_user_id="²")
