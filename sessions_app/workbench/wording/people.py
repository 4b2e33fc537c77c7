"""Who speaks, who is in the conversation, and what they may see of it."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext, pgettext_lazy

from sessions_app.models import Participant
from sessions_app.queries.guest import GuestPerson
from sessions_app.states import HistoryMode, ParticipantStatus

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
    """Who said something about the work; empty where that was not recorded."""
    return " · ".join(filter(None, (speaker(kind), name))) if kind else ""


def shared(participant: Participant) -> str:
    """Which part of the conversation a participant sees, worded for them and for who invites them."""
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
    """A person's role in the conversation, to stand beside the name."""
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
