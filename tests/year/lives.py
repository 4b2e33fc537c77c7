"""What people and programs do all year: customers who write at any hour, bots that die in every way, agents who leave.

Each is a small function that does one thing now and says what comes next, by `year.after(seconds, what)`. A refusal of the
domain is part of life; anything else is a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agents_app.actors import Actor
from agents_app.models import Agent, ApiClient
from config import clock
from messaging_app.models import Controller, Conversation
from messaging_app.thread import NewMessage
from sessions_app.actions import (
    conversations,
    flows,
    inbound,
    lifecycle,
    messages,
    participants,
    presence,
    takeovers,
    transfers,
)
from sessions_app.models import ChatSession, GuidedFlow, Transfer
from sessions_app.states import FLOW_BLOCKING, LIVE, OPEN, Kind, Owner, Status, TransferStatus
from tests.cast import Chat
from tests.year.world import BOTS, Shop

if TYPE_CHECKING:
    from tests.year.play import Year

WORDS = ("Where is my parcel?", "Is this in stock?", "hello??", "And the price?", "It does not fit.", "Thanks")
ASKS = ("I want to talk to a human", "give me a real person please")
BOT_WORDS = ("It is on its way.", "Ten pieces are left.", "I did not understand that, sorry.")
HOUR, DAY = 3600, 86_400


# --- Customers ---


def come(year: Year, shop: Shop) -> None:
    """Somebody writes: a new customer, or one whom we know."""
    if shop.chats and shop.random.random() < 0.4:
        chat = shop.random.choice(shop.chats)
    else:
        chat = shop.cast.chat(f"{shop.cast.tenant.slug}-{len(shop.chats)}")
        shop.chats.append(chat)
    write(year, shop, chat, left=shop.random.randint(1, 6))


def write(year: Year, shop: Shop, chat: Chat, left: int) -> None:
    dice = shop.random
    if dice.random() < 0.06:
        transfers.request_transfer(actor=chat.customer, conversation_id=chat.id, reason="Please, somebody.")
    text = dice.choice(ASKS) if dice.random() < 0.12 else dice.choice(WORDS)
    told = inbound.receive_message(actor=shop.cast.channel, conversation_id=chat.id, words=NewMessage(content=text))
    year.touch(chat)
    if "expected_wait" in told.detail:
        year.oracle.said_to_wait(chat.id, told.detail["expected_wait"], clock.now())
    if told.controller == Controller.BOT:
        year.after(dice.uniform(1, 40), lambda: bot_turn(year, shop, chat, told.epoch))
    elif told.controller == Controller.NONE and dice.random() < 0.75:
        year.after(dice.uniform(1, 90), lambda: bot_opens(year, shop, chat))
    elif told.controller == Controller.FLOW:
        year.after(dice.uniform(1, 100), lambda: flow_goes_on(year, shop, chat))
    if left > 1:
        year.after(dice.choice((5, 45, 600, 2400, 4 * HOUR, 9 * HOUR)), lambda: write(year, shop, chat, left - 1))


# --- Bots ---


def _live(chat: Chat) -> ChatSession | None:
    return ChatSession.objects.filter(conversation_id=chat.id, status__in=sorted(LIVE)).select_related("bot").first()


def _bot_of(shop: Shop, session: ChatSession) -> str | None:
    return next((name for name in BOTS if shop.cast.pk(name) == session.bot_id), None)


def _is_up(shop: Shop, name: str) -> bool:
    return name not in shop.deaf and shop.cast.bot_row(name).is_active


def bot_opens(year: Year, shop: Shop, chat: Chat) -> None:
    name = shop.random.choice(BOTS)
    if not _is_up(shop, name):
        return
    kind = shop.random.choice((Kind.AUTO_BARGAIN, Kind.AUTO_ASSISTANT, Kind.AUTO_FOLLOW_UP))
    opened = lifecycle.open_session(actor=shop.actor(name), conversation_id=chat.id, robot=True, kind=kind)
    year.touch(chat)
    if opened.controller == Controller.BOT:
        year.after(shop.random.uniform(1, 30), lambda: bot_turn(year, shop, chat, opened.epoch))


def bot_turn(year: Year, shop: Shop, chat: Chat, epoch: int) -> None:
    """A bot answers, or does something else: many of them end without a word."""
    session = _live(chat)
    name = _bot_of(shop, session) if session and session.owner_kind == Owner.BOT else None
    if session is None or name is None or not _is_up(shop, name):
        return
    bot, dice, pk = shop.actor(name), shop.random, session.pk
    fates: tuple[tuple[float, Callable[[], Any]], ...] = (
        (50, lambda: messages.post_message(
            actor=bot, conversation_id=chat.id, words=NewMessage(content=dice.choice(BOT_WORDS)), epoch=epoch
        )),
        (12, lambda: None),  # dies in the middle of its answer
        (5, lambda: lifecycle.complete_session(actor=bot, session_id=pk)),
        (4, lambda: lifecycle.complete_session(actor=bot, session_id=pk, outcome="failed")),
        (4, lambda: lifecycle.complete_session(actor=bot, session_id=pk, outcome="needs_human")),
        (4, lambda: lifecycle.cancel_session(actor=bot, session_id=pk)),
        (7, lambda: transfers.request_transfer(
            actor=bot, conversation_id=chat.id, reason="stuck", to_team_id=dice.choice([None, shop.teams[1].pk]),
            urgent=dice.random() < 0.1, context={"suggestion": "Offer 5 %.", "promises": ["an answer today"]},
        )),
        (4, lambda: lifecycle.pause_session(actor=bot, session_id=pk)),
        (6, lambda: flow_begins(year, shop, chat, bot)),
        (2, lambda: _switched_off(year, shop, name)),
        (2, lambda: _goes_deaf(year, shop, name)),
    )  # fmt: skip
    _, act = dice.choices(fates, [weight for weight, _ in fates])[0]
    act()
    year.touch(chat)


def _switched_off(year: Year, shop: Shop, name: str) -> None:
    """Somebody takes the bot out of use, past every verb, as the admin does."""
    ApiClient.objects.filter(pk=shop.cast.pk(name)).update(is_active=False)
    year.after(shop.random.uniform(60, 2 * DAY), lambda: _switched_on(shop, name))


def _switched_on(shop: Shop, name: str) -> None:
    ApiClient.objects.filter(pk=shop.cast.pk(name)).update(is_active=True)


def _goes_deaf(year: Year, shop: Shop, name: str) -> None:
    shop.deaf.add(name)
    year.after(shop.random.uniform(60, DAY), lambda: shop.deaf.discard(name))
    year.after(95, lambda: None)  # its heartbeat is missed by then


def flow_begins(year: Year, shop: Shop, chat: Chat, bot: Actor) -> None:
    trigger = f"trigger-{year.number()}"
    flows.open_flow(actor=bot, trigger_id=trigger, question="Which colour?", conversation_id=chat.id)
    year.after(shop.random.choice((20, HOUR, 30 * HOUR)), lambda: flow_goes_on(year, shop, chat))


def flow_goes_on(year: Year, shop: Shop, chat: Chat) -> None:
    flow = GuidedFlow.objects.filter(conversation_id=chat.id, status__in=sorted(FLOW_BLOCKING)).first()
    if flow is None or shop.random.random() < 0.3:  # or its program has died
        return
    name = next(name for name in BOTS if shop.cast.pk(name) == flow.client_id)
    steps = {
        "waiting_user_reply": ("ignored", "failed"),
        "rerunning": ("ready_preview", "waiting_user_reply", "failed"),
    }
    to = shop.random.choice(steps[flow.status])
    flows.move_flow(actor=shop.actor(name), flow_id=flow.pk, to=to, version=flow.version)
    year.touch(chat)


# --- Agents ---


def come_to_work(year: Year, shop: Shop, name: str) -> None:
    if name not in shop.staff():
        return
    shop.present.add(name)
    presence.heartbeat(actor=shop.actor(name))
    presence.declare_availability(actor=shop.actor(name), availability=Agent.Availability.AVAILABLE)
    year.after(shop.random.uniform(60, 900), lambda: work(year, shop, name))


def go_home(year: Year, shop: Shop, name: str) -> None:
    """Mostly with a word; some close the lid, with conversations open."""
    if name not in shop.present:
        return
    if shop.random.random() < 0.7:
        presence.declare_availability(actor=shop.actor(name), availability=Agent.Availability.OFFLINE)
    _closes_the_lid(year, shop, name)


def _closes_the_lid(year: Year, shop: Shop, name: str) -> None:
    shop.present.discard(name)
    for seconds in (62, 302):
        year.after(seconds, lambda: None)  # silent by then, and gone


def work(year: Year, shop: Shop, name: str) -> None:
    """What an agent does now and then: takes, answers, moves, ends, or leaves in the middle of it."""
    if name not in shop.present:
        return
    year.after_about(shop.random.uniform(900, 3600), lambda: work(year, shop, name))
    dice, actor = shop.random, shop.actor(name)
    if dice.random() < 0.01:
        _closes_the_lid(year, shop, name)
        year.after(dice.uniform(400, 4 * HOUR), lambda: come_to_work(year, shop, name))
        return
    if dice.random() < 0.05:
        presence.declare_availability(actor=actor, availability=Agent.Availability.BREAK)
    elif shop.cast.agent(name).availability != Agent.Availability.AVAILABLE:
        presence.declare_availability(actor=actor, availability=Agent.Availability.AVAILABLE)
    _take_something(year, shop, actor)
    for conversation_id in list(
        ChatSession.objects.filter(agent_id=actor.pk, owner_kind=Owner.AGENT, status__in=sorted(LIVE)).values_list(
            "conversation_id", flat=True
        )
    ):
        year.try_(lambda c=conversation_id: _serve(year, shop, actor, c))
    paused = ChatSession.objects.filter(agent_id=actor.pk, owner_kind=Owner.AGENT, status=Status.PAUSED).first()
    if paused and dice.random() < 0.5:
        lifecycle.resume_session(actor=actor, session_id=paused.pk)
        year.touch_id(paused.conversation_id)


def hear_offers(year: Year, shop: Shop) -> None:
    """Most answer what they are offered while it stands; some are away from the screen, and let it pass."""
    offered = Transfer.objects.filter(tenant=shop.cast.tenant, status=TransferStatus.PENDING, offered_to__isnull=False)
    for pk, agent_id, until in offered.order_by("pk").values_list("pk", "offered_to", "offer_expires_at"):
        if (pk, until) in shop.heard:
            continue
        shop.heard.add((pk, until))
        name = next(
            (name for name in shop.staff() if shop.cast.pk(name) == agent_id), None
        )  # a supervisor looks elsewhere
        if name and shop.random.random() < 0.85:
            year.after(shop.random.uniform(2, 25), lambda n=name, t=pk: _answer(year, shop, n, t))


def _answer(year: Year, shop: Shop, name: str, transfer_id: int) -> None:
    if name not in shop.present:
        return
    asked = Transfer.objects.get(pk=transfer_id)
    year.touch_id(asked.conversation_id)
    act = transfers.accept_transfer if shop.random.random() < 0.9 else transfers.decline_transfer
    act(actor=shop.actor(name), transfer_id=transfer_id)


def _take_something(year: Year, shop: Shop, actor: Actor) -> None:
    dice = shop.random
    waiting = Transfer.objects.filter(tenant_id=actor.tenant_id, status=TransferStatus.PENDING)
    offered = waiting.filter(offered_to=actor.pk)
    for transfer in [*offered, *waiting.filter(offered_to=None).order_by("waiting_since")[:3]]:
        if transfer.offered_to_id == actor.pk and dice.random() < 0.3:
            year.try_(lambda t=transfer: transfers.decline_transfer(actor=actor, transfer_id=t.pk))
        elif dice.random() < 0.8:
            year.try_(lambda t=transfer: transfers.accept_transfer(actor=actor, transfer_id=t.pk))
        year.touch_id(transfer.conversation_id)
    flagged = Conversation.objects.filter(tenant_id=actor.tenant_id, needs_human=True).order_by("waiting_since")
    for row in flagged.exclude(controller=Controller.HUMAN)[:3]:
        if row.controller == Controller.BOT:
            year.try_(lambda c=row.pk: takeovers.take_over(actor=actor, conversation_id=c))
        elif row.controller == Controller.NONE and dice.random() < 0.8:
            year.try_(lambda c=row.pk: lifecycle.open_session(actor=actor, conversation_id=c, robot=False))
        elif row.controller == Controller.NONE:
            conversations.acknowledge(actor=actor, conversation_id=row.pk)
            year.oracle.set_aside(row.pk)
        year.touch_id(row.pk)


def _serve(year: Year, shop: Shop, actor: Actor, conversation_id: int) -> None:
    dice, row = shop.random, Conversation.objects.get(pk=conversation_id)
    year.touch_id(conversation_id)
    is_asked = row.last_sender == "customer"
    what = dice.uniform(0 if is_asked else 0.75, 1)
    if is_asked and what < 0.75:
        words = NewMessage(content="I am looking into it.")
        messages.post_message(actor=actor, conversation_id=conversation_id, words=words)
    elif what < 0.78:
        colleagues = [name for name in shop.staff() if shop.cast.agent(name).pk != actor.pk]
        to = shop.cast.agent(dice.choice(colleagues)).pk if colleagues and dice.random() < 0.5 else None
        transfers.hand_over(
            actor=actor, conversation_id=conversation_id, to_agent_id=to, to_team_id=None if to else shop.teams[0].pk
        )
    elif what < 0.8:
        takeovers.release_to_bot(actor=actor, conversation_id=conversation_id, force=dice.random() < 0.3)
    elif what < 0.82:
        session = ChatSession.objects.get(conversation_id=conversation_id, status__in=sorted(LIVE))
        lifecycle.pause_session(actor=actor, session_id=session.pk)
    elif what < 0.83:
        colleague = dice.choice(shop.staff())
        participants.invite_colleague(
            actor=actor, conversation_id=conversation_id, agent_id=shop.cast.agent(colleague).pk
        )
    elif what < 0.98:
        if is_read := dice.random() < 0.8:
            conversations.mark_read(actor=actor, conversation_id=conversation_id, seq=row.seq)
        conversations.resolve(actor=actor, conversation_id=conversation_id)
        if is_read:
            year.oracle.set_aside(conversation_id)


def supervise(year: Year, shop: Shop) -> None:
    """Urgent work comes in, somebody is ill, somebody is let go and another one hired."""
    dice, sue = shop.random, shop.cast.sue
    year.after(dice.uniform(2 * HOUR, 2 * DAY), lambda: supervise(year, shop))
    shop.cast.seen("sue")
    served = ChatSession.objects.filter(tenant=shop.cast.tenant, owner_kind=Owner.AGENT, status__in=sorted(LIVE))
    session = dice.choice([*served.order_by("pk"), None]) if dice.random() < 0.4 else None
    if session:
        year.touch_id(session.conversation_id)
        takeovers.reassign(actor=sue, conversation_id=session.conversation_id, reason="ill")
    some = ChatSession.objects.filter(tenant=shop.cast.tenant, status__in=sorted(OPEN)).order_by("-pk").first()
    if some and dice.random() < 0.1:
        year.touch_id(some.conversation_id)
        lifecycle.cancel_session(actor=sue, session_id=some.pk, reason="by mistake")
        year.oracle.take_back(some.conversation_id)
    if dice.random() < 0.04 and len(shop.staff()) > 2:
        year.try_(lambda: let_go(year, shop, dice.choice(shop.staff())))


def let_go(year: Year, shop: Shop, name: str) -> None:
    owned = ChatSession.objects.filter(agent=shop.cast.agent(name), status__in=sorted(OPEN))
    touched = list(owned.values_list("conversation_id", flat=True))
    year.dismiss(shop, name)
    shop.present.discard(name)
    for conversation_id in touched:
        year.touch_id(conversation_id)
    new = shop.hire()
    year.begin(shop, new)
