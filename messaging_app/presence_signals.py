"""Presence signals, called signs: who looks at a conversation, and who is typing in it. Sent, and never stored.

A sign counts for some seconds and is sent again while it is true, so a lost one is soon replaced, and those of an ended
process are soon forgotten. Nothing may depend on a sign: what is said and done is in the stream.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import NamedTuple

from config import limits

LOOKS, REPLIES, NOTES, GONE = "looks", "replies", "notes", "gone"
COUNTS_FOR = {LOOKS: limits.LOOKS_COUNT_FOR, REPLIES: limits.TYPING_COUNTS_FOR, NOTES: limits.TYPING_COUNTS_FOR}
"""Seconds after which a sign that was not repeated is forgotten, here and on the pages."""
BEHIND_MOST = 64
"""Signs a slow reader may fall behind before it misses some."""


class PresenceSignal(NamedTuple):
    """What somebody does in a conversation. `who` is `agent:5`, `participant:7` or `customer`."""

    tenant_id: int
    conversation_id: int
    who: str
    name: str
    does: str


type Reader = asyncio.Queue[PresenceSignal]


class PresenceSignals:
    """The signs that this process knows, and the readers that receive them. Belongs to one event loop."""

    def __init__(self) -> None:
        self._readers: defaultdict[int, set[Reader]] = defaultdict(set)
        self._known: dict[tuple[int, int], dict[str, tuple[PresenceSignal, float]]] = {}

    @contextmanager
    def reading(self, tenant_id: int) -> Iterator[Reader]:
        """A queue of a tenant's signs while the block runs."""
        reader: Reader = asyncio.Queue(BEHIND_MOST)
        self._readers[tenant_id].add(reader)
        try:
            yield reader
        finally:
            self._readers[tenant_id].discard(reader)

    def put(self, sign: PresenceSignal) -> None:
        where = (sign.tenant_id, sign.conversation_id)
        if sign.does == GONE:
            self._known.get(where, {}).pop(sign.who, None)
        else:
            self._known.setdefault(where, {})[sign.who] = (sign, monotonic() + COUNTS_FOR[sign.does])
        for reader in self._readers.get(sign.tenant_id, ()):
            with suppress(asyncio.QueueFull):
                reader.put_nowait(sign)

    def of(self, tenant_id: int, conversation_id: int) -> list[PresenceSignal]:
        """The signs that count in a conversation now, for a reader that opens it."""
        now = monotonic()
        return [sign for sign, until in self._known.get((tenant_id, conversation_id), {}).values() if until > now]

    def forget(self) -> None:
        """Drop the signs that no longer count."""
        now = monotonic()
        for where, signs in tuple(self._known.items()):
            for who, (_, until) in tuple(signs.items()):
                if until <= now:
                    del signs[who]
            if not signs:
                del self._known[where]
