"""Completes the OpenAPI document: what the API is, what each part is for, and the addresses outside REST framework."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

from config.api import RequestSerializer
from config.build import VERSION
from config.openapi import describe, describe_components, name_codes, name_enums, refused_with
from sessions_app.api import glossary, roles, webhooks_document
from sessions_app.api.document_components import name_parts
from sessions_app.api.enumerations import ENUMS
from sessions_app.api.error_catalogue import CATALOGUE
from sessions_app.api.examples import ANSWERS, BODIES, LINES, OUTCOMES, STREAMED
from sessions_app.api.refusals import CODES

DESCRIPTION = """\
Tandem knows, for every conversation, **whose turn it is**, and moves that turn safely between bots and people.
The guide, with a bot to begin with, is docs/integrators.md.

**Who calls.** Bots and integrators send an API key, customers and participants a conversation token, both as
`Authorization: Bearer …`; agents have their login, and send its CSRF token as `X-CSRFToken` with whatever writes.

**Ids** are text and opaque; **times** are ISO 8601 in UTC; unknown fields in a body are refused.

**Errors** are `application/problem+json` with a stable `code`: [every one, with what to do](/api/docs/errors).

**Sending again is safe.** Each POST takes an `Idempotency-Key`: the same key with the same body is answered as the
first time. A message with a `message_id` is stored once, however often it comes.

**Lists** come by cursor: follow `next` as it is.

**Roles.** `x-roles` of an operation says who may call it, `x-field-roles` who may set each field of its body: customer,
participant, bot, integrator, agent, supervisor, admin. Anybody else is answered 403, which names the field.

**Rates** are counted by credential and told in `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`; beyond
them the answer is 429 with `Retry-After`.
"""

TAGS = {
    "inbound": "What customers say, brought in.",
    "messages": "What bots, agents, participants and the shop's own people say.",
    "sessions": "Pieces of work on a conversation: opened, driven, ended.",
    "conversations": "The lasting threads: reading them, escalation, handover, people, marks.",
    "attachments": "Files that go with messages.",
    "transfers": "Moves of ownership, answered.",
    "flows": "A program asks the customer something and has, for a while, the right to the answer.",
    "batches": "Many messages at once, such as a shop's history.",
    "events": "What happens, from a cursor on: streamed, by socket, or polled.",
    "webhooks": "The same, sent to an address of yours.",
    "agents": "The people of the desk, with load and presence.",
    "teams": "Queues of agents.",
    "canned_replies": "Words that are said often, with variables.",
    "labels": "The words that conversations are labelled with.",
    "saved_views": "Parts of the desk's list, under a name.",
    "mentions": "Private notes that name the agent who asks.",
    "departments": "People outside the desk who are invited together.",
    "tokens": "Credentials for one customer in one conversation.",
    "join": "The way in for somebody who was invited by a link.",
    "operations": "Is it alive, is it ready, which build, how much.",
}
"""In the order in which the document shows them."""

# `if` rather than `oneOf`, because client generators make bodies without fields of a `oneOf`.
_NAMED: dict[str, Any] = {
    "if": {"required": ["conversation_id"]},
    "then": {"not": {"required": ["shop_id", "account_id"]}},
    "else": {"required": ["shop_id", "account_id"]},
}
_COUNTED: dict[str, Any] = {
    "if": {"required": ["history"], "properties": {"history": {"const": "last"}}},
    "then": {"required": ["history_count"], "properties": {"history_count": {"minimum": 1}}},
}
RULES = {
    "OpenRequest": _NAMED,
    "InboundRequest": _NAMED,
    "ReplayRequest": {"minProperties": 1, "maxProperties": 1},
    "InviteRequest": _COUNTED,
    "InviteDepartmentRequest": _COUNTED,
}
"""Rules between the fields of a body, as JSON Schema; its `validate` or the verb enforces them."""


def completed(result: Any, **_: Any) -> Any:
    """The generator's last hook: adds to the document, in place, what no serializer or endpoint declares."""
    info = result["info"]
    info["summary"] = "Conversations that robots and people serve together: whose turn it is, and why."
    info["description"] = DESCRIPTION
    info["license"] = {"name": "MIT", "identifier": "MIT"}
    result["paths"] |= _operations()
    for name, rule in RULES.items():
        result["components"]["schemas"][name] |= rule
    for path in result["paths"].values():
        for operation in path.values():
            _illustrate(operation)
            if names := [name for _, name in _contents(operation.get("requestBody", {})) if name]:
                roles.describe(operation, [*result["components"]["schemas"][names[0]]["properties"]])
    used = {tag for path in result["paths"].values() for operation in path.values() for tag in operation["tags"]}
    result["tags"] = [{"name": name, "description": description} for name, description in TAGS.items() if name in used]
    _call_bodies_by_their_operations(result)
    name_parts(result)
    # A deep copy: components share their parts, and each part gets a description of its own.
    events = json.loads(json.dumps(webhooks_document.components()))
    describe({"components": {"schemas": events}, "paths": {}}, webhooks_document.FIELDS, {})
    result["components"]["schemas"] |= events
    result["components"]["parameters"] = webhooks_document.parameters()
    result["webhooks"] = webhooks_document.webhooks()
    name_enums(result, ENUMS | webhooks_document.type_enums())
    name_codes(result, _codes())
    describe_components(result, glossary.COMPONENTS)
    describe(result, glossary.FIELDS, glossary.PARAMETERS)
    return result


def _codes() -> dict[str, dict[int, list[str]]]:
    """`refusals.CODES` by the status that each code has in the catalogue."""
    statuses = {code.code: code.status for code in CATALOGUE}
    operations: dict[str, dict[int, list[str]]] = {}
    for operation, codes in CODES.items():
        for code in codes:
            operations.setdefault(operation, {}).setdefault(statuses[code], []).append(code)
    return operations


# --- Examples ----------------------------------------------------------------------------------------------------


def _illustrate(operation: dict[str, Any]) -> None:
    for _, name in _contents(operation.get("requestBody", {})):
        if name in (*RULES, "BatchRequest") and not name.startswith("Invite"):
            operation["requestBody"]["required"] = True
    if lines := operation.get("requestBody", {}).get("content", {}).get("application/x-ndjson"):
        lines["examples"] = {"two-messages": {"summary": "two messages", "value": LINES}}
    for content, name in _contents(operation.get("requestBody", {})):
        if bodies := BODIES.get(name):
            content["examples"] = {
                title.replace(" ", "-").replace("'", ""): {"summary": title, "value": body}
                for title, body in bodies.items()
            }
    for status, response in operation["responses"].items():
        if not status.startswith("2"):
            continue
        if stream := response.get("content", {}).get("text/event-stream"):
            stream["example"] = STREAMED
        for content, name in _contents(response):
            if content["schema"].get("format") == "binary":
                content["example"] = "(the file itself)"
            answer = _answer(name, operation["operationId"])
            if answer is not None:
                content["example"] = answer


def _contents(part: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each content with the name of its schema."""
    for content in part.get("content", {}).values():
        yield content, content.get("schema", {}).get("$ref", "").rsplit("/", 1)[-1]


def _answer(name: str, operation_id: str) -> Any:
    if name == "OutcomeResponse":
        return ANSWERS[name] | OUTCOMES.get(operation_id, {})
    if name.startswith("Paginated"):
        row = _answer(name.removeprefix("Paginated").removesuffix("List"), operation_id)
        return None if row is None else {"next": None, "previous": None, "results": [row]}
    return ANSWERS.get(name)


def _call_bodies_by_their_operations(document: dict[str, Any]) -> None:
    """Describe each body without a description of its own by the operations that take it."""
    users: dict[str, list[str]] = {}
    for path in document["paths"].values():
        for operation in path.values():
            for _, name in _contents(operation.get("requestBody", {})):
                users.setdefault(name, []).append(f"`{operation['operationId']}`")
    for name, operations in users.items():
        schema = document["components"]["schemas"].get(name, {})
        if schema.get("description") == inspect.getdoc(RequestSerializer):
            schema["description"] = f"The body of {', '.join(operations)}."


# --- What is no endpoint of REST framework -----------------------------------------------------------------------


_TEXT = {"type": "string"}
_OF_ANY = (403, 405, 408, 414, 431)
"""The refusals of an address without a credential: the caller is not this machine, or the request is not read."""


def _operations() -> dict[str, Any]:
    ok, readiness, build = ({"$ref": f"#/components/schemas/{name}"} for name in ("Liveness", "Readiness", "Build"))
    checks = {"database": "ok", "migrations": "ok", "loops": "ok"}
    return {
        "/api/v1/health/live": _operation(
            "live", "Is the process alive", {"200": _response("It is.", ok, {"status": "ok"})}
        ),
        "/api/v1/health/ready": _operation(
            "ready",
            "Can it serve, with each thing that it needs",
            {
                "200": _response("It can.", readiness, {"status": "ok", "checks": checks}),
                "503": _response(
                    "Something is missing.",
                    readiness,
                    {"status": "unavailable", "checks": checks | {"database": "OperationalError"}},
                ),
            },
        ),
        "/api/v1/build": _operation(
            "build",
            "Which build this is",
            {
                "200": _response(
                    "Version, revision, and what it runs on.",
                    build,
                    {"version": VERSION, "revision": "f951c03", "python": "3.12.8", "django": "6.1.3"},
                )
            },
        ),
        "/api/v1/metrics": _operation(
            "metrics",
            "Figures for Prometheus",
            {
                "200": {
                    "description": "In Prometheus's own format.",
                    "content": {"text/plain": {"schema": _TEXT, "example": 'tandem_queue_length{tenant="demo"} 3.0\n'}},
                },
                "404": {"$ref": "#/components/responses/NotFound"},
            },
            description="With METRICS_TOKEN set, send it as the bearer; without it, only the machine itself may ask.",
        ),
    }


def _operation(name: str, summary: str, responses: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A GET that needs no credential."""
    operation = {
        "operationId": f"operations_{name}",
        "summary": summary,
        "tags": ["operations"],
        "security": [{}],
        **more,
    }
    return {"get": {**operation, "responses": responses | refused_with(_OF_ANY)}}


def _response(description: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema, "example": example}}}
