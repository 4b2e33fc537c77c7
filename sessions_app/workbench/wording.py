"""What the desk calls things: states, events of the thread, refusals. All through gettext.

Words by a key stand in a dictionary of the module, lazily: a row of the list needs five of them, and each is translated
when it is shown and not with all its neighbours.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext, pgettext_lazy

from agents_app.sharing import Sharing
from config.errors import DomainError
from messaging_app.models import Controller, Operation
from sessions_app.actions.bulk import BulkAction
from sessions_app.errors import LinkIsOver
from sessions_app.models import ChatSession, Participant
from sessions_app.queries import EVENTS, ThreadPage, View, owner_of
from sessions_app.queries.expected_wait import Waiting
from sessions_app.queries.guest import GuestPerson
from sessions_app.states import Derived, HistoryMode, Override, Owner, ParticipantStatus, Priority, Status, TransferKind

VIEWS = {
    View.OFFERED: gettext_lazy("Offered to me"),
    View.MINE: gettext_lazy("Mine"),
    View.UNASSIGNED: gettext_lazy("Unassigned"),
    View.WAITING: gettext_lazy("Waiting longest"),
    View.NEEDS_HUMAN: gettext_lazy("Needs a human"),
    View.BOT_ACTIVE: gettext_lazy("Bot active"),
    View.PAUSED_BOTS: gettext_lazy("Paused bots"),
    View.COLLABORATING: gettext_lazy("Collaborating"),
    View.MENTIONS: gettext_lazy("Mentions"),
    View.TODO: gettext_lazy("To do"),
    View.ALL: gettext_lazy("All"),
    View.RESOLVED: gettext_lazy("Resolved"),
    View.QUEUE: gettext_lazy("Queue"),
}

SCOPES = {Sharing.PERSONAL: gettext_lazy("For me"), Sharing.TENANT: gettext_lazy("For everybody")}
BULK = {
    BulkAction.ACCEPT: gettext_lazy("Accept"),
    BulkAction.TAKE_OVER: gettext_lazy("Take over"),
    BulkAction.RELEASE: gettext_lazy("Release to bot"),
    BulkAction.RESOLVE: gettext_lazy("Resolve"),
    BulkAction.ACKNOWLEDGE: gettext_lazy("Looked at it"),
    BulkAction.LABEL: gettext_lazy("Put label on"),
    BulkAction.UNLABEL: gettext_lazy("Take label off"),
    BulkAction.PIN: gettext_lazy("Pin"),
    BulkAction.UNPIN: gettext_lazy("Unpin"),
    BulkAction.TODO: gettext_lazy("Mark as to do"),
    BulkAction.UNTODO: gettext_lazy("Nothing left to do"),
    BulkAction.MARK_URGENT: gettext_lazy("Mark as urgent"),
    BulkAction.UNMARK_URGENT: gettext_lazy("Not urgent"),
}


def state(page: ThreadPage) -> str:
    """The state pill: in words that say who is doing what."""
    name = page.owner
    if page.conversation.controller == Controller.FLOW:
        return _("A guided flow is asking")
    if page.state == Derived.QUEUED:
        return _("Waiting for a human")
    if page.state == Derived.SERVING:
        if page.is_mine:
            return _("You are serving")
        return _("%(name)s is serving") % {"name": name} if name else _("Served in the shop’s own app")
    if page.state == Derived.AI_HANDLING:
        return _("Bot is speaking")
    if page.state == Derived.RESOLVED:
        return _("Resolved")
    if held := page.held:
        holder = held.agent or held.bot
        return _("Paused by %(name)s") % {"name": holder.name} if held.agent and holder else _("The bot is paused")
    return _("Paused or not begun")


SESSION_TYPES = {
    "MANUAL_URGENT": gettext_lazy("Human, urgent"),
    "MANUAL_CUSTOMER_SERVICE": gettext_lazy("Human, customer service"),
    "MANUAL_COMPLAINT": gettext_lazy("Human, complaint"),
    "AUTO_BARGAIN": gettext_lazy("Bot, bargaining"),
    "AUTO_ASSISTANT": gettext_lazy("Bot, assistant"),
    "AUTO_FOLLOW_UP": gettext_lazy("Bot, follow-up"),
}


def session_type(kind: str) -> str:
    return str(SESSION_TYPES.get(kind, kind))


WORK = {
    "MANUAL_URGENT": pgettext_lazy("work", "Urgent"),
    "MANUAL_CUSTOMER_SERVICE": pgettext_lazy("work", "Service"),
    "MANUAL_COMPLAINT": pgettext_lazy("work", "Complaint"),
    "AUTO_BARGAIN": pgettext_lazy("work", "Bargaining"),
    "AUTO_ASSISTANT": pgettext_lazy("work", "Assistant"),
    "AUTO_FOLLOW_UP": pgettext_lazy("work", "Follow-up"),
}


def work(kind: str) -> str:
    """What a session is about, in a word for the list."""
    return str(WORK.get(kind, kind))


PRIORITIES = {
    Priority.EMERGENCY: pgettext_lazy("priority", "emergency"),
    Priority.HIGH: pgettext_lazy("priority", "high"),
    Priority.MEDIUM: pgettext_lazy("priority", "medium"),
    Priority.LOW: pgettext_lazy("priority", "low"),
}


def priority(number: int | None) -> str:
    return str(PRIORITIES[Priority(number)]) if number in PRIORITIES else ""


TRIGGERS = {
    "keyword": gettext_lazy("the customer asked"),
    "customer": gettext_lazy("the customer asked"),
    "failure": gettext_lazy("the bot could not help"),
    "sentiment": gettext_lazy("the customer is angry"),
    "vip": gettext_lazy("VIP customer"),
    "model": gettext_lazy("found by the analyser"),
    "bot": gettext_lazy("the bot asked"),
    "bot_silent": gettext_lazy("the bot did not answer in time"),
    "session asked for": gettext_lazy("a human session was asked for"),
    "handover": gettext_lazy("handover"),
    "absence": gettext_lazy("its agent was absent"),
    "departure": gettext_lazy("its agent has left"),
    "resume": gettext_lazy("waiting again after a pause"),
    "unanswered": gettext_lazy("nobody answered in time"),
    "no_answer": gettext_lazy("the customer waits for an answer"),
    "raised": gettext_lazy("flagged by hand"),
    "mail": gettext_lazy("the e-mail to the team could not be sent"),
}


def trigger(word: str) -> str:
    """Why a human was asked for."""
    return str(TRIGGERS.get(word, word))


def event(operation: Operation) -> str:
    """One line of a thread: what happened to the turn."""
    data: dict[str, Any] = operation.data
    who = operation.actor_name if operation.actor_kind in ("agent", "bot", "integrator") else ""
    reason = str(data.get("reason") or "")
    text = _event(operation.type, data, who)
    if data.get("override"):
        why = OVERRIDES.get(str(data.get("override_why") or ""), OVERRIDES[Override.FULL])
        text = _("%(what)s (%(why)s)") % {"what": text, "why": why}
    return f"{text}: {reason}" if reason and _says_why(operation.type, data, who) else text


OVERRIDES: dict[str, Any] = {
    Override.FULL: gettext_lazy("beyond the capacity: a supervisor decided so"),
    Override.DRAINED: gettext_lazy("although nothing new was to come: a supervisor decided so"),
    Override.CAME_BACK: gettext_lazy("beyond the capacity: it came back after a pause"),
}
"""Why somebody has more than they take on."""


def _says_why(type: str, data: dict[str, Any], who: str) -> bool:
    """Whether the reason is somebody's own words, and not said by the line already."""
    kind = data.get("kind")
    if type == "transfer.requested":
        return kind == TransferKind.HANDOVER or (
            kind == TransferKind.REASSIGNMENT and data.get("trigger") == "absence" and bool(who)
        )
    if type == "transfer.accepted":
        return kind != TransferKind.ESCALATION
    if type == "session.paused":
        return not data.get("preempted")
    if type == "transfer.asked_again":
        return bool(data.get("declined_by"))
    return type in ("transfer.changed", "transfer.declined", "session.completed", "session.cancelled")


def _event(type: str, data: dict[str, Any], who: str) -> str:
    named = {"who": who or _("Tandem")}
    if type == "transfer.accepted":
        accepted = {
            TransferKind.ESCALATION: _("%(who)s accepted"),
            TransferKind.REASSIGNMENT: _("%(who)s accepted"),
            TransferKind.HANDOVER: _("%(who)s accepted the handover"),
            TransferKind.TAKEOVER: _("%(who)s took over from the bot"),
            TransferKind.GRAB: _("%(who)s took this from a colleague"),
            TransferKind.RETURN: _("%(who)s gave this back to the bot"),
        }
        return accepted[TransferKind(data["kind"])] % named
    if type == "transfer.requested":
        if data.get("kind") == TransferKind.HANDOVER:
            return _("%(who)s asked for a handover") % named
        if data.get("kind") == TransferKind.REASSIGNMENT:
            if data.get("trigger") == "absence" and who:  # by hand: a sweeper has no name here
                return _("%(who)s put this back in the queue") % named
            if data.get("trigger") == "departure":
                return _("Back in the queue: its agent has left")
            return _("Back in the queue: the agent was absent")
        why = trigger(str(data.get("trigger") or ""))
        return _("A human was asked for (%(why)s)") % {"why": why} if why else _("A human was asked for")
    if type == "session.ending_soon":
        return _("This session ends by itself soon, unless it is resolved before")
    if type == "transfer.asked_again":
        return _asked_again(data, who)
    if type == "sla.breached":
        return {
            "first_response": _("The first response is overdue"),
            "next_response": _("A response is overdue"),
            "resolution": _("The resolution is overdue"),
        }[data["kind"]]
    return {
        "mail.queued": _("Nobody is there: this goes to the team by e-mail"),
        "mail.failed": _("The e-mail to the team could not be sent"),
        "transfer.changed": _("%(who)s asked again, with more to say"),
        "transfer.readdressed": _("Asked of everybody now: the agent who was asked cannot take it"),
        "transfer.declined": _("%(who)s declined"),
        "transfer.withdrawn": _("The request was withdrawn"),
        "transfer.timed_out": _("Nobody accepted in time"),
        "session.completed": _("%(who)s resolved this"),
        "session.cancelled": _("The session was cancelled"),
        "session.timed_out": _("The session ended: nothing happened in time"),
        "session.paused": _("The session was paused"),
        "session.resumed": _("The session goes on"),
        "attention.raised": _("Flagged: somebody should look at this"),
        "attention.cleared": _("%(who)s looked at this"),
    }[type] % named


def _asked_again(data: dict[str, Any], who: str) -> str:
    if data["declined_by"]:
        return _("%(who)s declined, so it waits for everybody") % {"who": who}
    times = data["times"]
    return ngettext("Asked again %(times)s time, waits since", "Asked again %(times)s times, waits since", times) % {
        "times": times
    }


def since(operation: Operation) -> datetime | None:
    """The time with which the line of an event ends, where it ends with one: the reader's clock tells it."""
    if operation.type != "transfer.asked_again" or operation.data["declined_by"]:
        return None
    return datetime.fromisoformat(operation.data["waiting_since"])


RULES = {
    "C0": gettext_lazy("C0: nobody had the turn, so it began at once"),
    "C1": gettext_lazy("C1: a human comes before a bot, so the bot waits"),
    "C2": gettext_lazy("C2: a human is serving, so the bot waits until that has ended"),
    "C3": gettext_lazy("C3: of two bots the one with the better rank has the turn"),
    "C4": gettext_lazy("C4: urgent work by a human takes the turn from anybody at once"),
    "C5": gettext_lazy("C5: somebody was away, so the work goes on elsewhere"),
    "C6": gettext_lazy("C6: a human is needed, so the bot falls silent and the customer waits for one"),
    "C7": gettext_lazy("C7: a human is serving already; the ways in are to grab, a transfer and an invitation"),
}
"""The rules of who yields, each in a sentence."""


def rule(word: str) -> str:
    """What a rule says; empty for none, and for one that is not known here."""
    return str(RULES.get(word, ""))


def happened(operation: Operation) -> str:
    """An operation in words, where the thread has some; the timeline shows its type in any case."""
    return event(operation) if operation.type in EVENTS else ""


def ended(session: ChatSession) -> str:
    """How a session came to its end."""
    return {
        Status.COMPLETED: _("resolved"),
        Status.CANCELLED: _("cancelled"),
        Status.TIMEOUT: _("ended by time"),
    }[Status(session.status)]


FILES = {
    "file_empty": gettext_lazy("The file is empty."),
    "file_type_refused": gettext_lazy("Files of this type cannot be sent here."),
    "file_damaged": gettext_lazy("The file is damaged: it cannot be opened."),
    "image_too_large": gettext_lazy("The picture has too many pixels. Make it smaller."),
    "attachment_not_found": gettext_lazy("A file was not sent in time and is gone. Attach it again."),
    "attachment_sent": gettext_lazy("A file was sent already. Attach it again to send it again."),
    "too_many_unsent": gettext_lazy("Too many files wait to be sent. Send some, or take them back."),
    "storage_failed": gettext_lazy("Files cannot be stored just now. Please try again."),
}


def refusal(error: DomainError, page: ThreadPage | None = None) -> str:
    """A verb said no: what that means for the agent who clicked, in one calm sentence.

    Where the turn has moved since the page was drawn, the loser of the race is told who won.
    """
    name = str(error.fields.get("owner_name") or "")
    moved = error.code in ("stale_epoch", "already_taken", "transfer_ended", "not_serving", "not_queued")
    if page and (moved or (error.code == "forbidden" and name)):
        return _moved(page, name) or error.detail
    if error.code in ("human_serves", "already_taken") and name:
        return _("%(name)s is serving this conversation.") % {"name": name}
    if error.code == "no_bot":
        return _("No bot can take this conversation back. Resolve it instead.")
    if error.code == "no_capacity" and page:
        return _("You serve %(load)s of at most %(most)s conversations.") % {
            "load": page.viewer_load,
            "most": page.viewer_most,
        }
    if isinstance(error, LinkIsOver):
        return _("This link has been used, or was withdrawn. Ask for a new one.")
    if error.code in FILES:
        return str(FILES[error.code])
    if error.code == "file_too_large":
        return _("The file is larger than %(most)s.") % {"most": filesizeformat(error.fields["most"])}
    if error.code == "gets_nothing_new" and page and not page.is_mine:
        return _("Nothing new is given to this colleague, or to you, for now. A supervisor can change that.")
    if error.code == "busy":
        return _("The conversation is busy just now. Please try again.")
    return error.detail


def _moved(page: ThreadPage, name: str) -> str:
    live = page.live
    if live is not None and live.owner_kind == Owner.AGENT and not page.is_mine:
        return _("%(name)s has taken this conversation.") % {"name": owner_of(live) or name}
    if page.is_mine:
        return _("You are serving this conversation; it has moved on since this page was drawn.")
    if page.conversation.controller == Controller.QUEUE:
        return _("This conversation is waiting for a human. Accept it first.")
    if page.conversation.controller == Controller.BOT:
        return _("The bot has this conversation. Take it over first.")
    if not page.sessions:
        return _("This conversation has ended. Take it to write to the customer again.")
    return ""


def empty(view: View, *, filtered: bool) -> tuple[str, str]:
    """What an empty list says: a heading, and a line about what to expect."""
    if filtered:
        return _("Nothing fits"), _("No conversation here matches the search.")
    return {
        View.OFFERED: (
            _("Nothing is offered to you"),
            _("While you are available, what waits is offered here, and you have a moment to accept it."),
        ),
        View.MINE: (_("Nothing of yours"), _("Accept a conversation that waits, or take one over from a bot.")),
        View.UNASSIGNED: (
            _("Nothing waits"),
            _("Everybody who asked for a human is being served. The next one appears here by itself."),
        ),
        View.WAITING: (
            _("Nobody waits"),
            _("Whoever waits for a human stands here, the longest wait first, however urgent."),
        ),
        View.NEEDS_HUMAN: (
            _("Nothing needs a look"),
            _("When a rule or a colleague flags a conversation, it stays here until a human has looked at it."),
        ),
        View.BOT_ACTIVE: (_("No bot is talking"), _("Conversations that a bot leads now stand here.")),
        View.PAUSED_BOTS: (_("No bot is paused"), _("A bot that gave way to a human waits here for its turn.")),
        View.COLLABORATING: (
            _("You help nowhere just now"),
            _("Conversations that a colleague has asked you into stand here."),
        ),
        View.MENTIONS: (
            _("Nobody mentions you"),
            _("Private notes that name you appear here until you have read them."),
        ),
        View.TODO: (_("Nothing left to do"), _("Mark a conversation as to do, and it stays here until it is done.")),
        View.ALL: (_("No conversations yet"), _("They appear as soon as a customer or a bot begins one.")),
        View.RESOLVED: (_("Nothing resolved yet"), _("Conversations that have come to an end are kept here.")),
        View.QUEUE: (_("Nobody is waiting"), _("Customers who need a human appear here by themselves.")),
    }[view]


FLOWS = {
    "waiting_user_reply": gettext_lazy("waits for the customer’s answer"),
    "rerunning": gettext_lazy("works on the answer"),
    "ready_preview": gettext_lazy("a preview is ready"),
    "applied": gettext_lazy("applied"),
    "ignored": gettext_lazy("not needed any more"),
    "expired": gettext_lazy("was not finished in time"),
    "failed": gettext_lazy("failed"),
}


def flow(status: str) -> str:
    return str(FLOWS.get(status, status))


CONTROLLERS = {
    "human": gettext_lazy("A human serves"),
    "queue": gettext_lazy("Waiting for a human"),
    "flow": gettext_lazy("A guided flow is asking"),
    "bot": gettext_lazy("The bot is speaking"),
    "none": gettext_lazy("Nobody’s turn"),
}


def controller(word: str) -> str:
    """The title of the sign beside a conversation: who gets the customer's next message."""
    return str(CONTROLLERS.get(word, word))


SPEAKERS = {
    "customer": pgettext_lazy("speaker", "Customer"),
    "bot": pgettext_lazy("speaker", "Bot"),
    "agent": pgettext_lazy("speaker", "Agent"),
    "shop": pgettext_lazy("speaker", "Shop"),
    "participant": pgettext_lazy("speaker", "Guest"),
    "system": pgettext_lazy("speaker", "System"),
    "integrator": pgettext_lazy("speaker", "Integrator"),
}


def speaker(sender_type: str) -> str:
    return str(SPEAKERS.get(sender_type, sender_type))


def said_by(kind: str, name: str) -> str:
    """Who said something about the work; empty where it was not kept."""
    return " · ".join(filter(None, (speaker(kind), name))) if kind else ""


def waiting(waits: Waiting) -> str:
    """To whoever waits: the place in the queue, and how long that is likely to take."""
    number = waits.position
    if waits.seconds is None:
        return _("You are number %(number)s; how long it takes is not known") % {"number": number}
    return _("You are number %(number)s, %(wait)s") % {"number": number, "wait": wait(waits.seconds)}


def place(waits: Waiting) -> str:
    """The same to an agent who looks."""
    number = waits.position
    if waits.seconds is None:
        return _("number %(number)s in the queue, for how long is not known") % {"number": number}
    return _("number %(number)s in the queue, %(wait)s") % {"number": number, "wait": wait(waits.seconds)}


def wait(seconds: int | None) -> str:
    """A likely wait in words that promise no more than is known; empty when nothing is."""
    if seconds is None:
        return ""
    if seconds < 60:
        return _("now") if seconds == 0 else _("less than a minute")
    if seconds < 3600:
        minutes = round(seconds / 60)
        return ngettext("about %(count)s minute", "about %(count)s minutes", minutes) % {"count": minutes}
    hours = round(seconds / 3600)
    return ngettext("about %(count)s hour", "about %(count)s hours", hours) % {"count": hours}


# --- People ------------------------------------------------------------------------------------------------------


def shared(participant: Participant) -> str:
    """What a participant sees of the conversation, to somebody who is asked in or asks them in."""
    count = participant.history_count
    if participant.history == HistoryMode.LAST:
        last = ngettext("the last message before joining, and what follows", "the last %(count)s messages before joining, and what follows", count)  # fmt: skip
        return last % {"count": count}
    return {
        HistoryMode.NONE: _("what is said after joining"),
        HistoryMode.FROM_NOW: _("what is said since the invitation"),
        HistoryMode.ALL: _("the whole conversation"),
    }[HistoryMode(participant.history)]


def person(person: GuestPerson) -> str:
    """What somebody is in the conversation, beside the name."""
    return {
        "customer": pgettext("speaker", "Customer"),
        "bot": pgettext("speaker", "Bot"),
        "agent": pgettext("speaker", "Agent"),
        "shop": pgettext("speaker", "Shop"),
        "collaborator": _("Colleague"),
        "employee": _("Employee"),
        "department": _("Department"),
        "guest": pgettext("speaker", "Guest"),
    }.get(person.kind, person.kind)


def participation_over(status: str) -> str:
    """Why a participant sees nothing any more, in one plain sentence."""
    return {
        ParticipantStatus.LEFT: _("You have left this conversation."),
        ParticipantStatus.REMOVED: _("You were taken out of this conversation."),
        ParticipantStatus.ENDED: _("This conversation has ended."),
    }.get(ParticipantStatus(status), _("This conversation is closed to you."))
