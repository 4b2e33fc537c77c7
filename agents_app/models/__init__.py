"""Tenants, agents and teams, and the programs that call the API."""

from agents_app.models.agents import DECLARABLE, MAX_LOAD, Agent, PresenceChange, SkillsField
from agents_app.models.clients import ApiClient, EventTicket, IdempotencyRecord
from agents_app.models.departments import Department, DepartmentMember
from agents_app.models.hours import Calendar, Holiday, OpeningHours
from agents_app.models.loops import Backoff, LoopFailures
from agents_app.models.service_hours import HasHours
from agents_app.models.service_levels import SlaPolicy
from agents_app.models.teams import LONGEST, Membership, Team
from agents_app.models.tenants import PoliciesField, Tenant, log

__all__ = [
    "DECLARABLE",
    "LONGEST",
    "MAX_LOAD",
    "Agent",
    "ApiClient",
    "Backoff",
    "Calendar",
    "Department",
    "DepartmentMember",
    "EventTicket",
    "HasHours",
    "Holiday",
    "IdempotencyRecord",
    "LoopFailures",
    "Membership",
    "OpeningHours",
    "PoliciesField",
    "PresenceChange",
    "SkillsField",
    "SlaPolicy",
    "Team",
    "Tenant",
    "log",
]
