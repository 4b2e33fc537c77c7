"""Departments: who belongs to one, from wherever an installation keeps that (docs/people.md).

`DIRECTORY` names a class with this interface; without one there are no departments to expand. A directory
is foreign code, so `members_of` and `search` make one clear error of whatever goes wrong in it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.module_loading import import_string

from agents_app.models import Department, DepartmentMember
from config import limits
from config.errors import Conflict, DomainError, NotFound, Unprocessable
from config.http import Unanswered

log = logging.getLogger(__name__)

MOST_MEMBERS = 50
"""Members of a department that is invited at once, at most: each gets a link and a notice of their own."""
MOST_FOUND = 20


@dataclass(frozen=True, slots=True)
class Person:
    """A member: a name, and the address that notices go to (docs/notices.md)."""

    name: str
    contact: str


@dataclass(frozen=True, slots=True)
class Found:
    """A department that a search found. `id` is the directory's own."""

    id: str
    name: str


class Directory(Protocol):
    """Where departments are kept. `tenant` is the tenant's short name: what belongs to another must not be found.

    Called outside of every transaction, so it may ask another server.
    """

    def search(self, tenant: str, text: str) -> list[Found]:
        """Departments whose name holds the text; with no text, any."""

    def members(self, tenant: str, department_id: str) -> list[Person]:
        """Who belongs to it. Raises `NotFound` for no such department."""


class NoDirectory(Conflict):
    code, message = "no_directory", "This installation has no directory of departments."


class DirectoryFailed(DomainError):
    """It did not answer, or with something that is no answer. Nobody was invited."""

    code, status, message = "directory_failed", 502, "The directory of departments does not answer."


class DepartmentTooLarge(Unprocessable):
    """`fields`: members."""

    code, message = "department_too_large", f"A department of more than {MOST_MEMBERS} is not invited at once."


class Rows:
    """The tenant's departments as its supervisors enter them in the admin. Looked up by id or by the whole name."""

    def search(self, tenant: str, text: str) -> list[Found]:
        # In lower case, because the column minds capital letters on MariaDB.
        matches = Department.objects.annotate(lower=Lower("name")).filter(lower__contains=text.lower())
        rows = matches.filter(tenant__slug=tenant)
        return [Found(str(row.pk), row.name) for row in rows[:MOST_FOUND]]

    def members(self, tenant: str, department_id: str) -> list[Person]:
        condition = Q(name=department_id)
        if department_id.isascii() and department_id.isdigit() and len(department_id) <= limits.MAX_DIGITS:
            condition |= Q(pk=int(department_id))
        department = Department.objects.filter(condition, tenant__slug=tenant).order_by("pk").first()
        if department is None:
            raise NotFound("There is no such department.")
        rows = DepartmentMember.objects.filter(department=department).order_by("name", "pk")
        return [Person(row.name, row.contact) for row in rows[: MOST_MEMBERS + 1]]


def is_set_up() -> bool:
    return bool(settings.DIRECTORY)


def search(tenant: str, text: str) -> list[Found]:
    """Departments, MOST_FOUND at most. Raises `NoDirectory`, `DirectoryFailed`. Not for inside a transaction."""
    return _call(lambda directory: list(directory.search(tenant, text))[:MOST_FOUND])


def members_of(tenant: str, department_id: str) -> list[Person]:
    """Whom to invite when a department is: all of it or nobody. Not for inside a transaction.

    Raises `NotFound` for no such department and for one without members, `NoDirectory`, `DirectoryFailed`,
    `DepartmentTooLarge`.
    """
    members: list[Any] = _call(lambda directory: list(directory.members(tenant, department_id)))
    if not members:
        raise NotFound("Nobody belongs to this department.")
    if len(members) > MOST_MEMBERS:
        raise DepartmentTooLarge(members=len(members))
    if any(not isinstance(member, Person) or not member.name.strip() for member in members):
        raise DirectoryFailed("The directory of departments named somebody without a name.")
    return members


def _call[T](ask: Callable[[Directory], T]) -> T:
    if not is_set_up():
        raise NoDirectory
    try:
        return ask(import_string(settings.DIRECTORY)())
    except DomainError:
        raise
    except Unanswered as why:
        log.warning("the directory of departments: %s", why)
        raise DirectoryFailed(f"The directory of departments does not answer: {why}.") from None
    except Exception:
        log.exception("the directory of departments failed")
        raise DirectoryFailed from None
