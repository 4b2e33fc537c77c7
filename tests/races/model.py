"""A pure model of one conversation: what each verb must do, written from docs/rules.md and not from the code.

Each verb either changes the model or raises `Refused` with the code that the real verb must raise. Time is a number of
seconds that the test moves. Sessions and transfers are named by the order in which they were made.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sessions_app.states import LIVE, OPEN, PRIORITY, TERMINAL, TRANSITIONS, Kind, Priority, Status, rank

CLOCKS = {
    "TRANSFER_TIMEOUT": 325,
    "DEFAULT_SESSION_TIMEOUT": 1825,
    "HUMAN_SESSION_TIMEOUT": 28_825,
    "HUMAN_SESSION_WARNING": 925,
    "WAITING_SESSION_TIMEOUT": 86_425,
    "GROUP_AFTER": 75,
    "HISTORY_GAP": 1825,
}
"""Never a multiple of 50, and time moves by multiples of 50: no deadline is closer than the test takes to run."""

LONGEST_PAUSE = 3600
type Party = tuple[str, str]
NOBODY: Party = ("", "")


class Refused(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Who:
    """An actor. `room` is an agent's capacity."""

    kind: str
    name: str = ""
    supervises: bool = False
    room: int = 0

    @property
    def party(self) -> Party:
        return self.kind, self.name


@dataclass(slots=True)
class Session:
    number: int
    kind: Kind
    priority: Priority
    status: Status
    owner: Party
    bot: str
    expires: int = 0
    human_until: int | None = None  # an agent's time, whatever pauses are in between
    on_hold: bool = False
    paused_from: Status | None = None
    outcome: str = ""

    @property
    def rank(self) -> int:
        return rank(self.kind, self.priority)

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def is_human(self) -> bool:
        return self.is_live and self.owner[0] == "agent"


@dataclass(slots=True)
class Transfer:
    number: int
    session: Session
    kind: str
    status: str
    sender: Party
    to: str = ""
    accepted_by: str = ""
    declined_by: str = ""  # in this round
    deadline: int = 0
    asked_again: int = 0

    @property
    def is_pending(self) -> bool:
        return self.status == "PENDING"


@dataclass(slots=True)
class Model:
    policy: str = "return"
    now: int = 0
    actor: Who = Who("system")  # who acts now; also in whose name due timers fire
    sessions: list[Session] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)  # who said each
    controller: str = "none"
    holder: tuple[int, Party] | None = None
    epoch: int = 0
    need: str = ""  # what it is flagged for
    unanswered_since: int | None = None
    gone: set[str] = field(default_factory=set)  # agents who were dismissed
    drained: set[str] = field(default_factory=set)

    # --- Reading ---

    @property
    def needs_human(self) -> bool:
        return bool(self.need)

    @property
    def live(self) -> Session | None:
        return next((s for s in self.sessions if s.is_live), None)

    @property
    def waiting(self) -> list[Session]:
        waiters = [s for s in self.sessions if s.status in (Status.PENDING, Status.PAUSED) and not s.on_hold]
        return sorted(waiters, key=lambda s: (s.rank, s.number))

    def asked(self, session: Session) -> Transfer | None:
        return next((t for t in self.transfers if t.session is session and t.is_pending), None)

    # --- Opening and ending ---

    def open(self, who: Who, kind: Kind, priority: Priority | None, *, fail: bool = False) -> None:
        robot = kind.is_robot
        if robot and who.kind != "bot":
            raise Refused("forbidden")
        if not robot and who.kind == "bot":
            raise Refused("forbidden")
        self.expire()
        if who.kind == "customer" and self._is_asked():
            return None
        mine = (s for s in self.sessions if robot and s.status in OPEN and (s.kind, s.bot) == (kind, who.name))
        if (own := next(mine, None)) and not (fail and own.status in (Status.PENDING, Status.PAUSED)):
            return None
        priority = priority or PRIORITY[kind]
        live, wanted, by_agent = self.live, rank(kind, priority), who.kind == "agent"
        status, yields = Status.ACTIVE, False
        if live is None:
            if any(s.rank <= wanted for s in self.waiting) if robot else not by_agent:
                status = Status.PENDING
        elif kind == Kind.MANUAL_URGENT:  # C4
            yields = True
        elif live.owner[0] != "bot":  # C2, C7
            if not robot:
                raise Refused("human_serves")
            status = Status.PENDING
        elif not robot and not by_agent:  # C6
            if fail:
                raise Refused("live_session_exists")
            self._escalate(live)
            return self.settle()
        elif not robot or wanted < live.rank:  # C1, C3
            yields = True
        else:
            status = Status.PENDING
        if robot and status == Status.PENDING and fail:
            raise Refused("live_session_exists")
        serves = by_agent and not robot
        if serves:
            self._room(who, override=kind == Kind.MANUAL_URGENT)
        if yields:
            assert live
            self._move(live, Status.PAUSED)
        owner: Party = ("bot", who.name) if robot else (who.party if serves else NOBODY)
        session = Session(len(self.sessions), kind, priority, status, owner, bot=who.name if robot else "")
        self.sessions.append(session)
        self._clock(session)
        if serves:
            self._record("takeover", session, accepted_by=who.name)
        elif not robot:
            self._ask("escalation", session)
        return self.settle()

    def _is_asked(self) -> bool:
        """A customer who asks for a human again has one, or waits for one."""
        live = self.live
        return bool(live and live.is_human) or any(self.asked(s) for s in [*([live] if live else []), *self.waiting])

    def pause(self, who: Who, session: Session) -> None:
        self._knows(who, session)
        self.expire()
        self._drives(who, session)
        if session.status != Status.PAUSED:
            if session.status != Status.ACTIVE:
                raise Refused("illegal_transition")
            self._move(session, Status.PAUSED)
        elif not session.on_hold:
            self._must_not_wait_for_a_human(who, session)
        session.on_hold = True
        self.settle()

    def resume(self, who: Who, session: Session) -> None:
        """A robot comes back when it is its turn or over a lesser robot; a human over any robot."""
        self._knows(who, session)
        self.expire()
        self._drives(who, session)
        if session.is_live:
            return
        if session.status != Status.PAUSED:
            raise Refused("illegal_transition")
        session.on_hold = False
        live, manual = self.live, not session.kind.is_robot
        if live and live.owner[0] == "bot" and (manual or session.rank < live.rank):
            self._move(live, Status.PAUSED)
        if self.live is None and (manual or self.waiting[0] is session):
            self._resume(session)
        self.settle()

    def complete(self, who: Who, session: Session, outcome: str) -> None:
        self._knows(who, session)
        self.expire()
        self._drives(who, session)
        if session.status == Status.COMPLETED and session.outcome == outcome:
            return
        if outcome == "needs_human" and session.status in OPEN:
            if session.owner == NOBODY and self.asked(session):
                return
            if session.status != Status.ACTIVE or session.owner[0] != "bot":
                raise Refused("illegal_transition")
            self._escalate(session)
        else:
            self._must_not_wait_for_a_human(who, session)
            self._move(session, Status.COMPLETED)
            session.outcome = outcome
        self.settle()

    def _must_not_wait_for_a_human(self, who: Who, session: Session) -> None:
        """A bot that was fenced out ends and holds nothing, however the session waits: in the queue, or paused from there."""
        status = session.paused_from if session.status == Status.PAUSED else session.status
        if who.kind == "bot" and status == Status.TRANSFERRED:
            raise Refused("illegal_transition")

    def cancel(self, who: Who, session: Session) -> None:
        self._knows(who, session)
        self.expire()
        self._drives(who, session)
        if session.status != Status.CANCELLED:
            self._must_not_wait_for_a_human(who, session)
            self._move(session, Status.CANCELLED)
        self.settle()

    # --- Moving ---

    def escalate(self, who: Who) -> None:
        self._knows(who)
        self.expire()
        live = self.live
        if who.kind == "customer" and live and live.is_human:
            return None
        if live and live.is_human:
            self._hand_over(who, live, "")
            return self.settle()
        if who.kind == "bot" and live and live.bot != who.name:
            raise Refused("forbidden")
        if any(self.asked(s) for s in [*([live] if live else []), *self.waiting]):
            return None
        if live:
            self._escalate(live)
        else:
            kind = Kind.MANUAL_CUSTOMER_SERVICE
            session = Session(len(self.sessions), kind, PRIORITY[kind], Status.PENDING, NOBODY, "")
            self.sessions.append(session)
            self._clock(session)
            self._ask("escalation", session)
        return self.settle()

    def hand_over(self, who: Who, to: str) -> None:
        if who.kind != "agent":
            raise Refused("forbidden")
        self.expire()
        self._can_be_asked(to)
        live = self.live
        if live is None or not live.is_human:
            asked = next(filter(None, (self.asked(s) for s in [*([live] if live else []), *self.waiting])), None)
            if asked:
                asked.to = asked.to or to
            elif live and live.owner[0] == "bot":
                self._escalate(live, to)
            elif live is None:
                kind = Kind.MANUAL_CUSTOMER_SERVICE
                session = Session(len(self.sessions), kind, PRIORITY[kind], Status.PENDING, NOBODY, "")
                self.sessions.append(session)
                self._clock(session)
                self._ask("escalation", session, to)
        else:
            self._hand_over(who, live, to)
        self.settle()

    def _hand_over(self, who: Who, live: Session, to: str) -> None:
        if who.kind != "agent":
            raise Refused("human_serves")
        if live.owner != who.party and not who.supervises:
            raise Refused("forbidden")
        if live.owner == ("agent", to):
            raise Refused("conflict")
        if asked := self.asked(live):
            if to and asked.to == to:
                return
            raise Refused("conflict")
        if not to:
            raise Refused("malformed")
        self._ask("handover", live, to)

    def accept(self, who: Who, transfer: Transfer, *, override: bool = False) -> None:
        if who.kind != "agent" or (override and not who.supervises):
            raise Refused("forbidden")
        self.expire()
        if transfer.accepted_by == who.name:
            return
        self._must_wait(transfer)
        if not who.supervises:
            if transfer.to and transfer.to != who.name:
                raise Refused("forbidden")
            if transfer.kind == "handover" and transfer.sender == who.party:
                raise Refused("forbidden")
        self._room(who, override=override)
        live, session = self.live, transfer.session
        if live and live is not session:
            if live.is_human:
                raise Refused("human_serves")
            if live.owner[0] != "bot":
                raise Refused("conflict")
            self._move(live, Status.PAUSED)
        transfer.status, transfer.accepted_by = "ACCEPTED", who.name
        if session.status == Status.PENDING:
            self._move(session, Status.ACTIVE, who.party)
        else:
            self._own(session, who.party)
        self.settle()

    def decline(self, who: Who, transfer: Transfer) -> None:
        if who.kind != "agent":
            raise Refused("forbidden")
        self.expire()
        if transfer.status == "DECLINED" and (transfer.to == who.name or who.supervises):
            return
        self._must_wait(transfer)
        if not transfer.to and transfer.declined_by == who.name:
            return
        if transfer.to != who.name and not who.supervises:
            raise Refused("forbidden")
        if not transfer.to and not self._returns(transfer):
            raise Refused("no_way_back")
        self._unanswered(transfer, "DECLINED")
        self.settle()

    def withdraw(self, who: Who, transfer: Transfer) -> None:
        self._knows(who, transfer.session)
        self.expire()
        may = transfer.sender == who.party or who.supervises
        if transfer.status == "WITHDRAWN" and may:
            return
        self._must_wait(transfer)
        if not may:
            raise Refused("forbidden")
        session = transfer.session
        if session.is_human:
            transfer.status = "WITHDRAWN"
        elif self._has_bot(transfer):
            self._give_back(transfer, "WITHDRAWN")
        elif session.status == Status.PENDING:
            self._move(session, Status.CANCELLED)  # and the transfer with it
        else:
            raise Refused("no_way_back")
        self.settle()

    def take_over(self, who: Who, *, override: bool = False) -> None:
        if who.kind != "agent" or (override and not who.supervises):
            raise Refused("forbidden")
        self.expire()
        live = self.live
        if live and live.owner == who.party:
            return
        if live and live.is_human:
            raise Refused("already_taken")
        if live is None or live.owner[0] != "bot":
            raise Refused("not_serving")
        self._room(who, override=override)
        self._record("takeover", live, accepted_by=who.name)
        self._move(live, Status.TRANSFERRED, who.party)
        self.settle()

    def grab(self, who: Who, *, override: bool = False) -> None:
        if who.kind != "agent" or (override and not who.supervises):
            raise Refused("forbidden")
        self.expire()
        live = self.live
        if live is None or not live.is_human:
            raise Refused("not_serving")
        if live.owner == who.party:
            raise Refused("conflict")
        self._room(who, override=override)
        if asked := self.asked(live):
            asked.status = "WITHDRAWN"
        self._record("grab", live, accepted_by=who.name)
        self._own(live, who.party)
        self.settle()

    def release(self, who: Who, *, force: bool = False) -> None:
        self.expire()
        live = self.live
        last = self.transfers[-1] if self.transfers else None
        if last and (last.kind, last.sender) == ("return", who.party) and (live is None or live.owner[0] == "bot"):
            return
        if live is None or not live.is_human:
            raise Refused("not_serving")
        if live.owner != who.party and not who.supervises:
            raise Refused("forbidden")
        if not force and not live.kind.is_robot and not any(s.kind.is_robot for s in self.waiting):
            raise Refused("no_bot")
        if asked := self.asked(live):
            asked.status = "WITHDRAWN"
        self._record("return", live)
        if live.kind.is_robot:
            self._move(live, Status.ACTIVE, ("bot", live.bot))
        else:
            self._move(live, Status.COMPLETED)
            live.outcome = "success"
        self.settle()

    # --- Leaving ---

    def dismiss(self, name: str) -> None:
        """What was theirs is nobody's, and what was asked of them is asked of all. Without any of it nothing is looked at."""
        self.gone.add(name)
        own = ("agent", name)
        if any(s.owner == own for s in self.sessions if s.status in OPEN) or self._asked_of(name):
            self.expire()
            for session in [s for s in self.sessions if s.status in OPEN and s.owner == own]:
                if not session.is_live:
                    session.owner, session.on_hold = NOBODY, False
                    self._clock(session)
                    continue
                to = ""
                if asked := self.asked(session):
                    asked.status = "WITHDRAWN"
                    to = "" if asked.to in self.gone | self.drained else asked.to
                self._ask("reassignment", session, to)
                self._own(session, NOBODY)
            self._ask_all_instead(name)
            self.settle()

    def drain(self, name: str) -> None:
        if name in self.gone:
            raise Refused("not_found")
        self.drained.add(name)
        if self._asked_of(name):
            self.expire()
            self._ask_all_instead(name)
            self.settle()

    def undrain(self, name: str) -> None:
        if name in self.gone:
            raise Refused("not_found")
        self.drained.discard(name)

    def _asked_of(self, name: str) -> list[Transfer]:
        return [t for t in self.transfers if t.is_pending and t.to == name]

    def _ask_all_instead(self, name: str) -> None:
        for transfer in self._asked_of(name):
            transfer.to = ""
            transfer.deadline = max(transfer.deadline, self.now + CLOCKS["TRANSFER_TIMEOUT"])

    def _can_be_asked(self, to: str) -> None:
        if to in self.gone:
            raise Refused("not_found")
        if to in self.drained:
            raise Refused("gets_nothing_new")

    # --- Speaking ---

    def say(self, who: Who, epoch: int | None = None) -> None:
        self._knows(who)
        self.expire()
        live = self.live
        if who.kind == "bot" and (
            self.controller != "bot" or epoch != self.epoch or live is None or live.bot != who.name
        ):
            raise Refused("stale_epoch")
        if who.kind == "agent":
            if live is None or not live.is_human:
                raise Refused("not_serving")
            if live.owner != who.party:
                raise Refused("forbidden")
        self.messages.append(who.kind)
        if who.kind != "customer":
            self.unanswered_since = None
        elif self.unanswered_since is None:
            self.unanswered_since = self.now
        if live and live.owner[0] == "bot":
            self._clock(live)
        self.settle()

    # --- Time ---

    def expire(self) -> None:
        """Apply what is due, as every verb does first; what that makes due may be due too."""
        while True:
            transfers = [t for t in self.transfers if t.is_pending and t.deadline <= self.now]
            sessions = [s for s in self.sessions if s.status in OPEN and s.expires <= self.now]
            if not transfers and not sessions:
                return
            for transfer in transfers:
                self._unanswered(transfer, "TIMED_OUT")
            for session in sessions:
                if session.status in OPEN and session.expires <= self.now:  # not what has just come back to its bot
                    self._time_out(session)
            self.settle()

    def settle(self) -> None:
        waiting = self.waiting
        if self.live is None and waiting:
            first = waiting[0]
            if first.status == Status.PAUSED:
                self._resume(first)
            elif first.kind.is_robot:
                self._move(first, Status.ACTIVE)
        live = self.live
        holder = (live.number, live.owner) if live else None
        if live:
            controller = {"agent": "human", "bot": "bot", "": "queue"}[live.owner[0]]
        else:
            manual = any(s.status == Status.PENDING and not s.kind.is_robot for s in self.sessions)
            controller = "queue" if manual else "none"
        had_turn = self.controller != "none"
        if (controller, holder) != (self.controller, self.holder):
            self.controller, self.holder = controller, holder
            self.epoch += 1
        self._mind(had_turn)
        if controller == "human":
            self.need = ""

    def _mind(self, had_turn: bool) -> None:
        """Nobody is forgotten: flagged while an answer is nobody's to give."""
        since = self.unanswered_since
        if self.need == "no_answer" and (since is None or self.controller != "none"):
            self.need = ""
        waits = not self.need and self.controller == "none" and since is not None
        if waits and since is not None and (had_turn or since + CLOCKS["GROUP_AFTER"] <= self.now):
            self.need = "no_answer"

    # --- Effects ---

    def _move(self, session: Session, to: Status, owner: Party | None = None) -> None:
        if to not in TRANSITIONS[session.status]:
            raise Refused("illegal_transition")
        if to not in LIVE and (asked := self.asked(session)):
            asked.status = "WITHDRAWN"
        if to == Status.PAUSED:
            session.paused_from = session.status
        session.status = to
        if owner is not None:
            session.owner = owner
        self._clock(session)

    def _time_out(self, session: Session) -> None:
        """With it ends no request for a human: what nobody answered is flagged, unless a human serves anyway."""
        asked = [t for t in self.transfers if t.session is session]
        self._move(session, Status.TIMEOUT)
        is_lost = session.owner == NOBODY and asked and asked[-1].status != "ACCEPTED" and asked[-1].kind != "handover"
        if is_lost and not (self.live and self.live.is_human):
            self.need = "unanswered"

    def _own(self, session: Session, owner: Party) -> None:
        between_agents = session.owner[0] == owner[0] == "agent"
        session.owner = owner
        if not between_agents:
            self._clock(session)

    def _resume(self, session: Session) -> None:
        assert session.paused_from
        self._move(session, session.paused_from)
        if session.owner == NOBODY:
            last = [t for t in self.transfers if t.session is session][-1]
            has_no_sender = last.status == "ACCEPTED" or last.kind == "reassignment"
            self._ask("reassignment" if has_no_sender else "escalation", session)

    def _escalate(self, session: Session, to: str = "") -> None:
        self._ask("escalation", session, to)
        self._move(session, Status.TRANSFERRED, NOBODY)

    def _unanswered(self, transfer: Transfer, status: str) -> None:
        if transfer.session.is_human:
            transfer.status = status
        elif self._returns(transfer):
            self._give_back(transfer, status)
        else:  # the same one, for everybody
            transfer.asked_again += 1
            transfer.declined_by, transfer.to = (transfer.to if status == "DECLINED" else ""), ""
            pause = CLOCKS["TRANSFER_TIMEOUT"] * 2 ** (transfer.asked_again - 1)
            transfer.deadline = self.now + min(pause, LONGEST_PAUSE)

    def _returns(self, transfer: Transfer) -> bool:
        return transfer.session.is_human or (self.policy == "return" and self._has_bot(transfer))

    def _has_bot(self, transfer: Transfer) -> bool:
        return transfer.session.kind.is_robot and transfer.kind == "escalation"

    def _give_back(self, transfer: Transfer, status: str) -> None:
        transfer.status, self.need = status, "unanswered"
        self._move(transfer.session, Status.ACTIVE, ("bot", transfer.session.bot))

    def _record(self, kind: str, session: Session, *, accepted_by: str = "") -> None:
        self.transfers.append(
            Transfer(len(self.transfers), session, kind, "ACCEPTED", session.owner, accepted_by=accepted_by)
        )

    def _ask(self, kind: str, session: Session, to: str = "") -> None:
        sender = session.owner if session.owner != NOBODY else (self.actor.kind, "")
        deadline = self.now + CLOCKS["TRANSFER_TIMEOUT"]
        self.transfers.append(Transfer(len(self.transfers), session, kind, "PENDING", sender, to=to, deadline=deadline))

    def _clock(self, session: Session) -> None:
        if session.status in TERMINAL:
            return
        if session.owner[0] != "agent":
            session.human_until = None
        elif session.human_until is None:
            session.human_until = self.now + CLOCKS["HUMAN_SESSION_TIMEOUT"]
        if not session.is_live or session.owner == NOBODY:
            session.expires = self.now + CLOCKS["WAITING_SESSION_TIMEOUT"]
        elif session.human_until is None:
            session.expires = self.now + CLOCKS["DEFAULT_SESSION_TIMEOUT"]
        else:
            session.expires = max(session.human_until, self.now + CLOCKS["HUMAN_SESSION_WARNING"])

    # --- Checks ---

    def _knows(self, who: Who, session: Session | None = None) -> None:
        """For a bot there is nothing but its own sessions, and the conversations in which it has or had one."""
        if who.kind == "bot" and who.name not in [s.bot for s in ([session] if session else self.sessions)]:
            raise Refused("not_found")

    def _drives(self, who: Who, session: Session) -> None:
        if who.kind == "bot":
            if session.bot != who.name or session.owner[0] not in ("bot", ""):
                raise Refused("forbidden")
        elif not (who.supervises or session.owner == who.party):
            raise Refused("forbidden")

    def _room(self, who: Who, *, override: bool) -> None:
        if who.name in self.gone:
            raise Refused("not_available")
        if who.name in self.drained:
            if not (override and who.supervises):
                raise Refused("gets_nothing_new")
            return
        load = sum(s.is_human and s.owner == who.party for s in self.sessions)
        if load >= who.room and not (override and who.supervises):
            raise Refused("no_capacity")

    @staticmethod
    def _must_wait(transfer: Transfer) -> None:
        if transfer.status == "ACCEPTED" and transfer.accepted_by:
            raise Refused("already_taken")
        if not transfer.is_pending:
            raise Refused("transfer_ended")
