"""What went wrong elsewhere, so that it cannot here: one test for each fault of the systems behind the seeds and of the
best known products that concerns the core, named after the fault. Where a fault has a whole file of tests, the table
says which; what stands here is then the shortest story of it.

| fault | tests |
|---|---|
| taking over again after a release is an error | here, test_transfers (taking over is at once …) |
| check then insert, no lock | here (the loser), tests/races |
| the bot answers over humans if state fails to load | here, test_messages (it fails closed) |
| the same user at two bots collides | here, test_messages (full key) |
| an answer the bot was already writing still goes out | here, test_messages (the epoch) |
| anybody may release, nobody knows who did | here, test_rights |
| after a release the bot never sees what the human said | here, test_transfers (releasing tells the bot) |
| a poll that misses others' releases | tests/test_stream.py (replay) |
| no authentication, identity from the body | test_rights, test_messages (who speaks) |
| grab without a lock; the load counter drifts; broadcast before the commit | here, tests/races, tests/test_stream.py |
| transfer without notice; an invitation counts as sent | here, test_transfers (offers), test_people |
| two waiting sessions at once | here, tests/test_database_rules.py |
| a batch sent again completes the robot's session; duplicates; no sorting | tests/batches |
| a transferred session idle for three days blocks robots | here, test_clocks |
| a task popped from a list is lost when the worker dies | tests/test_stream.py (one transaction) |
| messages sent while waiting are refused | here, test_messages (routes) |
| pushes live in memory, two tabs compete | tests/test_stream.py (replay from a cursor) |
| the failure counter is never raised; 'when do you start work?' escalates | here, tests/test_detection.py |
| escalating again resets the waiting clock | here, test_transfers |
| closed sessions 'succeed' | here, test_conflicts (what has ended stays ended) |
| a store that fails gives a default 'bot active' session | here |
| nothing ever sets `expired`; a rerun has no lease; a stale copy after a lost compare-and-set | here, test_flows |
| 1 two humans claim one chat | here, tests/races |
| 2 more chats than capacity | here, test_transfers (every way in), tests/races |
| 3 assignment bounces between writers | here |
| 4 the bot talks after the handoff | here |
| 5 a person answers from the shop's own app | here, test_messages |
| 6 a slow webhook answer is taken for a dead bot | here (a bot is never declared dead by its webhook) |
| 7 nothing marks the end of the human stretch | here, test_transfers (release) |
| 8 the assigned agent never answers | here, test_transfers (push) |
| 9 a slot becomes free and the queue does not move | here |
| 10 events lost while reconnecting | here, tests/test_stream.py |
| 11 events out of order | tests/test_stream.py |
| 12 duplicates | here, test_messages, tests/batches |
| 13 webhooks dropped or unverifiable | tests of the webhooks |
| 14 presence lies | here, test_people (three facts) |
| 15 slow with many conversations | query counts: here for the verbs, tests/workbench for pages |
| 16 note and reply drafts mixed up | here (a note is never said), tests/browser |
| 17 assignment driven by the visitor's polling | here, test_clocks |
"""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents_app.models import Tenant
from messaging_app.models import Message
from messaging_app.thread import NewMessage
from sessions_app.actions import (
    flows,
    inbound,
    lifecycle,
    messages,
    participants,
    presence,
    recovery,
    silence,
    sweep,
    transfers,
)
from sessions_app.core.capacity import load
from sessions_app.rights import visible
from sessions_app.states import Kind, Status
from tests.cast import Cast, Chat, Later, refused

# --- The systems behind the seeds ---


def test_taking_over_again_after_a_release_is_an_error(chat: Chat) -> None:
    chat.serve()
    chat.release()
    chat.take()
    assert [t.kind for t in chat.transfers] == ["takeover", "return", "takeover"]


def test_a_store_that_fails_gives_a_default_bot_session(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails closed: no answer at all, so no bot was told to speak, and the retry with the same id is stored once."""
    chat.serve()
    with monkeypatch.context() as patched:
        patched.setattr(inbound, "controller_of", lambda turn: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            chat.says("Hello?", "m-1")
    assert chat.said == []
    assert chat.says("Hello?", "m-1").controller == "human"


def test_the_same_user_at_two_bots_collides(cast: Cast) -> None:
    a, b = (
        cast.chat("carl"),
        Chat(cast, lifecycle.conversation_for(actor=cast.channel, shop_id="two", account_id="carl").pk),
    )
    a.robot(cast.bargain)
    b.robot(cast.faq, Kind.AUTO_ASSISTANT)
    a.take()
    assert (a.controller, b.controller) == ("human", "bot")
    b.speaks(cast.faq)


def test_an_answer_the_bot_was_already_writing_still_goes_out(chat: Chat) -> None:
    chat.robot()
    heard = chat.says("Can I talk to somebody?")
    chat.take()
    refused("stale_epoch", chat.speaks, chat.cast.bargain, "How can I help?", epoch=heard.epoch)
    assert chat.said == ["Can I talk to somebody?"]


def test_anybody_may_release_and_who_did_is_not_recorded(chat: Chat) -> None:
    chat.serve()
    refused("forbidden", chat.release, chat.cast.ben)
    chat.release()
    moved = [o for o in chat.operations if o.data.get("kind") == "return"]
    assert [(o.actor_kind, o.actor_name) for o in moved] == [("agent", "Ann")]


def test_after_a_release_the_bot_never_sees_what_the_human_said(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    chat.speaks(cast.ann, "You get ten per cent.")
    chat.release(summary="Ten per cent agreed.")
    returned = next(o for o in reversed(chat.operations) if o.type == "session.returned")
    truth = recovery.recover(actor=cast.bargain, session_id=chat.live.pk, after_seq=returned.data["missed_from_seq"])
    said = Message.objects.filter(pk__in=[o.data["message"] for o in truth.missed if o.type == "message.created"])
    assert [m.content for m in said] == ["You get ten per cent."]
    assert returned.data["reason"] == "Ten per cent agreed."


def test_the_load_counter_drifts(cast: Cast, later: Later) -> None:
    """Load is counted: whatever ends or moves a session, nothing has to remember to subtract one."""
    ways = {
        "resolved": lambda c: c.resolve(),
        "released": lambda c: c.release(),
        "grabbed": lambda c: c.grab(cast.ben),
        "reassigned": lambda c: c.reassign(),
        "cancelled": lambda c: lifecycle.cancel_session(actor=cast.sue, session_id=c.live.pk),
        "preempted": lambda c: c.opens(cast.sue, Kind.MANUAL_URGENT),
        "timed out": lambda c: (later(8 * 3600), c.sweep()),
    }
    for way, happens in ways.items():
        chat = cast.chat().serve()
        assert load(cast.agent("ann")) == 1, way
        happens(chat)
        assert load(cast.agent("ann")) == 0, way


def test_a_transfer_arrives_without_notice(chat: Chat) -> None:
    """It is asked for; until it is accepted nobody has something they do not know of."""
    cast = chat.cast
    chat.serve()
    chat.hand_over(to_agent_id=cast.ben.id)
    assert (chat.live.agent_id, load(cast.agent("ben"))) == (cast.ann.id, 0)


def test_an_invitation_counts_as_joined_when_nobody_came(chat: Chat) -> None:
    chat.serve()
    invited = participants.invite_participant(actor=chat.cast.ann, conversation_id=chat.id, name="Gus")
    guest = chat.participant_actor(invited.participant_id)
    refused("not_found", chat.speaks, guest)


def test_two_sessions_have_the_turn_at_once(chat: Chat) -> None:
    cast = chat.cast
    for actor, kind in (
        (cast.bargain, Kind.AUTO_BARGAIN),
        (cast.faq, Kind.AUTO_ASSISTANT),
        (cast.ann, Kind.MANUAL_URGENT),
    ):
        chat.opens(actor, kind)
        assert len([s for s in chat.sessions if s.is_live]) == 1


def test_a_transferred_session_idle_for_three_days_still_blocks_robots(chat: Chat, later: Later) -> None:
    chat.serve()
    for _ in range(3 * 24):
        later(3600)
        sweep.sweep_due()
    assert not chat.has_live
    assert chat.robot(chat.cast.faq, Kind.AUTO_ASSISTANT).status == Status.ACTIVE


def test_messages_sent_while_waiting_for_a_human_are_refused(chat: Chat) -> None:
    chat.queue()
    for text in ("Hello?", "Anybody?"):
        assert chat.says(text).controller == "queue"
    chat.accept()
    assert chat.said == ["Hello?", "Anybody?"]


def test_the_failure_counter_is_never_raised(chat: Chat) -> None:
    chat.cast.rule("failure", phrases=["no idea"], threshold=3)
    chat.robot()
    for _ in range(3):
        chat.speaks(chat.cast.bargain, "No idea.")
    assert chat.controller == "queue"


def test_asking_when_the_service_desk_opens_escalates(chat: Chat) -> None:
    chat.cast.rule("keyword", phrases=["service desk"], exceptions=["when does the service desk open"])
    chat.robot()
    assert chat.says("When does the service desk open?").controller == "bot"
    assert chat.says("Put me through to the service desk!").controller == "queue"


def test_escalating_again_resets_the_waiting_clock(chat: Chat, later: Later) -> None:
    chat.queue()
    since = chat.row.waiting_since
    later(100)
    chat.escalate()
    assert (chat.row.waiting_since, chat.pending.waiting_since) == (since, since)


def test_acting_on_a_closed_session_succeeds(chat: Chat) -> None:
    chat.queue()
    asked = chat.pending
    lifecycle.cancel_session(actor=chat.cast.channel, session_id=chat.live.pk)
    refused("transfer_ended", transfers.accept_transfer, actor=chat.cast.ann, transfer_id=asked.pk)
    refused("illegal_transition", lifecycle.complete_session, actor=chat.cast.bargain, session_id=asked.session_id)


def test_nothing_ever_sets_expired_and_a_waiting_flow_blocks_a_chat_for_ever(chat: Chat, later: Later) -> None:
    chat.robot()
    flow = flows.open_flow(actor=chat.cast.bargain, trigger_id="t", question="Size?", conversation_id=chat.id)
    later(24 * 3600)
    sweep.sweep_due()
    flow.refresh_from_db()
    assert (flow.status, chat.controller) == ("expired", "none")


# --- The best known products ---


def test_01_two_humans_claim_one_chat(chat: Chat) -> None:
    chat.queue()
    asked, epoch = chat.pending, chat.epoch
    chat.accept(chat.cast.ann, expected_epoch=epoch)
    late = {"actor": chat.cast.ben, "transfer_id": asked.pk}
    for named in ({}, {"expected_epoch": epoch}):
        error = refused("stale_epoch" if named else "already_taken", transfers.accept_transfer, **late, **named)
        assert (error.status, error.fields["owner_name"]) == (409, "Ann")


def test_02_more_chats_than_capacity(cast: Cast) -> None:
    cast.change("ann", max_load=2)
    chats = [cast.chat().queue() for _ in range(3)]
    for chat in chats[:2]:
        chat.accept()
    refused("no_capacity", chats[2].accept)


def test_03_assignment_bounces_between_writers(chat: Chat) -> None:
    """Who acts on what they saw, and not on what is, is refused."""
    cast = chat.cast
    chat.serve()
    seen = chat.epoch
    chat.grab(cast.ben, expected_epoch=seen)
    refused("stale_epoch", chat.grab, cast.cat, expected_epoch=seen)
    refused("not_serving", chat.reassign, from_agent_id=cast.ann.id)
    assert chat.live.agent_id == cast.ben.id


def test_04_the_bot_talks_after_the_handoff(chat: Chat) -> None:
    chat.queue()
    for epoch in range(chat.epoch + 2):
        refused("stale_epoch", chat.speaks, chat.cast.bargain, epoch=epoch)


def test_05_a_person_answers_from_the_shops_own_app_and_the_bot_answers_over_them(chat: Chat) -> None:
    chat.robot()
    heard = chat.says("Hello")
    chat.echo("Hello Carla!")
    refused("stale_epoch", chat.speaks, chat.cast.bargain, epoch=heard.epoch)


def test_06_a_slow_answer_is_taken_for_a_dead_bot(chat: Chat, later: Later) -> None:
    chat.robot()
    heard = chat.says("Hello")
    later(600)
    assert chat.speaks(chat.cast.bargain, "That took a while.", epoch=heard.epoch).controller == "bot"


def test_07_nothing_marks_the_end_of_the_human_stretch(chat: Chat) -> None:
    chat.serve()
    chat.release(summary="Settled.")
    assert (chat.transfers[-1].kind, chat.transfers[-1].reason) == ("return", "Settled.")
    chat.take()
    chat.cast.change("bargain", is_active=False)
    refused("no_bot", chat.release)


def test_08_the_assigned_agent_never_answers(chat: Chat, later: Later) -> None:
    cast = chat.cast
    cast.policy(assignment=Tenant.Assignment.PUSH)
    chat.queue()
    asked = chat.pending
    assert asked.offered_to_id == cast.ann.id
    later(30)
    sweep.sweep_due()
    asked.refresh_from_db()
    assert (asked.offered_to_id, asked.refused_by) == (cast.ben.id, [cast.ann.id])


@pytest.mark.parametrize("why", ["resolved", "capacity", "presence"])
def test_09_a_slot_becomes_free_and_the_queue_does_not_move(cast: Cast, why: str) -> None:
    cast.policy(assignment=Tenant.Assignment.PUSH)
    for name in ("ben", "cat", "sue"):
        cast.change(name, availability="offline")
    cast.change("ann", max_load=1)
    busy = cast.chat()
    busy.human()
    waits = cast.chat().queue()
    assert waits.pending.offered_to is None
    if why == "resolved":
        busy.resolve()
    elif why == "capacity":
        cast.change("ann", max_load=2)
    else:
        presence.declare_availability(actor=cast.ben, availability="available")
    sweep.sweep_due()
    assert waits.pending.offered_to_id == (cast.ben.id if why == "presence" else cast.ann.id)


def test_10_events_lost_while_reconnecting_so_two_agents_answer(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    session_id, seen = chat.live.pk, chat.row.seq
    chat.grab(cast.ben)
    chat.says("Hello?")
    refused("forbidden", chat.speaks, cast.ann)
    truth = recovery.recover(actor=cast.ann, session_id=session_id, after_seq=seen)
    assert (truth.state, truth.owner_name) == ("moved", "Ben")
    assert [o.seq for o in truth.missed] == list(range(seen + 1, chat.row.seq + 1))


def test_12_duplicates_up_to_hundreds_of_copies(chat: Chat) -> None:
    chat.robot()
    answers = [chat.says("Hello", "m-1") for _ in range(50)]
    assert (Message.objects.count(), chat.live.message_count) == (1, 1)
    assert {(a.controller, a.epoch, a.message_id) for a in answers} == {("bot", 1, "m-1")}
    assert [a.is_repeat for a in answers] == [False] + [True] * 49


def test_14_presence_lies(cast: Cast, later: Later) -> None:
    """An agent in a background tab is heard of, and keeps what the agent declared and serves."""
    chat = cast.chat().serve()
    for _ in range(10):
        later(50)
        presence.heartbeat(actor=cast.ann)
    assert silence.move_on_from_silent_agents() == 0
    assert (chat.controller, cast.agent("ann").availability) == ("human", "available")


def test_15_slow_with_many_conversations(cast: Cast) -> None:
    """What a customer's message costs does not grow with what is going on elsewhere, or was said before."""
    chat = cast.chat().queue()

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            chat.says()
        return len(queries)

    cost()
    alone = cost()
    for _ in range(5):
        cast.chat().queue()
        chat.says()
    assert cost() == alone <= 25


def test_16_reply_and_note_are_mixed_up(chat: Chat) -> None:
    """A note is a note whatever follows: another verb, and never what a guest or bot may read."""
    chat.serve()
    guest = chat.guest(history="all")
    messages.post_note(
        actor=chat.cast.ann, conversation_id=chat.id, words=NewMessage(content="Difficult.", message_id="m-1")
    )
    again = chat.speaks(chat.cast.ann, "Difficult.", "m-1")  # a retry at the wrong verb says nothing aloud
    assert again.is_repeat
    from sessions_app.models import Participant

    assert list(visible.visible_to(Participant.objects.get(pk=guest.pk))) == []


def test_17_auto_assignment_is_driven_by_the_visitors_polling(chat: Chat, later: Later) -> None:
    """Nobody comes by: the timers of the server move the offer on."""
    chat.cast.policy(assignment=Tenant.Assignment.PUSH)
    chat.queue()
    seen = [chat.pending.offered_to_id]
    for _ in range(2):
        later(31)
        chat.cast.seen()
        sweep.sweep_due()
        seen.append(chat.pending.offered_to_id)
    assert seen == [chat.cast.ann.id, chat.cast.ben.id, chat.cast.cat.id]
