"""Every door, tried by a stranger: what the API's document lists, batches and files, the facade, pages, sockets' tickets.

Each door does one thing and returns what it answered; `Fault` is what no input may bring about.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError

from config import clock
from config.errors import DomainError
from sessions_app.manager import AutoSessionManager
from sessions_app.models import ChatSession, GuidedFlow, Participant, Transfer
from tests.hostile.values import IDS, RAW, Stranger, encoded, from_schema
from tests.hostile.world import SHOP, STAFF, Caller, World

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "api" / "openapi.json").read_text(encoding="utf-8"))
PARTS = DOCUMENT["components"]["schemas"]
LISTS = ("conversations", "sessions", "transfers", "flows", "events", "webhooks", "saved-views", "canned-replies")
PAGES = ("/desk/", "/desk/list/", "/desk/here/", "/admin/", "/try-it/", "/login/")


@dataclass(frozen=True)
class Answer:
    door: str
    caller: str
    sent: str
    status: int
    problem: str = ""
    """What is wrong with the answer itself; empty when nothing is."""


type Door = Callable[[Stranger, World, Caller], Answer]


def _answer(door: str, caller: Caller, sent: Any, response: Any) -> Answer:
    problem = ""
    is_api = door.startswith(("GET ", "POST ", "PATCH ", "DELETE "))
    if is_api and response.content and "json" in response.get("Content-Type", ""):
        try:
            json.loads(response.content, parse_constant=_refuse)
        except ValueError as error:
            problem = f"the answer is no JSON: {error}"
    elif is_api and "html" in response.get("Content-Type", ""):
        problem = "the API answered in HTML"
    return Answer(door, caller.name, str(sent)[:300], response.status_code, problem)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


# --- The API -----------------------------------------------------------------------------------------------------

OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if method in ("get", "post", "patch", "delete") and "join" not in path
]


def documented(stranger: Stranger, world: World, caller: Caller) -> Answer:
    """Any operation of the document, with a body and parameters after its schema."""
    method, path, operation = stranger.one_of(*OPERATIONS)
    conversation = stranger.one_of(*world.targets(caller))
    address = _filled(stranger, path, world.agent(caller) if "/agents/{" in path else conversation)
    query = {
        parameter["name"]: str(stranger.one_of(stranger.id(), stranger.text(), conversation))
        for parameter in operation.get("parameters", ())
        if parameter.get("in") == "query" and stranger.sometimes(0.2)
    }
    content = operation.get("requestBody", {}).get("content", {})
    body: Any = None
    if "application/json" in content:
        known = _known(stranger, world, conversation)
        body = from_schema(stranger, content["application/json"]["schema"], PARTS, known)
    sent = stranger.one_of(*RAW) if body is not None and stranger.sometimes(0.04) else encoded(body or {})
    headers = {"Idempotency-Key": str(stranger.one_of("k1", "k2", "x" * 300))} if stranger.sometimes(0.05) else {}
    if method == "GET":
        response = caller.get(address, {name: _typed(value) for name, value in query.items()})
    else:
        response = caller.client.generic(
            method, address, sent.encode("utf-8", "surrogatepass"), content_type="application/json", headers=headers
        )
    return _answer(f"{method} {path}", caller, query or sent, response)


def _typed(text: str) -> str:
    """What a client can put into an address."""
    return text.encode("utf-8", "replace").decode()


def _filled(stranger: Stranger, path: str, own: int) -> str:
    """The address with ids of things that exist (`own` of a conversation or an agent), and now and then of none."""

    def part(name: str) -> str:
        if not name.startswith("{"):
            return name
        return stranger.one_of("0", "9" * 18, "x", "é", "-1") if stranger.sometimes(0.15) else _id_in(path, own)

    return "/".join(map(part, path.split("/")))


def _id_in(path: str, conversation: int) -> str:
    models: dict[str, Any] = {"sessions": ChatSession, "transfers": Transfer, "flows": GuidedFlow}
    model = next((model for name, model in models.items() if f"/{name}/" in path), None)
    if "/participants/{" in path:
        model = Participant
    if model is None:
        return str(conversation)
    newest = model.objects.filter(conversation_id=conversation).order_by("-pk").values_list("pk", flat=True).first()
    return str(newest or 2**40)


def _known(stranger: Stranger, world: World, conversation: int) -> Callable[[str], Any]:
    now = clock.now()

    def known(name: str) -> Any:
        if name == "conversation_id":
            return str(conversation)
        if name in ("sent_at", "timestamp"):
            return stranger.time(now)
        if name == "shop_id":
            return SHOP
        if name == "account_id":
            return f"played-{stranger.one_of(0, 1, 2, 3)}"
        if name == "url":
            return stranger.one_of(
                "https://localhost/", "https://0x7f.1/", "https://example.org/", "ftp://x", "https://"
            )
        if name == "epoch":
            return stranger.one_of(0, 1, 2, 3, 5, 8, 13)
        if name in ("context", "filter", "task_state"):
            return stranger.json()
        return None

    return known


def inbound(stranger: Stranger, world: World, caller: Caller) -> Answer:
    """A customer's words at any time, into a conversation of the strangers or of nobody yet."""
    body: dict[str, Any] = {"content": stranger.text(), "sent_at": stranger.time(clock.now())}
    if stranger.sometimes(0.5):
        body["message_id"] = stranger.one_of(*IDS, *(f"m{number}" for number in range(50)))
    if stranger.sometimes(0.7):
        body["conversation_id"] = str(stranger.one_of(*world.targets(caller)))
    else:
        body |= {"shop_id": SHOP, "account_id": stranger.one_of(*IDS, "played-1"), "customer_name": stranger.text()}
    return _answer("POST inbound", caller, body, caller.post("inbound", encoded(body)))


def speak(stranger: Stranger, world: World, caller: Caller) -> Answer:
    body = {
        "conversation_id": str(stranger.one_of(*world.targets(caller))),
        "content": stranger.text(),
        "epoch": stranger.one_of(0, 1, 2, 3, 4, 5, 6, 7, 8),
        "message_id": stranger.one_of(*IDS, *(f"m{number}" for number in range(50))),
        "echo": stranger.sometimes(0.2),
    }
    return _answer("POST messages", caller, body, caller.post("messages", encoded(body)))


def live(stranger: Stranger, world: World, _: Caller) -> Answer:
    """What those who work here do all day with the conversations that strangers play with: a well-formed call."""
    conversation = str(stranger.one_of(*world.played))
    bot, agent, channel = (world.callers[name] for name in ("bot", "agent", "channel"))
    epoch = channel.get(f"conversations/{conversation}").json().get("epoch", 0)
    transfer = (
        Transfer.objects.filter(conversation_id=conversation, status="PENDING").values_list("pk", flat=True).first()
    )
    words = {"conversation_id": conversation, "content": stranger.one_of("It is.", "Anything else?", "Hello?")}
    caller, address, body = stranger.one_of(
        (channel, "inbound", words),
        (bot, "sessions", {"conversation_id": conversation}),
        (bot, "messages", words | {"epoch": epoch}),
        (bot, f"conversations/{conversation}/escalate", {"reason": "Asks for a rebate."}),
        (agent, f"transfers/{transfer or 0}/accept", {}),
        (agent, f"conversations/{conversation}/take-over", {}),
        (agent, "messages", words),
        (agent, f"conversations/{conversation}/release", {}),
        (agent, f"conversations/{conversation}/resolve", {}),
    )
    return _answer(f"POST {address}", caller, body, caller.post(address, body))


# --- Batches and files -------------------------------------------------------------------------------------------


def _row(stranger: Stranger, mine: str) -> Any:
    if stranger.sometimes(0.05):
        return stranger.json()
    return {
        "message_id": stranger.one_of(*IDS, *(f"b{number}" for number in range(200))),
        "account_id": stranger.one_of(*IDS, mine, mine, mine),
        "shop_id": stranger.one_of(SHOP, SHOP, SHOP, *IDS),
        "timestamp": stranger.time(clock.now()),
        "content": stranger.text(),
        "sender_type": stranger.one_of(
            "customer", "customer", "bot", "agent", "shop", "system", "participant", "", None
        ),
        "sender_name": stranger.text(),
        "is_robot": stranger.one_of(True, False, "yes", None),
    }


def batch(stranger: Stranger, world: World, caller: Caller) -> Answer:
    account = f"played-{stranger.one_of(0, 1, 2, 3, 4, 5, 6, 7)}"
    if caller.name not in STAFF and stranger.sometimes(0.3):
        account = "innocent that is only grouped"
    rows = [_row(stranger, account) for _ in range(stranger.one_of(1, 2, 5, 20))]
    if stranger.sometimes(0.5):
        response = caller.post("batches", encoded({"rows": rows}))
    else:
        lines = "\n".join(encoded(row) for row in rows)
        lines = ("\ufeff" if stranger.sometimes(0.2) else "") + lines + stranger.one_of("", "\n", "\n{", "\n\x00")
        response = caller.post("batches", lines, content_type="application/x-ndjson")
    return _answer("POST batches", caller, rows, response)


def file(stranger: Stranger, world: World, caller: Caller) -> Answer:
    """`manage.py ingest` by whoever runs the machine; the caller does not matter."""
    rows = [_row(stranger, f"played-{stranger.one_of(4, 5, 6, 7)}") for _ in range(10)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.ndjson"
        path.write_text("\n".join(encoded(row) for row in rows), encoding="utf-8")
        try:
            call_command("ingest", str(path), "--tenant", "shop", "--json", stdout=(Path(folder) / "told").open("w"))
        except CommandError as error:
            return Answer("ingest", "operator", str(rows)[:300], 400, f"the file as a whole was refused: {error}")
    return Answer("ingest", "operator", str(rows)[:300], 200)


# --- The facade, pages -------------------------------------------------------------------------------------------


def facade(stranger: Stranger, world: World, caller: Caller) -> Answer:
    """A program beside Tandem, which may say anything but only gets refusals of the domain."""
    manager = AutoSessionManager(tenant="shop")
    shop, user = stranger.one_of(SHOP, 1, *IDS), stranger.one_of("played-3", 7, *IDS)
    session = (
        ChatSession.objects.filter(conversation_id__in=world.played)
        .order_by("-pk")
        .values_list("pk", flat=True)
        .first()
    )
    deeds: dict[str, Callable[[], Any]] = {
        "create_robot_session": lambda: manager.create_robot_session(
            shop_id=shop,
            user_id=user,
            task_type=str(stranger.one_of("consultation", "negotiation", stranger.text())),
            priority=stranger.one_of(None, 1, 4, 0, 9),
            context=stranger.one_of(None, {"k": stranger.json()}),
        ),
        "create_human_session": lambda: manager.create_human_session(
            shop_id=shop, user_id=user, reason=str(stranger.text())
        ),
        "process_chat_messages": lambda: manager.process_chat_messages(
            [row if isinstance(row := _row(stranger, "played-5"), dict) else {"content": row} for _ in range(5)],
            shop_id=shop,
        ),
        "transfer_to_human": lambda: manager.transfer_to_human(
            session_id=session or 0,
            reason=str(stranger.text()),
            urgency=stranger.one_of(None, 1, 9),
            context={"k": stranger.json()},
        ),
        "complete_session": lambda: manager.complete_session(session_id=session or 0, outcome=str(stranger.text())),
        "check_availability": lambda: manager.check_availability(shop_id=shop, user_id=user),
    }
    name = stranger.one_of(*deeds)
    try:
        deeds[name]()
    except DomainError as error:
        return Answer(f"facade {name}", "program", f"{shop!r} {user!r}", error.status)
    return Answer(f"facade {name}", "program", f"{shop!r} {user!r}", 200)


FORMS: dict[str, tuple[str, ...]] = {
    "/desk/c/{conversation}/say/": ("mode", "content", "epoch", "message_id", "attachments"),
    "/desk/c/{conversation}/draft/": ("mode", "content"),
    "/desk/c/{conversation}/read/": ("seq",),
    "/desk/c/{conversation}/label/": ("label", "epoch"),
    "/desk/c/{conversation}/transfer/": ("to", "reason", "epoch"),
    "/desk/c/{conversation}/accept/": ("transfer", "epoch", "override"),
    "/desk/c/{conversation}/take-over/": ("epoch", "reason"),
    "/desk/c/{conversation}/resolve/": ("epoch", "reason"),
    "/desk/c/{conversation}/invite/": ("name", "contact", "role", "history", "history_count"),
    "/desk/presence/": ("availability", "reason"),
    "/desk/bulk/": ("id", "action", "label", "reason"),
    "/desk/views/": ("name", "scope", "q", "controller"),
    "/desk/replies/": ("shortcut", "title", "text"),
    "/try-it/say/": ("content", "message_id"),
    "/join/": ("token", "tenant"),
    "/language/": ("language", "next"),
    "/login/": ("username", "password", "next"),
    "/admin/login/": ("username", "password", "next"),
}


def form(stranger: Stranger, world: World, caller: Caller) -> Answer:
    path, names = stranger.one_of(*FORMS.items())
    address = path.format(conversation=stranger.one_of(*world.targets(caller)))
    sent = {
        name: _typed(str(stranger.one_of(stranger.text(), stranger.id(), "1", "reply", "customer"))) for name in names
    }
    return _answer(f"form {path}", caller, sent, caller.submit(address, sent))


def page(stranger: Stranger, world: World, caller: Caller) -> Answer:
    conversation = stranger.one_of(*world.targets(caller))
    address = stranger.one_of(
        *PAGES, f"/desk/c/{conversation}/", f"/desk/c/{conversation}/timeline/", f"/desk/c/{conversation}/news/"
    )
    query = {
        name: _typed(str(stranger.one_of(stranger.text(), stranger.id(), stranger.time(clock.now()))))
        for name in ("q", "view", "saved", "after", "before", "since", "rows", "controller", "p", "o")
        if stranger.sometimes(0.2)
    }
    return _answer(f"page {address.split('/c/')[0]}", caller, query, caller.get(address, query))


DOORS: dict[Door, int] = {
    documented: 35,
    live: 20,
    inbound: 10,
    speak: 8,
    batch: 12,
    file: 2,
    facade: 5,
    form: 5,
    page: 3,
}
"""Each with its share."""


def look_everywhere(world: World) -> list[Answer]:
    """What people look at all day must open, whatever has been stored."""
    answers = []
    for name in ("supervisor", "agent", "channel", "bot", "customer 0", "guest"):
        caller = world.callers[name]
        answers += [_answer(f"GET {path}", caller, "", caller.get(path)) for path in LISTS]
        for conversation in world.played:
            for more in ("", "/messages", "/timeline", "/participants"):
                path = f"conversations/{conversation}{more}"
                answers.append(_answer(f"GET {path}", caller, "", caller.get(path)))
    for name in ("supervisor", "agent"):
        caller = world.callers[name]
        for address in ("/desk/", *(f"/desk/c/{conversation}/" for conversation in world.played)):
            response = caller.get(address)
            problem = "" if response.status_code == 200 else f"does not open: {response.status_code}"
            answers.append(Answer(f"page {address}", name, "", response.status_code, problem))
    return answers
