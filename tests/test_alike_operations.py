"""Operations that are made on many conversations at once are those that are made on each."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import transaction
from hypothesis import example, given
from hypothesis import strategies as st

from agents_app.actors import Actor, system_actor
from agents_app.models import Tenant
from messaging_app import alike_operations, live, relay, stream
from messaging_app.alike_operations import Alike, Before
from messaging_app.models import Conversation, Operation, StreamHead

AT = datetime(2026, 3, 1, 8, 30, 15, 1, tzinfo=timezone(timedelta(hours=-9, minutes=-30)))
FIXED: Mapping[str, Any] = {"reason": 'a "quoted" \\ word\n', "after": "TIMEOUT", "owner_id": 7, "owner_kind": "bot"}


@pytest.fixture
def tenant() -> Tenant:
    return Tenant.objects.create(slug="alike", name="Alike")


@pytest.fixture
def before(tenant: Tenant) -> Before:
    """Three conversations, each with one operation more than the one before it."""
    rows = [Conversation.objects.create(tenant=tenant, shop_id="s", account_id=f"a-{n}") for n in range(3)]
    for number, row in enumerate(rows, 1):
        made = [stream.entry(row, actor=system_actor(tenant.pk), type="first", at=AT) for _ in range(number)]
        stream.seal(row, made)
        stream.write(made)
        row.save()
    return Before(tenant.pk, [row.pk for row in rows], [row.seq for row in rows], [row.chain for row in rows])


def made(before: Before) -> list[Alike]:
    """One with all the same data and a session, one with its own and none."""
    own = [{"since": f"2026-03-01T08:30:{pk % 60:02}", **FIXED} for pk in before.ids]
    return [Alike("session.timed_out", [pk + 100 for pk in before.ids], FIXED), Alike("attention.raised", None, own)]


def written(before: Before, operations: Sequence[Alike]) -> Sequence[str]:
    """Make and store them. Returns the conversations' last links."""
    ours = alike_operations.make(before, operations, actor=system_actor(before.tenant_id), at=AT)
    alike_operations.write(ours)
    return ours.chains


def one_by_one(before: Before, operations: Sequence[Alike], *, actor: Actor, at: datetime) -> list[str]:
    """What `written` does, by the stream's own functions."""
    chains = []
    for place, pk in enumerate(before.ids):
        row = Conversation.objects.get(pk=pk)
        entries = [
            stream.entry(row, actor=actor, type=type, at=at, session_id=session_id, data=dict(data))
            for type, session_id, data in (operation.of(place) for operation in operations)
        ]
        stream.seal(row, entries)
        stream.write(entries)
        chains.append(row.chain)
    return chains


def left_by(work: Callable[[], Sequence[str]], before: Before) -> tuple[Sequence[str], list[dict[str, Any]]]:
    """The links that it gives back, and all operations by conversation after it, which is undone."""
    with transaction.atomic():
        chains = work()
        relay.stamp_whole(before.tenant_id)
        rows = Operation.objects.order_by("conversation_id", "seq").values()
        found = [{name: value for name, value in row.items() if name not in ("id", "pos")} for row in rows]
        assert {row["pos"] for row in rows} == set(range(1, len(found) + 1))
        assert StreamHead.objects.get(tenant_id=before.tenant_id).pos == len(found)
        transaction.set_rollback(True)
    return chains, found


@pytest.mark.django_db
def test_all_is_left_as_one_by_one(before: Before) -> None:
    actor = system_actor(before.tenant_id)
    ours = left_by(lambda: written(before, made(before)), before)
    theirs = left_by(lambda: one_by_one(before, made(before), actor=actor, at=AT), before)
    assert ours == theirs
    assert len(ours[1]) == 1 + 2 + 3 + 2 * 3


@pytest.mark.django_db
def test_every_chain_is_whole_and_in_the_order_of_the_stream(before: Before) -> None:
    written(before, made(before))
    relay.stamp_whole(before.tenant_id)
    for pk in before.ids:
        operations = Operation.objects.filter(conversation=pk)
        assert stream.first_broken_link(operations.order_by("seq")) is None
        assert list(operations.order_by("pos")) == list(operations.order_by("seq"))


@pytest.mark.django_db
def test_listeners_are_notified_once_of_each_conversation_s_last_operation(
    before: Before, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    hints: list[Any] = []
    monkeypatch.setattr(live, "announce", hints.extend)
    with django_capture_on_commit_callbacks(execute=True):
        written(before, made(before))
    assert hints == [(before.tenant_id, pk, seq + 2) for pk, seq in zip(before.ids, before.seqs, strict=True)]


MUTANTS: dict[str, Callable[[list[Alike]], list[Alike]]] = {
    "one operation is left out": lambda made: made[:1],
    "they change places": lambda made: made[::-1],
    "the session is left out": lambda made: [Alike(made[0].type, None, made[0].data), made[1]],
    "all get the data of the first": lambda made: [made[0], Alike(made[1].type, None, made[1].of(0)[2])],
}


@pytest.mark.django_db
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_noticed(mutant: str, before: Before) -> None:
    actor = system_actor(before.tenant_id)
    mutated = MUTANTS[mutant](made(before))
    ours = left_by(lambda: written(before, mutated), before)
    assert ours != left_by(lambda: one_by_one(before, made(before), actor=actor, at=AT), before)


# --- What is signed ----------------------------------------------------------------------------------------------

_text = st.text(st.characters(exclude_categories=["Cs"]))
_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_text, _plain, max_size=5), _text)
@example({chr(number): chr(number) for number in range(256)}, "\x7f\u2028 \U0001f44d")
@example({"\ufffd": 1, "\U0001f44d": 2, "z": {"b": 1, "a": True}}, "")
def test_what_is_signed_is_the_canonical_json_of_all_fields(data: dict[str, Any], name: str) -> None:
    operation = Operation(
        tenant_id=1, conversation_id=2, seq=3, type="a.b", session_id=None, actor_kind="agent", actor_id=4, actor_name=name,
        data=data, at=AT,
    )  # fmt: skip
    utc = AT.astimezone(UTC).isoformat(timespec="microseconds")
    text = stream._CANONICAL.encode([0, 1, 2, 3, "a.b", None, "agent", 4, name, utc, stream._plain(data)])
    signed = hmac.digest(b"key", f"operation\nbefore{text}".encode(), "sha256")
    assert stream.link("before", operation, number=0, key=b"key") == f"0:{stream._short(signed)}"
