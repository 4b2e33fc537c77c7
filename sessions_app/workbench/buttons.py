"""Which actions a conversation's header offers, and why one is not available now.

What an agent does all day stands in the row; the rest is in the menu behind 'More', so that the header stays calm.
This is for display, not a permission: every verb checks again under the lock.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from agents_app import presence
from agents_app.actors import Actor, ActorKind
from messaging_app.models import Controller
from sessions_app.queries import ThreadPage
from sessions_app.states import Owner, Status, TransferKind
from sessions_app.workbench import participants


@dataclass(slots=True)
class Button:
    """`why` says why it is not available now; `asks` is the question of the form that opens first, if there is one.

    `loads` names the address that the form is fetched from when it opens; `fold` is the part of the side panel that the
    button leads to instead of a verb.
    """

    verb: str
    label: str
    tone: str = "quiet"
    why: str = ""
    asks: str = ""
    needs_reason: bool = False
    override: bool = False
    transfer_id: int | None = None
    session_id: int | None = None
    icon: str = ""  # shown instead of the label, which stays its accessible name
    loads: str = ""
    fold: str = ""


def buttons(page: ThreadPage, actor: Actor) -> list[Button]:
    """The buttons of the row."""
    row = _entry_actions(page, actor)
    if page.conversation.needs_human and not page.pending:  # to accept it is to have looked
        row.append(Button("looked", _("Looked at it")))
    if page.live or page.pending:
        row += [_release(page, actor), *_resolve(page, actor)]
    return row


def more(page: ThreadPage, actor: Actor) -> list[list[Button]]:
    """The buttons behind 'More', in groups: the turn, the people, the marks."""
    groups = [_turn(page, actor), _people(page, actor), _marks(page)]
    return [group for group in groups if group]


def _entry_actions(page: ThreadPage, actor: Actor) -> list[Button]:
    live, pending = page.live, page.pending
    ways: list[Button] = []
    if page.held and actor.id == page.held.agent_id:
        ways.append(_resume(page, actor, "primary"))
    if pending and not (page.is_mine and pending.kind == TransferKind.HANDOVER):
        accept = Button("accept", _("Accept"), "primary", transfer_id=pending.pk)
        accept.why = _addressed_elsewhere(page, actor)
        ways.append(_within_capacity(accept, page, actor))
        if actor.id in (pending.to_agent_id, pending.offered_to_id):
            ways.append(Button("decline", _("Decline"), asks=_("Why not? (optional)"), transfer_id=pending.pk))
    if pending and _is_own_handover(page, actor):
        ways.append(_withdraw(page))
    if live and live.owner_kind == Owner.BOT:
        ways.append(_within_capacity(Button("take-over", _("Take over"), "primary"), page, actor))
    elif live and live.is_human_served and not page.is_mine:
        asks = _("Why do you take this from %(name)s?") % {"name": page.owner or _("the shop")}
        grab = Button("grab", _("Grab"), "quiet" if pending else "warn", asks=asks, needs_reason=True)
        ways.append(_within_capacity(grab, page, actor))
    elif not pending and page.conversation.controller in (Controller.NONE, Controller.FLOW):
        tone = "quiet" if ways else "primary"  # resuming one's own paused session comes first
        ways.append(_within_capacity(Button("take", _("Take"), tone), page, actor))
    return ways


def _is_own_handover(page: ThreadPage, actor: Actor) -> bool:
    """Whether the pending transfer is a handover that this agent requested, and may withdraw."""
    pending = page.pending
    is_by_agent = pending and pending.kind == TransferKind.HANDOVER and pending.from_kind == ActorKind.AGENT
    return bool(is_by_agent and pending and pending.from_id == actor.id)


def _can_withdraw(page: ThreadPage) -> bool:
    """Whether the pending request may be withdrawn: somebody can take the turn back, or its session ends with it."""
    pending, live = page.pending, page.live
    if pending is None or pending.kind == TransferKind.HANDOVER:
        return pending is not None
    if pending.kind != TransferKind.ESCALATION:
        return False
    session = next((s for s in page.sessions if s.pk == pending.session_id), None)
    if session is None or session is not live:
        return session is not None and session.status == Status.PENDING
    return bool(session.is_robot and session.bot and presence.is_alive(session.bot, page.now))


def _withdraw(page: ThreadPage) -> Button:
    assert page.pending
    return Button("withdraw", _("Withdraw the request"), transfer_id=page.pending.pk)


def _within_capacity(button: Button, page: ThreadPage, actor: Actor) -> Button:
    """Disable the button for an agent who is full or drained; for a supervisor, make it an override (`access.must_have_room`)."""
    if button.why or not (page.viewer_is_drained or page.is_full):
        return button
    if page.viewer_is_drained:
        button.why, anyway = _("You get nothing new for now. What you serve stays yours."), _("%(action)s all the same")
    else:
        button.why = _("You serve %(load)s of at most %(most)s") % {"load": page.viewer_load, "most": page.viewer_most}
        anyway = _("%(action)s over capacity")
    if actor.is_supervisor and button.verb != "take":
        button.why, button.override = "", True
        button.label = anyway % {"action": button.label}
    return button


def _addressed_elsewhere(page: ThreadPage, actor: Actor) -> str:
    transfer = page.pending
    if transfer is None or actor.is_supervisor:
        return ""
    for agent in (transfer.to_agent, transfer.offered_to):
        if agent and agent.pk != actor.id:
            return _("Offered to %(name)s") % {"name": agent.name}
    return ""


def _release(page: ThreadPage, actor: Actor) -> Button:
    button = Button("release", _("Release to bot"), asks=_("Anything the bot should know? (optional)"))
    button.why = _why_not_mine(page, actor)
    shop_serves = page.live is not None and page.live.owner_kind == Owner.SHOP
    if shop_serves:
        button.why = ""
    if not button.why and not page.has_bot:
        button.why = _("No bot is here to take it back")
    return button


def _resolve(page: ThreadPage, actor: Actor) -> list[Button]:
    """'Resolve', and 'Resolve and next' for who may. It cannot be undone, so a form opens first, as a confirmation."""
    tone = "good" if page.is_mine else "quiet"
    asks = _("How did it end? (optional)")
    button = Button("resolve", _("Resolve"), tone, asks=asks)
    button.why = _why_not_mine(page, actor)
    if button.why:
        return [button]
    return [button, Button("resolve-next", _("Resolve and next"), tone, asks=asks, icon="next")]


# --- Behind 'More' -----------------------------------------------------------------------------------------------


def _turn(page: ThreadPage, actor: Actor) -> list[Button]:
    """Actions that give the turn to somebody else, or pause and resume the session."""
    row: list[Button] = []
    live, pending = page.live, page.pending
    if actor.is_supervisor and _can_withdraw(page) and not _is_own_handover(page, actor):
        row.append(_withdraw(page))
    if live and live.owner_kind == Owner.AGENT:
        button = Button("transfer", _("Transfer…"), loads="conversation-recipients")
        button.why = _why_not_mine(page, actor)
        if pending and not button.why:
            button.why = _("A request waits for an answer. Withdraw it first.")
        row.append(button)
    elif live and live.owner_kind == Owner.BOT:
        row.append(Button("escalate", _("Ask for a human…"), loads="conversation-recipients"))
    if live and (live.is_human_served or (live.owner_kind == Owner.BOT and actor.is_supervisor)):
        row.append(_pause(page, actor))
    if page.held and actor.id != page.held.agent_id:
        row.append(_resume(page, actor))
    return row


def _pause(page: ThreadPage, actor: Actor) -> Button:
    live = page.live
    assert live
    button = Button("pause", _("Pause…"), asks=_("Until when, or why? (optional)"), session_id=live.pk)
    if live.is_human_served:
        button.why = _why_not_mine(page, actor)
    if live.status != Status.ACTIVE and not button.why:  # the table of transitions: only ACTIVE is paused by request
        button.why = _("What was a bot’s cannot be paused while a human serves. Release it to the bot instead.")
    return button


def _resume(page: ThreadPage, actor: Actor, tone: str = "quiet") -> Button:
    held = page.held
    assert held
    button = Button("resume", _("Resume"), tone, session_id=held.pk)
    if held.agent_id != actor.id and not actor.is_supervisor:
        holder = held.agent or held.bot
        button.why = _("%(name)s has paused this") % {"name": holder.name if holder else _("Somebody")}
    return button


def _people(page: ThreadPage, actor: Actor) -> list[Button]:
    """Links to the forms of the side panel."""
    if page.live is None or not page.live.is_human_served:
        return []
    why = "" if participants.can_manage_people(page, actor) else participants.why_not_manage(page)
    row = [Button("invite-somebody", _("Invite somebody else…"), fold="fold-invite", why=why)]
    if page.may_speak:
        row.insert(0, Button("call-colleague", _("Invite a colleague…"), fold="fold-colleague"))
    return row


def _marks(page: ThreadPage) -> list[Button]:
    """The marks, which any agent may set and clear."""
    conversation = page.conversation
    return [
        Button("unpin", _("Unpin")) if conversation.pinned_at else Button("pin", _("Pin")),
        Button("untodo", _("Nothing left to do")) if conversation.todo_at else Button("todo", _("Mark as to do")),
        Button("unmark-urgent", _("Not urgent"))
        if conversation.is_urgent
        else Button("mark-urgent", _("Mark as urgent")),
    ]


def _why_not_mine(page: ThreadPage, actor: Actor) -> str:
    live = page.live
    if live is None or not live.is_human_served:
        return _("Accept it first") if page.pending else _("Take it over first")
    if page.is_mine or actor.is_supervisor:
        return ""
    return _("%(name)s is serving") % {"name": page.owner or _("The shop")}
