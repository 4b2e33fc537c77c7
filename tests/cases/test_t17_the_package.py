"""T17: what a bot or an agent said about the work stays with the session, and travels with every move until it ends."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from agents_app.models import Tenant
from messaging_app.models import Conversation
from sessions_app import migrations
from sessions_app.actions import lifecycle, silence
from sessions_app.models import ChatSession, Transfer
from sessions_app.states import Kind, Priority, Status, TransferKind
from tests import packages
from tests.api.world import bearer, login_of, program
from tests.cast import Cast, Chat, Later, refused

SAID: dict[str, Any] = {
    "suggestion": "Refund the postage.",
    "promises": ["an answer today", "free delivery"],
    "urgency": 2,
    "task_state": {"order": 7, "paid": True},
}
OPENED = {"product": "kettle"}


@pytest.fixture
def chat(chat: Chat) -> Chat:
    """The customer is known, has spoken, and the bot has a session."""
    Conversation.objects.filter(pk=chat.id).update(customer_name="Carla")
    chat.robot(context=OPENED)
    chat.says("Where is my kettle?")
    return chat


def asked(chat: Chat, **more: Any) -> Chat:
    """The bot asks for a human, and says what it knows."""
    chat.escalate(**{"reason": "wants a refund", "context": SAID, **more})
    return chat


def came_back(chat: Chat) -> Chat:
    """The bot asked, nobody had time, and it has the turn again; what it said about the work it does not repeat."""
    asked(chat).withdraw(chat.cast.bargain)
    return chat


# --- Every move --------------------------------------------------------------------------------------------------


def _escalation(chat: Chat, later: Later) -> None:
    asked(chat).accept()


def _second_escalation(chat: Chat, later: Later) -> None:
    came_back(chat).escalate()


def _customers_escalation(chat: Chat, later: Later) -> None:
    came_back(chat).escalate(chat.customer, reason="A human, please!")


def _by_outcome(chat: Chat, later: Later) -> None:
    came_back(chat)
    lifecycle.complete_session(actor=chat.cast.bargain, session_id=chat.live.pk, outcome="needs_human")


def _bot_silent(chat: Chat, later: Later) -> None:
    chat.cast.change("bargain", turn_timeout=30)
    came_back(chat).says("Hello??")
    later(31)
    chat.sweep()


def _requeue(chat: Chat, later: Later) -> None:
    chat.cast.policy(transfer_policy=Tenant.TransferPolicy.REQUEUE)
    asked(chat)
    later(301)
    chat.sweep()
    assert chat.has_pending


def _handover(chat: Chat, later: Later) -> None:
    asked(chat).accept()
    chat.hand_over(to_agent_id=chat.cast.agent("ben").pk, reason="lunch")


def _takeover(chat: Chat, later: Later) -> None:
    came_back(chat).take()


def _grab(chat: Chat, later: Later) -> None:
    asked(chat).accept()
    chat.grab(chat.cast.ben)


def _return(chat: Chat, later: Later) -> None:
    asked(chat).accept()
    chat.release(summary="calmed down")


def _after_return(chat: Chat, later: Later) -> None:
    _return(chat, later)
    chat.escalate(reason="angry again")


def _reassignment(chat: Chat, later: Later) -> None:
    asked(chat).accept()
    chat.reassign()


def _silent_agent(chat: Chat, later: Later) -> None:
    asked(chat).accept()
    later(301)
    chat.cast.seen("ben")
    silence.move_on_from_silent_agents()


def _resume(chat: Chat, later: Later) -> None:
    """It waited in the queue, was paused by an urgent session, and waits again."""
    asked(chat)
    urgent = lifecycle.open_session(actor=chat.cast.ann, conversation_id=chat.id, robot=False, urgent=True)
    chat.resolve()
    assert chat.session(urgent).status == Status.COMPLETED


def _over_the_bot(chat: Chat, later: Later) -> None:
    came_back(chat).human()


def _urgent_over_the_bot(chat: Chat, later: Later) -> None:
    chat = came_back(chat)
    lifecycle.open_session(actor=chat.cast.channel, conversation_id=chat.id, robot=False, urgent=True)


def _urgent_over_a_colleague(chat: Chat, later: Later) -> None:
    asked(chat).accept()
    lifecycle.open_session(actor=chat.cast.ben, conversation_id=chat.id, robot=False, urgent=True)


def _handover_of_ones_own(chat: Chat, later: Later) -> None:
    _over_the_bot(chat, later)
    chat.hand_over(to_agent_id=chat.cast.agent("ben").pk)


MOVES: dict[Callable[[Chat, Later], None], tuple[str, str]] = {
    _escalation: (TransferKind.ESCALATION, "ACCEPTED"),
    _second_escalation: (TransferKind.ESCALATION, "PENDING"),
    _customers_escalation: (TransferKind.ESCALATION, "PENDING"),
    _by_outcome: (TransferKind.ESCALATION, "PENDING"),
    _bot_silent: (TransferKind.ESCALATION, "PENDING"),
    _requeue: (TransferKind.ESCALATION, "PENDING"),
    _handover: (TransferKind.HANDOVER, "PENDING"),
    _takeover: (TransferKind.TAKEOVER, "ACCEPTED"),
    _grab: (TransferKind.GRAB, "ACCEPTED"),
    _return: (TransferKind.RETURN, "ACCEPTED"),
    _after_return: (TransferKind.ESCALATION, "PENDING"),
    _reassignment: (TransferKind.REASSIGNMENT, "PENDING"),
    _silent_agent: (TransferKind.REASSIGNMENT, "PENDING"),
    _resume: (TransferKind.ESCALATION, "PENDING"),
    _over_the_bot: (TransferKind.TAKEOVER, "ACCEPTED"),
    _urgent_over_the_bot: (TransferKind.ESCALATION, "PENDING"),
    _urgent_over_a_colleague: (TransferKind.TAKEOVER, "ACCEPTED"),
    _handover_of_ones_own: (TransferKind.HANDOVER, "PENDING"),
}


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__.strip("_"))
def test_t17_every_move_tells_what_was_said_and_by_whom(chat: Chat, later: Later, move: Any) -> None:
    move(chat, later)
    last = chat.transfers[-1]
    assert (last.kind, last.status) == MOVES[move]
    package = last.context
    assert (package["suggestion"], package["promises"]) == (SAID["suggestion"], SAID["promises"])
    assert package["task_state"] == OPENED | SAID["task_state"]
    is_emergency = last.session.priority == Priority.EMERGENCY
    assert package["urgency"] == (1 if is_emergency else 2)
    said = package["said"]
    told = [said["suggestion"], *said["promises"], *said["task_state"].values()]
    told += [] if is_emergency else [said["urgency"]]
    assert {(one["by"], one["name"]) for one in told} == {("bot", "bargain")}
    assert len(said["promises"]) == 2
    assert set(said["task_state"]) == {"product", "order", "paid"}
    assert all(packages.wrong(one.context) == "" for one in chat.transfers)
    assert package["completeness"] == (1.0 if last.reason else 0.83)


def test_t17_a_move_says_whose_its_own_reason_is(chat: Chat, later: Later) -> None:
    _grab(chat, later)
    assert (chat.transfers[-1].context["reason"], chat.transfers[-1].context["reason_by"]) == (
        "I know this customer.",
        "agent",
    )
    chat.release(chat.cast.ben)
    assert (chat.transfers[-1].context["reason"], chat.transfers[-1].context["reason_by"]) == ("", "")


# --- Who says what, and when -------------------------------------------------------------------------------------


def test_t17_an_agents_words_stand_beside_the_bots_each_with_who_and_when(chat: Chat, later: Later) -> None:
    asked(chat).accept()
    later(60)
    more = {"suggestion": "Pay it back.", "promises": ["a call at noon"], "task_state": {"order": 8}, "urgency": 3}
    chat.escalate(chat.cast.ann, to_agent_id=chat.cast.agent("ben").pk, context=more)
    package = chat.pending.context
    assert (package["suggestion"], package["urgency"]) == ("Pay it back.", 2)
    assert package["promises"] == ["an answer today", "free delivery", "a call at noon"]
    assert package["task_state"] == {"product": "kettle", "order": 8, "paid": True}
    said = package["said"]
    assert [(one["by"], one["name"]) for one in (said["suggestion"], said["task_state"]["order"])] == [
        ("agent", "Ann"),
        ("agent", "Ann"),
    ]
    assert [one["name"] for one in said["promises"]] == ["bargain", "bargain", "Ann"]
    assert said["urgency"]["name"] == said["task_state"]["paid"]["name"] == "bargain"
    assert said["promises"][0]["at"] < said["promises"][2]["at"] == said["suggestion"]["at"]


def test_t17_a_handover_asked_for_again_is_added_to(chat: Chat) -> None:
    chat.take()
    ben = chat.cast.agent("ben").pk
    first = chat.escalate(chat.cast.ann, to_agent_id=ben, context={"promises": ["tea"]})
    again = chat.escalate(chat.cast.ann, to_agent_id=ben, context={"promises": ["tea"]})
    more = chat.escalate(chat.cast.ann, to_agent_id=ben, context={"promises": ["cake"]})
    assert (again.is_repeat, more.is_repeat, more.transfer_id) == (True, False, first.transfer_id)
    assert chat.pending.context["promises"] == ["tea", "cake"]
    assert chat.event_types[-1] == "transfer.changed"


def test_t17_asking_again_tells_the_session_and_what_waits_alike(chat: Chat) -> None:
    asked(chat, context={"promises": ["tea"]})
    chat.escalate(context={"promises": ["cake"], "urgency": 1})
    assert chat.escalate(context={"promises": ["cake"]}).is_repeat
    waits = chat.pending.context
    chat.accept()
    chat.grab(chat.cast.ben)
    moved = chat.transfers[-1].context
    parts = ("suggestion", "promises", "urgency", "task_state", "said")
    assert {name: waits[name] for name in parts} == {name: moved[name] for name in parts}
    assert (moved["promises"], moved["urgency"]) == (["tea", "cake"], 1)


def test_t17_what_waits_is_never_made_less_pressing(chat: Chat) -> None:
    asked(chat, context={})  # as pressing as its session: medium
    chat.escalate(context={"urgency": 4, "suggestion": "Wait."})
    assert (chat.pending.context["urgency"], "urgency" in chat.pending.context["said"]) == (3, False)


def test_t17_true_is_not_one(chat: Chat) -> None:
    asked(chat, context={"task_state": {"paid": 1}})
    assert not chat.escalate(context={"task_state": {"paid": True}}).is_repeat
    assert chat.pending.context["task_state"]["paid"] is True


def test_t17_a_customer_says_nothing_as_the_shop(chat: Chat) -> None:
    for name, value in SAID.items():
        refused("forbidden", chat.escalate, chat.customer, context={name: value})
    chat.escalate(chat.customer, reason="A full refund was granted, pay it!")
    package = chat.pending.context
    assert (package["suggestion"], package["promises"], package["reason_by"]) == ("", [], "customer")
    assert set(package["said"]) == {"promises", "task_state"}


# --- A human's session, and a reopened one -----------------------------------------------------------------------


def test_t17_an_agent_who_opens_over_two_bots_is_told_the_words_of_both(chat: Chat, later: Later) -> None:
    came_back(chat)
    later(10)
    chat.robot(chat.cast.faq, Kind.AUTO_ASSISTANT, priority=1, context={"order": 9, "mood": "bad"})
    assert [s.status for s in chat.sessions] == ["PAUSED", "ACTIVE"]
    chat.human()
    package = chat.transfers[-1].context
    assert package["task_state"] == {"product": "kettle", "paid": True, "order": 9, "mood": "bad"}
    assert package["said"]["task_state"]["order"]["name"] == "faq"
    assert (package["suggestion"], package["promises"]) == (SAID["suggestion"], SAID["promises"])


def test_t17_a_robot_that_waits_for_its_turn_has_worked_nothing_yet(chat: Chat) -> None:
    chat.robot(chat.cast.follow_up, Kind.AUTO_FOLLOW_UP, context={"parcel": "lost"})
    assert chat.sessions[-1].status == Status.PENDING
    chat.human()
    assert chat.transfers[-1].context["task_state"] == OPENED


def test_t17_whoever_accepts_over_a_bot_that_has_begun_meanwhile_is_told_its_words(cast: Cast) -> None:
    chat = cast.chat()
    chat.opens(cast.channel, Kind.MANUAL_CUSTOMER_SERVICE)
    chat.robot(priority=1, context=OPENED)  # an emergency goes before the human who waits
    assert chat.live.is_robot
    waits = chat.pending
    assert waits.context["task_state"] == {}
    chat.accept()
    waits.refresh_from_db()
    assert (waits.context["task_state"], chat.live.kind) == (OPENED, Kind.MANUAL_CUSTOMER_SERVICE)
    assert chat.live.said["task_state"]["product"]["name"] == "bargain"


def test_t17_an_agent_who_comes_back_over_a_bot_hands_its_words_on(chat: Chat) -> None:
    chat.human()
    mine = chat.live.pk
    lifecycle.pause_session(actor=chat.cast.ann, session_id=mine)
    asked(chat).withdraw(chat.cast.bargain)
    lifecycle.resume_session(actor=chat.cast.ann, session_id=mine)
    assert chat.live.pk == mine
    chat.hand_over(to_agent_id=chat.cast.agent("ben").pk)
    assert chat.pending.context["suggestion"] == SAID["suggestion"]


def test_t17_the_end_of_a_session_ends_what_was_said_about_it(chat: Chat) -> None:
    asked(chat).accept()
    ended = chat.live
    chat.resolve()
    opened = lifecycle.open_session(actor=chat.cast.ann, conversation_id=chat.id, robot=False, previous_id=ended.pk)
    package = Transfer.objects.get(session_id=opened.session_id).context
    assert (package["suggestion"], package["promises"], package["task_state"]) == ("", [], {})
    ended.refresh_from_db()
    previous = package["previous"]
    assert (previous["session_id"], previous["status"], previous["outcome"]) == (str(ended.pk), "COMPLETED", "success")
    assert ended.said["suggestion"]["value"] == SAID["suggestion"], "it is kept with the session that ended"


def test_t17_what_was_said_before_it_was_kept_is_found_in_the_transfers(chat: Chat) -> None:
    """The migration: sessions that are open get it from where it is; old transfers stay as they are."""
    asked(chat).accept()
    first = dict(chat.transfers[0].context)
    del first["said"], first["previous"]
    Transfer.objects.update(context=first | {"version": 1})
    ChatSession.objects.update(said={})
    [name] = [page.stem for page in Path(migrations.__path__[0]).glob("*_said_about_the_work.py")]
    import_module(f"{migrations.__name__}.{name}").keep_what_was_said(apps, None)
    assert chat.transfers[0].context == first | {"version": 1}
    chat.grab(chat.cast.ben)
    package = chat.transfers[-1].context
    assert {name: package[name] for name in SAID} == SAID | {"task_state": OPENED | SAID["task_state"]}
    assert package["said"]["suggestion"]["name"] == package["said"]["task_state"]["product"]["name"] == "bargain"


# --- What is refused ---------------------------------------------------------------------------------------------

MALFORMED: dict[str, Any] = {
    "context.urgency": "very high",
    "context.urgency ": 9,
    "context.urgency  ": True,
    "context.promises": "x",
    "context.promises ": ["x", 5],
    "context.promises  ": {"x": "y"},
    "context.suggestion": [],
    "context.suggestion ": 5,
    "context.task_state": [1],
    "context.task_state ": "paid",
    "context.mood": "bad",
    "context.said": {},
    "context.completeness": 1,
}


@pytest.mark.parametrize("place", MALFORMED)
@pytest.mark.parametrize("door", ["escalate", "handover"])
def test_t17_what_does_not_fit_is_refused_with_its_place(chat: Chat, door: str, place: str) -> None:
    actor, to = chat.cast.bargain, {}
    if door == "handover":
        chat.take()
        actor, to = chat.cast.ann, {"to_agent_id": chat.cast.agent("ben").pk}
    where = place.strip()
    context = {where.split(".")[1]: MALFORMED[place]}
    error = refused("malformed", chat.escalate, actor, context=context, **to)
    assert list(error.fields["errors"]) == [where]
    if door == "escalate":
        answer = program(chat.cast, "bargain").post(f"conversations/{chat.id}/escalate", {"context": context})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [where])
        assert not chat.has_pending


def test_t17_a_session_opened_with_much_leaves_room_to_say_more(chat: Chat) -> None:
    other = chat.cast.chat()
    other.robot(context={"catalogue": "x" * 65_000})
    other.escalate(context={"suggestion": "y" * 60_000, "task_state": {"order": 7}})
    assert set(other.pending.context["task_state"]) == {"catalogue", "order"}


def _over_two_bots_that_said_much(chat: Chat, later: Later) -> None:
    """Each has said nearly as much as can be said, and Ann takes the work of both."""
    cast = chat.cast
    chat.escalate(context={"suggestion": "Send it again.", "task_state": {"first": "x" * 60_000}})
    chat.withdraw(cast.bargain)
    later(1)
    chat.robot(cast.faq, Kind.AUTO_ASSISTANT, priority=1)
    chat.escalate(cast.faq, context={"promises": ["today"], "task_state": {"second": "y" * 60_000}})
    chat.withdraw(cast.faq)
    chat.human()


def test_t17_who_takes_over_much_is_not_refused_for_what_others_said(chat: Chat, later: Later) -> None:
    _over_two_bots_that_said_much(chat, later)
    package = chat.transfers[-1].context
    assert (set(package["task_state"]), package["left_out"]) == ({"second", *OPENED}, ["task_state"]), "the oldest goes"
    assert (package["suggestion"], package["promises"]) == ("Send it again.", ["today"])
    more = {"suggestion": "call", "promises": ["p" * 30_000], "task_state": {"mine": "z" * 30_000}}
    chat.escalate(chat.cast.ann, to_agent_id=chat.cast.agent("ben").pk, reason="lunch", context=more)
    package = chat.pending.context
    assert (package["suggestion"], package["promises"]) == ("call", ["today", "p" * 30_000])
    assert set(package["task_state"]) == {"second", "mine", *OPENED}
    assert package["left_out"] == ["task_state"]
    assert package["completeness"] == 0.83, "a part that lacks something is not known"
    assert all(packages.wrong(one.context) == "" for one in chat.transfers)


def test_t17_ones_own_words_have_their_bounds_all_the_same(chat: Chat, later: Later) -> None:
    _over_two_bots_that_said_much(chat, later)
    ann, ben = chat.cast.ann, chat.cast.agent("ben").pk
    chat.escalate(ann, to_agent_id=ben, context={"task_state": {"mine": "z" * 60_000}})
    refused("malformed", chat.escalate, ann, to_agent_id=ben, context={"task_state": {"more": "z" * 10_000}})


def test_t17_what_is_taken_over_again_and_again_does_not_grow(chat: Chat) -> None:
    chat.human()
    mine = chat.live.pk
    for number in range(4):
        lifecycle.pause_session(actor=chat.cast.ann, session_id=mine)
        chat.escalate(context={"task_state": {f"part {number}": "x" * 20_000}})
        chat.withdraw(chat.cast.bargain)
        bots = chat.live.pk
        lifecycle.resume_session(actor=chat.cast.ann, session_id=mine)
        lifecycle.cancel_session(actor=chat.cast.bargain, session_id=bots)
        chat.robot()  # waits for its turn
    kept = set(chat.live.said["task_state"])
    assert {f"part {number}" for number in (1, 2, 3)} == kept - {*OPENED}
    assert chat.live.said["left_out"] == ["task_state"]


def test_t17_many_names_are_bounded_as_well(chat: Chat) -> None:
    chat.escalate(context={"task_state": {f"a {number}": number for number in range(900)}})
    chat.withdraw(chat.cast.bargain)
    chat.robot(chat.cast.faq, Kind.AUTO_ASSISTANT, priority=1)
    chat.escalate(chat.cast.faq, context={"task_state": {f"b {number}": number for number in range(900)}})
    chat.withdraw(chat.cast.faq)
    chat.human()
    kept = chat.live.said["task_state"]
    assert len(kept) <= 1000
    assert {f"b {number}" for number in range(900)} <= kept.keys()
    chat.hand_over(to_agent_id=chat.cast.agent("ben").pk)
    assert packages.wrong(chat.pending.context) == ""


# --- Completeness ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "opened", "context", "completeness"),
    [
        ("Carla", {"product": "kettle"}, SAID, 1.0),
        ("", {"product": "kettle"}, SAID, 0.83),
        ("Carla", {}, {"suggestion": "x", "promises": ["y"]}, 0.83),
        ("Carla", {"product": "", "floor": None, "tags": [], "size": {"cm": None}}, {}, 0.5),
        ("Carla", {"asked": 0}, {}, 0.67),
        ("Carla", {}, {"suggestion": "  ", "promises": ["", " "]}, 0.5),
    ],
)
def test_t19_completeness_counts_what_is_known(
    cast: Cast, name: str, opened: Any, context: Any, completeness: float
) -> None:
    chat = cast.chat()
    Conversation.objects.filter(pk=chat.id).update(customer_name=name)
    chat.robot(context=opened)
    chat.says("Hello?")
    chat.escalate(reason="a refund", context=context)
    assert chat.pending.context["completeness"] == completeness


def test_t19_a_session_found_in_the_messages_knows_no_task(chat: Chat) -> None:
    """When a person of the shop stepped in, is the grouping's own note."""
    ChatSession.objects.filter(pk=chat.live.pk).update(context={"human_since": "2026-03-01T00:00:00Z"}, said={})
    chat.take()
    assert chat.transfers[-1].context["task_state"] == {}


# --- What the desk shows -----------------------------------------------------------------------------------------


def page_of(chat: Chat, name: str = "ann") -> str:
    client = Client()
    client.force_login(login_of(chat.cast, name))
    answer = client.get(f"/desk/c/{chat.id}/")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__.strip("_"))
def test_t17_the_agents_page_tells_it_with_who_said_it(chat: Chat, later: Later, move: Any) -> None:
    move(chat, later)
    page = page_of(chat)
    side = page.split('<details id="side"')[1]
    for told in ("Refund the postage.", "an answer today", "free delivery", "Bot · bargain", "What is known", "kettle"):
        assert told in side
    if move is not _return:  # then the bot has it again
        top = page.split('<div id="package">')[1].split('id="items"')[0]
        for told in ("Refund the postage.", "an answer today", "free delivery", "Bot · bargain"):
            assert told in top


def test_t17_what_was_taken_with_nothing_said_needs_no_card(chat: Chat) -> None:
    chat.take()
    assert '<details class="package"' not in page_of(chat)


def test_t17_a_package_of_before_is_shown_without_who(chat: Chat) -> None:
    asked(chat)
    old = {name: item for name, item in chat.pending.context.items() if name not in ("said", "previous")}
    Transfer.objects.update(context=old | {"version": 1})
    top = page_of(chat).split('<div id="package">')[1].split('id="items"')[0]
    assert "Refund the postage." in top
    assert "Bot · bargain" not in top
    told = program(chat.cast, "bargain").get(f"transfers/{chat.pending.pk}").json()["context"]
    assert (told["version"], told["suggestion"], "said" in told) == (1, "Refund the postage.", False)


def test_t17_the_api_tells_who_said_what(chat: Chat) -> None:
    asked(chat).accept()
    chat.grab(chat.cast.ben)
    bot = program(chat.cast, "bargain")
    for transfer in bot.get("transfers").json()["results"]:
        package = transfer["context"]
        assert packages.wrong(package) == ""
        assert (package["promises"], package["said"]["promises"][0]["name"]) == (SAID["promises"], "bargain")


def test_t17_a_guest_is_told_nothing_of_it(chat: Chat) -> None:
    """As before: what the shop says of its work is the shop's."""
    asked(chat).accept()
    guest = chat.guest()
    assert bearer(guest).get("transfers").json()["results"] == []
    assert bearer(chat.customer).get("transfers").json()["results"] == []
