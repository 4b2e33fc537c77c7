"""What happened, as a line of the thread or of the timeline; why a human was requested; which rule decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from messaging_app.models import Operation
from sessions_app.queries import EVENTS
from sessions_app.states import Override, TransferKind

TRIGGERS = {
    "keyword": gettext_lazy("the customer asked"),
    "customer": gettext_lazy("the customer asked"),
    "failure": gettext_lazy("the bot could not help"),
    "sentiment": gettext_lazy("the customer is angry"),
    "vip": gettext_lazy("VIP customer"),
    "model": gettext_lazy("found by the analyser"),
    "bot": gettext_lazy("the bot asked"),
    "bot_silent": gettext_lazy("the bot did not answer in time"),
    "bot_dead": gettext_lazy("the bot is not there"),
    "session asked for": gettext_lazy("a human session was asked for"),
    "handover": gettext_lazy("handover"),
    "absence": gettext_lazy("its agent was absent"),
    "departure": gettext_lazy("its agent has left"),
    "no_reply": gettext_lazy("its agent did not answer in time"),
    "resume": gettext_lazy("waiting again after a pause"),
    "unanswered": gettext_lazy("nobody answered in time"),
    "no_answer": gettext_lazy("the customer waits for an answer"),
    "raised": gettext_lazy("flagged by hand"),
    "mail": gettext_lazy("the e-mail to the team could not be sent"),
}


def trigger(word: str) -> str:
    """Why a human was requested."""
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
    return f"{text}: {reason}" if reason and _shows_reason(operation.type, data, who) else text


OVERRIDES: dict[str, Any] = {
    Override.FULL: gettext_lazy("beyond the capacity: a supervisor decided so"),
    Override.DRAINED: gettext_lazy("although nothing new was to come: a supervisor decided so"),
    Override.CAME_BACK: gettext_lazy("beyond the capacity: it came back after a pause"),
}
"""Why an agent was given more than the capacity, or anything new although drained."""


def _shows_reason(type: str, data: dict[str, Any], who: str) -> bool:
    """Whether to add the reason: it is somebody's own text, and not in the line already."""
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
    params = {"who": who or _("Tandem")}
    if type == "transfer.accepted":
        accepted = {
            TransferKind.ESCALATION: _("%(who)s accepted"),
            TransferKind.REASSIGNMENT: _("%(who)s accepted"),
            TransferKind.HANDOVER: _("%(who)s accepted the handover"),
            TransferKind.TAKEOVER: _("%(who)s took over from the bot"),
            TransferKind.GRAB: _("%(who)s took this from a colleague"),
            TransferKind.RETURN: _("%(who)s gave this back to the bot"),
        }
        return accepted[TransferKind(data["kind"])] % params
    if type == "transfer.requested":
        if data.get("kind") == TransferKind.HANDOVER:
            return _("%(who)s asked for a handover") % params
        if data.get("kind") == TransferKind.REASSIGNMENT:
            if data.get("trigger") == "absence" and who:  # by a person: the sweeper has no name here
                return _("%(who)s put this back in the queue") % params
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
    }[type] % params


def _asked_again(data: dict[str, Any], who: str) -> str:
    if data["declined_by"]:
        return _("%(who)s declined, so it waits for everybody") % {"who": who}
    times = data["times"]
    return ngettext("Asked again %(times)s time, waits since", "Asked again %(times)s times, waits since", times) % {
        "times": times
    }


def since(operation: Operation) -> datetime | None:
    """The time at the end of an event's line, which the browser shows in the reader's zone; None for a line without."""
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
"""The conflict rules, each in a sentence."""


def rule(word: str) -> str:
    """The sentence of a rule; empty for none, and for one that is not known here."""
    return str(RULES.get(word, ""))


def happened(operation: Operation) -> str:
    """The line of an operation, empty if the thread does not show it; the timeline shows its type in any case."""
    return event(operation) if operation.type in EVENTS else ""
