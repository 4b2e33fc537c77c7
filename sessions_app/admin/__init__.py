"""The admin of whose turn it is: one module a noun. Nothing is written but by verbs, in the name of whoever acts."""

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
