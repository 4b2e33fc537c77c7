"""The one error type of the domain, and the one by which a transaction begins again. Pure: no Django, no database.

Doors translate it (HTTP problem+json, a form message, an exit code); nothing else needs to know about them.
"""

from __future__ import annotations

from typing import Any


class DomainError(Exception):
    """A rule said no. `code` is stable, `status` is the HTTP status a door may use, `fields` name what to do about it.

    `legacy_code` is the number that the predecessor's clients know the refusal by, where there was one.
    """

    code = "error"
    status = 400
    message = "The request could not be carried out."
    legacy_code: int | None = None

    def __init__(self, message: str = "", *, legacy_code: int | None = None, **fields: Any) -> None:
        self.detail = message or self.message
        self.fields = fields
        self.legacy_code = legacy_code or self.legacy_code
        super().__init__(self.detail)

    def __str__(self) -> str:
        return self.detail


class Malformed(DomainError):
    code, status, message = "malformed", 400, "The input is not of the expected form."


class Forbidden(DomainError):
    code, status, message = "forbidden", 403, "You may not do that."


class NotFound(DomainError):
    """Also for what belongs to another tenant: the two must not be told apart."""

    code, status, message = "not_found", 404, "There is no such thing here."
    legacy_code = 3003


class UnknownHost(DomainError):
    code, status, message = "unknown_host", 400, "This installation does not answer to that host name."


class Conflict(DomainError):
    code, status, message = "conflict", 409, "The present state forbids that."


class NameTaken(Conflict):
    code, message = "name_taken", "There is one with this name already."


class Unprocessable(DomainError):
    """Well-formed, and still not what the caller can have meant."""

    code, status, message = "unprocessable", 422, "The request contradicts an earlier one."


class Busy(DomainError):
    """The database cannot do it now: every retry failed (deadlock, time-out), or no connection was to be had."""

    code, status, message = "busy", 503, "The service is busy. Try again with the same id."


class StorageFailed(DomainError):
    """A disk or a store of files is full, read-only or away."""

    code, status, message = "storage_failed", 503, "Nothing can be stored at the moment. Try again with the same id."


class InternalError(DomainError):
    """A mistake of ours. `fields`: error_id, under which the log has what went wrong."""

    code, status, message = "internal_error", 500, "The fault is on our side and has been written down."


class TryAgain(Exception):
    """No answer of the domain's: raised inside a transaction that another one has overtaken, which is run again as a whole."""
