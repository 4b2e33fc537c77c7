"""The AsyncAPI document: every event with its schema, and the channels by which it comes. Made from `catalogue`."""

from __future__ import annotations

from typing import Any

import yaml
from django.conf import settings

from agents_app.connections.registry import Close
from config import build
from sessions_app.events.catalogue import EVENT_TYPES, schema_of
from sessions_app.events.schemas import EVENT, TEXT, Schema

PAGE = settings.BASE_DIR / "docs" / "asyncapi.yaml"

INTRODUCTION = """\
Every change is an event, once, in the order of its tenant's stream. docs/events.md says how to follow them and how to
go on after a break. Fields may be added; pass over what you do not know.
"""
_CLOSED = "Always accepted; what is refused, or ends, is closed with a code and its reason: " + ", ".join(
    f"{int(code)} {code.reason}" for code in Close
)
_HEAD = "# Made from sessions_app/events/catalogue.py by `python manage.py asyncapi_doc`; do not edit. A test fails when stale.\n"
_EVENT = {"$ref": "#/components/schemas/event"}
_QUERY: Schema = {
    "type": "object",
    "properties": {
        "after": TEXT | {"description": "The cursor of the last event; left out: from now on."},
        "types": TEXT | {"description": "Of these types only, by commas; `session.*` for all of a kind."},
        "conversation": TEXT | {"description": "Of this conversation only."},
    },
}


def _frame(type: str, meaning: str, **fields: Schema) -> dict[str, Any]:
    properties = {"type": {"const": type}, **fields}
    return {
        "name": type,
        "summary": meaning,
        "contentType": "application/json",
        "payload": {"type": "object", "required": list(properties), "properties": properties},
    }


def document() -> dict[str, Any]:
    """The whole document, as AsyncAPI 3.0 wants it."""
    names = {type: type.replace(".", "_") for type in EVENT_TYPES}
    events = {name: {"$ref": f"#/components/messages/{name}"} for name in names.values()}
    cursor = TEXT | {"description": "Send it as `after` to go on from here."}
    any_event = {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in names.values()]}
    frames = {
        "hello": _frame("hello", "The first frame: where this connection begins.", cursor=cursor),
        "event": _frame("event", "One event.", cursor=cursor, event=any_event),
        "reset": _frame("reset", "The cursor was too old, or unknown: read the present state.", cursor=cursor),
        "heartbeat": _frame("heartbeat", "Nothing came for a while; the cursor may have moved on.", cursor=cursor),
        "ping": _frame("ping", "From the client, at any time."),
        "pong": _frame("pong", "The answer to it."),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Tandem events", "version": build.VERSION, "description": INTRODUCTION},
        "defaultContentType": "application/json",
        "servers": {
            "http": {"host": "{host}", "protocol": "https", "variables": {"host": {"default": "127.0.0.1:8000"}}},
            "sockets": {"host": "{host}", "protocol": "wss", "variables": {"host": {"default": "127.0.0.1:8000"}}},
        },
        "channels": {
            "stream": {
                "address": "/api/v1/events",
                "summary": "Server-sent events: `id` is the cursor, `event` the type, `data` one event as JSON.",
                "servers": [{"$ref": "#/servers/http"}],
                "messages": events,
            },
            "socket": {
                "address": "/ws/events/",
                "summary": "The same over a WebSocket, with a one-use ticket (`ticket`) or an agent's login.",
                "description": _CLOSED,
                "servers": [{"$ref": "#/servers/sockets"}],
                "messages": {name: {"$ref": f"#/components/messages/frame_{name}"} for name in frames},
                "bindings": {"ws": {"method": "GET", "query": _QUERY, "bindingVersion": "0.1.0"}},
            },
        },
        "operations": {
            "followStream": {
                "action": "send",
                "channel": {"$ref": "#/channels/stream"},
                "bindings": {"http": {"method": "GET", "query": _QUERY, "bindingVersion": "0.3.0"}},
            },
            "followSocket": {
                "action": "send",
                "channel": {"$ref": "#/channels/socket"},
                "messages": [{"$ref": f"#/channels/socket/messages/{name}"} for name in frames if name != "ping"],
            },
            "ping": {
                "action": "receive",
                "channel": {"$ref": "#/channels/socket"},
                "messages": [{"$ref": "#/channels/socket/messages/ping"}],
            },
        },
        "components": {
            "messages": {
                **{
                    name: {
                        "name": type,
                        "summary": EVENT_TYPES[type].meaning,
                        "payload": {"$ref": f"#/components/schemas/{name}"},
                    }
                    for type, name in names.items()
                },
                **{f"frame_{name}": frame for name, frame in frames.items()},
            },
            "schemas": {
                "event": EVENT,
                **{name: {"allOf": [_EVENT, schema_of(type)]} for type, name in names.items()},
            },
        },
    }


class _Plain(yaml.SafeDumper):
    """Everything written out where it stands: references between schemas are AsyncAPI's, not YAML's."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def page() -> str:
    """The text of docs/asyncapi.yaml."""
    return _HEAD + yaml.dump(document(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
