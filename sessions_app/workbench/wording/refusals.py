"""What a refusal means for the agent who clicked."""

from __future__ import annotations

from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config.errors import DomainError
from messaging_app.models import Controller
from sessions_app.errors import LinkIsOver
from sessions_app.queries import ThreadPage, owner_of
from sessions_app.states import Owner

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
    """What a verb's refusal means for the agent who clicked, in one calm sentence.

    Where the turn has moved since the page was drawn, it says who has the turn now.
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
