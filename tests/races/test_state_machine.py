"""Layer 1 of the proof: the real verbs against a pure model, step by step, with a clock that the test moves.

Quick and derandomized in `make test`; with the marker `races` longer, with new examples every time, and on PostgreSQL
and MariaDB as well (`make races` runs it with their DATABASE_URL).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.conf import settings as django_settings
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agents_app.actors import Actor, agent_actor, client_actor, customer_actor, system_actor
from agents_app.models import Agent, ApiClient, Tenant
from config import clock
from config.errors import DomainError
from messaging_app.models import Conversation, Message
from messaging_app.thread import NewMessage
from sessions_app.actions import departure, inbound, lifecycle, messages, takeovers, transfers
from sessions_app.models import ChatSession, Transfer
from sessions_app.states import Kind, Priority
from sessions_app.unit import unit_of_work
from tests.races import invariants
from tests.races.model import CLOCKS, Model, Refused, Who

AGENTS = {
    "ana": Who("agent", "ana", room=1),
    "bo": Who("agent", "bo", room=1),
    "full": Who("agent", "full", room=0),
    "eva": Who("agent", "eva", supervises=True, room=0),
}
BOTS = {"bargain": Who("bot", "bargain"), "assistant": Who("bot", "assistant")}
CUSTOMER, SYSTEM = Who("customer"), Who("system")

agents = st.sampled_from(list(AGENTS.values()))
bots = st.sampled_from(list(BOTS.values()))
anybody = st.sampled_from([*AGENTS.values(), *BOTS.values()])
places = st.integers(0, 7)  # counted from the newest: what was made last is wanted most
_number = count(1)


class Verbs(RuleBasedStateMachine):
    """One conversation, and what everybody may do to it."""

    @initialize(policy=st.sampled_from(["return", "requeue"]))
    def begin(self, policy: str) -> None:
        clock.offset = timedelta(0)
        slug = f"machine-{next(_number)}"
        self.tenant = Tenant.objects.create(slug=slug, name=slug, transfer_policy=policy)
        self.actors: dict[tuple[str, str], Actor] = {
            CUSTOMER.party: customer_actor(self.tenant),
            SYSTEM.party: system_actor(self.tenant.pk),
        }
        for who in AGENTS.values():
            role = Agent.Role.SUPERVISOR if who.supervises else Agent.Role.AGENT
            row = Agent.objects.create(tenant=self.tenant, name=who.name, max_load=who.room, role=role)
            self.actors[who.party] = agent_actor(row)
        for who in BOTS.values():
            self.actors[who.party] = client_actor(ApiClient.objects.create(tenant=self.tenant, name=who.name))
        self.conversation = Conversation.objects.create(tenant=self.tenant, shop_id="s", account_id="a")
        self.names = {actor.id: party for party, actor in self.actors.items() if actor.id}
        self.model = Model(policy=policy)
        self.acknowledged: list[invariants.Acknowledged] = []
        self.snapshots: list[dict[str, Any]] = []

    # --- Opening and ending ---

    @rule(
        who=bots,
        kind=st.sampled_from([k for k in Kind if k.is_robot]),
        priority=st.none() | st.sampled_from(Priority),
        fail=st.booleans(),
    )
    def open_robot(self, who: Who, kind: Kind, priority: Priority | None, fail: bool) -> None:
        self._open(who, kind, priority, fail=fail)

    @rule(
        who=anybody,
        kind=st.sampled_from([k for k in Kind if not k.is_robot]),
        fail=st.booleans(),
    )
    def open_human(self, who: Who, kind: Kind, fail: bool) -> None:
        self._open(who, kind, None, fail=fail)

    @rule()
    def customer_asks(self) -> None:
        """For a human, and for nothing else: the kind is not the customer's to say."""
        self._both(
            CUSTOMER,
            lambda: self.model.open(CUSTOMER, Kind.MANUAL_CUSTOMER_SERVICE, None),
            lambda actor: lifecycle.open_session(actor=actor, conversation_id=self.conversation.pk, robot=False),
        )

    def _open(self, who: Who, kind: Kind, priority: Priority | None, *, fail: bool) -> None:
        self._both(
            who,
            lambda: self.model.open(who, kind, priority, fail=fail),
            lambda actor: lifecycle.open_session(
                actor=actor,
                conversation_id=self.conversation.pk,
                robot=kind.is_robot,
                kind=kind,
                priority=priority,
                on_conflict="fail" if fail else "wait",
            ),
        )

    @precondition(lambda self: self.model.sessions)
    @rule(who=anybody, owner=st.booleans(), place=places, verb=st.sampled_from(["pause", "resume", "resume", "cancel"]))
    def drive(self, who: Who, owner: bool, place: int, verb: str) -> None:
        session, who = self._session(place, who, owner)
        real = {
            "pause": lifecycle.pause_session,
            "resume": lifecycle.resume_session,
            "cancel": lifecycle.cancel_session,
        }[verb]
        self._both(
            who,
            lambda: getattr(self.model, verb)(who, session),
            lambda actor: real(actor=actor, session_id=self._id(ChatSession, session.number)),
        )

    @precondition(lambda self: self.model.sessions)
    @rule(who=anybody, owner=st.booleans(), place=places, outcome=st.sampled_from(["success", "needs_human"]))
    def complete(self, who: Who, owner: bool, place: int, outcome: str) -> None:
        session, who = self._session(place, who, owner)
        self._both(
            who,
            lambda: self.model.complete(who, session, outcome),
            lambda actor: lifecycle.complete_session(
                actor=actor, session_id=self._id(ChatSession, session.number), outcome=outcome
            ),
        )

    # --- Moving ---

    @rule(who=st.sampled_from([*BOTS.values(), *AGENTS.values(), CUSTOMER]))
    def escalate(self, who: Who) -> None:
        self._both(
            who,
            lambda: self.model.escalate(who),
            lambda actor: transfers.request_transfer(actor=actor, conversation_id=self.conversation.pk),
        )

    @rule(who=agents, owner=st.booleans(), to=agents)
    def hand_over(self, who: Who, owner: bool, to: Who) -> None:
        who = self._owner(who) if owner else who
        self._both(
            who,
            lambda: self.model.hand_over(who, to.name),
            lambda actor: transfers.hand_over(
                actor=actor, conversation_id=self.conversation.pk, to_agent_id=self.actors[to.party].id
            ),
        )

    @precondition(lambda self: self.model.transfers)
    @rule(who=agents, place=places, override=st.booleans())
    def accept(self, who: Who, place: int, override: bool) -> None:
        transfer = self._transfer(place)
        self._both(
            who,
            lambda: self.model.accept(who, transfer, override=override),
            lambda actor: transfers.accept_transfer(
                actor=actor, transfer_id=self._id(Transfer, transfer.number), override=override
            ),
        )

    @precondition(lambda self: self.model.transfers)
    @rule(who=agents, place=places)
    def decline(self, who: Who, place: int) -> None:
        transfer = self._transfer(place)
        self._both(
            who,
            lambda: self.model.decline(who, transfer),
            lambda actor: transfers.decline_transfer(actor=actor, transfer_id=self._id(Transfer, transfer.number)),
        )

    @precondition(lambda self: self.model.transfers)
    @rule(who=anybody, place=places)
    def withdraw(self, who: Who, place: int) -> None:
        transfer = self._transfer(place)
        self._both(
            who,
            lambda: self.model.withdraw(who, transfer),
            lambda actor: transfers.withdraw_transfer(actor=actor, transfer_id=self._id(Transfer, transfer.number)),
        )

    @rule(who=agents, override=st.booleans())
    def take_over(self, who: Who, override: bool) -> None:
        self._both(
            who,
            lambda: self.model.take_over(who, override=override),
            lambda actor: takeovers.take_over(actor=actor, conversation_id=self.conversation.pk, override=override),
        )

    @rule(who=agents, override=st.booleans())
    def grab(self, who: Who, override: bool) -> None:
        self._both(
            who,
            lambda: self.model.grab(who, override=override),
            lambda actor: takeovers.grab(
                actor=actor, conversation_id=self.conversation.pk, reason="mine", override=override
            ),
        )

    @rule(who=agents, owner=st.booleans(), force=st.booleans())
    def release(self, who: Who, owner: bool, force: bool) -> None:
        who = self._owner(who) if owner else who
        self._both(
            who,
            lambda: self.model.release(who, force=force),
            lambda actor: takeovers.release_to_bot(actor=actor, conversation_id=self.conversation.pk, force=force),
        )

    # --- Leaving ---

    @rule()
    def bo_is_dismissed(self) -> None:
        self._both(
            SYSTEM,
            lambda: self.model.dismiss("bo"),
            lambda actor: departure.dismiss_agent(actor=actor, agent_id=self.actors["agent", "bo"].pk),
            takes_it=False,
        )

    @rule(who=st.sampled_from([AGENTS["ana"], AGENTS["bo"], AGENTS["eva"]]), verb=st.sampled_from(["drain", "undrain"]))
    def drain(self, who: Who, verb: str) -> None:
        real = {"drain": departure.drain_agent, "undrain": departure.undrain_agent}[verb]
        self._both(
            SYSTEM,
            lambda: getattr(self.model, verb)(who.name),
            lambda actor: real(actor=actor, agent_id=self.actors[who.party].pk),
            takes_it=False,
        )

    # --- Speaking, and time ---

    @rule()
    def customer_says(self) -> None:
        self._say(CUSTOMER, None)

    @rule(who=bots, owner=st.booleans(), behind=st.sampled_from([0, 0, 0, 1]))
    def bot_says(self, who: Who, owner: bool, behind: int) -> None:
        self._say(self._owner(who) if owner else who, self.model.epoch - behind)

    @rule(who=agents, owner=st.booleans())
    def agent_says(self, who: Who, owner: bool) -> None:
        self._say(self._owner(who) if owner else who, None)

    def _say(self, who: Who, epoch: int | None) -> None:
        if who.kind == "bot" and epoch is None:
            epoch = self.model.epoch
        words = NewMessage(content="hello", message_id=f"{self.tenant.slug}-{len(self.model.messages)}")
        speaks: Callable[..., Any] = inbound.receive_message if who is CUSTOMER else messages.post_message
        more = {"epoch": epoch} if who.kind == "bot" else {}
        answer = self._both(
            who,
            lambda: self.model.say(who, epoch),
            lambda actor: speaks(actor=actor, conversation_id=self.conversation.pk, words=words, **more),
        )
        if answer is not None:
            named = epoch if who.kind == "bot" else None
            self.acknowledged.append(invariants.Acknowledged(words.message_id, self.conversation.pk, answer.seq, named))

    @rule(seconds=st.sampled_from([50, 300, 350, 1800, 1850, 28_800, 86_450]))
    def time_passes(self, seconds: int) -> None:
        clock.offset += timedelta(seconds=seconds)
        self.model.now += seconds

    @rule()
    def the_sweeper_comes(self) -> None:
        self._both(
            SYSTEM,
            self.model.expire,
            lambda actor: lifecycle.expire_due(actor=actor, conversation_id=self.conversation.pk),
        )

    @precondition(lambda self: len(self.snapshots) < 3)
    @rule()
    def a_client_looks(self) -> None:
        self.snapshots.append(invariants.snapshot(self.conversation.pk))

    # --- Comparing ---

    def _both(
        self, who: Who, modelled: Callable[[], Any], real: Callable[[Actor], Any], *, takes_it: bool = True
    ) -> Any:
        """The model and the verb must both accept, or refuse with the same code.

        `takes_it` is False for a verb about an agent: it looks at a conversation only where the agent has something in it.
        """
        self.model.actor = who
        expected = answered = "accepted"
        answer = None
        try:
            modelled()
            if takes_it:
                self.model.settle()  # as every verb does at its end, also one that has nothing to do
        except Refused as refused:
            expected = refused.code
        try:
            answer = real(self.actors[who.party])
        except DomainError as error:
            answered = error.code
        assert answered == expected
        return answer

    @invariant()
    def the_rows_are_as_modelled(self) -> None:
        model = self.model
        row = Conversation.objects.get(pk=self.conversation.pk)
        assert (row.controller, row.epoch, row.needs_human) == (model.controller, model.epoch, model.needs_human)
        sessions = ChatSession.objects.filter(conversation=row).order_by("pk")
        assert [(s.kind, s.status, s.rank, self._party(s.owner_kind, s.owner_id)) for s in sessions] == [
            (s.kind, s.status, s.rank, s.owner) for s in model.sessions
        ]
        rows = Transfer.objects.filter(conversation=row).order_by("pk")
        assert [(t.kind, t.status, self._party("agent", t.accepted_by_id)[1]) for t in rows] == [
            (t.kind, t.status, t.accepted_by) for t in model.transfers
        ]
        said = Message.objects.filter(conversation=row).order_by("pk").values_list("sender_type", flat=True)
        assert list(said) == model.messages

    def teardown(self) -> None:
        """Beside the model, the operations must tell the same story as the rows."""
        try:
            if hasattr(self, "tenant"):
                faults = invariants.check(
                    self.tenant.pk,
                    acknowledged=self.acknowledged,
                    snapshots=self.snapshots,
                    sweeper_lived=False,
                    stamped=False,
                )
                assert [str(f) for f in faults if "overdue" not in f.text] == []
        finally:
            clock.offset = timedelta(0)

    # --- Naming ---

    def _party(self, kind: str, id: int | None) -> tuple[str, str]:
        if id is None:
            return kind if kind != "agent" else "", ""
        return kind, self.names[id][1] if kind == self.names[id][0] else self._other(kind, id)

    def _other(self, kind: str, id: int) -> str:
        """Agents and bots are numbered apart."""
        return next(name for (its, name), actor in self.actors.items() if its == kind and actor.id == id)

    def _session(self, place: int, who: Who, owner: bool) -> tuple[Any, Who]:
        session = self.model.sessions[-1 - place % len(self.model.sessions)]
        if owner:
            who = {**AGENTS, **BOTS}.get(session.owner[1] or session.bot, who)
        return session, who

    def _transfer(self, place: int) -> Any:
        return self.model.transfers[-1 - place % len(self.model.transfers)]

    def _owner(self, who: Who) -> Who:
        live = self.model.live
        owner = {**AGENTS, **BOTS}.get(live.owner[1], who) if live else who
        return owner if owner.kind == who.kind else who

    def _id(self, model: Any, number: int) -> int:
        ids = model.objects.filter(conversation=self.conversation).order_by("pk").values_list("pk", flat=True)
        return ids[number]


@pytest.fixture
def timed(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Spans that no sum of steps can hit, and two verbs never at the same moment: SQLite's clock counts milliseconds."""
    for name, value in CLOCKS.items():
        monkeypatch.setitem(django_settings.TANDEM, name, value)
    lock = unit_of_work.lock_conversation  # type: ignore[attr-defined]

    def later(*arguments: Any, **options: Any) -> Any:
        clock.offset += timedelta(milliseconds=2)
        return lock(*arguments, **options)

    monkeypatch.setattr(unit_of_work, "lock_conversation", later)
    yield
    clock.offset = timedelta(0)


_CALM = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@pytest.mark.usefixtures("timed")
def test_verbs_do_what_the_model_says() -> None:
    run_state_machine_as_test(
        Verbs,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=_CALM,
        ),
    )


@pytest.mark.races
@pytest.mark.usefixtures("timed")
def test_verbs_do_what_the_model_says_on_new_examples() -> None:
    run_state_machine_as_test(
        Verbs,
        settings=settings(
            max_examples=60, stateful_step_count=50, deadline=None, database=None, suppress_health_check=_CALM
        ),
    )
