"""The conversations of a batch are found, made and held as the ORM's form has it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from agents_app import row_policies
from agents_app.models import Tenant
from agents_app.policies import Policies
from config import bulk_rows, clock
from config.errors import TryAgain
from messaging_app.models import Conversation
from sessions_app.actions.batch_conversations import Key, lock_conversations, lock_conversations_by_orm
from tests.cast import Cast
from tests.locks import is_held

pytestmark = pytest.mark.django_db

TEXTS = ("a", "b", 'a "b"\\', "{a,b}", "NULL", "您好 👍", "%s $1 '")
KEYS: list[Key] = [
    (platform, shop, account) for platform in ("default", 'w"b') for shop in TEXTS[:3] for account in TEXTS
]

type Find = Callable[[int, list[Key]], dict[Key, Conversation]]


class Undone(Exception):
    """Rolls a savepoint back."""


def there(tenant: Tenant, key: Key, **more: Any) -> Conversation:
    platform, shop, account = key
    return Conversation.objects.create(tenant=tenant, platform=platform, shop_id=shop, account_id=account, **more)


def world(cast: Cast, others: Cast) -> None:
    """Every second is known; so are others of the same names elsewhere."""
    for _, shop, account in KEYS[: len(KEYS) // 2]:
        there(cast.tenant, ("another", shop, account))
    for number, key in enumerate(KEYS[::2]):
        there(cast.tenant, key, customer_name=f"No. {number}", need={"why": number}, is_vip=number % 2 == 0)
    there(others.tenant, KEYS[1], customer_name="another's")


def found(find: Find, tenant: Tenant, keys: list[Key]) -> dict[Key, Any]:
    """What it says of each key, and what lies in the table then; ids and times of new ones are not compared."""
    try:
        with transaction.atomic():
            known = set(Conversation.objects.values_list("pk", flat=True))
            held = find(tenant.pk, keys)
            assert {row.pk for row in held.values()} == set(
                Conversation.objects.filter(tenant=tenant, pk__in=[row.pk for row in held.values()]).values_list("pk", flat=True)
            )  # fmt: skip
            for row in held.values():
                stored = Conversation.objects.get(pk=row.pk)
                assert vars(row) | {"_state": 0} == vars(stored) | {"_state": 0}
                assert (row._state.adding, row._state.db) == (False, "default")
            seen = {key: vars(row) | {"_state": 0} | ({} if row.pk in known else {"id": 0, "created_at": 0}) for key, row in held.items()}  # fmt: skip
            raise Undone
    except Undone:
        return seen


@pytest.mark.parametrize("keys", [KEYS, KEYS[::2], KEYS[1::2], KEYS[:1], KEYS[1:2], [*KEYS[:3], KEYS[0], KEYS[1]]])
def test_they_are_those_that_the_orm_finds_and_makes(cast: Cast, others: Cast, keys: list[Key]) -> None:
    world(cast, others)
    ours = found(lock_conversations, cast.tenant, keys)
    assert ours == found(lock_conversations_by_orm, cast.tenant, keys)
    assert ours.keys() == set(keys)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only there is a statement of that form")
@pytest.mark.parametrize(
    ("part", "instead"),
    [
        ("c.tenant_id = $1::bigint", "$1::bigint IS NOT NULL"),
        ("c.platform = r.platform", "TRUE"),
        ("c.shop_id = r.shop_id", "TRUE"),
        ("c.account_id = r.account_id", "TRUE"),
    ],
)
def test_a_condition_that_is_left_out_is_noticed(cast: Cast, others: Cast, part: str, instead: str) -> None:
    world(cast, others)
    lock_conversations(cast.tenant.pk, KEYS[:1])  # the statement is built
    met = []

    def altered(execute: Any, sql: str, *rest: Any) -> Any:
        met.append(part in sql)
        return execute(sql.replace(part, instead), *rest)

    theirs = found(lock_conversations_by_orm, cast.tenant, KEYS)
    with connection.execute_wrapper(altered):
        try:
            ours = found(lock_conversations, cast.tenant, KEYS)
        except (AssertionError, TryAgain):
            ours = {}
    assert any(met)
    assert ours != theirs


def test_one_that_another_has_made_meanwhile_is_found_when_it_is_tried_again(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("nobody is in between where the ORM's form is used")
    real = bulk_rows.insert_each_unknown

    def overtaken(*args: Any) -> bool:
        there(cast.tenant, KEYS[0])
        return real(*args)

    monkeypatch.setattr(bulk_rows, "insert_each_unknown", overtaken)
    with pytest.raises(TryAgain):
        lock_conversations(cast.tenant.pk, KEYS[:2])
    monkeypatch.undo()
    assert lock_conversations(cast.tenant.pk, KEYS[:2]).keys() == set(KEYS[:2])


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("find", [lock_conversations, lock_conversations_by_orm])
def test_those_that_were_there_are_held_until_the_end(cast: Cast, find: Find) -> None:
    pk = there(cast.tenant, KEYS[0]).pk
    with transaction.atomic():
        find(cast.tenant.pk, KEYS[:2])
        assert is_held(pk)
    assert not is_held(pk)


def test_policies_come_with_the_time(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    cast.tenant.policies = {"history_gap": 900}
    cast.tenant.save()
    monkeypatch.setattr(clock, "offset", timedelta(days=3))
    before = clock.now()
    own, now = row_policies.and_now(cast.tenant.pk)
    assert before <= now + timedelta(milliseconds=1)
    assert now <= clock.now() + timedelta(milliseconds=1)
    assert (own.history_gap, own.group_after) == (timedelta(seconds=900), Policies().group_after)
