"""Who may do what: every verb tried by everybody who may not. A refusal leaves every row as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction

from agents_app.actors import Actor, ActorKind
from config.errors import DomainError
from messaging_app.thread import NewMessage
from sessions_app.actions import (
    conversations,
    flows,
    inbound,
    lifecycle,
    messages,
    participants,
    recovery,
    shop_messages,
    takeovers,
    transfers,
)
from sessions_app.states import Kind
from tests.cast import Cast, Chat, refused, refused_leaving, snapshot

NOBODY = 2**40
"""An id that no row has."""


@dataclass
class Ids:
    """What a verb is told: the ids of one conversation and all that is in it."""

    conversation: int = NOBODY
    session: int = NOBODY
    transfer: int = NOBODY
    flow: int = NOBODY
    participant: int = NOBODY
    agent: int = NOBODY  # one who is not in yet
    epoch: int = 1


@dataclass
class World:
    """Ann serves what the bargain bot worked; Ben collaborates; a guest has joined; Cat was asked to take over."""

    chat: Chat
    ids: Ids
    actors: dict[str, Actor]


def served(cast: Cast) -> World:
    chat = cast.chat().serve()
    return _world(cast, chat)


def queued(cast: Cast) -> World:
    return _world(cast, cast.chat().queue())


def with_bot(cast: Cast) -> World:
    chat = cast.chat()
    chat.robot()
    return _world(cast, chat)


def paused(cast: Cast) -> World:
    chat = cast.chat()
    robot = chat.robot()
    lifecycle.pause_session(actor=cast.bargain, session_id=robot.session_id or 0)
    return _world(cast, chat)


def pending(cast: Cast) -> World:
    chat = cast.chat()
    chat.robot(cast.faq, Kind.AUTO_ASSISTANT)
    chat.robot(cast.bargain, Kind.AUTO_FOLLOW_UP)
    return _world(cast, chat)


def _world(cast: Cast, chat: Chat) -> World:
    session = chat.sessions[-1]
    flow = flows.open_flow(actor=cast.bargain, trigger_id=f"flow-{chat.id}", question="Which size?")
    ids = Ids(chat.id, session.pk, flow=flow.pk, agent=cast.agent("cat").pk)
    elsewhere = cast.chat().serve()
    actors = {
        "customer": chat.customer,
        "outsider": elsewhere.guest(),  # a guest of another conversation
        "stranger": elsewhere.customer,
        "bot": cast.bargain,
        "other bot": cast.faq,
        "integrator": cast.channel,
        "owner": cast.ann,
        "collaborator": cast.ben,
        "agent": cast.cat,
        "supervisor": cast.sue,
    }
    if chat.controller == "human":
        participants.invite_colleague(actor=cast.ann, conversation_id=chat.id, agent_id=cast.agent("ben").pk)
        actors["guest"] = chat.guest()
        ids.participant = actors["guest"].pk
        chat.hand_over(to_agent_id=cast.agent("cat").pk)
    if chat.has_pending:
        ids.transfer = chat.pending.pk
    ids.epoch = chat.epoch
    return World(chat, ids, actors)


WORDS = NewMessage(content="Let me in.")
type Verb = Callable[[Actor, Ids], Any]
VERBS: dict[str, Verb] = {
    "open a robot session": lambda a, i: lifecycle.open_session(
        actor=a, conversation_id=i.conversation, robot=True, bot_id=NOBODY
    ),
    "open a human session": lambda a, i: lifecycle.open_session(actor=a, conversation_id=i.conversation, robot=False),
    "activate": lambda a, i: lifecycle.activate_session(actor=a, session_id=i.session),
    "pause": lambda a, i: lifecycle.pause_session(actor=a, session_id=i.session),
    "resume": lambda a, i: lifecycle.resume_session(actor=a, session_id=i.session),
    "complete": lambda a, i: lifecycle.complete_session(actor=a, session_id=i.session),
    "cancel": lambda a, i: lifecycle.cancel_session(actor=a, session_id=i.session),
    "set the priority": lambda a, i: lifecycle.set_priority(actor=a, session_id=i.session, priority=1),
    "expire": lambda a, i: lifecycle.expire_due(actor=a, conversation_id=i.conversation),
    "deliver": lambda a, i: inbound.receive_message(actor=a, conversation_id=i.conversation, words=WORDS),
    "speak": lambda a, i: messages.post_message(actor=a, conversation_id=i.conversation, words=WORDS, epoch=i.epoch),
    "write a note": lambda a, i: messages.post_note(actor=a, conversation_id=i.conversation, words=WORDS),
    "echo": lambda a, i: shop_messages.echo_message(actor=a, conversation_id=i.conversation, words=WORDS),
    "ask for a human": lambda a, i: transfers.request_transfer(actor=a, conversation_id=i.conversation),
    "hand over": lambda a, i: transfers.hand_over(actor=a, conversation_id=i.conversation, to_agent_id=i.agent),
    "accept": lambda a, i: transfers.accept_transfer(actor=a, transfer_id=i.transfer),
    "decline": lambda a, i: transfers.decline_transfer(actor=a, transfer_id=i.transfer),
    "withdraw": lambda a, i: transfers.withdraw_transfer(actor=a, transfer_id=i.transfer),
    "take over": lambda a, i: takeovers.take_over(actor=a, conversation_id=i.conversation),
    "grab": lambda a, i: takeovers.grab(actor=a, conversation_id=i.conversation, reason="Mine."),
    "release": lambda a, i: takeovers.release_to_bot(actor=a, conversation_id=i.conversation),
    "reassign": lambda a, i: takeovers.reassign(actor=a, conversation_id=i.conversation, reason="Ill."),
    "resolve": lambda a, i: conversations.resolve(actor=a, conversation_id=i.conversation),
    "pin": lambda a, i: conversations.pin(actor=a, conversation_id=i.conversation),
    "unpin": lambda a, i: conversations.unpin(actor=a, conversation_id=i.conversation),
    "mark to do": lambda a, i: conversations.todo(actor=a, conversation_id=i.conversation),
    "unmark to do": lambda a, i: conversations.untodo(actor=a, conversation_id=i.conversation),
    "mark urgent": lambda a, i: conversations.mark_urgent(actor=a, conversation_id=i.conversation),
    "unmark urgent": lambda a, i: conversations.unmark_urgent(actor=a, conversation_id=i.conversation),
    "raise a flag": lambda a, i: conversations.raise_flag(actor=a, conversation_id=i.conversation),
    "acknowledge": lambda a, i: conversations.acknowledge(actor=a, conversation_id=i.conversation),
    "mark read": lambda a, i: conversations.mark_read(actor=a, conversation_id=i.conversation, seq=1),
    "invite a colleague": lambda a, i: participants.invite_colleague(
        actor=a, conversation_id=i.conversation, agent_id=i.agent
    ),
    "invite a guest": lambda a, i: participants.invite_participant(actor=a, conversation_id=i.conversation, name="Gus"),
    "remove a participant": lambda a, i: participants.remove_participant(
        actor=a, conversation_id=i.conversation, participant_id=i.participant
    ),
    "leave": lambda a, i: participants.leave(actor=a, conversation_id=i.conversation),
    "open a flow": lambda a, i: flows.open_flow(
        actor=a, trigger_id="mine", question="Which?", conversation_id=i.conversation
    ),
    "bind a flow": lambda a, i: flows.bind_flow(actor=a, flow_id=i.flow, conversation_id=i.conversation),
    "move a flow": lambda a, i: flows.move_flow(actor=a, flow_id=i.flow, to="ignored", version=1),
    "recover": lambda a, i: recovery.recover(actor=a, session_id=i.session),
}

OUTSIDE = "outsider stranger"  # bound to another conversation: this one does not exist for them
PERSONS = "customer guest"
PROGRAMS = "bot integrator"
STAFF = "owner collaborator agent supervisor"

# What finds nothing to change in the world above, and what is no change of the turn.
RECORD_NOTHING = {
    "activate",
    "unpin",
    "unmark to do",
    "unmark urgent",
    "acknowledge",
    "mark read",
    "move a flow",
    "recover",
}
REPEATS = {("ask for a human", "served"), ("open a human session", "served")}
"""What a customer asked for is there: a human serves."""

# verb → state of the conversation → code of the refusal → by whom
MATRIX: dict[tuple[str, Callable[[Cast], World]], dict[str, str]] = {
    ("open a robot session", served): {"forbidden": f"{PERSONS} {OUTSIDE} {STAFF}"},
    ("open a human session", with_bot): {"forbidden": "bot other_bot outsider", "not_found": "stranger"},
    ("open a human session", served): {"forbidden": "bot guest", "human_serves": "agent supervisor integrator"},
    ("activate", pending): {"forbidden": f"customer owner agent {OUTSIDE}", "not_found": "other_bot"},
    ("pause", with_bot): {"forbidden": f"customer owner agent {OUTSIDE}", "not_found": "other_bot"},
    ("pause", served): {"forbidden": "customer guest bot collaborator agent", "illegal_transition": "owner", "not_found": "other_bot"},
    ("resume", paused): {"forbidden": f"customer owner agent {OUTSIDE}", "not_found": "other_bot"},
    ("complete", with_bot): {"forbidden": f"customer owner agent {OUTSIDE}", "not_found": "other_bot"},
    ("complete", served): {"forbidden": f"customer guest bot collaborator agent {OUTSIDE}", "not_found": "other_bot"},
    ("cancel", with_bot): {"forbidden": f"customer owner agent {OUTSIDE}", "not_found": "other_bot"},
    ("cancel", served): {"forbidden": f"customer guest bot collaborator agent {OUTSIDE}", "not_found": "other_bot"},
    ("set the priority", with_bot): {"forbidden": f"customer owner agent {OUTSIDE}", "not_found": "other_bot"},
    ("set the priority", served): {"forbidden": "customer guest bot collaborator agent", "not_found": "other_bot"},
    ("expire", served): {"forbidden": f"{PERSONS} {PROGRAMS} {OUTSIDE} {STAFF}"},
    ("deliver", served): {"forbidden": f"bot guest outsider {STAFF}", "not_found": "stranger"},
    ("deliver", with_bot): {"forbidden": f"bot outsider {STAFF}", "not_found": "stranger"},
    ("speak", with_bot): {"forbidden": "customer stranger integrator", "not_serving": "owner agent supervisor", "not_found": "other_bot outsider"},
    ("speak", queued): {"forbidden": "customer integrator", "stale_epoch": "bot", "not_serving": "owner agent supervisor", "not_found": "other_bot"},
    ("speak", served): {"forbidden": "customer stranger integrator agent supervisor", "stale_epoch": "bot", "not_found": "other_bot outsider"},
    ("write a note", served): {"forbidden": f"{PERSONS} {PROGRAMS} {OUTSIDE}"},
    ("echo", with_bot): {"forbidden": f"customer bot {OUTSIDE} {STAFF}"},
    ("ask for a human", with_bot): {"forbidden": "outsider", "not_found": "other_bot stranger"},
    ("ask for a human", served): {"human_serves": PROGRAMS, "forbidden": "collaborator agent guest outsider", "not_found": "stranger"},
    ("hand over", served): {"forbidden": f"{PERSONS} {PROGRAMS} {OUTSIDE} collaborator agent"},
    ("accept", queued): {"forbidden": f"customer {PROGRAMS} {OUTSIDE}"},
    ("accept", served): {"forbidden": f"{PERSONS} {PROGRAMS} {OUTSIDE} owner collaborator"},
    ("decline", queued): {"forbidden": f"customer {PROGRAMS} {OUTSIDE} owner agent"},
    ("decline", served): {"forbidden": f"{PERSONS} {PROGRAMS} {OUTSIDE} owner collaborator"},
    ("withdraw", queued): {"forbidden": "customer outsider owner agent", "not_found": "other_bot stranger"},
    ("withdraw", served): {"forbidden": f"{PERSONS} outsider bot collaborator agent", "not_found": "stranger"},
    ("take over", with_bot): {"forbidden": f"customer {PROGRAMS} {OUTSIDE}"},
    ("take over", queued): {"forbidden": f"customer {PROGRAMS}", "not_serving": "owner agent supervisor"},
    ("take over", served): {"forbidden": f"{PERSONS} {PROGRAMS}", "already_taken": "collaborator agent supervisor"},
    ("grab", served): {"forbidden": f"{PERSONS} {PROGRAMS} {OUTSIDE}", "conflict": "owner"},
    ("grab", queued): {"not_serving": "owner agent supervisor"},
    ("release", served): {"forbidden": f"{PERSONS} {PROGRAMS} {OUTSIDE} collaborator agent"},
    ("release", with_bot): {"forbidden": f"customer {PROGRAMS}", "not_serving": "owner supervisor"},
    ("reassign", served): {"forbidden": f"{PERSONS} {PROGRAMS} {OUTSIDE} owner collaborator agent"},
    ("resolve", served): {"forbidden": f"{PERSONS} {PROGRAMS} {OUTSIDE} collaborator agent"},
    ("resolve", queued): {"forbidden": f"customer {PROGRAMS}", "not_serving": "owner agent supervisor"},
    **{
        (verb, served): {"forbidden": f"{PERSONS} {PROGRAMS} {OUTSIDE}"}
        for verb in ("pin", "unpin", "mark to do", "unmark to do", "mark urgent", "unmark urgent", "acknowledge", "mark read")
    },
    ("raise a flag", with_bot): {"forbidden": "outsider", "not_found": "other_bot stranger"},
    ("raise a flag", served): {"forbidden": "guest outsider", "not_found": "stranger"},
    ("invite a colleague", served): {"forbidden": f"{PERSONS} {PROGRAMS} {OUTSIDE} agent supervisor"},
    ("invite a colleague", queued): {"forbidden": f"customer {PROGRAMS}", "not_serving": "owner agent supervisor"},
    ("invite a guest", served): {"forbidden": f"{PERSONS} {PROGRAMS} {OUTSIDE} collaborator agent"},
    ("invite a guest", queued): {"forbidden": f"customer {PROGRAMS}", "not_serving": "owner supervisor"},
    ("remove a participant", served): {"forbidden": f"{PERSONS} {PROGRAMS} {OUTSIDE} collaborator agent"},
    ("leave", served): {"forbidden": f"customer stranger {PROGRAMS}", "not_found": "agent supervisor outsider", "owner_cannot_leave": "owner"},
    ("open a flow", with_bot): {"forbidden": f"customer {OUTSIDE} owner agent supervisor", "not_found": "other_bot"},
    ("open a flow", served): {"forbidden": f"{PERSONS} {OUTSIDE} {STAFF}", "conflict": "bot", "not_found": "other_bot"},
    ("bind a flow", served): {"forbidden": f"{PERSONS} {OUTSIDE} {STAFF}", "conflict": "bot", "not_found": "other_bot"},
    ("move a flow", served): {"forbidden": f"{PERSONS} {OUTSIDE} {STAFF}", "not_found": "other_bot"},
    ("recover", served): {"forbidden": f"{PERSONS} {OUTSIDE}", "not_found": "other_bot"},
}  # fmt: skip
ALLOWED: dict[tuple[str, Callable[[Cast], World]], str] = {
    ("activate", pending): "bot integrator supervisor",
    ("pause", with_bot): "bot integrator supervisor",
    ("resume", paused): "bot integrator supervisor",
    ("complete", with_bot): "bot integrator supervisor",
    ("complete", served): "owner integrator supervisor",
    ("cancel", served): "owner integrator supervisor",
    ("set the priority", served): "owner integrator supervisor",
    ("deliver", served): "customer integrator",
    ("speak", with_bot): "bot",
    ("speak", served): "owner collaborator guest",
    ("write a note", served): STAFF,
    ("write a note", with_bot): "owner agent supervisor",
    ("echo", with_bot): "integrator",
    ("ask for a human", with_bot): "customer bot integrator owner supervisor",
    ("ask for a human", served): "customer",
    ("open a human session", served): "customer",
    ("accept", queued): "owner agent supervisor",
    ("accept", served): "agent supervisor",
    ("decline", queued): "supervisor",
    ("decline", served): "agent supervisor",
    ("withdraw", queued): "bot integrator supervisor",
    ("withdraw", served): "owner integrator supervisor",
    ("take over", with_bot): "owner agent supervisor",
    ("grab", served): "collaborator agent supervisor",
    ("release", served): "owner supervisor",
    ("reassign", served): "supervisor",
    ("resolve", served): "owner supervisor",
    **{(verb, served): STAFF for verb in ("pin", "unpin", "mark to do", "unmark to do", "mark urgent", "unmark urgent", "acknowledge", "mark read")},
    ("raise a flag", with_bot): "customer bot integrator owner supervisor",
    ("invite a colleague", served): "owner collaborator",
    ("invite a guest", served): "owner supervisor",
    ("remove a participant", served): "owner supervisor",
    ("leave", served): "collaborator guest",
    ("open a flow", with_bot): "bot integrator",
    ("bind a flow", with_bot): "bot integrator",
    ("move a flow", served): "bot integrator",
    ("recover", served): f"bot integrator {STAFF}",
}  # fmt: skip


STATES = (served, queued, with_bot, paused, pending)


def _rows[T](table: dict[tuple[str, Callable[[Cast], World]], T], state: Callable[[Cast], World]) -> dict[str, T]:
    return {verb: row for (verb, of), row in table.items() if of is state}


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_who_may_not_is_refused_and_nothing_is_changed(cast: Cast, state: Callable[[Cast], World]) -> None:
    """One world for all the cells of a state: whatever is refused leaves it as it was."""
    world, wrong = state(cast), []
    before = snapshot()
    for verb, row in _rows(MATRIX, state).items():
        for code, who in ((code, who) for code, whos in row.items() for who in whos.split()):
            try:
                refused_leaving(before, code, VERBS[verb], world.actors[who.replace("_", " ")], world.ids)
            except (AssertionError, pytest.fail.Exception) as error:
                wrong.append(f"{who} may not {verb}: {error}")
    assert wrong == []


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_who_may_is_let_do_it_on_record_under_their_own_name(cast: Cast, state: Callable[[Cast], World]) -> None:
    """The failing control of the table above: it is not that everybody is refused everything."""
    world, wrong = state(cast), []
    before = world.chat.row.seq
    for verb, whos in _rows(ALLOWED, state).items():
        for who in whos.split():
            actor = world.actors[who]
            with transaction.atomic():
                try:
                    VERBS[verb](actor, world.ids)
                except DomainError as error:
                    wrong.append(f"{who} may {verb}: {error}")
                made = world.chat.operations[before:]
                transaction.set_rollback(True)
            if not made and verb not in RECORD_NOTHING and (verb, state.__name__) not in REPEATS:
                wrong.append(f"{who} may {verb}: nothing is on record")
            by = {(o.actor_kind, o.actor_id, o.actor_name) for o in made}
            if by - {(actor.kind.value, actor.id, actor.name)}:
                wrong.append(f"{who} may {verb}: on record is {by}")
    assert wrong == []


def test_every_verb_stands_in_the_table() -> None:
    assert {verb for verb, _ in MATRIX} == set(VERBS)


FOREIGN = {  # somebody of the other tenant who may do such a thing at home
    "deliver": "channel", "echo": "channel", "open a robot session": "channel", "open a flow": "channel", "bind a flow": "channel",
    "move a flow": "channel", "reassign": "sue", "expire": "system",
}  # fmt: skip


def test_what_is_another_tenants_does_not_exist(cast: Cast, others: Cast) -> None:
    """For every verb the refusal is word for word that for an id which no row has."""
    world, wrong = served(cast), []
    world.ids.agent = others.agent("cat").pk
    before = snapshot()
    for verb, act in VERBS.items():
        foreigner = getattr(others, FOREIGN.get(verb, "sue"))
        try:
            tries = (world.ids, Ids(agent=world.ids.agent))
            refusals = [refused_leaving(before, "not_found", act, foreigner, ids) for ids in tries]
        except (AssertionError, pytest.fail.Exception) as error:
            wrong.append(f"{verb}: {error}")
        else:
            if len(told := {(str(error), error.status, repr(error.fields)) for error in refusals}) > 1:
                wrong.append(f"{verb}: {told}")
    assert wrong == []


@pytest.mark.parametrize("which", ["agent", "bot", "team", "flow"])
def test_nothing_of_another_tenant_can_be_named_from_here(cast: Cast, others: Cast, which: str) -> None:
    team = others.team("refunds")
    flow = flows.open_flow(actor=others.bargain, trigger_id="t", question="Which?")

    def naming(kind: str, known: bool) -> Callable[[], Any]:
        chat = cast.chat()
        if kind == "bot":
            return lambda: chat.opens(cast.channel, Kind.AUTO_BARGAIN, bot_id=others.bargain.id if known else NOBODY)
        if kind == "flow":
            flow_id = flow.pk if known else NOBODY
            return lambda: flows.bind_flow(actor=cast.bargain, flow_id=flow_id, conversation_id=chat.id)
        chat.robot()
        if kind == "team":
            return lambda: chat.escalate(to_team_id=team.pk if known else NOBODY)
        return lambda: chat.escalate(to_agent_id=others.agent("ann").pk if known else NOBODY)

    assert str(refused("not_found", naming(which, True))) == str(refused("not_found", naming(which, False)))


def test_a_session_of_another_conversation_is_not_reopened_from_here(cast: Cast) -> None:
    other = cast.chat()
    ended = other.human()
    other.resolve()
    refused("not_found", cast.chat().human, previous_id=ended.session_id)


def test_an_actor_of_another_kind_with_the_same_number_is_somebody_else(cast: Cast) -> None:
    """Agents, programs and guests are numbered apart: 1 may be all three."""
    chat = cast.chat().serve()
    ann = cast.ann
    for kind in (ActorKind.BOT, ActorKind.INTEGRATOR, ActorKind.PARTICIPANT, ActorKind.CUSTOMER):
        twin = Actor(kind=kind, tenant_id=ann.tenant_id, id=ann.id, name="Ann", role="admin")
        refused("forbidden", chat.resolve, twin)
        refused("forbidden", chat.grab, twin)
        refused("forbidden", chat.reassign, twin)
