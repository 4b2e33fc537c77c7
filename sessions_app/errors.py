"""The catalogue of refusals of the verbs. Each has a stable code; doors translate them, tests name them."""

from __future__ import annotations

from config.errors import Conflict, Forbidden, Malformed, NotFound

__all__ = ["Conflict", "Forbidden", "Malformed", "NotFound"]


class LinkIsOver(NotFound):
    """Of every link that lets nobody in: used, withdrawn, another tenant's, invented."""

    message = "This link has been used, or was withdrawn. Ask for a new one."


class IllegalTransition(Conflict):
    code, message = "illegal_transition", "A session in this status cannot go there."


class LiveSessionExists(Conflict):
    """`fields`: live_session_id, owner_kind, owner_name, may_end_at."""

    code, message = "live_session_exists", "This conversation has a live session already."


class HumanServes(Conflict):
    """Rule C7. The ways in are grab, transfer and invite."""

    code, message = "human_serves", "Another person is serving this conversation; grab it, or ask for a transfer."


class AlreadyTaken(Conflict):
    """Somebody else was faster. `fields`: owner_name."""

    code, message = "already_taken", "Somebody else has taken this conversation."


class TransferEnded(Conflict):
    code, message = "transfer_ended", "This transfer has ended."


class NoWayBack(Conflict):
    """Of a request that is to be withdrawn or declined: it would leave a customer who waits with nobody."""

    code, message = "no_way_back", "There is nobody whom this could go back to: the customer waits for a human."


class StaleEpoch(Conflict):
    """The conversation moved on since the caller looked. Nothing was stored. `fields`: epoch, controller, owner_name."""

    code, message = "stale_epoch", "The turn has changed; read the conversation again before you speak."


class NoCapacity(Conflict):
    """`fields`: load, max_load."""

    code, message = "no_capacity", "The agent has as many live sessions as the agent takes on."
    legacy_code = 3005


class NotAvailable(Conflict):
    code, message = "not_available", "This agent is not available."


class GetsNothingNew(Conflict):
    """The agent is drained: keeps what they serve, and gets nothing more."""

    code, message = "gets_nothing_new", "This agent gets nothing new for now."


class NoBot(Conflict):
    code, message = "no_bot", "No bot can take this conversation back. Resolve it, or force the release."


class NotServing(Conflict):
    code, message = "not_serving", "Nobody is serving this conversation."
    legacy_code = 3013


class NotQueued(Conflict):
    code, message = "not_queued", "This conversation is not waiting for a human."


class FlowMoved(Conflict):
    """Compare-and-set lost. `fields`: version, status."""

    code, message = "flow_moved", "The flow has changed since you read it."


class OwnerCannotLeave(Conflict):
    code, message = "owner_cannot_leave", "The owner cannot leave; hand over, release or resolve."


class AlreadyIn(Conflict):
    code, message = "already_in", "This person is in the conversation already."
