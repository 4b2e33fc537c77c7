"""Whose turn it is: chat sessions, the moves between owners, the other people in a conversation, guided flows."""

from sessions_app.models.after_hours import Mail
from sessions_app.models.batches import Batch
from sessions_app.models.flows import GuidedFlow
from sessions_app.models.participants import Participant
from sessions_app.models.service_levels import SlaClock
from sessions_app.models.sessions import ChatSession, SaidField
from sessions_app.models.transfers import AssignmentDecision, PackageField, Transfer

__all__ = [
    "AssignmentDecision",
    "Batch",
    "ChatSession",
    "GuidedFlow",
    "Mail",
    "PackageField",
    "Participant",
    "SaidField",
    "SlaClock",
    "Transfer",
]
