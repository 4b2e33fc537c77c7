"""The only writer of a status: of sessions, transfers, flows and participants."""

from sessions_app.core.oplog.deadlines import deadline
from sessions_app.core.oplog.flags import ANSWERED, SERVED, TAKEN_UP, flag, set_aside, unflag
from sessions_app.core.oplog.flows import move_flow, open_flow, renew_lease
from sessions_app.core.oplog.mails import end_mail, queue_mail, queue_mail_again
from sessions_app.core.oplog.participants import (
    add_participant,
    end_collaboration,
    end_notice,
    end_participations,
    invite_again,
    move_participant,
)
from sessions_app.core.oplog.sessions import (
    change_owner,
    create_grouped_session,
    create_session,
    event_word,
    owner_fields,
    transition,
    warn_of_end,
)
from sessions_app.core.oplog.transfers import ask_again, create_transfer, end_transfer, readdress, record_transfer

__all__ = [
    "ANSWERED",
    "SERVED",
    "TAKEN_UP",
    "add_participant",
    "ask_again",
    "change_owner",
    "create_grouped_session",
    "create_session",
    "create_transfer",
    "deadline",
    "end_collaboration",
    "end_mail",
    "end_notice",
    "end_participations",
    "end_transfer",
    "event_word",
    "flag",
    "invite_again",
    "move_flow",
    "move_participant",
    "open_flow",
    "owner_fields",
    "queue_mail",
    "queue_mail_again",
    "readdress",
    "record_transfer",
    "renew_lease",
    "set_aside",
    "transition",
    "unflag",
    "warn_of_end",
]
