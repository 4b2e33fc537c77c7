"""The only writer of a status: of sessions, transfers, flows and participants.

Each function changes one row and records the one operation that says so, in the verb's transaction. A test over the
syntax tree proves that nobody else assigns a status.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from agents_app import office
from agents_app.actors import ActorKind
from agents_app.models import Agent, ApiClient, Team
from agents_app.policies import Policies
from agents_app.skills import Skills
from config import limits
from messaging_app.models import Conversation
from sessions_app.context import opening, package, say, taken_over
from sessions_app.errors import FlowMoved, IllegalTransition
from sessions_app.models import ChatSession, GuidedFlow, Mail, Participant, Transfer
from sessions_app.states import (
    FLOW_BLOCKING,
    FLOW_TRANSITIONS,
    GROUPED_OPENING,
    LIVE,
    OPENING,
    TERMINAL,
    FlowStatus,
    HistoryMode,
    Kind,
    MailStatus,
    NoticeStatus,
    Origin,
    Override,
    Owner,
    ParticipantStatus,
    Priority,
    Status,
    TaskType,
    TransferKind,
    TransferStatus,
    allowed,
)
from sessions_app.turn import Turn, pause_after, seconds

_BROUGHT = (TransferKind.ESCALATION, TransferKind.TAKEOVER, TransferKind.REASSIGNMENT)
"""The moves that bring a conversation to an agent from somebody who is none."""
_ENDED = {Status.COMPLETED: "completed", Status.CANCELLED: "cancelled", Status.TIMEOUT: "timed_out"}


def owner_fields(session: ChatSession) -> dict[str, Any]:
    return {"owner_kind": session.owner_kind, "owner_id": session.owner_id}


def deadline(
    session: ChatSession, now: datetime, policies: Policies, transfer: Transfer | None = None
) -> datetime | None:
    """When a session times out, if nothing more happens (docs/rules.md, Clocks).

    A robot's, and one that the shop's own app serves, when it has been idle; an agent's, a fixed time after the agents got
    it, whatever pauses are in between, but never sooner than its warning; one that waits, after a day, so that nothing waits for ever. The day begins when whoever it was asked of opens.
    What was grouped is over with its gap.
    """
    if session.status in TERMINAL:
        return None
    if session.status not in LIVE:
        return now + policies.waiting_session_timeout
    if session.owner_kind == Owner.AGENT:
        return max(session.human_until or now + policies.human_session_timeout, now + _warning(policies))
    if session.owner_kind == Owner.NOBODY and (session.status == Status.TRANSFERRED or session.origin == Origin.OPENED):
        opens_at = transfer.opens_at if transfer else None
        return (opens_at or now) + policies.waiting_session_timeout  # its transfer's deadline comes first
    return now + (policies.history_gap if session.origin == Origin.GROUPED else policies.robot_session_timeout)


def _warning(policies: Policies) -> timedelta:
    """How long before the end of an agent's session its owner is told."""
    return min(policies.human_session_warning, policies.human_session_timeout)


def _set_deadline(turn: Turn, session: ChatSession) -> None:
    """When it ends by itself, and when its owner is told so."""
    session.expires_at = deadline(session, turn.now, turn.policies, turn.transfer_of(session))
    _set_warning(turn, session)


def _set_warning(turn: Turn, session: ChatSession) -> None:
    serves = session.is_live and session.owner_kind == Owner.AGENT
    session.warns_at = session.expires_at - _warning(turn.policies) if serves and session.expires_at else None


def open_row(
    turn: Turn,
    *,
    kind: Kind,
    task: TaskType,
    status: Status,
    priority: Priority | None = None,
    bot: ApiClient | None = None,
    bot_id: int | None = None,
    agent: Agent | None = None,
    previous_id: int | None = None,
    reason: str = "",
    context: dict[str, Any] | None = None,
) -> ChatSession:
    """Open a session in `status` (ACTIVE or PENDING). A human's takes over what was said about the work that yields to it."""
    if status not in OPENING:
        raise IllegalTransition(f"A session cannot open as {status}.")
    session = ChatSession(
        tenant_id=turn.conversation.tenant_id,
        conversation=turn.conversation,
        kind=kind,
        task=task,
        status=status,
        bot=bot,
        bot_id=bot.pk if bot else bot_id,
        agent=agent,
        owner_kind=Owner.BOT if kind.is_robot else (Owner.AGENT if agent else Owner.NOBODY),
        previous_id=previous_id,
        opened_at=turn.now,
        activated_at=turn.now if status == Status.ACTIVE else None,
        last_activity_at=turn.now,
        missed_from_seq=None if status == Status.ACTIVE else turn.conversation.seq,
        reason=reason[: limits.MAX_REASON],
        context=context or {},
        said=taken_over(opening(context or {}, by=turn.actor, at=turn.now), *_said_before(turn, kind)),
    )
    if agent:
        session.human_until = turn.now + turn.policies.human_session_timeout
    session.set_priority(priority)
    _set_deadline(turn, session)
    session.save(force_insert=True)
    turn.sessions.append(session)
    turn.record(
        "session.opened",
        session,
        kind=kind.value,
        status=status.value,
        rank=session.rank,
        opened_at=session.opened_at.isoformat(timespec="microseconds"),
        **owner_fields(session),
    )
    return session


def _said_before(turn: Turn, kind: Kind) -> list[dict[str, Any]]:
    """In the sessions that are at work when a human's opens, which then pause or wait behind it. A robot has its own."""
    at_work = (s for s in turn.sessions if s.is_live or s.status == Status.PAUSED)
    return [] if kind.is_robot else [s.said for s in at_work]


def grouped_row(
    conversation: Conversation,
    *,
    status: Status,
    is_robot: bool,
    owner: Owner,
    first: datetime,
    last: datetime,
    policies: Policies,
) -> ChatSession:
    """A session found in the messages, not stored yet: ended if it is history, ACTIVE if it is fresh.

    Its times are those of its messages, so that they do not depend on when it was found.
    """
    if status not in GROUPED_OPENING:
        raise IllegalTransition(f"A session cannot be found as {status}.")
    kind = Kind.AUTO_ASSISTANT if is_robot else Kind.MANUAL_CUSTOMER_SERVICE
    session = ChatSession(
        tenant_id=conversation.tenant_id,
        conversation=conversation,
        kind=kind,
        origin=Origin.GROUPED,
        status=status,
        owner_kind=owner,
        opened_at=first,
        activated_at=first,
        last_activity_at=last,
        ended_at=last if status in TERMINAL else None,
        first_message_at=first,
        last_message_at=last,
    )
    session.set_priority()
    session.expires_at = deadline(session, last, policies)
    return session


def transition(
    turn: Turn,
    session: ChatSession,
    to: Status,
    *,
    reason: str = "",
    owner: Owner | None = None,
    agent: Agent | None = None,
    **data: Any,
) -> None:
    """Move a session along the one table, with a new owner where one is named. Raises `IllegalTransition`.

    A session that stops being live takes its unanswered transfer with it (WITHDRAWN).
    """
    before = Status(session.status)
    if not allowed(before, to):
        raise IllegalTransition(
            f"A session cannot go from {before} to {to}.", session_id=session.pk, status=before.value
        )
    if to not in LIVE and (transfer := turn.transfer_of(session)):
        end_transfer(turn, transfer, TransferStatus.WITHDRAWN, reason=f"session {to.lower()}")
    if before in LIVE and (to in TERMINAL or owner not in (None, Owner.AGENT)):
        _measure(turn, session)
    session.status = to
    if owner is not None:
        _own(turn, session, owner, agent)
    if to == Status.PAUSED:
        session.paused_from = before
        session.missed_from_seq = turn.conversation.seq
    if to in LIVE:
        session.activated_at = session.activated_at or turn.now
        session.last_activity_at = turn.now
    if to in TERMINAL:
        session.ended_at = turn.now
        session.reason = reason[: limits.MAX_REASON] or session.reason
        turn.sessions.remove(session)
    _set_deadline(turn, session)
    session.save()
    turn.record(
        f"session.{_word(before, to)}",
        session,
        before=before.value,
        after=to.value,
        reason=reason,
        **owner_fields(session),
        **data,
    )


def _word(before: Status, to: Status) -> str:
    if to in _ENDED:
        return _ENDED[to]
    if before == Status.PAUSED:
        return "resumed"
    if to == Status.ACTIVE:
        return "activated" if before == Status.PENDING else "returned"
    return "paused" if to == Status.PAUSED else "transferred"


def change_owner(turn: Turn, session: ChatSession, owner: Owner, agent: Agent | None = None, **data: Any) -> None:
    """Give a live session to somebody else, or to nobody, without a change of status."""
    was = owner_fields(session)
    was_agents = session.owner_kind == Owner.AGENT
    if owner != Owner.AGENT:
        _measure(turn, session)
    _own(turn, session, owner, agent)
    if was_agents and owner == Owner.AGENT:  # the time goes on; who is new to it is told of its end, too
        _set_warning(turn, session)
    else:
        _set_deadline(turn, session)
    session.save()
    turn.record(
        "ownership.changed",
        session,
        was_kind=was["owner_kind"],
        was_id=was["owner_id"],
        **owner_fields(session),
        **data,
    )


def _measure(turn: Turn, session: ChatSession) -> None:
    """Agents have done with a session for now: note on the transfer that brought it to them how long they served it.

    A handover or a grab in between goes on with the same service.
    """
    if session.owner_kind != Owner.AGENT:
        return
    began = Transfer.objects.filter(session=session, kind__in=_BROUGHT, accepted_by__isnull=False).order_by("-pk")
    transfer = began.first()
    if transfer and transfer.served_until is None:
        transfer.served_until = turn.now
        transfer.save(update_fields=["served_until"])


def _own(turn: Turn, session: ChatSession, owner: Owner, agent: Agent | None) -> None:
    if owner != Owner.AGENT:
        session.agent, session.human_until = None, None
    else:
        session.agent = agent
        if session.owner_kind != Owner.AGENT:
            session.human_until = turn.now + turn.policies.human_session_timeout
    session.owner_kind = owner


def warn_of_end(turn: Turn, session: ChatSession) -> None:
    """Tell the owner, once, that the session ends soon by itself."""
    session.warns_at = None
    session.save(update_fields=["warns_at"])
    expires_at = session.expires_at.isoformat(timespec="microseconds") if session.expires_at else ""
    turn.record("session.ending_soon", session, expires_at=expires_at, **owner_fields(session))


def ask(
    turn: Turn,
    session: ChatSession,
    kind: TransferKind,
    *,
    reason: str = "",
    trigger: str = "",
    to_agent: Agent | None = None,
    to_team: Team | None = None,
    needs: Skills | None = None,
    refused_by: Sequence[int | None] = (),
    extra: dict[str, Any] | None = None,
    reason_by: str = ActorKind.SYSTEM,
    reasons: Sequence[dict[str, str]] = (),
) -> Transfer:
    """Ask for a move: a PENDING transfer with its deadline and context package. The waiting clock is the original one.

    `reason_by` is the kind of actor whose words the reason is: a customer's are shown as the customer's. `extra` is what
    the actor says about the work; it stays with the session. `reasons` are those of before, where it is asked for once more
    (`asked_before`). Raises `Malformed` where what is said is too much.

    What names neither agent nor team stays with the session's team, or goes to the tenant's default team. Where nobody
    is there now the deadline counts from the opening, and `afterhours` does the rest when the verb closes.
    """
    _announce(session)
    say(turn, session, extra or {})
    told: dict[str, Any] = {"reason": reason, "reason_by": reason_by, "trigger": trigger, "reasons": reasons}
    transfer = _new(turn, session, kind, TransferStatus.PENDING, **told)
    if to_agent is None and to_team is None:
        to_team = session.team or turn.tenant.default_team
    transfer.to_agent, transfer.to_team = to_agent, to_team
    transfer.needs, transfer.refused_by = dict(needs or {}), list(refused_by)
    if kind != TransferKind.HANDOVER:  # between agents: who asks is there
        _mind_the_hours(turn, session, transfer)
    transfer.deadline = _after_opening(turn, transfer) or turn.now + turn.policies.transfer_timeout
    transfer.save(force_insert=True)
    turn.transfers.append(transfer)
    turn.record(
        "transfer.requested",
        session,
        transfer_id=transfer.pk,
        kind=kind.value,
        reason=reason,
        reason_by=transfer.context["reason_by"],
        trigger=trigger,
        to_agent_id=to_agent.pk if to_agent else None,
        to_team_id=to_team.pk if to_team else None,
        **_clocks(transfer),
    )
    return transfer


def readdress(turn: Turn, transfer: Transfer, *, reason: str) -> None:
    """The one agent whom a transfer asked cannot answer it: it asks the team, or the tenant's queue, with its whole time."""
    session = _to_everybody(turn, transfer)
    transfer.deadline = max(transfer.deadline or turn.now, turn.now + turn.policies.transfer_timeout)
    transfer.save(update_fields=["to_agent", "to_team", "deadline"])
    turn.record(
        "transfer.readdressed",
        session,
        transfer_id=transfer.pk,
        kind=transfer.kind,
        reason=reason,
        to_team_id=transfer.to_team_id,
        deadline=transfer.deadline.isoformat(timespec="microseconds"),
    )


def ask_again(turn: Turn, transfer: Transfer, *, reason: str, declined_by: int | None = None) -> None:
    """What nobody answered waits on, as the same transfer: for everybody, with its original waiting clock and package.

    Its deadline is set anew (`pause_after`), and whoever let it pass is asked once more, except who has just declined it. An
    offer that is open stays.
    """
    session = _to_everybody(turn, transfer)
    transfer.asked_again += 1
    transfer.refused_by, transfer.next_round_at = [declined_by] if declined_by else [], None
    _mind_the_hours(turn, session, transfer)
    is_closed = not transfer.is_open_at(turn.now)
    pause = pause_after(transfer.asked_again, turn.policies.transfer_timeout)
    transfer.deadline = (_after_opening(turn, transfer) if is_closed else None) or turn.now + pause
    transfer.save(
        update_fields=["asked_again", "to_agent", "to_team", "refused_by", "next_round_at", "opens_at", "deadline"]
    )
    turn.record(
        "transfer.asked_again",
        session,
        transfer_id=transfer.pk,
        kind=transfer.kind,
        reason=reason,
        times=transfer.asked_again,
        waiting_since=transfer.waiting_since.isoformat(),
        declined_by=declined_by,
        to_team_id=transfer.to_team_id,
        **_clocks(transfer),
    )


def _to_everybody(turn: Turn, transfer: Transfer) -> ChatSession:
    """Of its team, else of the session's, else of whatever names none. Returns its session."""
    session = turn.session(transfer.session_id)
    transfer.to_agent = None
    transfer.to_team = transfer.to_team or session.team or turn.tenant.default_team
    return session


def _clocks(transfer: Transfer) -> dict[str, str | None]:
    return {
        "opens_at": transfer.opens_at.isoformat() if transfer.opens_at else None,
        "deadline": transfer.deadline.isoformat(timespec="microseconds") if transfer.deadline else None,
    }


def _mind_the_hours(turn: Turn, session: ChatSession, transfer: Transfer) -> None:
    """A session that waits already does not use up its time while it is closed.

    Who is asked again in the closing in which they were asked is neither told again nor given more time.
    """
    closing = office.closing(office.office_of(turn.tenant, transfer.to_team), turn.now)
    if closing is None or (closing.opens_at == transfer.opens_at and not closing.becomes_email):
        return
    turn.closed.append((transfer, closing))
    transfer.opens_at = closing.opens_at
    expires_at = session.expires_at if session.owner_kind == Owner.NOBODY else None
    if closing.opens_at and expires_at and expires_at > turn.now:
        session.expires_at = closing.opens_at + min(expires_at - turn.now, turn.policies.waiting_session_timeout)
        session.save(update_fields=["expires_at"])


def _after_opening(turn: Turn, transfer: Transfer) -> datetime | None:
    """The deadline of what is asked for while it is closed: one time-out after the opening for it, and for each before it.

    None where it is open. Nobody waits for longer than a session does, so that no more than so many are counted.
    """
    if transfer.opens_at is None:
        return None
    each = turn.policies.transfer_timeout
    most = max(1, turn.policies.waiting_session_timeout // each) if each else 1
    before = Transfer.objects.filter(
        tenant_id=transfer.tenant_id, status=TransferStatus.PENDING, to_team=transfer.to_team
    ).exclude(kind=TransferKind.HANDOVER)
    if transfer.pk:
        before = before.filter(pk__lt=transfer.pk)
    return transfer.opens_at + each * min(before[:most].count() + 1, most)


def move(
    turn: Turn,
    session: ChatSession,
    kind: TransferKind,
    *,
    reason: str = "",
    agent: Agent | None = None,
    override: Override = Override.NONE,
) -> Transfer:
    """Put an immediate move on record: asked for and ACCEPTED at once."""
    _announce(session)
    transfer = _new(turn, session, kind, TransferStatus.ACCEPTED, reason=reason, reason_by=turn.actor.kind)
    transfer.to_agent = transfer.accepted_by = agent
    transfer.ended_at = turn.now
    transfer.is_override = bool(override)
    transfer.save(force_insert=True)
    turn.record(
        "transfer.accepted",
        session,
        transfer_id=transfer.pk,
        kind=kind.value,
        reason=reason,
        agent_id=agent.pk if agent else None,
        override=bool(override),
        override_why=override.value,
    )
    return transfer


def _announce(session: ChatSession) -> None:
    """Somebody moves a session that was only found in the messages: from now on grouping leaves it alone."""
    if session.origin == Origin.GROUPED:
        session.origin = Origin.OPENED
        session.save(update_fields=["origin"])


def _new(
    turn: Turn,
    session: ChatSession,
    kind: TransferKind,
    status: TransferStatus,
    *,
    reason: str,
    reason_by: str,
    trigger: str = "",
    reasons: Sequence[dict[str, str]] = (),
) -> Transfer:
    sender = session.agent if session.owner_kind == Owner.AGENT else session.bot
    return Transfer(
        tenant_id=session.tenant_id,
        conversation=turn.conversation,
        session=session,
        kind=kind,
        status=status,
        from_kind=session.owner_kind or turn.actor.kind.value,
        from_id=session.owner_id,
        from_name=(sender.name if sender else turn.actor.name)[: limits.MAX_NAME],
        reason=reason[: limits.MAX_REASON],
        trigger=trigger[: limits.MAX_TRIGGER],
        context=package(turn, session, reason=reason, reason_by=reason_by, trigger=trigger, reasons=reasons),
        requested_at=turn.now,
        waiting_since=turn.conversation.waiting_since or turn.now,
    )


def end_transfer(
    turn: Turn,
    transfer: Transfer,
    status: TransferStatus,
    *,
    reason: str = "",
    agent: Agent | None = None,
    override: Override = Override.NONE,
) -> None:
    """End an unanswered transfer, exactly once. Raises `IllegalTransition` when it has ended."""
    if transfer.status != TransferStatus.PENDING or status == TransferStatus.PENDING:
        raise IllegalTransition(f"A transfer cannot go from {transfer.status} to {status}.")
    transfer.status = status
    transfer.accepted_by = agent
    transfer.ended_at = turn.now
    transfer.end_reason = reason[: limits.MAX_REASON]
    transfer.is_override = bool(override)
    transfer.offered_to = transfer.offer_expires_at = None
    transfer.save()
    turn.transfers.remove(transfer)
    turn.record(
        f"transfer.{status.lower()}",
        transfer.session,
        transfer_id=transfer.pk,
        kind=transfer.kind,
        reason=reason,
        agent_id=agent.pk if agent else None,
        override=bool(override),
        override_why=override.value,
    )


def open_flow(turn: Turn | None, flow: GuidedFlow, now: datetime) -> None:
    """Begin a flow, waiting for the customer's reply; on record once it is bound to a conversation."""
    flow.status = FlowStatus.WAITING
    flow.created_at = flow.updated_at = now
    flow.save(force_insert=True)
    if turn:
        turn.place(flow)
        turn.record("flow.opened", flow_id=flow.pk, status=flow.status, trigger_id=flow.trigger_id)


def move_flow(turn: Turn | None, flow: GuidedFlow, to: FlowStatus, now: datetime, **changes: Any) -> None:
    """Move a flow along its table, compare-and-set on its version. Raises `IllegalTransition`, `FlowMoved`."""
    before = FlowStatus(flow.status)
    if to not in FLOW_TRANSITIONS[before]:
        raise IllegalTransition(f"A flow cannot go from {before} to {to}.", status=before.value)
    values = {"status": to, "version": flow.version + 1, "updated_at": now, "lease_until": None, **changes}
    if to == FlowStatus.RERUNNING:
        values["lease_until"] = now + seconds("FLOW_LEASE")
    if to in FLOW_BLOCKING:
        values["expires_at"] = now + seconds("FLOW_EXPIRY")
    elif to == FlowStatus.READY:
        values["expires_at"] = now + seconds("FLOW_PREVIEW_EXPIRY")
    _change_flow(flow, **values)
    if turn:
        turn.place(flow)
        turn.record("flow.moved", flow_id=flow.pk, before=before.value, after=to.value, version=flow.version)


def renew_lease(turn: Turn | None, flow: GuidedFlow, now: datetime) -> None:
    """Give a rerun its whole lease again, never beyond its expiry. No move: the version stays. Raises as `move_flow`."""
    if flow.status != FlowStatus.RERUNNING:
        raise IllegalTransition(f"Only a rerun has a lease; this flow is {flow.status}.", status=flow.status)
    until = min(now + seconds("FLOW_LEASE"), flow.expires_at)
    _change_flow(flow, lease_until=until, updated_at=now)
    if turn:
        turn.place(flow)
        turn.record("flow.renewed", flow_id=flow.pk, version=flow.version, lease_until=until.isoformat())


def _change_flow(flow: GuidedFlow, **values: Any) -> None:
    """Compare-and-set on the version. Raises `FlowMoved`."""
    found = GuidedFlow.objects.filter(pk=flow.pk, version=flow.version)
    # Where it is bound, too: a flow without a conversation moves without a lock, and may be bound meanwhile.
    found = found.filter(conversation=flow.conversation_id) if flow.conversation_id else found.filter(conversation=None)
    if not found.update(**values):
        flow.refresh_from_db()
        raise FlowMoved(version=flow.version, status=flow.status)
    for name, value in values.items():
        setattr(flow, name, value)


def add_participant(turn: Turn, participant: Participant, status: ParticipantStatus) -> None:
    participant.status = status
    participant.tenant_id = turn.conversation.tenant_id
    participant.conversation = turn.conversation
    participant.invited_at = turn.now
    participant.invited_by = turn.actor.name
    if status == ParticipantStatus.JOINED:
        participant.joined_at = turn.now
    elif participant.contact:
        _await_notice(turn, participant)
    if participant.history == HistoryMode.FROM_NOW:
        participant.history_from_seq = turn.conversation.seq + 1
    participant.save(force_insert=True)
    _record_participant(turn, participant, participant.status)


def move_participant(turn: Turn, participant: Participant, status: ParticipantStatus, **data: Any) -> None:
    participant.status = status
    if status == ParticipantStatus.JOINED:
        participant.joined_at = turn.now
    else:
        participant.ended_at = turn.now
    participant.token_hash, participant.link_seed = None, ""
    if participant.notice_status == NoticeStatus.WAITING:
        participant.notice_status = NoticeStatus.NONE
    participant.notice_due_at = None
    participant.save()
    _record_participant(turn, participant, participant.status, **data)


def end_participations(turn: Turn) -> None:
    """The work on the conversation has ended: nobody stays in it, and links that nobody used end too."""
    inside = Participant.objects.filter(
        conversation=turn.conversation, status__in=(ParticipantStatus.INVITED, ParticipantStatus.JOINED)
    )
    for participant in inside.order_by("pk"):
        move_participant(turn, participant, ParticipantStatus.ENDED, reason="the work has ended")


def end_collaboration(turn: Turn, *agent_ids: int, reason: str) -> None:
    """These agents are in the conversation beside its owner no longer: they own it now, or have left the desk."""
    inside = (ParticipantStatus.INVITED, ParticipantStatus.JOINED)
    beside = Participant.objects.filter(conversation=turn.conversation, agent_id__in=agent_ids, status__in=inside)
    for participant in beside.order_by("pk"):
        move_participant(turn, participant, ParticipantStatus.ENDED, reason=reason)


def invite_again(turn: Turn, participant: Participant) -> None:
    """The participant has got a new link; the notice of it waits to be sent."""
    _await_notice(turn, participant)
    participant.save()
    _record_participant(turn, participant, "invited_again")


def _await_notice(turn: Turn, participant: Participant) -> None:
    participant.notice_status, participant.notice_due_at = NoticeStatus.WAITING, turn.now
    participant.notice_error, participant.notice_attempts = "", 0


def end_notice(turn: Turn, participant: Participant, *, channel: str = "", error: str = "") -> None:
    """A notice went out, or could not. The reason stays on the row: it may hold an address, the record must not."""
    participant.notice_status = NoticeStatus.FAILED if error else NoticeStatus.SENT
    participant.notice_error = error[: limits.MAX_ERROR]
    participant.notice_due_at = None
    participant.notice_sent_at = participant.notice_sent_at if error else turn.now
    participant.save()
    _record_participant(turn, participant, "notice_failed" if error else "notified", channel=channel)


def _record_participant(turn: Turn, participant: Participant, word: str, **data: Any) -> None:
    noun = "collaborator" if participant.agent_id else "participant"
    turn.record(
        f"{noun}.{word}",
        turn.live,
        participant_id=participant.pk,
        agent_id=participant.agent_id,
        role=participant.role,
        status=participant.status,
        notice=participant.notice_status,
        **data,
    )


def queue_mail(turn: Turn, transfer: Transfer, to: str) -> Mail:
    """What nobody is there for goes to the team by e-mail, as soon as it is sent."""
    mail = Mail(
        tenant_id=transfer.tenant_id,
        conversation=turn.conversation,
        session=transfer.session,
        transfer=transfer,
        to=to,
        status=MailStatus.WAITING,
        due_at=turn.now,
        created_at=turn.now,
    )
    mail.save(force_insert=True)
    turn.record("mail.queued", transfer.session, mail_id=mail.pk, transfer_id=transfer.pk)
    return mail


def queue_mail_again(turn: Turn, mail: Mail) -> None:
    mail.status, mail.due_at = MailStatus.WAITING, turn.now
    mail.attempts, mail.error = 0, ""
    mail.save()
    turn.record("mail.queued", mail.session, mail_id=mail.pk, transfer_id=mail.transfer_id)


def end_mail(turn: Turn, mail: Mail, *, error: str = "") -> None:
    """It went out, or could not. The reason stays on the row: it may hold an address, the record must not."""
    mail.status = MailStatus.FAILED if error else MailStatus.SENT
    mail.error, mail.due_at = error[: limits.MAX_ERROR], None
    mail.sent_at = mail.sent_at if error else turn.now
    mail.save()
    if error:
        turn.record("mail.failed", mail.session, mail_id=mail.pk, transfer_id=mail.transfer_id)
    else:
        turn.record("mail.sent", mail.session, mail_id=mail.pk, transfer_id=mail.transfer_id)


SERVED, TAKEN_UP, ANSWERED = "a human serves", "somebody has the turn again", "the customer was answered"
"""Why a flag went by itself."""


def flag(turn: Turn, need: dict[str, Any], *, waiting_since: datetime | None = None) -> None:
    """Mark the conversation as needing a human, with the evidence. Where a human serves nobody has to be called.

    With `waiting_since` its waiting clock goes on from then, unless it runs for longer already.
    """
    conversation: Conversation = turn.conversation
    if conversation.needs_human and conversation.need == need:
        return
    if turn.live and turn.live.is_human_served:
        return
    conversation.needs_human, conversation.need = True, need
    told = {k: v for k, v in need.items() if k != "evidence"}
    if waiting_since:
        since = conversation.waiting_since = min(conversation.waiting_since or waiting_since, waiting_since)
        told["waiting_since"] = since.isoformat(timespec="microseconds")
    turn.record("attention.raised", turn.live, **told)


def unflag(turn: Turn, reason: str) -> None:
    """A human has looked at it, or nobody has to any more."""
    if turn.conversation.needs_human:
        turn.conversation.needs_human, turn.conversation.need = False, {}
        turn.record("attention.cleared", turn.live, reason=reason)


def set_aside(turn: Turn, reason: str) -> None:
    """Somebody has decided that the customer's words want no answer; the flag goes with them."""
    if turn.conversation.needs_human or turn.conversation.unanswered_since:
        turn.conversation.needs_human, turn.conversation.need = False, {}
        turn.record("attention.cleared", turn.live, reason=reason, set_aside=True)
