"""Who is answered what, at every address: the table that test_rights_matrix.py holds the installation against.

One line is an address and method, tried in one state of the conversation (`tests.api.world`). A cell has one letter for
the conversation that is the caller's own, one for another of the same tenant, one for another tenant's:

    + done     = let in, and told that the state forbids it (409)     k 401 no credential
    - 403      0 404, word for word as for what does not exist        l sent to the login

An address that names nothing has one letter. What a caller is shown of a list has tests of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from tests import uploads
from tests.api.world import ROLES, Place

TABLE = """
# state  method address                                                        anon   cust   part   bot    integr agent  superv admin
served   GET    conversations                                                  k      +      +      +      +      +      +      +
served   GET    conversations/availability?shop_id=shop-1&account_id=x         k      -      -      +      +      +      +      +
served   GET    conversations/{conversation}                                   kkk    +00    +00    +00    ++0    ++0    ++0    ++0
served   GET    conversations/{conversation}/messages                          kkk    +00    +00    +00    ++0    ++0    ++0    ++0
served   GET    conversations/{conversation}/timeline                          kkk    +00    +00    +00    ++0    ++0    ++0    ++0
served   GET    conversations/{conversation}/participants                      kkk    +00    +00    +00    ++0    ++0    ++0    ++0
queued   GET    conversations/{conversation}/queue                             kkk    +00    +00    +00    ++0    ++0    ++0    ++0
with_bot POST   conversations/{conversation}/escalate                          kkk    +00    ---    +00    ++0    ++0    ++0    ++0
served   POST   conversations/{conversation}/escalate                          kkk    +00    ---    =00    ==0    =-0    ==0    ==0
with_bot POST   conversations/{conversation}/take-over                         kkk    ---    ---    ---    ---    ++0    ++0    ++0
served   POST   conversations/{conversation}/take-over                         kkk    ---    ---    ---    ---    +=0    ==0    ==0
queued   POST   conversations/{conversation}/take-over                         kkk    ---    ---    ---    ---    ==0    ==0    ==0
served   POST   conversations/{conversation}/grab                              kkk    ---    ---    ---    ---    =+0    ++0    ++0
queued   POST   conversations/{conversation}/grab                              kkk    ---    ---    ---    ---    ==0    ==0    ==0
served   POST   conversations/{conversation}/transfer                          kkk    ---    ---    ---    ---    +-0    ++0    ++0
queued   POST   conversations/{conversation}/transfer                          kkk    ---    ---    ---    ---    ++0    ++0    ++0
served   POST   conversations/{conversation}/release                           kkk    ---    ---    ---    ---    +-0    ++0    ++0
queued   POST   conversations/{conversation}/release                           kkk    ---    ---    ---    ---    ==0    ==0    ==0
served   POST   conversations/{conversation}/resolve                           kkk    ---    ---    ---    ---    +-0    ++0    ++0
queued   POST   conversations/{conversation}/resolve                           kkk    ---    ---    ---    ---    ==0    ==0    ==0
served   POST   conversations/{conversation}/reassign                          kkk    ---    ---    ---    ---    ---    ++0    ++0
queued   POST   conversations/{conversation}/reassign                          kkk    ---    ---    ---    ---    ---    ==0    ==0
served   POST   conversations/{conversation}/invite-colleague                  kkk    ---    ---    ---    ---    +-0    --0    --0
queued   POST   conversations/{conversation}/invite-colleague                  kkk    ---    ---    ---    ---    ==0    ==0    ==0
served   POST   conversations/{conversation}/invite                            kkk    ---    ---    ---    ---    +-0    ++0    ++0
queued   POST   conversations/{conversation}/invite                            kkk    ---    ---    ---    ---    ==0    ==0    ==0
served   POST   conversations/{conversation}/invite-department                 kkk    ---    ---    ---    ---    +-0    ++0    ++0
queued   POST   conversations/{conversation}/invite-department                 kkk    ---    ---    ---    ---    ==0    ==0    ==0
served   GET    departments                                                    k      -      -      -      -      +      +      +
served   POST   conversations/{conversation}/pin                               kkk    ---    ---    ---    ---    ++0    ++0    ++0
served   POST   conversations/{conversation}/unpin                             kkk    ---    ---    ---    ---    ++0    ++0    ++0
served   POST   conversations/{conversation}/todo                              kkk    ---    ---    ---    ---    ++0    ++0    ++0
served   POST   conversations/{conversation}/untodo                            kkk    ---    ---    ---    ---    ++0    ++0    ++0
served   POST   conversations/{conversation}/urgent                            kkk    ---    ---    ---    ---    ++0    ++0    ++0
served   POST   conversations/{conversation}/not-urgent                        kkk    ---    ---    ---    ---    ++0    ++0    ++0
served   POST   conversations/{conversation}/acknowledge                       kkk    ---    ---    ---    ---    ++0    ++0    ++0
served   POST   conversations/{conversation}/read                              kkk    ---    ---    ---    ---    ++0    ++0    ++0
served   POST   conversations/{conversation}/notes                             kkk    ---    ---    ---    ---    ++0    ++0    ++0
served   POST   conversations/{conversation}/leave                             kkk    ---    +00    ---    ---    =00    000    000
with_bot POST   conversations/{conversation}/raise-hand                        kkk    +00    ---    +00    ++0    ++0    ++0    ++0
served   POST   conversations/{conversation}/participants/{participant}/remove kkk    ---    ---    ---    ---    +-0    ++0    ++0
served   POST   conversations/{conversation}/participants/{participant}/notify kkk    ---    ---    ---    ---    =-0    ==0    ==0
served   POST   conversations/{conversation}/attachments                       kkk    +00    +00    -00    ++0    +-0    --0    --0
with_bot POST   conversations/{conversation}/attachments                       kkk    +00    +00    +00    ++0    ==0    ==0    ==0
served   GET    attachments/{attachment}                                       kkk    +00    +00    +00    ++0    ++0    ++0    ++0
served   GET    attachments/{attachment}/content                               kkk    +00    +00    +00    ++0    ++0    ++0    ++0
served   GET    attachments/{attachment}/preview                               kkk    +00    +00    +00    ++0    ++0    ++0    ++0
served   DELETE attachments/{attachment}                                       kkk    000    000    000    =00    000    000    000
served   GET    attachments/{unsent}                                           kkk    000    000    000    +00    000    000    000
served   GET    attachments/{unsent}/content                                   kkk    000    000    000    +00    000    000    000
served   GET    attachments/{unsent}/preview                                   kkk    000    000    000    +00    000    000    000
served   DELETE attachments/{unsent}                                           kkk    000    000    000    +00    000    000    000
served   GET    sessions                                                       k      +      +      +      +      +      +      +
served   GET    sessions/{session}                                             kkk    000    000    +00    ++0    ++0    ++0    ++0
with_bot POST   sessions                                                       kkk    +00    ---    ---    ++0    ++0    ++0    ++0
with_bot POST   sessions?robot                                                 kkk    ---    ---    +-0    ++0    ---    ---    ---
served   POST   sessions                                                       kkk    +00    ---    ---    ==0    ==0    ==0    ==0
pending  POST   sessions/{session}/activate                                    kkk    ---    ---    +00    ++0    --0    ++0    ++0
with_bot POST   sessions/{session}/pause                                       kkk    ---    ---    +00    ++0    --0    ++0    ++0
paused   POST   sessions/{session}/resume                                      kkk    ---    ---    +00    ++0    --0    ++0    ++0
with_bot POST   sessions/{session}/complete                                    kkk    ---    ---    +00    ++0    --0    ++0    ++0
served   POST   sessions/{session}/complete                                    kkk    ---    ---    -00    ++0    +-0    ++0    ++0
queued   POST   sessions/{session}/complete                                    kkk    ---    ---    =00    ++0    --0    ++0    ++0
queued   POST   sessions/{session}/cancel                                      kkk    ---    ---    =00    ++0    --0    ++0    ++0
with_bot POST   sessions/{session}/cancel                                      kkk    ---    ---    +00    ++0    --0    ++0    ++0
served   POST   sessions/{session}/cancel                                      kkk    ---    ---    -00    ++0    +-0    ++0    ++0
served   POST   sessions/{session}/priority                                    kkk    ---    ---    -00    ++0    +-0    ++0    ++0
served   POST   sessions/{session}/recover                                     kkk    ---    ---    +00    ++0    ++0    ++0    ++0
served   POST   sessions/heartbeat                                             k      -      -      +      +      +      +      +
served   GET    transfers                                                      k      +      +      +      +      +      +      +
served   GET    transfers/{transfer}                                           kkk    000    000    +00    ++0    ++0    ++0    ++0
served   GET    transfers/{transfer}/decisions                                 kkk    000    000    -00    ++0    ++0    ++0    ++0
queued   POST   transfers/{transfer}/accept                                    kkk    ---    ---    ---    ---    ++0    ++0    ++0
served   POST   transfers/{transfer}/accept                                    kkk    ---    ---    ---    ---    --0    ++0    ++0
queued   POST   transfers/{transfer}/decline                                   kkk    ---    ---    ---    ---    --0    ++0    ++0
served   POST   transfers/{transfer}/decline                                   kkk    ---    ---    ---    ---    --0    ++0    ++0
queued   POST   transfers/{transfer}/withdraw                                  kkk    -00    ---    +00    ++0    --0    ++0    ++0
served   POST   transfers/{transfer}/withdraw                                  kkk    -00    ---    -00    ++0    +-0    ++0    ++0
served   GET    flows                                                          k      +      +      +      +      +      +      +
served   GET    flows/{flow}                                                   kkk    000    000    +00    ++0    ++0    ++0    ++0
served   POST   flows                                                          kkk    ---    ---    =00    ++0    ---    ---    ---
with_bot POST   flows                                                          kkk    ---    ---    +00    ++0    ---    ---    ---
served   POST   flows/{flow}/bind                                              kkk    ---    ---    =00    ++0    ---    ---    ---
with_bot POST   flows/{flow}/bind                                              kkk    ---    ---    +00    ++0    ---    ---    ---
served   POST   flows/{flow}/move                                              kkk    ---    ---    +00    ++0    ---    ---    ---
served   POST   flows/{flow}/renew                                             kkk    ---    ---    =00    --0    ---    ---    ---
with_bot POST   inbound                                                        kkk    +00    ---    ---    ++0    ---    ---    ---
with_bot POST   messages                                                       kkk    +00    +00    +00    ---    ==0    ==0    ==0
served   POST   messages                                                       kkk    +00    +00    =00    ---    +-0    --0    --0
with_bot POST   messages?echo                                                  kkk    ---    ---    ---    ++0    ---    ---    ---
served   POST   tokens                                                         kkk    ---    ---    ---    ++0    ---    ---    ---
served   POST   join                                                           0      0      0      0      0      0      0      0
served   GET    agents                                                         k      -      -      +      +      +      +      +
served   GET    agents/me                                                      k      -      -      -      -      +      +      +
served   GET    agents/{agent}                                                 kkk    ---    ---    ++0    ++0    ++0    ++0    ++0
served   POST   agents/me/availability                                         k      -      -      -      -      +      +      +
served   POST   agents/{agent}/availability                                    kkk    ---    ---    ---    ---    ---    ++0    ++0
served   POST   agents/{agent}/capacity                                        kkk    ---    ---    ---    ---    ---    ++0    ++0
served   POST   agents/{agent}/dismiss                                         kkk    ---    ---    ---    ---    ---    ++0    ++0
served   POST   agents/{agent}/drain                                           kkk    ---    ---    ---    ---    ---    ++0    ++0
served   POST   agents/{agent}/undrain                                         kkk    ---    ---    ---    ---    ---    ++0    ++0
served   GET    teams                                                          k      -      -      +      +      +      +      +
served   POST   conversations/{conversation}/label                             kkk    ---    ---    ---    ++0    ++0    ++0    ++0
served   POST   conversations/{conversation}/unlabel                           kkk    ---    ---    ---    ++0    ++0    ++0    ++0
served   POST   conversations/bulk                                             k      -      -      -      -      +      +      +
served   POST   conversations/bulk?label                                       k      -      -      -      +      +      +      +
served   GET    conversations?saved_view={view}                                kkk    ---    ---    000    000    +00    000    000
served   GET    conversations?saved_view={team_view}                           kkk    ---    ---    000    000    +00    ++0    ++0
served   GET    canned-replies                                                 k      -      -      +      +      +      +      +
served   GET    canned-replies?conversation_id={conversation}                  kkk    ---    ---    +00    ++0    ++0    ++0    ++0
served   POST   canned-replies                                                 k      -      -      -      -      +      +      +
served   POST   canned-replies?shared                                          k      -      -      -      -      -      +      +
served   GET    canned-replies/{reply}                                         kkk    ---    ---    000    000    +00    000    000
served   PATCH  canned-replies/{reply}                                         kkk    ---    ---    ---    ---    +00    000    000
served   DELETE canned-replies/{reply}                                         kkk    ---    ---    ---    ---    +00    000    000
served   POST   canned-replies/{reply}/render                                  kkk    ---    ---    000    000    +00    000    000
served   GET    canned-replies/{team_reply}                                    kkk    ---    ---    000    000    +00    ++0    ++0
served   PATCH  canned-replies/{team_reply}                                    kkk    ---    ---    ---    ---    -00    ++0    ++0
served   DELETE canned-replies/{team_reply}                                    kkk    ---    ---    ---    ---    -00    ++0    ++0
served   GET    labels                                                         k      -      -      +      +      +      +      +
served   POST   labels                                                         k      -      -      -      -      -      +      +
served   GET    labels/{label}                                                 kkk    ---    ---    ++0    ++0    ++0    ++0    ++0
served   PATCH  labels/{label}                                                 kkk    ---    ---    ---    ---    ---    ++0    ++0
served   DELETE labels/{label}                                                 kkk    ---    ---    ---    ---    ---    ++0    ++0
served   GET    saved-views                                                    k      -      -      +      +      +      +      +
served   POST   saved-views                                                    k      -      -      -      -      +      +      +
served   POST   saved-views?shared                                             k      -      -      -      -      -      +      +
served   GET    saved-views/{view}                                             kkk    ---    ---    000    000    +00    000    000
served   PATCH  saved-views/{view}                                             kkk    ---    ---    ---    ---    +00    000    000
served   DELETE saved-views/{view}                                             kkk    ---    ---    ---    ---    +00    000    000
served   PATCH  saved-views/{team_view}                                        kkk    ---    ---    ---    ---    -00    ++0    ++0
served   DELETE saved-views/{team_view}                                        kkk    ---    ---    ---    ---    -00    ++0    ++0
served   GET    mentions                                                       k      -      -      -      -      +      +      +
served   POST   mentions/{mention}/read                                        kkk    ---    ---    ---    ---    +00    000    000
served   GET    events                                                         k      +      +      +      +      +      +      +
served   GET    events?conversation={conversation}                             kkk    +00    +00    +00    ++0    ++0    ++0    ++0
served   POST   events/tickets                                                 k      +      +      +      +      +      +      +
served   GET    webhooks                                                       k      -      -      -      +      -      -      +
served   POST   webhooks                                                       k      -      -      -      +      -      -      +
served   GET    webhooks/{webhook}                                             kkk    ---    ---    ---    +00    ---    ---    ++0
served   PATCH  webhooks/{webhook}                                             kkk    ---    ---    ---    +00    ---    ---    ++0
served   DELETE webhooks/{webhook}                                             kkk    ---    ---    ---    +00    ---    ---    ++0
served   POST   webhooks/{webhook}/ping                                        kkk    ---    ---    ---    +00    ---    ---    ++0
served   POST   webhooks/{webhook}/rotate-secret                               kkk    ---    ---    ---    +00    ---    ---    ++0
served   POST   webhooks/{webhook}/replay                                      kkk    ---    ---    ---    +00    ---    ---    ++0
served   GET    webhooks/{webhook}/deliveries                                  kkk    ---    ---    ---    +00    ---    ---    ++0
served   POST   webhooks/{webhook}/deliveries/{delivery}/replay                kkk    ---    ---    ---    +00    ---    ---    ++0
served   POST   batches                                                        k      -      -      +      +      -      -      -
served   POST   batches?customer                                               k      -      -      -      +      -      -      -
served   POST   batches?agent                                                  k      -      -      -      +      -      -      -
served   GET    batches/{batch}                                                kkk    ---    ---    +00    000    ---    ---    ---
served   GET    health/live                                                    +      +      +      +      +      +      +      +
served   GET    health/ready                                                   +      +      +      +      +      +      +      +
served   GET    build                                                          +      +      +      +      +      +      +      +
served   GET    metrics                                                        +      +      +      +      +      +      +      +
served   GET    openapi.json                                                   +      +      +      +      +      +      +      +
served   GET    asyncapi.yaml                                                  +      +      +      +      +      +      +      +
served   GET    /api/docs                                                      +      +      +      +      +      +      +      +
served   GET    /api/docs/errors                                               +      +      +      +      +      +      +      +
served   GET    /api/nowhere                                                   0      0      0      0      0      0      0      0
served   GET    /                                                              +      +      +      +      +      +      +      +
served   GET    /login/                                                        +      +      +      +      +      +      +      +
served   GET    /desk/                                                         l      l      l      l      l      +      +      +
served   GET    /desk/list/                                                    l      l      l      l      l      +      +      +
served   GET    /desk/c/{conversation}/                                        lll    lll    lll    lll    lll    ++0    ++0    ++0
served   GET    /desk/c/{conversation}/news/?seq=0                             lll    lll    lll    lll    lll    ++0    ++0    ++0
served   GET    /desk/colleagues/?q=a                                          l      l      l      l      l      +      +      +
served   GET    /desk/replies/                                                 l      l      l      l      l      +      +      +
served   POST   /desk/replies/                                                 l      l      l      l      l      +      +      +
served   POST   /desk/replies/{reply}/                                         lll    lll    lll    lll    lll    +00    000    000
served   POST   /desk/replies/{team_reply}/delete/                             lll    lll    lll    lll    lll    -00    ++0    ++0
served   GET    /desk/c/{conversation}/replies/?q=a                            lll    lll    lll    lll    lll    ++0    ++0    ++0
served   POST   /desk/c/{conversation}/label/                                  lll    lll    lll    lll    lll    ++0    ++0    ++0
served   POST   /desk/bulk/                                                    l      l      l      l      l      +      +      +
served   POST   /desk/views/                                                   l      l      l      l      l      +      +      +
served   POST   /desk/views/{view}/delete/                                     lll    lll    lll    lll    lll    +00    000    000
served   POST   /desk/views/{team_view}/delete/                                lll    lll    lll    lll    lll    -00    ++0    ++0
served   GET    /design/                                                       l      l      l      l      l      +      +      +
served   GET    /design/row/mine/                                              l      l      l      l      l      +      +      +
served   GET    /try-it/                                                       +      +      +      +      +      +      +      +
served   GET    /try-it/news/                                                  +      +      +      +      +      +      +      +
served   POST   /login/                                                        +      +      +      +      +      +      +      +
served   POST   /desk/presence/                                                l      l      l      l      l      +      +      +
served   POST   /desk/here/                                                    l      l      l      l      l      +      +      +
served   POST   /desk/c/{conversation}/say/                                    lll    lll    lll    lll    lll    ++0    ++0    ++0
served   POST   /desk/c/{conversation}/draft/                                  lll    lll    lll    lll    lll    ++0    ++0    ++0
served   GET    /desk/c/{conversation}/timeline/                               lll    lll    lll    lll    lll    ++0    ++0    ++0
served   GET    /desk/c/{conversation}/past/                                   lll    lll    lll    lll    lll    ++0    ++0    ++0
served   GET    /desk/c/{conversation}/recipients/                             lll    lll    lll    lll    lll    ++0    ++0    ++0
served   GET    /desk/command/?q=shop                                          l      l      l      l      l      +      +      +
served   POST   /language/                                                     +      +      +      +      +      +      +      +
served   POST   /desk/c/{conversation}/attach/                                 lll    lll    lll    lll    lll    +-0    --0    --0
served   GET    /desk/files/{attachment}/                                      lll    lll    lll    lll    lll    ++0    ++0    ++0
served   GET    /desk/files/{attachment}/preview/                              lll    lll    lll    lll    lll    ++0    ++0    ++0
served   GET    /desk/files/{unsent}/                                          lll    lll    lll    lll    lll    000    000    000
served   POST   /desk/files/{unsent}/discard/                                  lll    lll    lll    lll    lll    000    000    000
served   GET    /try-it/files/{attachment}/                                    000    000    000    000    000    000    000    000
served   GET    /try-it/files/{attachment}/preview/                            000    000    000    000    000    000    000    000
served   POST   /try-it/files/{unsent}/discard/                                000    000    000    000    000    000    000    000
served   POST   /try-it/attach/                                                +      +      +      +      +      +      +      +
served   POST   /joined/{participant}/attach/                                  000    000    000    000    000    000    000    000
served   GET    /joined/{participant}/files/{attachment}/                      000    000    000    000    000    000    000    000
served   GET    /joined/{participant}/files/{attachment}/preview/              000    000    000    000    000    000    000    000
served   POST   /joined/{participant}/files/{unsent}/discard/                  000    000    000    000    000    000    000    000
served   POST   /desk/c/{conversation}/read/                                   lll    lll    lll    lll    lll    ++0    ++0    ++0
served   POST   /desk/c/{conversation}/resolve/                                lll    lll    lll    lll    lll    +-0    ++0    ++0
served   POST   /try-it/say/                                                   +      +      +      +      +      +      +      +
served   POST   /try-it/again/                                                 +      +      +      +      +      +      +      +
served   GET    /join/never-was                                                0      0      0      0      0      0      0      0
served   POST   /join/                                                         0      0      0      0      0      0      0      0
served   GET    /joined/{participant}/                                         000    000    000    000    000    000    000    000
served   GET    /joined/{participant}/news/                                    000    000    000    000    000    000    000    000
served   POST   /joined/{participant}/say/                                     000    000    000    000    000    000    000    000
served   POST   /joined/{participant}/leave/                                   000    000    000    000    000    000    000    000
served   POST   /logout/                                                       l      l      l      l      l      l      l      l
"""


def picture() -> SimpleUploadedFile:
    return SimpleUploadedFile("photo.png", uploads.picture())


def batch_row(sender: str) -> dict[str, str]:
    key = {"shop_id": "shop-1", "account_id": "of-a-batch", "message_id": "of-a-batch"}
    return {**key, "sender_type": sender, "content": "Hello.", "timestamp": "2025-01-01T00:00:00Z"}


type Body = Callable[[Place], dict[str, Any]]
BODIES: dict[str, Body] = {
    "conversations/{conversation}/grab": lambda p: {"reason": "Mine."},
    "conversations/{conversation}/transfer": lambda p: {"to_agent_id": str(p.agent)},
    "conversations/{conversation}/reassign": lambda p: {"reason": "Ill."},
    "conversations/{conversation}/read": lambda p: {"seq": 1},
    "conversations/{conversation}/attachments": lambda p: {"file": picture()},
    "/desk/c/{conversation}/attach/": lambda p: {"file": picture()},
    "/try-it/attach/": lambda p: {"file": picture()},
    "/joined/{participant}/attach/": lambda p: {"file": picture()},
    "conversations/{conversation}/notes": lambda p: {"content": "Note."},
    "conversations/{conversation}/invite-colleague": lambda p: {"agent_id": str(p.agent)},
    "conversations/{conversation}/invite": lambda p: {"name": "Ivy"},
    "conversations/{conversation}/label": lambda p: {"label_id": str(p.label)},
    "conversations/{conversation}/unlabel": lambda p: {"label_id": str(p.label)},
    "conversations/bulk": lambda p: {"ids": [str(p.conversation)], "action": "pin"},
    "conversations/bulk?label": lambda p: {
        "ids": [str(p.conversation)],
        "action": "label",
        "label_id": str(p.label),
    },
    "canned-replies": lambda p: {"shortcut": "/hi", "title": "Hi", "text": "Hello {customer}"},
    "canned-replies?shared": lambda p: {"scope": "tenant", "shortcut": "/hi", "title": "Hi", "text": "Hello"},
    "canned-replies/{reply}": lambda p: {"title": "Other"},
    "canned-replies/{reply}/render": lambda p: {"conversation_id": str(p.conversation)},
    "canned-replies/{team_reply}": lambda p: {"title": "Other"},
    "labels": lambda p: {"name": "new"},
    "labels/{label}": lambda p: {"colour": "red"},
    "saved-views": lambda p: {"name": "New", "filter": {"owner": "me"}},
    "saved-views?shared": lambda p: {"scope": "tenant", "name": "New", "filter": {"owner": "me"}},
    "saved-views/{view}": lambda p: {"name": "Other"},
    "saved-views/{team_view}": lambda p: {"name": "Other"},
    "conversations/{conversation}/invite-department": lambda p: {"department_id": "Warehouse"},
    "sessions": lambda p: {"conversation_id": str(p.conversation), "robot": False},
    "sessions?robot": lambda p: {"conversation_id": str(p.conversation), "bot_id": str(p.bot)},
    "sessions/{session}/priority": lambda p: {"priority": 1},
    "flows": lambda p: {"conversation_id": str(p.conversation), "trigger_id": "mine", "question": "Which?"},
    "flows/{flow}/bind": lambda p: {"conversation_id": str(p.conversation)},
    "flows/{flow}/move": lambda p: {"to": "ignored", "version": 1},
    "flows/{flow}/renew": lambda p: {"version": 1},
    "inbound": lambda p: {"conversation_id": str(p.conversation), "content": "Hello?"},
    "messages": lambda p: {"conversation_id": str(p.conversation), "content": "Hello.", "epoch": p.epoch},
    "messages?echo": lambda p: {"conversation_id": str(p.conversation), "content": "Hello.", "echo": True},
    "tokens": lambda p: {"conversation_id": str(p.conversation)},
    "join": lambda p: {"tenant": "shop", "token": "never-was"},
    "agents/me/availability": lambda p: {"availability": "busy"},
    "agents/{agent}/availability": lambda p: {"availability": "busy", "reason": "A meeting."},
    "agents/{agent}/capacity": lambda p: {"max_load": 3},
    "agents/{agent}/dismiss": lambda p: {"reason": "Moves away."},
    "agents/{agent}/drain": lambda p: {"reason": "Goes home soon."},
    "agents/{agent}/undrain": lambda p: {},
    "webhooks": lambda p: {"url": "http://127.0.0.1:9999/"},
    "webhooks/{webhook}": lambda p: {"description": "Orders."},
    "webhooks/{webhook}/replay": lambda p: {"after": 0},
    "batches": lambda p: {"rows": []},
    "batches?customer": lambda p: {"rows": [batch_row("customer")]},
    "batches?agent": lambda p: {"rows": [batch_row("agent")]},
    "/desk/presence/": lambda p: {"availability": "busy"},
    "/desk/c/{conversation}/say/": lambda p: {"mode": "note", "content": "Note."},
    "/desk/c/{conversation}/draft/": lambda p: {"mode": "reply", "content": "Half a sen"},
    "/language/": lambda p: {"language": "ja", "next": "/try-it/"},
    "/desk/c/{conversation}/read/": lambda p: {"seq": 1},
    "/desk/c/{conversation}/label/": lambda p: {"label": p.label},
    "/desk/bulk/": lambda p: {"id": p.conversation, "action": "pin"},
    "/desk/views/": lambda p: {"name": "New"},
    "/desk/replies/": lambda p: {"shortcut": "/hi", "title": "Hi", "text": "Hello"},
    "/desk/replies/{reply}/": lambda p: {"shortcut": "/hi", "title": "Hi", "text": "Hello"},
    "/join/": lambda p: {"token": "never-was"},
    "/joined/{participant}/say/": lambda p: {"content": "Hello?"},
    "/try-it/say/": lambda p: {"content": "Hello?"},
}


REFUSED = "k-0l"
ANY_METHOD = ("/api/nowhere", "/", "/login/", "/logout/", "/language/", "openapi.json")
"""Addresses that the framework lets answer other methods in the same way."""
SOCKETS = {
    "ws/desk/": "an agent's login",
    "ws/try-it/": "a visitor, where the try-it page is on",
    "ws/joined/<int:participant_id>/": "the browser that joined by the participant's link",
    "ws/events/": "an agent's login, or a one-use ticket",
    "": "nobody: there is no such socket",
}
"""Whom each socket lets in; tests/events and tests/live try them."""


@dataclass(frozen=True)
class Row:
    """`cells` are by role. A `?word` behind an address names another body for it; `?name=value` is a query."""

    state: str
    method: str
    pattern: str
    cells: dict[str, str]

    @property
    def is_page(self) -> bool:
        """For a browser: no endpoint of the API."""
        return self.pattern.startswith("/")

    @property
    def places(self) -> tuple[str, ...]:
        return ("own", "other", "foreign")[: max(len(cell) for cell in self.cells.values())]

    def path(self, place: Place) -> str:
        path, _, more = place.path(self.pattern).partition("?")
        address = path if self.is_page else f"/api/v1/{path}"
        return f"{address}?{more}" if "=" in more else address

    def body(self, place: Place) -> dict[str, Any] | None:
        made = BODIES.get(self.pattern)
        return made(place) if made and self.method in ("POST", "PATCH") else None


def rows() -> list[Row]:
    found = []
    for line in TABLE.strip().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        state, method, pattern, *cells = line.split()
        assert len(cells) == len(ROLES), f"a missing cell: {line}"
        assert len({len(cell) for cell in cells}) == 1, f"a missing letter: {line}"
        found.append(Row(state, method, pattern, dict(zip(ROLES, cells, strict=True))))
    return found
