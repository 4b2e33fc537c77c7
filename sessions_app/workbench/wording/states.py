"""The states of a conversation, its sessions and its flow: who has the turn, what a session is about, how it ended."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from messaging_app.models import Controller
from sessions_app.models import ChatSession
from sessions_app.queries import ThreadPage
from sessions_app.states import Derived, Priority, Status


def state(page: ThreadPage) -> str:
    """The text of the state pill: who is doing what."""
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


CONTROLLERS = {
    "human": gettext_lazy("A human serves"),
    "queue": gettext_lazy("Waiting for a human"),
    "flow": gettext_lazy("A guided flow is asking"),
    "bot": gettext_lazy("The bot is speaking"),
    "none": gettext_lazy("Nobody’s turn"),
}


def controller(word: str) -> str:
    """The title of the icon beside a conversation: who gets the customer's next message."""
    return str(CONTROLLERS.get(word, word))


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


def ended(session: ChatSession) -> str:
    """How a session came to its end."""
    return {
        Status.COMPLETED: _("resolved"),
        Status.CANCELLED: _("cancelled"),
        Status.TIMEOUT: _("ended by time"),
    }[Status(session.status)]
