"""T19: an answer of the API tells an agent what the desk's row does: unread, whom one helps, what can be grabbed."""

from __future__ import annotations

from typing import Any

import pytest

from config.errors import DomainError
from messaging_app.models import ReadCursor
from sessions_app.actions import conversations, lifecycle, participants
from tests.api.world import Caller, agent, bearer, program
from tests.cast import Cast, Chat, refused

pytestmark = pytest.mark.django_db

TOLD = ("is_unread", "is_collaborator", "can_grab")


def told(caller: Caller, chat: Chat) -> tuple[bool, ...]:
    """The same in the list and by itself."""
    [row] = [row for row in caller.get("conversations").json()["results"] if row["id"] == str(chat.id)]
    alone = caller.get(f"conversations/{chat.id}").json()
    assert [alone[name] for name in TOLD] == [row[name] for name in TOLD]
    return tuple(row[name] for name in TOLD)


def test_a_row_tells_the_agent_who_reads_it(cast: Cast) -> None:
    served, waits = cast.chat(), cast.chat()
    served.human()
    served.says()
    participants.invite_colleague(actor=cast.ann, conversation_id=served.id, agent_id=cast.ben.id)
    waits.human()
    waits.says()
    waits.resolve()
    ann, ben, cat = (agent(cast, name) for name in ("ann", "ben", "cat"))
    assert [told(who, served) for who in (ann, ben, cat)] == [
        (True, False, False),
        (False, True, True),
        (False, False, True),
    ]
    assert [told(who, waits) for who in (ann, ben, cat)] == [(True, False, False)] * 3
    conversations.mark_read(actor=cast.ben, conversation_id=waits.id, seq=waits.row.seq)
    assert [told(who, waits)[0] for who in (ann, ben, cat)] == [True, False, True]


@pytest.mark.parametrize(
    "change", [{}, {"is_drained": True}, {"max_load": 0}, {"availability": "break"}, {"last_seen_at": None}]
)
@pytest.mark.parametrize("state", ["served", "shop", "waits", "bot", "paused"])
def test_who_is_told_that_they_can_grab_can(chat: Chat, state: str, change: dict[str, Any]) -> None:
    cast = chat.cast
    if state == "served":
        chat.serve()
    elif state == "waits":
        chat.queue()
    elif state == "paused":
        chat.human()
        lifecycle.pause_session(actor=cast.ann, session_id=chat.live.pk)
    else:
        chat.robot()
    if state == "shop":
        chat.echo()
    if change:
        cast.change("ben", **change)
    can_grab = told(agent(cast, "ben"), chat)[-1]
    assert can_grab == (state in ("served", "shop") and not {"is_drained", "max_load"} & change.keys())
    if can_grab:
        chat.grab(cast.ben)
    else:
        with pytest.raises(DomainError):
            chat.grab(cast.ben)


def test_a_supervisor_can_grab_while_full_but_not_while_drained(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    cast.change("sue", is_drained=True)
    assert not told(agent(cast, "sue"), chat)[-1]
    refused("gets_nothing_new", chat.grab, cast.sue)
    cast.change("sue", is_drained=False, max_load=0)
    assert told(agent(cast, "sue"), chat)[-1]
    chat.grab(cast.sue, override=True)
    assert chat.controller == "human"


@pytest.mark.parametrize("seq", [1000, 2**53])
def test_nobody_has_read_what_is_to_come(chat: Chat, seq: int) -> None:
    cast = chat.cast
    chat.human()
    chat.says()
    ann = agent(cast, "ann")
    assert ann.post(f"conversations/{chat.id}/read", {"seq": seq}).status_code == 204
    assert ReadCursor.objects.get().seq == chat.row.seq
    assert not told(ann, chat)[0]
    chat.says("And my refund?")
    assert told(ann, chat)[0]
    chat.resolve()
    assert chat.row.needs_human, "words that nobody had read are not set aside"


def test_nobody_else_is_told(cast: Cast) -> None:
    chat = cast.chat()
    chat.robot()
    chat.says()
    chat.escalate()
    chat.accept()
    for caller in (program(cast, "channel"), program(cast, "bargain"), bearer(chat.customer), bearer(chat.guest())):
        assert told(caller, chat) == (False, False, False)
