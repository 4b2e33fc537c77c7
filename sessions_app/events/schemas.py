"""The JSON schemas that the catalogue of events is made from: single values, groups of fields, the whole event.

The AsyncAPI document and the webhooks of the OpenAPI document quote them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from agents_app.actors import ActorKind
from agents_app.models import Agent
from messaging_app.models import Controller, Message
from sessions_app.models import Participant, SlaClock
from sessions_app.states import Kind, NoticeStatus, Override, Owner, ParticipantStatus, Status, TransferKind

type Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
ID: Schema = {"type": "string", "pattern": "^[0-9]+$"}
YES_NO: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
RULE: Schema = {"type": "string", "description": "The conflict rule that decided, C0 to C7."}


def one_of(words: type[StrEnum] | list[str]) -> Schema:
    """One of a few fixed words."""
    return {"type": "string", "enum": [str(word) for word in words]}


def nullable(schema: Schema) -> Schema:
    """The same, or null. The schema has one type, not a list of types."""
    return schema | {"type": [schema["type"], "null"]}


def list_of(item: Schema) -> Schema:
    """Any number of these."""
    return {"type": "array", "items": item}


# --- Groups of fields that several types of event have --------------------------------------------------------------

OWNER = {"owner_kind": one_of(Owner), "owner_id": nullable(ID)}
STATUS = one_of(Status)
MOVED = {"before": STATUS, "after": STATUS, "reason": TEXT, **OWNER}
MISSED = nullable(NUMBER) | {"description": "The conversation's operation since which things were said without it."}
TRANSFER = {"transfer_id": ID, "kind": one_of(TransferKind), "reason": TEXT}
OVERRIDE = {
    "override": YES_NO,
    "override_why": one_of(Override) | {"description": "Why it was let through; empty where nothing had to be."},
}
TRANSFER_ENDED = {**TRANSFER, "agent_id": nullable(ID), "override": OVERRIDE["override"]}
PERSON = {
    "participant_id": ID,
    "agent_id": nullable(ID),
    "role": one_of(Participant.Role.values),
    "status": one_of(ParticipantStatus),
    "notice": one_of(NoticeStatus),
}
MAIL = {"mail_id": ID, "transfer_id": ID}
SLA_CLOCK = {
    "clock_id": ID,
    "kind": one_of(SlaClock.Kind.values),
    "target": NUMBER | {"description": "Seconds."},
    "due_at": nullable(MOMENT) | {"description": "Null when it did not run at the end, or is never due."},
}
PRESENCE = {
    "availability": one_of(Agent.Availability.values),
    "reason": TEXT,
    "is_heard": YES_NO | {"description": "Whether there was a heartbeat lately (AGENT_AWAY_AFTER, 60 s)."},
    "max_load": NUMBER,
    "is_drained": YES_NO | {"description": "Whether the agent gets nothing new, and keeps what they serve."},
}
ANSWER: Schema = {
    "type": "object",
    "properties": {
        "controller": one_of(Controller.values) | {"description": "Who gets the customer's next message."},
        "epoch": NUMBER | {"description": "The turn's number: a bot sends it with what it says."},
        "rule": TEXT | {"description": "The conflict rule that decided, C0 to C7; empty where none had to."},
        "session_id": nullable(ID) | {"description": "The session that covers it; null until one does."},
        "transfer_id": nullable(ID) | {"description": "The transfer that it raised."},
        "status": TEXT | {"description": "The session's status; empty where there is none."},
    },
}
SET_ASIDE = YES_NO | {"description": "Present where an agent decided that the customer's words want no answer."}
LABEL = {"label_id": ID, "label": TEXT | {"description": "Its name at that time."}}
UNANSWERED = nullable(MOMENT) | {
    "description": "Since when the customer waits for an answer after this, null for no longer; absent where it follows "
    "from the event's type, or nothing changes."
}
GROUPED = {
    "session_id": ID,
    "kind": one_of(Kind),
    "status": STATUS,
    "owner_kind": one_of(Owner),
    "messages": NUMBER,
}


# --- The event around its data, with the message it may carry ---------------------------------------------------------

ATTACHMENT: Schema = {
    "type": "object",
    "required": ["id", "name", "media_type", "size", "sha256", "width", "height", "url", "preview_url"],
    "properties": {
        "id": TEXT,
        "name": TEXT,
        "media_type": TEXT | {"description": "By its content."},
        "size": NUMBER | {"description": "Bytes."},
        "sha256": TEXT,
        "width": nullable(NUMBER) | {"description": "Of a picture."},
        "height": nullable(NUMBER),
        "url": TEXT | {"description": "Where the file is, for whoever may read the message."},
        "preview_url": nullable(TEXT) | {"description": "A small copy of a picture."},
    },
}

MESSAGE: Schema = {
    "type": ["object", "null"],
    "description": "With `message.created`: what was said, as it is stored now; null where the reader may not see it.",
    "required": ["id", "message_id", "sender_type", "sender_name", "content", "sent_at", "is_note", "attachments"],
    "properties": {
        "id": TEXT,
        "message_id": TEXT,
        "sender_type": one_of(Message.Sender.values),
        "sender_name": TEXT,
        "content": TEXT | {"description": "May be empty where something is attached."},
        "sent_at": MOMENT,
        "is_note": YES_NO,
        "attachments": list_of(ATTACHMENT),
    },
}

EVENT: Schema = {
    "type": "object",
    "required": ["id", "type", "tenant", "conversation_id", "session_id", "seq", "pos", "at", "actor", "data"],
    "properties": {
        "id": TEXT | {"description": "The same by every way an event can come: to know what was handled already."},
        "type": TEXT,
        "tenant": TEXT,
        "conversation_id": nullable(TEXT)
        | {"description": "Null where something is the tenant's, as `agent.presence` is."},
        "session_id": nullable(TEXT),
        "seq": NUMBER
        | {"description": "Its number in the conversation: 1, 2, 3 without a gap. Always 1 where there is none."},
        "pos": NUMBER | {"description": "Its place in the tenant's stream. Whoever sees a part of it sees gaps."},
        "at": MOMENT,
        "actor": {
            "type": "object",
            "required": ["kind", "id", "name"],
            "properties": {"kind": one_of(ActorKind), "id": nullable(TEXT), "name": TEXT},
        },
        "data": {"type": "object"},
    },
}
"""What all events have in common."""
