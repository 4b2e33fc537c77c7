"""The admin of sessions, transfers and people: one module a noun. Actions call verbs, in the name of the login."""

from sessions_app.admin import (
    agents,
    assignment,
    batches,
    flows,
    participants,
    saved_views,
    service_levels,
    sessions,
    transfers,
)

__all__ = [
    "agents",
    "assignment",
    "batches",
    "flows",
    "participants",
    "saved_views",
    "service_levels",
    "sessions",
    "transfers",
]
