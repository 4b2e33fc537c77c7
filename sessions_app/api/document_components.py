"""Components of the API's document that no serializer declares: the objects that verbs and rules fill.

`PARTS` says which field has which component. `OPEN` are the objects whose members are not declared, each with its
reason; a test finds any other.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from django.conf import settings

from agents_app.skills import HIGHEST, LOWEST

type Schema = dict[str, Any]

_TEXT = {"type": "string"}
_BUILT = ("version", "revision", "python", "django")


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _context_package() -> Schema:
    """The published schema (docs/schemas), as a component.

    No field is required: a transfer's package may be of an earlier version with fewer fields, and the oldest are empty.
    """
    schema = _published()
    # Some client generators cannot do a `const` that is a number.
    version = schema["properties"]["version"].pop("const")
    schema["properties"]["version"] |= {"type": "integer", "minimum": 1, "maximum": version}
    return {name: value for name, value in schema.items() if name in ("type", "description", "properties")}


def _published() -> Schema:
    page = settings.BASE_DIR / "docs" / "schemas" / "context-package-2.json"
    text = page.read_text(encoding="utf-8").replace("#/$defs/who", "#/components/schemas/SaidBy")
    schema: Schema = json.loads(text)
    return schema


SCHEMAS: dict[str, Schema] = {
    "Liveness": {
        "type": "object",
        "description": "The process answers.",
        "required": ["status"],
        "properties": {"status": {"type": "string", "const": "ok"}},
    },
    "Readiness": {
        "type": "object",
        "description": "Whether the process can serve, with each thing that it uses.",
        "required": ["status", "checks"],
        "properties": {
            "status": {"type": "string", "enum": ["ok", "degraded", "unavailable"]},
            "checks": {"$ref": "#/components/schemas/ReadinessChecks"},
        },
    },
    "ReadinessChecks": {
        "type": "object",
        "description": "`ok`, or the name of what went wrong, by what is used; of `loops`, what is put off.",
        "additionalProperties": _TEXT,
    },
    "Build": {
        "type": "object",
        "description": "Which build this is, and what it runs on.",
        "required": list(_BUILT),
        "properties": {name: dict(_TEXT) for name in _BUILT},
    },
    "SkillLevels": {
        "type": "object",
        "description": f"Skills by name, each with a level from {LOWEST} to {HIGHEST}.",
        "additionalProperties": {"type": "integer", "minimum": LOWEST, "maximum": HIGHEST},
    },
    "FieldErrors": {
        "type": "object",
        "description": "What is wrong, by field: `rows.3.content`, or `body` for the body as a whole.",
        "additionalProperties": {"type": "array", "items": _TEXT},
    },
    "Need": {
        "type": "object",
        "description": "Why a human is needed; empty when none is.",
        "properties": {
            "effect": {"type": "string", "enum": ["flag", "escalate"]},
            "kind": _text("The kind of rule that says so; `raised` where somebody did."),
            "severity": _text("How pressing it is: high, medium or low."),
            "rule": _text("The rule's name."),
            "evidence": _text("The words that made it say so."),
            "reason": _text("What somebody wrote who raised it."),
            "by": _text("The name of who raised it."),
        },
    },
    "OutcomeDetail": {
        "type": "object",
        "description": "More of what a command did; each member only where it applies.",
        "properties": {
            "queue_position": {"type": "integer", "description": "The place in the line for a human: 1 for the next."},
            "expected_wait": {
                "type": ["integer", "null"],
                "description": "Seconds until a human is likely to be there; null when not known.",
            },
            "question": _text("What a waiting flow asks, to be put to the customer again."),
            "opens_at": {"type": "string", "format": "date-time", "description": "When somebody is there."},
            "after_hours": _text("`email` where the request goes to the team by e-mail."),
            "passed_over": _text("Why nothing was done."),
        },
    },
    "TaskState": {
        "type": "object",
        "description": "What a bot knows of its task, in its own words: kept with the session, sent with transfers.",
        "additionalProperties": True,
    },
    "ContextPackage": _context_package(),
    "SaidBy": {"description": "Who said something, and when."} | _published()["$defs"]["who"],
}

PARTS: dict[str, str] = {
    "AgentResponse.skills": "SkillLevels",
    "ConversationResponse.need": "Need",
    "ConversationDetailResponse.need": "Need",
    "ContextRequest.task_state": "TaskState",
    "EscalateRequest.needs": "SkillLevels",
    "OpenRequest.context": "TaskState",
    "OutcomeResponse.detail": "OutcomeDetail",
    "Problem.errors": "FieldErrors",
    "SessionResponse.context": "TaskState",
    "TeamResponse.needs": "SkillLevels",
    "TransferResponse.context": "ContextPackage",
    "TransferResponse.needs": "SkillLevels",
}
"""The component of each field whose serializer says only that it is an object."""

OPEN: dict[str, str] = {
    "TaskState": "A bot's own notes on its task: their form is the bot's.",
    "ContextPackage.task_state": "The same, as it travels.",
    "OperationResponse.data": "As the event of the same type has it: `…Data` by the operation's `type`.",
}
"""Objects that say nothing of their members, and why."""


def name_parts(document: dict[str, Any]) -> None:
    """Add the components to the document, in place, and refer to them from the fields in `PARTS`."""
    schemas = document["components"]["schemas"]
    schemas |= deepcopy(SCHEMAS)
    for place, part in PARTS.items():
        owner, name = place.split(".")
        field = schemas[owner]["properties"].get(name)
        if field is not None and "properties" not in field and "$ref" not in field:
            kept = {key: value for key, value in field.items() if key in ("description", "readOnly")}
            reference = {"$ref": f"#/components/schemas/{part}"}
            schemas[owner]["properties"][name] = {"allOf": [reference]} | kept if kept else reference
