"""The table of event types against the code: every type that is recorded is in it, and real events fit their schemas."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import jsonschema
import pytest
import yaml
from django.conf import settings
from django.core.management import CommandError, call_command

from messaging_app.agent_tools.labels import create_label
from messaging_app.batch import read_line
from messaging_app.models import Operation
from messaging_app.thread import NewMessage
from sessions_app.actions import (
    batches,
    conversations,
    departure,
    flows,
    inbound,
    labels,
    lifecycle,
    messages,
    participants,
    presence,
)
from sessions_app.api import webhooks_document
from sessions_app.core import oplog
from sessions_app.events import asyncapi
from sessions_app.events.catalogue import EVENT_TYPES, for_outsiders, schema_of
from sessions_app.events.schemas import EVENT
from sessions_app.events.subscription import Subscription, read
from sessions_app.rights import visible
from sessions_app.states import TRANSITIONS, Kind, ParticipantStatus, TransferStatus
from tests.cast import Cast, Chat, Later
from tests.office import levels

COMPOSED = {
    "session.{}": {oplog.event_word(before, to) for before, row in TRANSITIONS.items() for to in row},
    "transfer.{}": {status.lower() for status in TransferStatus if status != TransferStatus.PENDING},
    "{}.{}": set(),  # see PEOPLE
}
"""What the code puts into the types that it composes."""
PEOPLE = {f"participant.{word}" for word in (*ParticipantStatus, "invited_again", "notified", "notice_failed")} | {
    f"collaborator.{word}" for word in ("joined", "left", "removed", "ended")
}
RECORDERS = {"record", "entry", "_mark"}


def _text(node: ast.expr) -> str | None:
    """A constant, or an f-string with its holes as {}."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
    return None


def recorded() -> Iterator[str]:
    """The types that stand in the code, in calls of whatever records an operation."""
    for package in ("messaging_app", "sessions_app"):
        for path in (settings.BASE_DIR / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                called = node.func if isinstance(node, ast.Call) else None
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                if isinstance(node, ast.Call) and name in RECORDERS:
                    given = [*node.args, *(k.value for k in node.keywords if k.arg == "type")]
                    yield from (text for text in map(_text, given) if text and "." in text and " " not in text)


def test_every_type_that_the_code_records_is_in_the_table_and_no_other() -> None:
    found = set(recorded())
    composed = found & COMPOSED.keys()
    assert composed == COMPOSED.keys()
    types = (found - composed) | PEOPLE | {name.format(word) for name in composed for word in COMPOSED[name]}
    assert types == set(EVENT_TYPES)


def test_whoever_reads_for_outsiders_names_types_that_there_are() -> None:
    assert set(visible.FOR_OUTSIDERS) - {"message.delivery"} <= set(EVENT_TYPES)


@pytest.mark.parametrize("type", visible.FOR_OUTSIDERS)
def test_what_outsiders_are_told_is_a_part_of_what_there_is(type: str) -> None:
    if type in EVENT_TYPES:
        told = EVENT_TYPES[type]
        assert told.shared
        assert set(told.shared) <= {*told.has, *told.may}


def everything(cast: Cast, later: Later) -> None:
    """As much as can happen in a few conversations."""
    chat = cast.chat()
    chat.robot()
    hello = NewMessage(content="Hello")
    inbound.receive_message(actor=cast.channel, conversation_id=chat.id, words=hello, customer_name="Carla")
    chat.speaks(cast.bargain, "Hi")
    flow = flows.open_flow(actor=cast.bargain, trigger_id="t-1", question="Size?", conversation_id=chat.id)
    chat.says("Large")
    flow.refresh_from_db()
    flows.renew_flow(actor=cast.bargain, flow_id=flow.pk, version=flow.version)
    flows.move_flow(actor=cast.bargain, flow_id=flow.pk, to="ready_preview", version=flow.version)
    loose = flows.open_flow(actor=cast.bargain, trigger_id="t-2", question="Colour?")
    flows.bind_flow(actor=cast.bargain, flow_id=loose.pk, conversation_id=chat.id)
    flows.move_flow(actor=cast.bargain, flow_id=loose.pk, to="ignored", version=loose.version)
    chat.escalate(to_agent_id=cast.ann.id)
    chat.decline(cast.ann)
    chat.escalate()
    chat.withdraw(cast.bargain)
    chat.escalate()
    later(301)
    chat.sweep()
    conversations.acknowledge(actor=cast.ann, conversation_id=chat.id)
    cast.seen()
    chat.escalate()
    chat.escalate(reason="asks again", needs={"zh": 1})
    chat.accept(cast.ann)
    participants.invite_colleague(actor=cast.ann, conversation_id=chat.id, agent_id=cast.agent("ben").pk)
    participants.leave(actor=cast.ben, conversation_id=chat.id)
    gus = chat.guest()
    participants.leave(actor=gus, conversation_id=chat.id)
    gil = participants.invite_participant(
        actor=cast.ann, conversation_id=chat.id, name="Gil", contact="gil@example.com"
    )
    participants.send_notice_again(actor=cast.ann, conversation_id=chat.id, participant_id=gil.participant_id or 0)
    participants.remove_participant(actor=cast.ann, conversation_id=chat.id, participant_id=gil.participant_id or 0)
    messages.post_note(actor=cast.ann, conversation_id=chat.id, words=NewMessage(content="Note for @Ben"))
    refund = create_label(actor=cast.sue, name="refund")
    for change in (labels.label, labels.unlabel):
        change(actor=cast.ann, conversation_id=chat.id, label_id=refund.pk)
    for mark in (
        conversations.pin,
        conversations.unpin,
        conversations.todo,
        conversations.untodo,
        conversations.mark_urgent,
        conversations.unmark_urgent,
    ):
        mark(actor=cast.ann, conversation_id=chat.id)
    conversations.raise_flag(actor=cast.ann, conversation_id=chat.id, reason="Look.")
    chat.hand_over(to_agent_id=cast.ben.id)
    chat.accept(cast.ben)
    chat.opens(cast.cat, Kind.MANUAL_URGENT)
    chat.resolve(cast.cat)
    chat.grab(cast.ann)
    chat.reassign()
    chat.accept(cast.ben)
    participants.invite_colleague(actor=cast.ben, conversation_id=chat.id, agent_id=cast.agent("ann").pk)
    chat.guest(cast.ben)
    chat.release(cast.ben)
    lifecycle.set_priority(actor=cast.bargain, session_id=chat.live.pk, priority=2)
    chat.speaks(cast.bargain, "As you wish.")
    chat.echo("As you wish.", "wx-1")
    chat.echo()
    later(1801)
    chat.sweep()

    other = cast.chat()
    cast.seen()
    first = other.robot(cast.faq, Kind.AUTO_ASSISTANT)
    other.robot()  # preempts it
    lifecycle.pause_session(actor=cast.faq, session_id=first.session_id or 0)
    lifecycle.resume_session(actor=cast.faq, session_id=first.session_id or 0)
    lifecycle.complete_session(actor=cast.bargain, session_id=other.live.pk)
    lifecycle.cancel_session(actor=cast.faq, session_id=first.session_id or 0)
    third = cast.chat()
    third.human()
    third.robot()
    third.resolve()
    rows = (read_line(number, line) for number, line in enumerate(_lines(), 1))
    assert batches.ingest_batch(actor=cast.channel, rows=rows).accepted == 3

    levels(cast, first_response=60)
    promised = cast.chat()
    cast.seen()
    promised.human()
    promised.speaks(cast.ann)
    for _ in (1, 2):
        late = cast.chat().serve()
        later(50)
        late.sweep()
    later(50)
    late.sweep()
    cast.seen()

    waits = cast.chat()
    waits.human(cast.channel)
    later(301)
    waits.sweep()
    cast.seen()

    cast.policy(assignment="push")
    pushed = cast.chat()
    pushed.queue()
    actors = {actor.id: actor for actor in (cast.ann, cast.ben, cast.cat, cast.sue)}
    pushed.decline(actors[pushed.pending.offered_to_id])
    presence.declare_availability(actor=actors[pushed.pending.offered_to_id], availability="away")
    pushed.sweep()
    while pushed.pending.offered_to_id:
        pushed.decline(actors[pushed.pending.offered_to_id])
    later(61)
    cast.seen()
    pushed.sweep()

    long = cast.chat()
    cast.seen()
    long.human(cast.cat)
    later(8 * 3600 - 900)
    long.sweep()
    asked = cast.chat()
    asked.robot()
    asked.escalate(to_agent_id=cast.cat.id)
    departure.dismiss_agent(actor=cast.sue, agent_id=cast.agent("cat").pk)
    departure.drain_agent(actor=cast.sue, agent_id=cast.agent("ben").pk)
    departure.undrain_agent(actor=cast.sue, agent_id=cast.agent("ben").pk)


def _lines() -> Iterator[bytes]:
    for number in range(3):
        row = {
            "shop_id": "shop-1", "account_id": "batched", "message_id": f"b-{number}", "sender_type": "customer",
            "content": f"{number}", "timestamp": f"2026-01-02T03:0{number}:00Z",
        }  # fmt: skip
        yield json.dumps(row).encode()


def strict(schema: Any) -> Any:
    """The schema, with what it does not name forbidden: so that the test finds it missing."""
    if isinstance(schema, dict):
        closed = {name: strict(value) for name, value in schema.items()}
        return closed | ({"additionalProperties": False} if "properties" in closed else {})
    return [strict(item) for item in schema] if isinstance(schema, list) else schema


def fits(event: dict[str, Any]) -> None:
    own = schema_of(event["type"])
    whole = {
        "type": "object",
        "required": sorted({*EVENT["required"], *own["required"]}),
        "properties": EVENT["properties"] | own["properties"],
    }
    jsonschema.validate(event, strict(whole), format_checker=jsonschema.FormatChecker())


def fits_the_api(event: dict[str, Any]) -> None:
    """The OpenAPI document says of an event what everybody is told of it, people from outside too."""
    whole = {"$ref": "#/components/schemas/Event", "components": {"schemas": webhooks_document.components()}}
    jsonschema.validate(event, whole, format_checker=jsonschema.FormatChecker())


def test_real_events_fit_their_schemas(cast: Cast, later: Later, stamped: Callable[[], None]) -> None:
    everything(cast, later)
    stamped()
    events = read(cast.sue, Subscription(), 0, 1000).events
    assert len(events) == Operation.objects.count() > 60
    for event in events:
        fits(event)
        fits_the_api(event)
        if event["type"] in visible.FOR_OUTSIDERS:
            fits_the_api(for_outsiders(event))
    # The rest is told by the senders of notices and e-mails (tests/notices) and at a colleague's removal.
    assert set(EVENT_TYPES) - {event["type"] for event in events} == {
        "participant.notified",
        "participant.notice_failed",
        "collaborator.removed",
        "mail.queued",
        "mail.sent",
        "mail.failed",
    }


def test_an_outsiders_event_is_the_same_with_less(cast: Cast, chat: Chat, stamped: Callable[[], None]) -> None:
    chat.robot()
    stamped()
    (event,) = read(cast.ann, Subscription(), 0).events
    assert for_outsiders(event) == event | {"data": {"kind": "AUTO_BARGAIN", "status": "ACTIVE", "owner_kind": "bot"}}


def test_the_document_is_up_to_date() -> None:
    call_command("asyncapi_doc", "--check", stdout=StringIO())


def test_a_stale_document_is_told_and_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EVENT_TYPES, "session.opened", EVENT_TYPES["session.held"])
    with pytest.raises(CommandError) as stale:
        call_command("asyncapi_doc", "--check", stdout=StringIO())
    assert stale.value.returncode == 1


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = yaml.safe_load(asyncapi.page())

    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            for name, value in part.items():
                if name == "$ref":
                    yield value
                else:
                    yield from references(value)
        elif isinstance(part, list):
            for value in part:
                yield from references(value)

    found = list(references(document))
    assert len(found) > 2 * len(EVENT_TYPES)
    for reference in found:
        part = document
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]


def test_the_schemas_are_schemas() -> None:
    for type in EVENT_TYPES:
        jsonschema.Draft202012Validator.check_schema(schema_of(type))
