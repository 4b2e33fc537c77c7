"""Which actions a conversation's header offers, and why one is not to be had now.

What an agent does all day stands in the row; the rest is in the menu behind 'More', so that the header stays calm.
A reading, not a permission: every verb asks again under the lock.
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
    """`why` not to be had now; `asks` is the question of the small form that opens first, if there is one.

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
    icon: str = ""  # shown instead of the label, which is its name all the same
    loads: str = ""
    fold: str = ""


def buttons(page: ThreadPage, actor: Actor) -> list[Button]:
    """Those of the row."""
    found = _ways_in(page, actor)
    if page.conversation.needs_human and not page.pending:  # who accepts has looked
        found.append(Button("looked", _("Looked at it")))
    if page.live or page.pending:
        found += [_release(page, actor), *_resolve(page, actor)]
    return found


def more(page: ThreadPage, actor: Actor) -> list[list[Button]]:
    """Those behind 'More', in groups: the turn, the people, the marks."""
    groups = [_turn(page, actor), _people(page, actor), _marks(page)]
    return [group for group in groups if group]


def _ways_in(page: ThreadPage, actor: Actor) -> list[Button]:
    live, pending = page.live, page.pending
    found: list[Button] = []
    if page.held and actor.id == page.held.agent_id:
        found.append(_resume(page, actor, "primary"))
    if pending and not (page.is_mine and pending.kind == TransferKind.HANDOVER):
        accept = Button("accept", _("Accept"), "primary", transfer_id=pending.pk)
        accept.why = _addressed_elsewhere(page, actor)
        found.append(_with_room(accept, page, actor))
        if actor.id in (pending.to_agent_id, pending.offered_to_id):
            found.append(Button("decline", _("Decline"), asks=_("Why not? (optional)"), transfer_id=pending.pk))
    if pending and _asked_for_it(page, actor):
        found.append(_withdraw(page))
    if live and live.owner_kind == Owner.BOT:
        found.append(_with_room(Button("take-over", _("Take over"), "primary"), page, actor))
    elif live and live.is_human_served and not page.is_mine:
        asks = _("Why do you take this from %(name)s?") % {"name": page.owner or _("the shop")}
        grab = Button("grab", _("Grab"), "quiet" if pending else "warn", asks=asks, needs_reason=True)
        found.append(_with_room(grab, page, actor))
    elif not pending and page.conversation.controller in (Controller.NONE, Controller.FLOW):
        tone = "quiet" if found else "primary"  # to go on with what one has paused comes first
        found.append(_with_room(Button("take", _("Take"), tone), page, actor))
    return found


def _asked_for_it(page: ThreadPage, actor: Actor) -> bool:
    """Whether what waits is a handover that the agent asked for, and may take back."""
    pending = page.pending
    its = pending and pending.kind == TransferKind.HANDOVER and pending.from_kind == ActorKind.AGENT
    return bool(its and pending and pending.from_id == actor.id)


def _goes_back(page: ThreadPage) -> bool:
    """Whether a request that is withdrawn has somebody to go back to, or a session that ends with it."""
    pending, live = page.pending, page.live
    if pending is None or pending.kind == TransferKind.HANDOVER:
        return pending is not None
    if pending.kind != TransferKind.ESCALATION:
        return False
    waits = next((s for s in page.sessions if s.pk == pending.session_id), None)
    if waits is None or waits is not live:
        return waits is not None and waits.status == Status.PENDING
    return bool(waits.is_robot and waits.bot and presence.is_alive(waits.bot, page.now))


def _withdraw(page: ThreadPage) -> Button:
    assert page.pending
    return Button("withdraw", _("Withdraw the request"), transfer_id=page.pending.pk)


def _with_room(button: Button, page: ThreadPage, actor: Actor) -> Button:
    """Who is full, or gets nothing new, takes nothing more; a supervisor may, and it is put on record (`access.room`)."""
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
    button.why = _not_mine(page, actor)
    shop_serves = page.live is not None and page.live.owner_kind == Owner.SHOP
    if shop_serves:
        button.why = ""
    if not button.why and not page.has_bot:
        button.why = _("No bot is here to take it back")
    return button


def _resolve(page: ThreadPage, actor: Actor) -> list[Button]:
    """Alone, and for whoever may, joined by 'and next'. It cannot be undone: the form that opens first is the question."""
    tone = "good" if page.is_mine else "quiet"
    asks = _("How did it end? (optional)")
    button = Button("resolve", _("Resolve"), tone, asks=asks)
    button.why = _not_mine(page, actor)
    if button.why:
        return [button]
    return [button, Button("resolve-next", _("Resolve and next"), tone, asks=asks, icon="next")]


# --- Behind 'More' -----------------------------------------------------------------------------------------------


def _turn(page: ThreadPage, actor: Actor) -> list[Button]:
    """Where the turn may go: to somebody else, or nowhere for a while."""
    found: list[Button] = []
    live, pending = page.live, page.pending
    if actor.is_supervisor and _goes_back(page) and not _asked_for_it(page, actor):
        found.append(_withdraw(page))
    if live and live.owner_kind == Owner.AGENT:
        button = Button("transfer", _("Transfer…"), loads="conversation-recipients")
        button.why = _not_mine(page, actor)
        if pending and not button.why:
            button.why = _("A request waits for an answer. Withdraw it first.")
        found.append(button)
    elif live and live.owner_kind == Owner.BOT:
        found.append(Button("escalate", _("Ask for a human…"), loads="conversation-recipients"))
    if live and (live.is_human_served or (live.owner_kind == Owner.BOT and actor.is_supervisor)):
        found.append(_pause(page, actor))
    if page.held and actor.id != page.held.agent_id:
        found.append(_resume(page, actor))
    return found


def _pause(page: ThreadPage, actor: Actor) -> Button:
    live = page.live
    assert live
    button = Button("pause", _("Pause…"), asks=_("Until when, or why? (optional)"), session_id=live.pk)
    if live.is_human_served:
        button.why = _not_mine(page, actor)
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
    why = "" if participants.may_own(page, actor) else participants.why_not(page)
    found = [Button("invite-somebody", _("Invite somebody else…"), fold="fold-invite", why=why)]
    if page.may_speak:
        found.insert(0, Button("call-colleague", _("Invite a colleague…"), fold="fold-colleague"))
    return found


def _marks(page: ThreadPage) -> list[Button]:
    """Any agent's to set and to clear."""
    conversation = page.conversation
    return [
        Button("unpin", _("Unpin")) if conversation.pinned_at else Button("pin", _("Pin")),
        Button("untodo", _("Nothing left to do")) if conversation.todo_at else Button("todo", _("Mark as to do")),
        Button("unmark-urgent", _("Not urgent"))
        if conversation.is_urgent
        else Button("mark-urgent", _("Mark as urgent")),
    ]


def _not_mine(page: ThreadPage, actor: Actor) -> str:
    live = page.live
    if live is None or not live.is_human_served:
        return _("Accept it first") if page.pending else _("Take it over first")
    if page.is_mine or actor.is_supervisor:
        return ""
    return _("%(name)s is serving") % {"name": page.owner or _("The shop")}
