"""Secrets at rest: sealed (encrypted) with a key derived from SECRET_KEY, so that a copy of the database reveals none.

What was sealed with an earlier key (SECRET_KEY_FALLBACKS) can still be opened; new values take the current key.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.expressions import Combinable
from django.utils.crypto import salted_hmac

__all__ = ["CannotOpen", "SealedField", "opened", "reseal", "sealed"]

_MARK = "gAAAA"
"""How every seal begins: Fernet's version, in base64 (https://github.com/fernet/spec)."""


class CannotOpen(Exception):
    """Sealed with a key that is neither SECRET_KEY nor one of SECRET_KEY_FALLBACKS."""


def sealed(text: str, *, purpose: tuple[str, str]) -> str:
    """The text, encrypted. `purpose` is salt and value of the derived key: no other purpose can open it."""
    return _seals(purpose).encrypt(text.encode()).decode()


def opened(text: str, *, purpose: tuple[str, str]) -> str:
    """The plain text of what `sealed` returned. Raises `CannotOpen`."""
    try:
        return _seals(purpose).decrypt(text.encode()).decode()
    except InvalidToken:
        raise CannotOpen from None


def _seals(purpose: tuple[str, str]) -> MultiFernet:
    salt, value = purpose
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    derived = [salted_hmac(salt, value, secret=key, algorithm="sha256").digest() for key in keys]
    return MultiFernet([Fernet(urlsafe_b64encode(key)) for key in derived])


if TYPE_CHECKING:
    _Text = models.TextField[str | Combinable, str]
else:  # Django's fields take no type arguments at run time
    _Text = models.TextField


class SealedField(_Text):
    """Text that the database holds sealed and the program reads plain. Empty stays empty; it cannot be searched for.

    A value that no key opens any more is read as empty: its row still works, and can be given a new one.
    """

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        if not value or not value.startswith(_MARK):
            return value  # written before secrets were sealed
        try:
            return opened(value, purpose=self._purpose())
        except CannotOpen:
            return ""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return sealed(value, purpose=self._purpose()) if value else value

    def get_lookup(self, lookup_name: str) -> Any:
        raise FieldError(f"{self.name} is sealed: nothing can be looked up by it.")

    def _purpose(self) -> tuple[str, str]:
        return "tandem.secrets", f"{self.model._meta.label_lower}.{self.name}"


def reseal(model: type[models.Model], *fields: str) -> int:
    """Write these fields anew with the present SECRET_KEY, row by row; returns how many rows had something."""
    count = 0
    for row in model._default_manager.only("pk", *fields).iterator():
        if any(getattr(row, field) for field in fields):
            row.save(update_fields=fields)
            count += 1
    return count
