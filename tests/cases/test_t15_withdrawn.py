"""T15.6: a request that is withdrawn is withdrawn, or it is refused and says why; declined, it waits on as the same one."""

from __future__ import annotations

from typing import Any

import pytest

from sessions_app.states import Kind, Owner, Status
from tests.cast import Cast, Chat, Later, refused

POLICIES = pytest.mark.parametrize("policy", ["return", "requeue"])


@POLICIES
@pytest.mark.parametrize("by", ["bargain", "sue", "channel"])
def test_an_escalation_goes_back_to_its_bot_whatever_the_policy(chat: Chat, policy: str, by: str) -> None:
    chat.cast.policy(transfer_policy=policy)
    chat.queue()
    chat.withdraw(getattr(chat.cast, by), reason="Solved it.")
    assert [(t.status, t.end_reason) for t in chat.transfers] == [("WITHDRAWN", "Solved it.")]
    assert (chat.controller, chat.live.owner_kind, chat.live.status) == ("bot", Owner.BOT, Status.ACTIVE)
    assert chat.row.needs_human


@POLICIES
@pytest.mark.parametrize("by", ["sue", "channel"])
def test_a_human_session_that_waits_ends_as_cancelled(chat: Chat, policy: str, by: str) -> None:
    chat.cast.policy(transfer_policy=policy)
    chat.opens(chat.cast.channel, Kind.MANUAL_CUSTOMER_SERVICE)
    actor = getattr(chat.cast, by)
    first = chat.pending.pk
    chat.withdraw(actor, reason="Called by phone.")
    [session] = chat.sessions
    assert (session.status, session.reason) == (Status.CANCELLED, "Called by phone.")
    assert [(t.status, t.end_reason) for t in chat.transfers] == [("WITHDRAWN", "Called by phone.")]
    assert chat.controller == "none"
    from sessions_app.actions import transfers

    assert transfers.withdraw_transfer(actor=actor, transfer_id=first).is_repeat


def test_a_bot_that_waited_behind_it_has_its_turn(chat: Chat) -> None:
    chat.opens(chat.cast.channel, Kind.MANUAL_CUSTOMER_SERVICE)
    chat.robot()
    chat.withdraw(chat.cast.sue)
    assert (chat.controller, chat.live.bot_id) == ("bot", chat.cast.bargain.id)


@pytest.mark.parametrize("away", [{"is_active": False}, {"heartbeat_timeout": 60}], ids=["out of use", "silent"])
@POLICIES
def test_nothing_goes_back_to_a_bot_that_is_not_there(chat: Chat, policy: str, away: dict[str, Any]) -> None:
    chat.cast.policy(transfer_policy=policy)
    chat.queue()
    chat.cast.change("bargain", **away)
    refused("no_way_back", chat.withdraw, chat.cast.sue)
    assert chat.controller == "queue"


def test_a_bot_that_says_so_itself_is_there(chat: Chat) -> None:
    chat.queue()
    chat.cast.change("bargain", heartbeat_timeout=60)
    chat.withdraw(chat.cast.bargain)
    assert chat.controller == "bot"


@pytest.mark.parametrize("is_manual", [True, False])
def test_a_reassignment_has_nobody_to_go_back_to(chat: Chat, is_manual: bool) -> None:
    chat.human() if is_manual else chat.serve()
    chat.reassign()
    refused("no_way_back", chat.withdraw, chat.cast.sue)


def test_who_did_not_ask_withdraws_nothing(chat: Chat) -> None:
    chat.opens(chat.cast.channel, Kind.MANUAL_CUSTOMER_SERVICE)
    refused("forbidden", chat.withdraw, chat.cast.ann)


# --- Declined ----------------------------------------------------------------------------------------------------


def addressed(chat: Chat, **policy: str) -> None:
    chat.cast.policy(**policy)
    chat.robot()
    chat.escalate(to_agent_id=chat.cast.ben.id)


def test_under_requeue_the_same_one_waits_for_everybody_and_not_for_who_declined(cast: Cast, chat: Chat) -> None:
    addressed(chat, transfer_policy="requeue", assignment="push")
    cast.change("cat", availability="away")
    cast.change("sue", availability="away")
    asked = chat.pending
    chat.decline(cast.ben, reason="At lunch.")
    again = chat.pending
    assert (again.pk, again.to_agent_id, again.refused_by, again.asked_again) == (asked.pk, None, [cast.ben.id], 1)
    assert again.waiting_since == asked.waiting_since
    assert again.offered_to_id == cast.ann.id
    told = next(one for one in chat.operations if one.type == "transfer.asked_again")
    assert (told.actor_id, told.data["declined_by"], told.data["reason"]) == (cast.ben.id, cast.ben.id, "At lunch.")


def test_declining_again_is_a_repeat(chat: Chat) -> None:
    addressed(chat, transfer_policy="requeue")
    chat.decline(chat.cast.ben)
    before = chat.row.seq
    assert chat.decline(chat.cast.ben).is_repeat
    assert chat.row.seq == before


def test_the_next_round_asks_who_declined_too(cast: Cast, chat: Chat, later: Later) -> None:
    addressed(chat, transfer_policy="requeue")
    chat.decline(cast.ben)
    later(301)
    chat.sweep()
    assert (chat.pending.refused_by, chat.pending.asked_again) == ([], 2)


def test_what_waits_for_everybody_is_nobodys_to_decline(chat: Chat) -> None:
    chat.cast.policy(transfer_policy="requeue")
    chat.queue()
    refused("forbidden", chat.decline, chat.cast.ann)
    refused("no_way_back", chat.decline, chat.cast.sue)


def test_a_supervisor_declines_for_whom_it_is_addressed_to(chat: Chat) -> None:
    addressed(chat, transfer_policy="requeue")
    chat.decline(chat.cast.sue)
    assert (chat.pending.to_agent_id, chat.pending.refused_by) == (None, [chat.cast.ben.id])


def test_declined_while_its_bot_is_not_there_it_waits_on(chat: Chat) -> None:
    addressed(chat, transfer_policy="return")
    chat.cast.change("bargain", is_active=False)
    chat.decline(chat.cast.ben)
    assert (chat.controller, chat.pending.asked_again) == ("queue", 1)
