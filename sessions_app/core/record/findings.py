"""What is wrong with one conversation: its operations among themselves, and its rows against them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from django.conf import settings

from messaging_app import stream
from messaging_app.events import MESSAGE_CREATED
from messaging_app.models import Message, Operation
from sessions_app.core.record.material import Material, why_unread
from sessions_app.core.record.replay import Replay

type Finding = tuple[str, str, str] | None
"""What differs, what was expected, what is there; None where nothing differs."""


def first_wrong(material: Material) -> Finding:
    """The first thing that is wrong: with the operations, where they end, the tenant, the messages, the other rows."""
    for name, check in _CHECKS.items():
        try:
            wrong = check(material)
        except Exception as error:
            return name, "to be readable", why_unread(error)
        if wrong:
            return wrong
    return None


def _broken_link(material: Material) -> Finding:
    cut, pos = material.cut, 0
    previous, seq = (cut.chain, cut.seq) if cut else ("", 0)
    for operation in material.operations:
        seq += 1
        if operation.seq != seq:
            return f"operation {seq}", "to be there", f"operation {operation.seq} (id {operation.pk})"
        if _is_none(operation.at):
            return f"operation {seq} (id {operation.pk})", "to be readable", "that it cannot be read: its time is none"
        if why := stream.wrong_link(previous, operation):
            return f"operation {seq} (id {operation.pk}, {operation.type})", "as it was written", f"that it {why}"
        if operation.pos is not None:
            if operation.pos < pos:
                return f"operation {seq} (id {operation.pk})", f"a position behind {pos}", str(operation.pos)
            pos = operation.pos
        previous = operation.chain
    return None


def _is_none(time: Any) -> bool:
    """SQLite stores anything in a column of times; what is no time is read as None."""
    return time is None


def _wrong_tenant(material: Material) -> Finding:
    """Every row belongs to its conversation's tenant. For operations, the signature says which one is expected."""
    conversation = material.conversation
    tenant = conversation.tenant_id
    for operation in material.operations:
        if operation.tenant_id != tenant:
            what = f"its tenant, by operation {operation.seq} (id {operation.pk})"
            return what, f"tenant {operation.tenant_id}", f"tenant {tenant}"
    for message in material.messages:
        if message.tenant_id != tenant:
            return f"{_label(message)}, tenant", f"tenant {tenant}", f"tenant {message.tenant_id}"
        if message.platform != conversation.platform:
            return f"{_label(message)}, platform", conversation.platform, message.platform
    for name, rows in material.rows.items():
        for row in rows:
            if row["tenant_id"] != tenant:
                return f"{name.removesuffix('s')} {row['id']}, tenant", f"tenant {tenant}", f"tenant {row['tenant_id']}"
    return None


def _wrong_end(material: Material) -> Finding:
    row, cut = material.conversation, material.cut
    last = (cut.seq, cut.chain) if cut else (0, "")
    if material.operations:
        last = (material.operations[-1].seq, material.operations[-1].chain)
    if row.seq != last[0]:
        return "the last operation", f"number {row.seq}", f"number {last[0]}"
    if row.chain != last[1]:
        return "the conversation's hash", "that of its last operation", "another"
    return None


def _wrong_message(material: Material) -> Finding:
    stored = defaultdict(list)
    cut = material.cut.seq if material.cut else 0
    erased = {pk for o in material.operations if o.type == "messages.erased" for pk in o.data.get("messages", ())}
    for message in material.messages:
        if _is_none(message.sent_at):
            return _label(message), "to be readable", "that it cannot be read: its time is none"
        if message.seq > cut:
            stored[message.seq].append(message)
    joined = {
        gone: into for o in material.operations if o.type == "messages.grouped" for gone, into in o.data["joined"]
    }
    for operation in material.operations:
        if operation.type == MESSAGE_CREATED:
            wrong = _wrong_content(operation, stored.pop(operation.seq, []), erased, joined)
        elif operation.type == "messages.grouped":
            wrong = _wrong_batch(operation, stored.pop(operation.seq, []), erased, joined)
        else:
            continue
        if wrong:
            return wrong
    for _, messages in sorted(stored.items()):
        return _label(messages[0]), "an operation that says it was said", f"none with number {messages[0].seq}"
    return None


def _label(message: Message) -> str:
    return f"message {message.pk} ({message.message_id[:40]})"


def _wrong_content(operation: Operation, messages: list[Message], erased: set[int], joined: dict[int, int]) -> Finding:
    data = operation.data
    if not messages:
        return f"message {data['message_id'][:40]}", f"to be there: operation {operation.seq} says so", "nothing"
    message = messages[0]
    if len(messages) > 1:
        return _label(messages[1]), f"one message of operation {operation.seq}", f"{len(messages)}"
    pairs: list[tuple[str, Any, Any]] = [
        ("id", operation.message_pk or message.pk, message.pk),
        ("message_id", data["message_id"], message.message_id),
        ("sender", data["sender_type"], message.sender_type),
        ("note", data["is_note"], message.is_note),
        ("words", data["digest"], stream.content_digest(message.content)),
        ("sender, time and words", data.get("proof", ""), stream.message_proof(message) if "proof" in data else ""),
    ]
    if message.pk in erased and not message.content:
        pairs = pairs[:4]
    if operation.session_id is not None:  # a message without a session may have been put into one since
        pairs.append(("session", _present_session(operation.session_id, joined), message.session_id))
    for name, expected, stored in pairs:
        if expected != stored:
            return f"{_label(message)}, {name}", str(expected), str(stored)
    return None


def _present_session(session: int, joined: dict[int, int]) -> int:
    """The session that now holds this one's messages: grouping may have joined it into another."""
    while session in joined:
        session = joined[session]
    return session


def _wrong_batch(operation: Operation, messages: list[Message], erased: set[int], joined: dict[int, int]) -> Finding:
    data = operation.data
    what = f"messages of operation {operation.seq}"
    sessions = {_present_session(group["session_id"], joined) for group in (*data["created"], *data["extended"])}
    for message in messages:
        if message.session_id not in sessions:
            expected = " or ".join(map(str, sorted(sessions)))
            return f"{_label(message)}, session", expected, str(message.session_id)
    if "stored" in data:
        if data["stored"] != len(messages):
            return what, str(data["stored"]), str(len(messages))
        if any(message.pk in erased for message in messages):
            return None
        proof = stream.proof_of_all(messages)
        return (f"{what}, proof", data["proof"], proof) if data["proof"] != proof else None
    if len(messages) > data["messages"]:
        return what, f"{data['messages']} at most", str(len(messages))
    return None


def _wrong_name(material: Material) -> Finding:
    """The stored name may be missing only where the record says that something was erased."""
    renames = [operation for operation in material.operations if operation.type == "customer.renamed"]
    name = material.conversation.customer_name
    if not renames or (not name and any(operation.type == "messages.erased" for operation in material.operations)):
        return None
    digest = stream.content_digest(name) if name else ""
    return ("the customer's name", renames[-1].data["digest"], digest) if renames[-1].data["digest"] != digest else None


def _wrong_state(material: Material) -> Finding:
    if material.cut:
        return None  # the earlier operations are gone, and the rest says only what changed since
    conversation = material.conversation
    replay = Replay(settings.TANDEM, id=conversation.pk, keeps_time=False)
    try:
        replay.apply(material.operations)
    except (KeyError, ValueError, TypeError, AssertionError) as error:
        return f"operation {replay.seq}", "what can follow on those before it", f"{type(error).__name__} {error}"
    columns = (
        "id",
        "seq",
        "waiting_since",
        "unanswered_since",
        "need",
        "controller",
        "holder",
        "epoch",
        "pinned_at",
        "todo_at",
        "is_urgent",
        "needs_human",
    )
    row = {name: getattr(conversation, name) for name in columns}
    stored = Replay.of_rows({"conversation": row, "messages": [], **material.rows}, settings.TANDEM)
    recorded, actual = replay.standing(), stored.standing()
    for name in [*recorded, *(name for name in actual if name not in recorded)]:
        if recorded.get(name) != actual.get(name):
            return name, _shown(recorded.get(name)), _shown(actual.get(name))
    for name, value in replay.details.items():
        if stored.details.get(name) != value:
            return name, _shown(value), _shown(stored.details.get(name))
    if wrong := _not_awaited(material, replay):
        return wrong
    if not replay.epoch <= conversation.epoch <= replay.epoch_most:
        return "epoch", f"{replay.epoch} to {replay.epoch_most}", str(conversation.epoch)
    return None


def _not_awaited(material: Material, replay: Replay) -> Finding:
    """Whether the customer awaits an answer, and since when, where signed operations say so: older ones say less."""
    if not _is_signed(material, replay.awaits_by):
        return None
    recorded, actual = replay.unanswered_since, material.conversation.unanswered_since
    if (recorded is None) != (actual is None) or (recorded != actual and _is_signed(material, replay.awaits_from)):
        return "unanswered since", _shown(recorded), _shown(actual)
    return None


def _is_signed(material: Material, seq: int) -> bool:
    return seq > 0 and stream.is_keyed(material.operations[seq - 1].chain)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return " ".join(_shown(part) for part in value) if isinstance(value, tuple) else str(value)


_CHECKS: dict[str, Callable[[Material], Finding]] = {
    "an operation": _broken_link,
    "its end": _wrong_end,
    "its place": _wrong_tenant,
    "a message": _wrong_message,
    "the customer's name": _wrong_name,
    "a row": _wrong_state,
}
"""By the name that is reported where one of them cannot read its rows."""
