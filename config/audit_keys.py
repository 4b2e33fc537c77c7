"""The keys that sign the record. Each has a number, so that what an older one signed can still be checked.

The key with the highest number signs. Where AUDIT_KEYS names none, or none with the number 0, key 0 is derived from
SECRET_KEY (and, only to check signatures, from each of SECRET_KEY_FALLBACKS), so that nothing has to be set on a
laptop. Pure but for the settings, which `signature` and `is_signature` read.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

MIN_BYTES = 32
"""Bytes of a key, at least: the length of a SHA-256 digest, which RFC 2104 (section 3) recommends."""
MAX_NUMBER = 9_999
_DERIVED = b"tandem.audit-key.0"


@dataclass(frozen=True, slots=True)
class Ring:
    """`newest` is the number of the key that signs; `keys` has all by number; key 0 has one for each SECRET_KEY."""

    newest: int
    keys: Mapping[int, tuple[bytes, ...]]

    @property
    def signing(self) -> bytes:
        return self.keys[self.newest][0]


def derived(secret: str) -> bytes:
    """Key 0, derived from a SECRET_KEY."""
    return hmac.digest(secret.encode(), _DERIVED, "sha256")


def problems(entries: Iterable[str]) -> Iterator[str]:
    """What is wrong with AUDIT_KEYS, a sentence each. No key is shown."""
    numbers: list[int] = []
    for place, entry in enumerate(entries, 1):
        number, _, key = entry.strip().partition(":")
        if not (number.isascii() and number.isdecimal() and int(number) <= MAX_NUMBER):
            yield f"AUDIT_KEYS has no number (0 to {MAX_NUMBER}) and colon before its key {place}: write 1:<64 hex digits>."
            continue
        numbers.append(int(number))
        try:
            length = len(bytes.fromhex(key))
        except ValueError:
            length = 0
        if length < MIN_BYTES:
            yield f"AUDIT_KEYS needs {2 * MIN_BYTES} or more hex digits for key {number}: openssl rand -hex 32 prints them."
    if len(set(numbers)) < len(numbers):
        yield "AUDIT_KEYS gives one number to two keys, so that nobody could tell which of them signed."


def ring() -> Ring:
    return _ring(tuple(settings.AUDIT_KEYS), settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=8)
def _ring(entries: tuple[str, ...], secret: str, fallbacks: tuple[str, ...]) -> Ring:
    keys = {0: tuple(derived(secret_key) for secret_key in (secret, *fallbacks))}
    for entry in entries:
        number, _, key = entry.strip().partition(":")
        keys[int(number)] = (bytes.fromhex(key),)
    return Ring(max(keys), keys)


def mac(key: bytes, purpose: str, text: str) -> str:
    """HMAC-SHA256 in hex digits. `purpose` is part of what is signed: a signature is good for no other purpose."""
    return hmac.digest(key, f"{purpose}\n{text}".encode(), "sha256").hex()


def signature(purpose: str, text: str) -> str:
    """Sign with the newest key: its number, a colon, 64 hex digits."""
    keys = ring()
    return f"{keys.newest}:{mac(keys.signing, purpose, text)}"


def is_signature(signature: str, purpose: str, text: str) -> bool:
    """Whether a key of ours made this signature. False, too, if that key is not configured: see `number_of`."""
    number, _, code = signature.partition(":")
    return any(
        hmac.compare_digest(code.encode(), mac(key, purpose, text).encode())
        for key in ring().keys.get(number_of(number), ())
    )


def number_of(signature: str) -> int:
    """The number of the key that signed; -1 if the text names none."""
    number = signature.partition(":")[0]
    return int(number) if number.isascii() and number.isdecimal() and len(number) <= 4 else -1
