"""Who may do what: one predicate per right, each raising the refusal that says why (docs/rules.md, Rights).

Identity comes from the actor, which a door made from a credential. Another tenant's things are not found at all.
"""

from __future__ import annotations

from agents_app.actors import Actor, ActorKind
from agents_app.models import Agent
from agents_app.scopes import Scope
from messaging_app.models import Message
from sessions_app.core.capacity import load
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.errors import AlreadyTaken, Forbidden, GetsNothingNew, NoCapacity, NotAvailable, NotFound, NotServing
from sessions_app.models import ChatSession, Participant
from sessions_app.states import Override, Owner, ParticipantStatus

_MACHINES = (ActorKind.BOT, ActorKind.INTEGRATOR, ActorKind.SYSTEM)


def must_be_agent(actor: Actor) -> None:
    if not actor.is_agent:
        raise Forbidden("Only agents may do that.")


def must_be_supervisor(actor: Actor) -> None:
    if not (actor.is_supervisor or actor.is_system):
        raise Forbidden("Only supervisors may do that.")


def owns(actor: Actor, session: ChatSession | None) -> bool:
    return bool(actor.is_agent and session and session.owner_kind == Owner.AGENT and session.agent_id == actor.id)


def must_own(actor: Actor, session: ChatSession | None) -> None:
    """Only the owner, or a supervisor: the operation shows who it was. Raises `NotServing`, `Forbidden`."""
    if session is None or not session.is_human_served:
        raise NotServing
    if not (owns(actor, session) or actor.is_supervisor or actor.is_system):
        raise Forbidden(
            "Only the agent who serves this conversation may do that.",
            legacy_code=3027,
            owner_name=visible_owner_name(actor, session),
        )


def may_drive(actor: Actor, session: ChatSession) -> None:
    """Pause, resume, complete or cancel: the bot whose session it is, an integrator, the owner, a supervisor.

    A bot that a human has relieved does not drive the session any more.
    """
    if actor.kind == ActorKind.BOT:
        if session.bot_id != actor.id:
            raise Forbidden("This session belongs to another bot.")
        if session.owner_kind not in (Owner.BOT, Owner.NOBODY):
            raise Forbidden("A human serves this session now.", owner_name=visible_owner_name(actor, session))
        return
    if actor.kind in (ActorKind.INTEGRATOR, ActorKind.SYSTEM) or actor.is_supervisor or owns(actor, session):
        return
    raise Forbidden("Only the one who works this session may do that.", owner_name=visible_owner_name(actor, session))


def may_open(actor: Actor, *, robot: bool) -> None:
    """Robot sessions are opened by programs, human ones by people, customers and programs on their behalf."""
    if robot and actor.kind not in _MACHINES:
        raise Forbidden("Only bots and integrators open robot sessions.")
    if actor.kind == ActorKind.PARTICIPANT or (not robot and actor.kind == ActorKind.BOT):
        raise Forbidden("Bots ask for a human by escalating their session.")


def may_deliver(actor: Actor) -> None:
    """Bring in a customer's words: the customer's token, the channel's integrator, or a bot that is the channel too.

    A bot is that where an administrator gave its key the scope `inbound:write`. Else it could put words into the mouths
    of other bots' customers, and learn their epochs. A customer's token has the scope if the key that made it has.
    """
    if not actor.may(Scope.INBOUND):
        raise Forbidden(f"This credential lacks the scope {Scope.INBOUND}: customers' words come from the channel.")
    if actor.kind not in (ActorKind.CUSTOMER, *_MACHINES):
        raise Forbidden("Only the customer or the channel may do that.")


def may_bring(actor: Actor, sender_type: str = "") -> None:
    """Bring messages in a batch: of one kind of sender, if `sender_type` names it.

    Customers' words need what they need one by one (`may_deliver`). Besides, an integrator may bring whatever was said,
    a bot its own answers, but not what people of the shop said.
    """
    if actor.kind not in _MACHINES:
        raise Forbidden("Only programs bring batches.")
    if sender_type == Message.Sender.CUSTOMER:
        may_deliver(actor)
    elif actor.kind == ActorKind.BOT and sender_type not in ("", Message.Sender.BOT):
        raise Forbidden("What agents and the shop have said is brought by an integrator only.")


def may_escalate(actor: Actor, session: ChatSession | None) -> None:
    if actor.kind == ActorKind.PARTICIPANT:
        raise Forbidden
    if actor.kind == ActorKind.BOT and session and session.bot_id != actor.id:
        raise Forbidden("This session belongs to another bot.")


def may_label(actor: Actor) -> None:
    """Put labels on and take them off: any agent of the tenant, and the programs that look after it as a whole."""
    if actor.kind not in (ActorKind.AGENT, ActorKind.INTEGRATOR, ActorKind.SYSTEM):
        raise Forbidden("Only agents and integrators label conversations.")


def may_speak(locked: LockedConversation) -> None:
    """Send as an agent: the owner and the collaborators."""
    live = locked.live
    if live is None or not live.is_human_served:
        raise NotServing("Take the conversation first, then reply.")
    if not (owns(locked.actor, live) or collaborates(locked)):
        raise Forbidden("You are not in this conversation.", owner_name=visible_owner_name(locked.actor, live))


def may_attach(locked: LockedConversation) -> None:
    """Upload a file: whoever may speak now, by the rules for messages; the channel also for its customers."""
    actor, live = locked.actor, locked.live
    if actor.is_agent:
        may_speak(locked)
    elif actor.kind == ActorKind.BOT:
        if live is None or live.owner_kind != Owner.BOT or live.bot_id != actor.id:
            raise Forbidden("Only the bot whose turn it is attaches files.")
    elif actor.kind == ActorKind.PARTICIPANT:
        must_be_in(locked)


def must_be_in(locked: LockedConversation) -> None:
    """A participant who has joined, and has not left or been removed since."""
    here = Participant.objects.filter(
        pk=locked.actor.pk, conversation=locked.conversation, status=ParticipantStatus.JOINED
    )
    if not here.exists():
        raise NotFound("You are not in this conversation.")


def collaborates(locked: LockedConversation) -> bool:
    return (
        locked.actor.is_agent
        and Participant.objects.filter(
            Participant.IS_IN, conversation=locked.conversation, agent_id=locked.actor.pk
        ).exists()
    )


def must_have_room(locked: LockedConversation, agent: Agent, *, override: bool = False) -> Override:
    """Check the capacity of an agent whose row is locked. Returns which override by a supervisor was needed, if any.

    Every assignment passes here: accept, take, grab, hand over, automatic. Raises `NoCapacity`, `GetsNothingNew`,
    `NotAvailable`.
    """
    if not agent.is_active:
        raise NotAvailable(f"{agent.name} does not work here any more.")
    now, may_exceed = load(agent), override and (locked.actor.is_supervisor or locked.actor.is_system)
    if agent.is_drained:
        if not may_exceed:
            raise GetsNothingNew(f"{agent.name} gets nothing new for now.")
        return Override.DRAINED
    if now < agent.max_load:
        return Override.NONE
    if may_exceed:
        return Override.FULL
    raise NoCapacity(f"{agent.name} serves {now} of at most {agent.max_load} conversations.", load=now)


def lost_to(session: ChatSession) -> AlreadyTaken:
    """The refusal for the loser of a race: it names who won."""
    return AlreadyTaken(f"{owner_name(session)} has taken this conversation.", owner_name=owner_name(session))


def visible_owner_name(actor: Actor, session: ChatSession) -> str:
    """The owner's name, for whoever may read names elsewhere; empty for a credential without the scope to read."""
    return owner_name(session) if actor.may(Scope.READ) else ""


def owner_name(session: ChatSession) -> str:
    if session.owner_kind == Owner.AGENT and session.agent:
        return session.agent.name
    if session.owner_kind == Owner.BOT:
        return session.bot.name if session.bot else "a bot"
    return "a person at the shop" if session.owner_kind == Owner.SHOP else "nobody"
