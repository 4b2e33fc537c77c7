"""Who may call a verb, and which of its fields each role may set: one table (docs/rules.md, What a role may set).

Every `@verb` checks it before anything is read or locked, so it holds for the API, the desk, the facade and Python
code, and a refusal says nothing of what exists. Whether the conversation is the caller's, the verb checks later
(`access`). The API document shows the table (`x-roles`), and tests/cases/test_t14_fields_by_role.py holds every
endpoint to it.

A field counts as set when it differs from the verb's default and is not empty. The fields of `NewMessage` (`content`,
`sender_name`, …) count like the verb's own. The system, for which there is no credential, may set every field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import fields as fields_of
from enum import StrEnum
from functools import wraps
from inspect import Parameter, signature
from typing import Any

from agents_app.actors import Actor, ActorKind
from config.errors import Forbidden
from messaging_app.thread import NewMessage


class Role(StrEnum):
    CUSTOMER = "customer"
    PARTICIPANT = "participant"
    BOT = "bot"
    INTEGRATOR = "integrator"
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


type Roles = frozenset[Role]

CUSTOMERS: Roles = frozenset({Role.CUSTOMER})
PARTICIPANTS: Roles = frozenset({Role.PARTICIPANT})
BOTS: Roles = frozenset({Role.BOT})
INTEGRATORS: Roles = frozenset({Role.INTEGRATOR})
SUPERVISORS: Roles = frozenset({Role.SUPERVISOR, Role.ADMIN})
ADMINS: Roles = frozenset({Role.ADMIN})
AGENTS: Roles = SUPERVISORS | {Role.AGENT}
PROGRAMS: Roles = BOTS | INTEGRATORS
STAFF: Roles = PROGRAMS | AGENTS
"""Everybody except customers and participants."""
EVERYBODY: Roles = frozenset(Role)
NOBODY: Roles = frozenset()
"""No credential: the system alone."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Who may call a verb, and which of these roles may set each field."""

    callers: Roles
    fields: Mapping[str, Roles]

    def may_set(self, field: str) -> Roles:
        """An unknown field is nobody's."""
        return self.fields.get(field, NOBODY)


def _rights(callers: Roles, fields: str = "", **only: Roles) -> Rights:
    """`fields` are any caller's to set; `only` names those that are not."""
    return Rights(callers, {**dict.fromkeys(fields.split(), callers), **only})


def _message_fields(callers: Roles, *, sender_name: Roles = NOBODY, sent_at: Roles = NOBODY) -> Mapping[str, Roles]:
    """The fields of `NewMessage`. Who spoke and when follows from credential and clock; only a channel may say it."""
    shared = dict.fromkeys(("content", "message_id", "attachments"), callers)
    return {**shared, "sender_name": sender_name, "sent_at": sent_at}


_ASKERS = CUSTOMERS | STAFF
_SPEAKERS = PARTICIPANTS | BOTS | AGENTS

RIGHTS: dict[str, Rights] = {
    # --- Sessions. A customer asks for a human, may say why, and sets nothing else.
    "open_session": _rights(
        _ASKERS,
        "robot shop_id account_id platform reason",
        bot_id=PROGRAMS,  # a bot names itself, or nobody
        **dict.fromkeys(("kind", "task", "priority", "on_conflict", "urgent", "previous_id", "context"), STAFF),
    ),
    "activate_session": _rights(STAFF),
    "pause_session": _rights(STAFF, "reason expected_epoch"),
    "resume_session": _rights(STAFF),
    "complete_session": _rights(STAFF, "outcome reason expected_epoch"),
    "cancel_session": _rights(STAFF, "reason"),
    "set_priority": _rights(STAFF, "priority"),
    "recover": _rights(STAFF, "after_seq limit"),
    "expire_due": _rights(NOBODY),
    # --- Transfers
    "request_transfer": _rights(
        _ASKERS,
        "reason expected_epoch",
        **dict.fromkeys(("trigger", "to_team_id", "to_agent_id", "urgent", "needs", "context"), STAFF),
    ),
    "hand_over": _rights(AGENTS, "to_agent_id to_team_id reason expected_epoch"),
    "accept_transfer": _rights(AGENTS, "expected_epoch", override=SUPERVISORS),
    "decline_transfer": _rights(AGENTS, "reason"),
    "withdraw_transfer": _rights(_ASKERS, "reason"),
    "take_over": _rights(AGENTS, "reason expected_epoch", override=SUPERVISORS),
    "grab": _rights(AGENTS, "reason expected_epoch", override=SUPERVISORS),
    "release_to_bot": _rights(AGENTS, "summary force expected_epoch"),
    "reassign": _rights(SUPERVISORS, "reason to_team_id from_agent_id"),
    # --- The desk
    "resolve": _rights(AGENTS, "reason expected_epoch"),
    **dict.fromkeys(("pin", "unpin", "todo", "untodo", "mark_urgent", "unmark_urgent", "acknowledge"), _rights(AGENTS)),
    "raise_flag": _rights(_ASKERS, "reason"),
    "mark_read": _rights(AGENTS, "seq"),
    "label": _rights(INTEGRATORS | AGENTS, "label_id"),
    "unlabel": _rights(INTEGRATORS | AGENTS, "label_id"),
    "act_on_many": _rights(INTEGRATORS | AGENTS, "conversation_ids action label_id", reason=AGENTS),
    # --- What is said
    "receive_message": Rights(
        CUSTOMERS | PROGRAMS,
        {
            **_message_fields(CUSTOMERS | PROGRAMS, sender_name=PROGRAMS, sent_at=PROGRAMS),
            **dict.fromkeys(("shop_id", "account_id", "platform"), CUSTOMERS | PROGRAMS),
            "customer_name": PROGRAMS,
        },
    ),
    "post_message": Rights(_SPEAKERS, {**_message_fields(_SPEAKERS, sender_name=BOTS), "epoch": _SPEAKERS}),
    "post_note": Rights(AGENTS, _message_fields(AGENTS)),
    "echo_message": Rights(INTEGRATORS, _message_fields(INTEGRATORS, sender_name=INTEGRATORS, sent_at=INTEGRATORS)),
    "upload": _rights(EVERYBODY, "file size sha256 name client_id"),
    "admit_upload": _rights(EVERYBODY, "sha256 size client_id"),
    "enter_upload": _rights(EVERYBODY, "examined key size sha256 name client_id"),
    "discard": _rights(EVERYBODY),
    # --- People
    "invite_colleague": _rights(AGENTS, "agent_id"),
    "invite_participant": _rights(AGENTS, "name role contact history history_count"),
    "invite_department": _rights(AGENTS, "department_id history history_count"),
    "may_invite": _rights(AGENTS),
    "invite_members": _rights(AGENTS, "members history history_count"),
    "send_notice_again": _rights(AGENTS, "contact"),
    "remove_participant": _rights(AGENTS),
    "leave": _rights(PARTICIPANTS | AGENTS),
    "issue_customer_token": _rights(INTEGRATORS, "customer_name"),
    # --- Flows
    "open_flow": _rights(PROGRAMS, "trigger_id question missing_info"),
    "bind_flow": _rights(PROGRAMS),
    "move_flow": _rights(
        PROGRAMS, "to version pending_question missing_info last_candidate last_notification failed_reason"
    ),
    "renew_flow": _rights(PROGRAMS, "version"),
    # --- Agents
    "declare_availability": _rights(AGENTS, "availability reason agent_id"),
    "change_capacity": _rights(SUPERVISORS, "max_load"),
    **dict.fromkeys(("dismiss_agent", "drain_agent", "undrain_agent"), _rights(SUPERVISORS, "reason")),
    # --- What the desk keeps. `agents_app.sharing` asks beside it for whom something is kept.
    "create_view": _rights(AGENTS, "name filter scope team_id"),
    "change_view": _rights(AGENTS, "name filter"),
    "delete_view": _rights(AGENTS),
    # --- By the clock, or behind an answer
    "act_on_analysis": _rights(NOBODY, "seq need"),
    "take_mail": _rights(NOBODY),
    "end_mail": _rights(NOBODY, "attempt error for_good"),
    "send_mail_again": _rights(SUPERVISORS),
    "take_notice": _rights(NOBODY),
    "end_notice": _rights(NOBODY, "key channel error is_passing"),
    # --- Verbs of `messaging_app`, which hold their callers to the same by predicates of their own.
    "create_reply": _rights(AGENTS, "shortcut title text scope team_id language"),
    "change_reply": _rights(AGENTS, "shortcut title text language"),
    "render": _rights(STAFF),
    "create_label": _rights(SUPERVISORS, "name colour"),
    "change_label": _rights(SUPERVISORS, "name colour is_enabled"),
    "create_endpoint": _rights(INTEGRATORS | ADMINS, "url types description"),
    "change_endpoint": _rights(INTEGRATORS | ADMINS, "url types description is_enabled"),
    "rotate_secret": _rights(INTEGRATORS | ADMINS, "keep_old_for"),
    "replay_since": _rights(INTEGRATORS | ADMINS, "after since"),
}
"""By the verb's name. The ids of what the verb works on (`TARGETS`) are no fields."""

TARGETS = frozenset(
    {
        "actor",
        "conversation_id",
        "session_id",
        "transfer_id",
        "flow_id",
        "participant_id",
        "attachment_id",
        "mail_id",
        "agent_id",
        "view_id",
    }
)

FILTERS: dict[str, dict[str, Roles]] = {
    "conversations": {
        **dict.fromkeys(("platform", "shop_id", "account_id", "controller", "owner_kind", "agent_id"), EVERYBODY),
        "search": EVERYBODY,  # in what the reader may read
        **dict.fromkeys(("tier", "needs_human", "label", "mine", "saved_view"), STAFF),
        "sla": STAFF - BOTS,
    },
    "sessions": dict.fromkeys(("status", "kind", "conversation_id"), EVERYBODY),
    "transfers": dict.fromkeys(("status", "kind", "conversation_id"), EVERYBODY),
    "flows": dict.fromkeys(("status", "trigger_id", "conversation_id"), EVERYBODY),
    "agents": dict.fromkeys(("availability", "team_id"), STAFF),
    "canned_replies": dict.fromkeys(("q", "scope", "conversation_id"), STAFF),
    "mentions": {"unread": AGENTS},
}
"""By list: who may filter by which field. A filter must not reveal a value that the answer does not show."""


# --- The checks --------------------------------------------------------------------------------------------------


def role_of(actor: Actor) -> Role | None:
    """None for the system, which may do all."""
    if actor.kind == ActorKind.SYSTEM:
        return None
    if actor.is_agent:
        return Role(actor.role) if actor.is_supervisor else Role.AGENT
    return Role(actor.kind.value)


def check(actor: Actor, verb: str, **fields: Any) -> None:
    """Raises `Forbidden` for a role that may not call the verb, or may not set one of the fields that are set.

    `roles` of the refusal says who may; `field` names the field.
    """
    role, rights = role_of(actor), RIGHTS[verb]
    if role is None:
        return
    if role not in rights.callers:
        raise Forbidden(f"Only {named(rights.callers)} may do that.", roles=sorted(rights.callers))
    for field, value in fields.items():
        may = rights.may_set(field)
        if role not in may and not _is_empty(value):
            raise Forbidden(f"Only {named(may)} may set {field} here.", field=field, roles=sorted(may))


def check_filters(actor: Actor, of: str, names: Iterable[str]) -> None:
    """Raises `Forbidden` for a filter of the list that is not this role's to use. An unknown one is nobody's."""
    role = role_of(actor)
    for name in names if role else ():
        may = FILTERS[of].get(name, NOBODY)
        if role not in may:
            raise Forbidden(f"Only {named(may)} may filter by {name}.", field=name, roles=sorted(may))


def by_role[**P, R](verb: Callable[P, R]) -> Callable[P, R]:
    """Check everything that a caller of the verb sets against the table, before the verb runs."""
    name = verb.__name__
    parameters = {n: p for n, p in signature(verb).parameters.items() if p.kind is Parameter.KEYWORD_ONLY}
    if "actor" not in parameters:  # its credential is a secret instead: `participants.join`
        return verb
    _must_be_complete(name, parameters)
    defaults = {field: parameter.default for field, parameter in parameters.items()}

    @wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        given: dict[str, Any] = dict(kwargs)
        check(given["actor"], name, **dict(_set_in(given, defaults, RIGHTS[name].fields)))
        return verb(*args, **kwargs)

    return run


def _set_in(
    given: Mapping[str, Any], defaults: Mapping[str, Any], known: Mapping[str, Roles]
) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        if isinstance(value, NewMessage):
            parts = ((field, getattr(value, field.name)) for field in fields_of(NewMessage))
            yield from ((field.name, part) for field, part in parts if part != field.default)
        elif name in known and value != defaults.get(name, Parameter.empty):
            yield name, value


def _must_be_complete(name: str, parameters: Mapping[str, Parameter]) -> None:
    """A verb or field without an entry fails when the code is loaded, and not when a customer calls it."""
    if name not in RIGHTS:
        raise LookupError(
            f"{name} has no entry in sessions_app.rights.field_rights.RIGHTS: who may call it, and set what?"
        )
    of_message = {field.name for field in fields_of(NewMessage)} if "words" in parameters else set()
    missing = (set(parameters) | of_message) - {"words"} - set(RIGHTS[name].fields) - TARGETS
    if missing:
        raise LookupError(
            f"Who may set {', '.join(sorted(missing))} of {name}? Say it in sessions_app.rights.field_rights."
        )


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | dict | list | tuple) and not value)


_PLURALS = {
    Role.CUSTOMER: "customers",
    Role.PARTICIPANT: "participants",
    Role.BOT: "bots",
    Role.INTEGRATOR: "integrators",
    Role.AGENT: "agents",
    Role.SUPERVISOR: "supervisors",
    Role.ADMIN: "administrators",
}


def named(roles: Roles) -> str:
    """The roles as text. `agents` means supervisors too, and `supervisors` administrators."""
    shown = [role for role in Role if role in roles]
    if Role.AGENT in roles:
        shown = [role for role in shown if role not in SUPERVISORS]
    elif Role.SUPERVISOR in roles:
        shown = [role for role in shown if role != Role.ADMIN]
    names = [_PLURALS[role] for role in shown] or ["Tandem itself"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
