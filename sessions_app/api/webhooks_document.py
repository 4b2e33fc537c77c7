"""Events in the OpenAPI document: a component for each type, and the requests that webhooks get.

They are made from `sessions_app.events.catalogue`, like the AsyncAPI document. A component requires the fields that
every reader gets. Those that only agents and programs get are declared and not required, because customers and
participants read events at the same address, with less in them.
"""

from __future__ import annotations

from typing import Any

from messaging_app.events import MESSAGE_CREATED
from messaging_app.webhooks.outbox import PING
from sessions_app.events.catalogue import EVENT_TYPES
from sessions_app.events.schemas import ATTACHMENT, EVENT, MESSAGE, Schema

FIELDS: dict[str, str] = {
    "actor": "Who did it.",
    "after": "The status after it.",
    "agent_id": "The agent whom it is about; null for none.",
    "availability": "What the agent declares.",
    "before": "The status before it.",
    "by": "The name of who raised it.",
    "by_kind": "What raised it, where somebody said why.",
    "channel": "By which channel the notice went.",
    "clock_id": "The clock's id.",
    "created": "Sessions that were made.",
    "data": "What happened, by the event's type.",
    "decision_id": "The id of the decision that says why this agent.",
    "digest": "SHA-256 of what was said.",
    "echo_id": "The id under which the channel echoed it.",
    "effect": "Whether it marks the conversation, or asks for a human.",
    "extended": "Sessions of before that took in messages.",
    "flow_id": "The flow's id.",
    "label_id": "The label's id.",
    "mail_id": "The e-mail's id.",
    "MessageCreatedData.message": "The message's id.",
    "messages": "How many messages.",
    "notice": "How far the invitation's notice is.",
    "override": "Whether it went beyond the agent's capacity, on record.",
    "owner_id": "The owner's id; null for nobody, and where the owner has none.",
    "owner_kind": "Who works the session now; empty for nobody.",
    "preempted": "Whether another session took its turn.",
    "role": "As what they are in the conversation.",
    "session_id": "The session it is about; null for none.",
    "severity": "How pressing it is: high, medium or low.",
    "tenant": "The tenant's short name.",
    "to_agent_id": "The agent it is addressed to; null for nobody in particular.",
    "to_team_id": "The team it is addressed to; null for no team in particular.",
    "was_id": "The id of the owner before; null for nobody.",
    "was_kind": "Who worked the session before; empty for nobody.",
}
"""Descriptions of fields that are not in `glossary`, or mean something else in events than in responses."""

_SIGNED = {
    "webhook-id": "The event's id, the same at every attempt: pass over what you know.",
    "webhook-timestamp": "When this attempt was made, in seconds since 1970.",
    "webhook-signature": "`v1,` and the base64 of HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`; several by blanks.",
}
_PING = "Sent when it is asked for, to try a webhook; it is no event of the stream, and is tried once."
_OF_A_PING = ("id", "type", "tenant", "at")
"""The fields of an event that `messaging_app.webhooks.delivery` sends with a ping."""
_RECEIVED = "Any 2xx, to its end and within 10 seconds: it has arrived. All else is tried again, but for 410."


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _name(type: str) -> str:
    """`message.created` → `MessageCreated`; a type of a family has the family's name."""
    return EVENT_TYPES[type].family or "".join(word.capitalize() for word in type.replace(".", "_").split("_"))


def _families() -> dict[str, list[str]]:
    families: dict[str, list[str]] = {}
    for type in EVENT_TYPES:
        families.setdefault(_name(type), []).append(type)
    return families


def type_enums() -> dict[str, tuple[list[Any], str]]:
    """The types of each family that has several, in the form of `enumerations.ENUMS`."""
    return {
        f"{name}EventType": (types, f"What a `{name}Event` tells of.")
        for name, types in _families().items()
        if len(types) > 1
    }


def _object(description: str, required: list[str], properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "description": description, "required": required, "properties": properties}


def components() -> dict[str, Schema]:
    """`Event`, which is one of all types; each type as `…Event` with its `…Data`; and what they have in common."""
    common: dict[str, Schema] = EVENT["properties"]
    made: dict[str, Schema] = {
        "EventActor": common["actor"] | {"description": "Who did something, with the name as it was then."},
        "EventAttachment": ATTACHMENT | {"description": "A file that came with a message."},
        "EventMessage": MESSAGE
        | {
            "type": "object",
            "description": "What was said, as it is stored now.",
            "properties": MESSAGE["properties"]
            | {"attachments": {"type": "array", "items": _reference("EventAttachment")}},
        },
    }
    for name, types in _families().items():
        made |= _family(name, types)
    made["PingEvent"] = _object(
        _PING,
        list(_OF_A_PING),
        {name: common[name] for name in _OF_A_PING}
        | {
            "id": {"type": "string", "description": "That of its delivery (`event_id`)."},
            "type": {"type": "string", "const": PING, "description": "That it is a ping."},
        },
    )
    made["Event"] = {
        "description": "One event; `type` says which.",
        "oneOf": [_reference(f"{name}Event") for name in _families()],
        "discriminator": {
            "propertyName": "type",
            "mapping": {type: _reference(f"{_name(type)}Event")["$ref"] for type in EVENT_TYPES},
        },
    }
    return made


def _family(name: str, types: list[str]) -> dict[str, Schema]:
    """The event and the data of one type, or of several that differ by little."""
    members = [EVENT_TYPES[type] for type in types]
    data: dict[str, Schema] = {}
    for member in members:
        data |= member.schema()["properties"]
    always = [field for field in members[0].shared if all(field in member.shared for member in members)]
    what = {"type": "string", "enum": list(types)} if len(types) > 1 else {"type": "string", "const": types[0]}
    properties = EVENT["properties"] | {
        "type": what | {"description": "What happened."},
        "actor": _reference("EventActor"),
        "data": _reference(f"{name}Data"),
    }
    required = list(EVENT["required"])
    if types == [MESSAGE_CREATED]:
        message = {"oneOf": [_reference("EventMessage"), {"type": "null"}], "description": MESSAGE["description"]}
        properties, required = properties | {"message": message}, [*required, "message"]
    meanings = [f"`{type}`: {member.meaning}" for type, member in zip(types, members, strict=True)]
    return {
        f"{name}Data": _object(f"The data of {', '.join(f'`{type}`' for type in types)}.", always, data),
        f"{name}Event": _object("\n".join(meanings), required, properties),
    }


def parameters() -> dict[str, Any]:
    """The headers that each request to a webhook has, by name."""
    return {
        name: {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": description}
        for name, description in _SIGNED.items()
    }


def webhooks() -> dict[str, Any]:
    """The request to a receiver for each event type: the event under `data`, signed (Standard Webhooks)."""
    meanings = {type: (entry.meaning, f"{_name(type)}Event") for type, entry in EVENT_TYPES.items()} | {
        PING: (_PING, "PingEvent")
    }
    return {type: {"post": _delivery(type, meaning, event)} for type, (meaning, event) in meanings.items()}


def _delivery(type: str, meaning: str, event: str) -> dict[str, Any]:
    body = _object(
        "An event on its way to a webhook.",
        ["type", "timestamp", "data"],
        {
            "type": {"type": "string", "const": type, "description": "What happened."},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
            "data": {"allOf": [_reference(event)], "description": "The event."},
        },
    )
    return {
        "operationId": f"webhook_{type.replace('.', '_')}",
        "summary": meaning,
        "tags": ["webhooks"],
        "security": [],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in _SIGNED],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "2XX": {"description": _RECEIVED},
            "410": {"description": "No more of this: the webhook is disabled."},
        },
    }
