"""Finds the conversations of a batch, makes those that are missing, and holds them all.

On PostgreSQL one statement finds and locks those that are there, and one makes the others. `lock_conversations_by_orm`
leaves the same (tests/batches/test_conversations.py); it is what runs on MariaDB and SQLite.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL

from config import bulk_rows, statements
from config.db import lock_rows
from config.errors import TryAgain
from messaging_app.models import Conversation

type Key = tuple[str, str, str]
"""Platform, shop and account."""
_KEY = ("platform", "shop_id", "account_id")


def lock_conversations(tenant_id: int, keys: Iterable[Key]) -> dict[Key, Conversation]:
    """Find or make the conversations. Those that were there are locked in the order of their ids; a new one is nobody
    else's until the commit. Raises `TryAgain` for one that another transaction has made meanwhile: to lock it now would
    be out of order.
    """
    if connection.vendor != "postgresql":
        return lock_conversations_by_orm(tenant_id, keys)
    wanted = sorted(set(keys))
    arrays = map(bulk_rows.array_of_texts, zip(*wanted, strict=True))
    held = {_key_of(conversation): conversation for conversation in _HELD.rows(tenant_id, *arrays)}
    made = [_new(tenant_id, key) for key in wanted if key not in held]
    if made and not bulk_rows.insert_each_unknown(Conversation, made, _KEY):
        raise TryAgain("another one has made a conversation of this batch")
    return held | {_key_of(conversation): conversation for conversation in made}


def lock_conversations_by_orm(tenant_id: int, keys: Iterable[Key]) -> dict[Key, Conversation]:
    known = _ids_by_key(tenant_id, unique := set(keys))
    if missing := sorted(unique - known.keys()):
        bulk_rows.insert_unknown(Conversation, [_new(tenant_id, key) for key in missing])
        known |= _ids_by_key(tenant_id, set(missing))
    held = lock_rows(Conversation.objects.filter(pk__in=known.values()))
    return {_key_of(conversation): conversation for conversation in held}


def _key_of(conversation: Conversation) -> Key:
    return conversation.platform, conversation.shop_id, conversation.account_id


def _new(tenant_id: int, key: Key) -> Conversation:
    platform, shop_id, account_id = key
    return bulk_rows.fresh(
        Conversation, {}, tenant_id=tenant_id, platform=platform, shop_id=shop_id, account_id=account_id
    )


def _held(tenant_id: int, platforms: str, shops: str, accounts: str) -> QuerySet[Conversation]:
    """By arrays of keys. Each is looked up in the index, whatever the planner takes their number for."""
    values = (platforms, shops, accounts, tenant_id)
    ours = RawSQL(_AMONG, values, output_field=BooleanField())  # noqa: S611  # nosec B611
    return lock_rows(Conversation.objects.filter(ours))


_AMONG = """
messaging_app_conversation.id = ANY (ARRAY(
    SELECT t.id FROM unnest(%s::text[], %s::text[], %s::text[]) AS r (platform, shop_id, account_id)
    CROSS JOIN LATERAL (
        SELECT id FROM messaging_app_conversation AS c WHERE c.tenant_id = %s::bigint
        AND c.platform = r.platform AND c.shop_id = r.shop_id AND c.account_id = r.account_id LIMIT 1
    ) AS t
))
"""
_HELD = statements.Reading(_held, 0, "", "", "")


def _ids_by_key(tenant_id: int, keys: set[Key]) -> dict[Key, int]:
    rows = Conversation.objects.filter(
        tenant_id=tenant_id,
        platform__in={k[0] for k in keys},
        shop_id__in={k[1] for k in keys},
        account_id__in={k[2] for k in keys},
    )
    values = rows.values_list("platform", "shop_id", "account_id", "pk")
    return {(p, s, a): pk for p, s, a, pk in values if (p, s, a) in keys}
