"""The other people in a conversation, at the desk: who is in, who may be invited, and what would be refused and why.

This is for display, not a permission: every verb checks again under the lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from agents_app import directory
from agents_app.actors import Actor
from config import limits
from sessions_app.actions import departments, participants
from sessions_app.core.locked_conversation import Outcome
from sessions_app.models import Participant
from sessions_app.notices import link
from sessions_app.queries import ThreadPage
from sessions_app.states import HistoryMode, NoticeStatus, ParticipantStatus
from sessions_app.workbench import wording


class PeopleForm(forms.Form):
    """What the side panel's forms may send. Whether it makes sense is for the verb to decide."""

    agent = forms.IntegerField(required=False)
    participant = forms.IntegerField(required=False)
    name = forms.CharField(max_length=limits.MAX_NAME, required=False)
    role = forms.CharField(max_length=limits.MAX_WORD, required=False)
    contact = forms.CharField(max_length=limits.MAX_CONTACT, required=False)
    department = forms.CharField(max_length=limits.MAX_GROUP_NAME, required=False)
    history = forms.CharField(max_length=limits.MAX_WORD, required=False)
    history_count = forms.IntegerField(min_value=0, max_value=limits.MAX_HISTORY_COUNT, required=False)


HISTORY: tuple[tuple[str, Any], ...] = (
    (HistoryMode.NONE.value, gettext_lazy("from joining on")),
    (HistoryMode.FROM_NOW.value, gettext_lazy("from now on")),
    (HistoryMode.LAST.value, gettext_lazy("the last messages…")),
    (HistoryMode.ALL.value, gettext_lazy("all of it")),
)


@dataclass(frozen=True, slots=True)
class ParticipantShown:
    """A participant in the panel. `is_problem`: the notice to them could not be sent."""

    participant: Participant
    role: str
    status: str
    notice: str
    shared: str
    is_problem: bool
    may_send_again: bool


def panel(page: ThreadPage, actor: Actor) -> dict[str, Any]:
    """The context of people, for the side panel and the header."""
    owns = can_manage_people(page, actor)
    return {
        "people": [_shown(participant, can_manage_people=owns) for participant in page.people],
        "names": ", ".join(p.name for p in page.people if p.status == ParticipantStatus.JOINED),
        "colleagues": page.colleagues,
        "can_manage_people": owns,
        "why_not_manage": "" if owns else why_not_manage(page),
        "may_leave": page.collaborates and not page.is_mine,
        "has_departments": directory.is_set_up(),
        "roles": [choice for choice in Participant.Role.choices if choice[0] != Participant.Role.COLLABORATOR],
        "histories": HISTORY,
    }


def can_manage_people(page: ThreadPage, actor: Actor) -> bool:
    """Whether the agent may invite and remove people: while a human serves, the one who serves or a supervisor."""
    live = page.live
    return bool(live and live.is_human_served) and (page.is_mine or actor.is_supervisor)


def why_not_manage(page: ThreadPage) -> str:
    """Why `can_manage_people` is false, as a sentence."""
    live = page.live
    if live is None or not live.is_human_served:
        return _("Whoever serves the conversation invites others to it.")
    return _("%(name)s serves, and invites others.") % {"name": page.owner or _("The shop")}


def _shown(participant: Participant, *, can_manage_people: bool) -> ParticipantShown:
    is_invited = participant.status == ParticipantStatus.INVITED
    return ParticipantShown(
        participant=participant,
        role=participant.get_role_display(),
        status=_("invited") if is_invited else _("in the conversation"),
        notice=_notice(participant),
        shared=_("all of it, notes too") if participant.agent_id else wording.shared(participant),
        is_problem=participant.notice_status == NoticeStatus.FAILED,
        may_send_again=can_manage_people and is_invited and bool(participant.contact),
    )


def _notice(participant: Participant) -> str:
    if participant.notice_status == NoticeStatus.FAILED:
        return _("Notice not sent: %(why)s") % {"why": participant.notice_error}
    return {NoticeStatus.WAITING: _("notice on its way"), NoticeStatus.SENT: _("notice sent")}.get(
        NoticeStatus(participant.notice_status), ""
    )


# --- The verbs behind the forms ----------------------------------------------------------------------------------


def _invite_colleague(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return participants.invite_colleague(actor=actor, conversation_id=conversation_id, agent_id=form["agent"] or 0)


def _invite(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return participants.invite_participant(
        actor=actor,
        conversation_id=conversation_id,
        name=form["name"],
        role=form["role"],
        contact=form["contact"],
        **_history(form),
    )


def _invite_department(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return departments.invite_department(
        actor=actor, conversation_id=conversation_id, department_id=form["department"], **_history(form)
    )


def _history(form: dict[str, Any]) -> dict[str, Any]:
    return {"history": form["history"] or HistoryMode.NONE, "history_count": form["history_count"] or 0}


def _remove(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return participants.remove_participant(
        actor=actor, conversation_id=conversation_id, participant_id=form["participant"] or 0
    )


def _send_again(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return participants.send_notice_again(
        actor=actor, conversation_id=conversation_id, participant_id=form["participant"] or 0, contact=form["contact"]
    )


def _leave(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return participants.leave(actor=actor, conversation_id=conversation_id)


VERBS: dict[str, Callable[..., Outcome]] = {
    "invite-colleague": _invite_colleague,
    "invite": _invite,
    "invite-department": _invite_department,
    "remove": _remove,
    "send-again": _send_again,
    "leave": _leave,
}


def shown_once(outcome: Outcome) -> dict[str, str]:
    """The context of an invitation's result; empty for other outcomes. The link is stored nowhere: it is shown once."""
    if outcome.token:
        message = _("The invitation’s link, shown only now. It works once; pass it on where no notice was sent.")
        return {"told": message, "link": link.join_url(outcome.token)}
    if "invited" in outcome.detail:
        invited, skipped = len(outcome.detail["invited"]), outcome.detail["skipped"]
        message = ngettext("%(count)s person was invited.", "%(count)s people were invited.", invited) % {
            "count": invited
        }
        if skipped:
            names = ", ".join(person["name"] for person in skipped)
            message += " " + _("In or invited already: %(names)s.") % {"names": names}
        return {"told": message}
    return {}
