"""What the probe asks at every address: in which states of the conversation, and with which body.

A line is a method, an address and the states; without any, the conversation is served. `?word` names another body for
the same address, `?name=value` is a query. Every body is one that its address takes: what is refused is refused for who
asks and what is asked for, and never for how. An address without a line fails the test, with its name.

That matters where the body is looked at first. The API asks for the credential, then for the key's scope, then reads the
body, and then asks the verb, for the role before the thing: a body that makes no sense is 400 for somebody who may not do it
either, and says nothing of what exists. Batches are the other way round, because they are long: whoever may not bring them
is refused before they are read. The desk asks for the login before all else.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from tests.probe.addresses import path_of

type Place = Mapping[str, Any]
"""The ids of one conversation and of all that is about it, by their names in addresses."""

STATES = ("served", "queued", "with_bot", "paused", "pending", "quiet")

ASKED = """
GET    conversations
GET    conversations?saved_view={view}
GET    conversations?saved_view={team_view}
GET    conversations/availability?shop_id=shop-1&account_id=x
GET    conversations/{conversation}
GET    conversations/{conversation}/messages
GET    conversations/{conversation}/timeline
GET    conversations/{conversation}/participants
GET    conversations/{conversation}/queue                             queued
POST   conversations/{conversation}/escalate                          served with_bot queued
POST   conversations/{conversation}/take-over                         served with_bot queued
POST   conversations/{conversation}/grab                              served queued
POST   conversations/{conversation}/transfer                          served queued
POST   conversations/{conversation}/release                           served queued
POST   conversations/{conversation}/resolve                           served queued
POST   conversations/{conversation}/reassign                          served queued
POST   conversations/{conversation}/invite-colleague                  served queued
POST   conversations/{conversation}/invite                            served queued
POST   conversations/{conversation}/invite-department                 served queued
POST   conversations/{conversation}/pin
POST   conversations/{conversation}/unpin
POST   conversations/{conversation}/todo
POST   conversations/{conversation}/untodo
POST   conversations/{conversation}/urgent
POST   conversations/{conversation}/not-urgent
POST   conversations/{conversation}/acknowledge
POST   conversations/{conversation}/read
POST   conversations/{conversation}/notes
POST   conversations/{conversation}/leave
POST   conversations/{conversation}/raise-hand                        with_bot
POST   conversations/{conversation}/label
POST   conversations/{conversation}/unlabel
POST   conversations/{conversation}/participants/{participant}/remove
POST   conversations/{conversation}/participants/{participant}/notify
POST   conversations/{conversation}/attachments                       served with_bot
POST   conversations/bulk
POST   conversations/bulk?label
GET    attachments/{attachment}
GET    attachments/{attachment}/content
GET    attachments/{attachment}/preview
DELETE attachments/{attachment}
GET    attachments/{unsent}
GET    attachments/{unsent}/content
GET    attachments/{unsent}/preview
DELETE attachments/{unsent}
GET    sessions
GET    sessions/{session}
POST   sessions                                                       served with_bot quiet
POST   sessions?robot                                                 with_bot
POST   sessions/heartbeat
POST   sessions/{session}/activate                                    pending
POST   sessions/{session}/pause                                       with_bot
POST   sessions/{session}/resume                                      paused
POST   sessions/{session}/complete                                    served with_bot queued
POST   sessions/{session}/cancel                                      served with_bot queued
POST   sessions/{session}/priority
POST   sessions/{session}/recover
GET    transfers
GET    transfers/{transfer}
GET    transfers/{transfer}/decisions
POST   transfers/{transfer}/accept                                    served queued
POST   transfers/{transfer}/decline                                   served queued
POST   transfers/{transfer}/withdraw                                  served queued
GET    flows
GET    flows/{flow}
POST   flows                                                          served with_bot
POST   flows/{flow}/bind                                              served with_bot
POST   flows/{flow}/move
POST   flows/{flow}/renew
POST   inbound                                                        with_bot served
POST   messages                                                       served with_bot
POST   messages?echo                                                  with_bot
POST   tokens
POST   join
POST   join?link
GET    agents
GET    agents/me
GET    agents/{agent}
POST   agents/me/availability
POST   agents/{agent}/availability
POST   agents/{agent}/capacity
POST   agents/{agent}/dismiss
POST   agents/{agent}/drain
POST   agents/{agent}/undrain
GET    teams
GET    departments
GET    canned-replies
GET    canned-replies?conversation_id={conversation}
POST   canned-replies
POST   canned-replies?shared
GET    canned-replies/{reply}
PATCH  canned-replies/{reply}
DELETE canned-replies/{reply}
POST   canned-replies/{reply}/render
GET    canned-replies/{team_reply}
PATCH  canned-replies/{team_reply}
DELETE canned-replies/{team_reply}
POST   canned-replies/{team_reply}/render
GET    labels
POST   labels
GET    labels/{label}
PATCH  labels/{label}
DELETE labels/{label}
GET    saved-views
POST   saved-views
POST   saved-views?shared
GET    saved-views/{view}
PATCH  saved-views/{view}
DELETE saved-views/{view}
GET    saved-views/{team_view}
PATCH  saved-views/{team_view}
DELETE saved-views/{team_view}
GET    mentions
POST   mentions/{mention}/read
GET    events
GET    events?conversation={conversation}
POST   events/tickets
GET    webhooks
POST   webhooks
GET    webhooks/{webhook}
PATCH  webhooks/{webhook}
DELETE webhooks/{webhook}
POST   webhooks/{webhook}/ping
POST   webhooks/{webhook}/rotate-secret
POST   webhooks/{webhook}/replay
GET    webhooks/{webhook}/deliveries
POST   webhooks/{webhook}/deliveries/{delivery}/replay
POST   batches
POST   batches?customer
POST   batches?agent
GET    batches/{batch}
GET    health/live
GET    health/ready
GET    build
GET    metrics
GET    openapi.json
GET    asyncapi.yaml
GET    /api/docs
GET    /api/docs/errors
GET    /api/nowhere
POST   /api/nowhere
GET    /
POST   /
PUT    /
PATCH  /
DELETE /
GET    /login/
PUT    /login/
POST   /login/
POST   /logout/
GET    /language/
POST   /language/
GET    /desk/
GET    /desk/list/
GET    /desk/colleagues/?q=a
GET    /desk/command/?q=shop
POST   /desk/here/
POST   /desk/presence/
POST   /desk/bulk/
GET    /desk/replies/
POST   /desk/replies/
POST   /desk/replies/{reply}/
POST   /desk/replies/{reply}/delete/
POST   /desk/replies/{team_reply}/delete/
POST   /desk/views/
POST   /desk/views/{view}/delete/
POST   /desk/views/{team_view}/delete/
GET    /desk/c/{conversation}/
GET    /desk/c/{conversation}/news/?seq=0
GET    /desk/c/{conversation}/replies/?q=a
GET    /desk/c/{conversation}/timeline/
GET    /desk/c/{conversation}/past/
GET    /desk/c/{conversation}/recipients/
POST   /desk/c/{conversation}/say/
POST   /desk/c/{conversation}/say/?reply
POST   /desk/c/{conversation}/draft/
POST   /desk/c/{conversation}/read/
POST   /desk/c/{conversation}/attach/
GET    /desk/files/{attachment}/
GET    /desk/files/{attachment}/preview/
GET    /desk/files/{unsent}/
POST   /desk/files/{attachment}/discard/
POST   /desk/files/{unsent}/discard/
POST   /desk/c/{conversation}/accept/                                 queued
POST   /desk/c/{conversation}/decline/                                queued
POST   /desk/c/{conversation}/withdraw/                               queued served
POST   /desk/c/{conversation}/take-over/                              with_bot
POST   /desk/c/{conversation}/take/                                   quiet
POST   /desk/c/{conversation}/grab/
POST   /desk/c/{conversation}/release/
POST   /desk/c/{conversation}/resolve/
POST   /desk/c/{conversation}/resolve-next/
POST   /desk/c/{conversation}/transfer/
POST   /desk/c/{conversation}/escalate/                               with_bot
POST   /desk/c/{conversation}/pause/                                  with_bot
POST   /desk/c/{conversation}/resume/                                 paused
POST   /desk/c/{conversation}/looked/
POST   /desk/c/{conversation}/label/
POST   /desk/c/{conversation}/unlabel/
POST   /desk/c/{conversation}/pin/
POST   /desk/c/{conversation}/unpin/
POST   /desk/c/{conversation}/todo/
POST   /desk/c/{conversation}/untodo/
POST   /desk/c/{conversation}/mark-urgent/
POST   /desk/c/{conversation}/unmark-urgent/
POST   /desk/c/{conversation}/invite-colleague/
POST   /desk/c/{conversation}/invite/
POST   /desk/c/{conversation}/invite-department/
POST   /desk/c/{conversation}/remove/
POST   /desk/c/{conversation}/send-again/
POST   /desk/c/{conversation}/leave/
GET    /design/
GET    /design/row/mine/
GET    /try-it/
GET    /try-it/news/
POST   /try-it/say/
POST   /try-it/again/
POST   /try-it/attach/
GET    /try-it/files/{attachment}/
GET    /try-it/files/{attachment}/preview/
POST   /try-it/files/{unsent}/discard/
GET    /join/{link}
GET    /join/never-was
POST   /join/
POST   /join/?link
GET    /joined/{joined}/
GET    /joined/{joined}/news/
POST   /joined/{joined}/say/
POST   /joined/{joined}/leave/
POST   /joined/{joined}/attach/
GET    /joined/{joined}/files/{attachment}/
GET    /joined/{joined}/files/{attachment}/preview/
POST   /joined/{joined}/files/{unsent}/discard/
"""


def picture() -> SimpleUploadedFile:
    drawn = io.BytesIO()
    Image.new("RGB", (8, 8), "navy").save(drawn, "PNG")
    return SimpleUploadedFile("lamp.png", drawn.getvalue(), "image/png")


def _line(sender: str) -> dict[str, Any]:
    """A line of a batch, of long ago."""
    return {
        "message_id": f"{sender}-of-old",
        "shop_id": "shop-1",
        "account_id": "of-old",
        "sender_type": sender,
        "content": "Good morning.",
        "timestamp": "2025-03-01T09:00:00Z",
    }


type Body = Callable[[Place], dict[str, Any]]

BODIES: dict[str, Body] = {
    "conversations/{conversation}/grab": lambda at: {"reason": "I know this customer."},
    "conversations/{conversation}/transfer": lambda at: {"to_agent_id": str(at["agent"])},
    "conversations/{conversation}/reassign": lambda at: {"reason": "Has gone home."},
    "conversations/{conversation}/invite-colleague": lambda at: {"agent_id": str(at["agent"])},
    "conversations/{conversation}/invite": lambda at: {"name": "Ivo"},
    "conversations/{conversation}/invite-department": lambda at: {"department_id": "Warehouse"},
    "conversations/{conversation}/read": lambda at: {"seq": 1},
    "conversations/{conversation}/notes": lambda at: {"content": "Seen."},
    "conversations/{conversation}/label": lambda at: {"label_id": str(at["label"])},
    "conversations/{conversation}/unlabel": lambda at: {"label_id": str(at["label"])},
    "conversations/{conversation}/attachments": lambda at: {"file": picture()},
    "conversations/bulk": lambda at: {"ids": [str(at["conversation"])], "action": "todo"},
    "conversations/bulk?label": lambda at: {
        "ids": [str(at["conversation"])],
        "action": "label",
        "label_id": str(at["label"]),
    },
    "sessions": lambda at: {"conversation_id": str(at["conversation"]), "robot": False},
    "sessions?robot": lambda at: {"conversation_id": str(at["conversation"]), "bot_id": str(at["bot"])},
    "sessions/{session}/priority": lambda at: {"priority": 2},
    "flows": lambda at: {
        "conversation_id": str(at["conversation"]),
        "trigger_id": "of-the-probe",
        "question": "Which colour?",
    },
    "flows/{flow}/bind": lambda at: {"conversation_id": str(at["conversation"])},
    "flows/{flow}/move": lambda at: {"to": "ignored", "version": 1},
    "flows/{flow}/renew": lambda at: {"version": 1},
    "inbound": lambda at: {"conversation_id": str(at["conversation"]), "content": "Is it still there?"},
    "messages": lambda at: {
        "conversation_id": str(at["conversation"]),
        "content": "It is.",
        "epoch": at["epoch"],
    },
    "messages?echo": lambda at: {"conversation_id": str(at["conversation"]), "content": "It is.", "echo": True},
    "tokens": lambda at: {"conversation_id": str(at["conversation"])},
    "join": lambda at: {"tenant": "probed", "token": "never-was"},
    "join?link": lambda at: {"tenant": "probed", "token": at["link"]},
    "agents/me/availability": lambda at: {"availability": "break"},
    "agents/{agent}/availability": lambda at: {"availability": "break", "reason": "Lunch."},
    "agents/{agent}/capacity": lambda at: {"max_load": 4},
    "agents/{agent}/dismiss": lambda at: {"reason": "Moves away."},
    "agents/{agent}/drain": lambda at: {"reason": "Goes home soon."},
    "agents/{agent}/undrain": lambda at: {},
    "canned-replies": lambda at: {"shortcut": "/probe", "title": "Probe", "text": "Good morning {customer}"},
    "canned-replies?shared": lambda at: {
        "scope": "tenant",
        "shortcut": "/probe",
        "title": "Probe",
        "text": "Good morning",
    },
    "canned-replies/{reply}": lambda at: {"title": "Changed"},
    "canned-replies/{team_reply}": lambda at: {"title": "Changed"},
    "canned-replies/{reply}/render": lambda at: {"conversation_id": str(at["conversation"])},
    "canned-replies/{team_reply}/render": lambda at: {"conversation_id": str(at["conversation"])},
    "labels": lambda at: {"name": "of the probe"},
    "labels/{label}": lambda at: {"name": "changed"},
    "saved-views": lambda at: {"name": "Of the probe", "filter": {"view": "all"}},
    "saved-views?shared": lambda at: {"scope": "tenant", "name": "Of the probe", "filter": {"view": "all"}},
    "saved-views/{view}": lambda at: {"name": "Changed"},
    "saved-views/{team_view}": lambda at: {"name": "Changed"},
    "webhooks": lambda at: {"url": "http://127.0.0.1:9998/probe"},
    "webhooks/{webhook}": lambda at: {"description": "Of the probe."},
    "webhooks/{webhook}/replay": lambda at: {"after": 0},
    "batches": lambda at: {"rows": []},
    "batches?customer": lambda at: {"rows": [_line("customer")]},
    "batches?agent": lambda at: {"rows": [_line("agent")]},
    "/language/": lambda at: {"language": "de", "next": "/try-it/"},
    "/desk/presence/": lambda at: {"availability": "break"},
    "/desk/bulk/": lambda at: {"id": at["conversation"], "action": "todo"},
    "/desk/replies/": lambda at: {"shortcut": "/probe", "title": "Probe", "text": "Good morning"},
    "/desk/replies/{reply}/": lambda at: {"shortcut": "/probe", "title": "Probe", "text": "Good morning"},
    "/desk/views/": lambda at: {"name": "Of the probe"},
    "/desk/c/{conversation}/say/": lambda at: {"mode": "note", "content": "Seen."},
    "/desk/c/{conversation}/say/?reply": lambda at: {"mode": "reply", "content": "It is."},
    "/desk/c/{conversation}/draft/": lambda at: {"mode": "note", "content": "See"},
    "/desk/c/{conversation}/read/": lambda at: {"seq": 1},
    "/desk/c/{conversation}/attach/": lambda at: {"file": picture()},
    "/desk/c/{conversation}/accept/": lambda at: {"transfer": at["transfer"]},
    "/desk/c/{conversation}/decline/": lambda at: {"transfer": at["transfer"]},
    "/desk/c/{conversation}/withdraw/": lambda at: {"transfer": at["transfer"]},
    "/desk/c/{conversation}/grab/": lambda at: {"reason": "I know this customer."},
    "/desk/c/{conversation}/transfer/": lambda at: {"to": f"agent:{at['agent']}"},
    "/desk/c/{conversation}/escalate/": lambda at: {"to": "queue"},
    "/desk/c/{conversation}/pause/": lambda at: {"session": at["session"]},
    "/desk/c/{conversation}/resume/": lambda at: {"session": at["session"]},
    "/desk/c/{conversation}/label/": lambda at: {"label": at["label"]},
    "/desk/c/{conversation}/unlabel/": lambda at: {"label": at["label"]},
    "/desk/c/{conversation}/invite-colleague/": lambda at: {"agent": at["agent"]},
    "/desk/c/{conversation}/invite/": lambda at: {"name": "Ivo", "role": "guest"},
    "/desk/c/{conversation}/invite-department/": lambda at: {"department": "Warehouse"},
    "/desk/c/{conversation}/remove/": lambda at: {"participant": at["participant"]},
    "/desk/c/{conversation}/send-again/": lambda at: {"participant": at["participant"]},
    "/try-it/say/": lambda at: {"content": "Is it still there?"},
    "/try-it/attach/": lambda at: {"file": picture()},
    "/join/": lambda at: {"token": "never-was"},
    "/join/?link": lambda at: {"token": at["link"]},
    "/joined/{joined}/say/": lambda at: {"content": "It is here."},
    "/joined/{joined}/attach/": lambda at: {"file": picture()},
}

_SHARED_ADDRESS = {
    "{team_reply}": "{reply}",
    "{team_view}": "{view}",
    "{unsent}": "{attachment}",
    "/join/never-was": "/join/{link}",
}
"""What else is asked for at an address, and the address."""


@dataclass(frozen=True)
class Ask:
    """One thing that is asked, of everybody. `pattern` is as it stands in ASKED."""

    method: str
    pattern: str
    state: str

    def __str__(self) -> str:
        return f"{self.method} {self.pattern} ({self.state})"

    @property
    def is_page(self) -> bool:
        return self.pattern.startswith("/")

    @property
    def writes(self) -> bool:
        """A reply that is filled in is sent as a POST, and changes nothing."""
        return self.method != "GET" and not self.pattern.endswith("/render")

    @property
    def address(self) -> str:
        """As the resolver has it."""
        plain = self.pattern.partition("?")[0]
        for thing, its in _SHARED_ADDRESS.items():
            plain = plain.replace(thing, its)
        return plain

    @property
    def names_something(self) -> bool:
        """Whether it matters whose conversation it is."""
        body = BODIES.get(self.pattern)
        return "{" in self.pattern or bool(body and self.method != "GET" and _reads(body))

    def path(self, at: Place) -> str:
        plain, _, more = path_of(self.pattern).partition("?")
        return (f"{plain}?{more}" if "=" in more else plain).format_map(at)

    def body(self, at: Place) -> dict[str, Any]:
        body = BODIES.get(self.pattern)
        return body(at) if body and self.method in ("POST", "PATCH") else {}


class _Watched(dict[str, Any]):
    is_read = False

    def __missing__(self, name: str) -> int:
        self.is_read = True
        return 0


def _reads(body: Body) -> bool:
    watched = _Watched()
    body(watched)
    return watched.is_read


def asks() -> list[Ask]:
    found = []
    for line in ASKED.strip().splitlines():
        method, pattern, *states = line.split()
        found += [Ask(method, pattern, state) for state in states or ("served",)]
    return found
