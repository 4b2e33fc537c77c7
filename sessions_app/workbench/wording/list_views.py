"""The views of the list, what an empty one says, and what can be done with several conversations at once."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agents_app.sharing import Sharing
from sessions_app.actions.bulk import BulkAction
from sessions_app.queries import View

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


_EMPTY = {
    View.OFFERED: (
        gettext_lazy("Nothing is offered to you"),
        gettext_lazy("While you are available, what waits is offered here, and you have a moment to accept it."),
    ),
    View.MINE: (
        gettext_lazy("Nothing of yours"),
        gettext_lazy("Accept a conversation that waits, or take one over from a bot."),
    ),
    View.UNASSIGNED: (
        gettext_lazy("Nothing waits"),
        gettext_lazy("Everybody who asked for a human is being served. The next one appears here by itself."),
    ),
    View.WAITING: (
        gettext_lazy("Nobody waits"),
        gettext_lazy("Whoever waits for a human stands here, the longest wait first, however urgent."),
    ),
    View.NEEDS_HUMAN: (
        gettext_lazy("Nothing needs a look"),
        gettext_lazy("When a rule or a colleague flags a conversation, it stays here until a human has looked at it."),
    ),
    View.BOT_ACTIVE: (
        gettext_lazy("No bot is talking"),
        gettext_lazy("Conversations that a bot leads now stand here."),
    ),
    View.PAUSED_BOTS: (
        gettext_lazy("No bot is paused"),
        gettext_lazy("A bot that gave way to a human waits here for its turn."),
    ),
    View.COLLABORATING: (
        gettext_lazy("You help nowhere just now"),
        gettext_lazy("Conversations that a colleague has asked you into stand here."),
    ),
    View.MENTIONS: (
        gettext_lazy("Nobody mentions you"),
        gettext_lazy("Private notes that name you appear here until you have read them."),
    ),
    View.TODO: (
        gettext_lazy("Nothing left to do"),
        gettext_lazy("Mark a conversation as to do, and it stays here until it is done."),
    ),
    View.ALL: (
        gettext_lazy("No conversations yet"),
        gettext_lazy("They appear as soon as a customer or a bot begins one."),
    ),
    View.RESOLVED: (
        gettext_lazy("Nothing resolved yet"),
        gettext_lazy("Conversations that have come to an end are kept here."),
    ),
    View.QUEUE: (
        gettext_lazy("Nobody is waiting"),
        gettext_lazy("Customers who need a human appear here by themselves."),
    ),
}
"""What an empty view says: a heading, and a line about what to expect."""


def empty(view: View, *, filtered: bool) -> tuple[str, str]:
    """What an empty list says: a heading, and a line about what to expect."""
    if filtered:
        return _("Nothing fits"), _("No conversation here matches the search.")
    heading, hint = _EMPTY[view]
    return str(heading), str(hint)
