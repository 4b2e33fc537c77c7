"""Bodies read fast: what a `RequestSerializer` declares, compiled once into plain functions.

REST framework makes all fields of a serializer anew for each body, and takes each through a dozen calls. A reader has
one function for each field, made from the same declaration as the OpenAPI document. It accepts what is right for
certain and declines all else: the serializer then reads the body, and its refusal is the answer. So a reader never
decides that something is wrong. tests/api/test_body_readers.py holds every reader to its serializer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any, Protocol, cast, runtime_checkable

from rest_framework import serializers

from config import free_json
from config.api import FreeJson, Id, RequestSerializer, is_id, mistaken

type Read = Callable[[Any], Any]
"""What a field makes of a value. Raises `Declines`, or whatever the field raises, where that is not certain."""


class Declines(Exception):
    """The serializer has to read this."""


@runtime_checkable
class ReadsItself(Protocol):
    """A field of a class of its own that has such a function."""

    def reader(self) -> Read: ...


def validated(kind: type[RequestSerializer], data: Any) -> dict[str, Any]:
    """The fields of a body as the verb takes them. Raises what the serializer raises."""
    try:
        return _reader(kind)(data)
    except Exception:  # whatever it is, the serializer says it
        serializer = kind(data=data)
        serializer.is_valid(raise_exception=True)
        return cast("dict[str, Any]", serializer.validated_data)


@cache
def _reader(kind: type[RequestSerializer]) -> Callable[[Any], dict[str, Any]]:
    """The reader of a class. Its fields depend on the class alone, so those of one serializer serve all bodies."""
    prototype = kind()
    fields: dict[str, Any] = dict(prototype.fields)
    if not _is_plain(kind, fields):
        return _declined
    reads = {name: _read_of(field, is_cleaned=name in kind.cleaned) for name, field in fields.items()}
    required = frozenset(name for name, field in fields.items() if field.required)
    defaults = {name: field.default for name, field in fields.items() if field.default is not serializers.empty}
    return partial(_read, prototype.validate, reads, required, defaults)


def _read(
    validate: Read, reads: dict[str, Read], required: frozenset[str], defaults: dict[str, Any], data: Any
) -> dict[str, Any]:
    if type(data) is not dict:
        raise Declines
    read = {name: reads[name](value) for name, value in data.items()}
    if not required <= read.keys():
        raise Declines
    return cast("dict[str, Any]", validate(defaults | read))


def _declined(_: Any) -> Any:
    raise Declines


def _is_plain(kind: type[RequestSerializer], fields: dict[str, Any]) -> bool:
    """Whether the class reads as `RequestSerializer` does: each field by itself, then `validate`."""
    return (
        all(
            getattr(kind, name) is getattr(RequestSerializer, name)
            for name in ("run_validation", "run_validators", "to_internal_value", "get_validators")
        )
        and not any(hasattr(kind, f"validate_{name}") for name in fields)
        and not any(
            field.read_only or field.source != name or _is_made(field.default) for name, field in fields.items()
        )
    )


def _is_made(default: Any) -> bool:
    """Whether a default is made anew for each body."""
    return default is not serializers.empty and callable(default)


def _read_of(field: Any, *, is_cleaned: bool) -> Read:
    """The function of one field; its text must be storable where it is not cleaned."""
    if isinstance(field, ReadsItself):
        read = field.reader()
        return read if is_cleaned else partial(_storable, read)
    by_kind = _BY_KIND.get(_kind_of(field))
    return partial(_by_field, field, is_cleaned) if by_kind is None else by_kind(field)


def _kind_of(field: Any) -> Any:
    """Of those that have a function of their own, the class that reads the field: its own, or one that it leaves as it is."""
    for kind in _BY_KIND:
        if isinstance(field, kind) and all(
            getattr(type(field), name) is getattr(kind, name)
            for name in ("run_validation", "to_internal_value", "run_validators", "get_validators")
        ):
            return kind
    return None


def _by_field(field: Any, is_cleaned: bool, value: Any) -> Any:
    """As the serializer does it, without making the field anew."""
    if not (is_cleaned and isinstance(value, str)):
        free_json.check(value, field.field_name)
    if value is None or mistaken(field, value):
        raise Declines
    return field.run_validation(value)


def _storable(read: Read, value: Any) -> Any:
    if not isinstance(value, str) or not free_json.is_storable(value):
        raise Declines
    return read(value)


# --- The framework's own fields ----------------------------------------------------------------------------------


def _limits(field: Any, known: Iterable[str]) -> dict[str, Any] | None:
    """The figures that a field was declared with. None for a field that has a validator besides them."""
    limits = {name: figure for name in known if (figure := getattr(field, name, None)) is not None}
    its_own = 2 if isinstance(field, serializers.CharField) else 0  # no NUL and no half of a surrogate pair
    return limits if len(field.validators) == len(limits) + its_own else None


def _id(field: Any) -> Read:
    def read(value: Any) -> int:
        if not is_id(value):
            raise Declines
        return int(value)

    return read


def _flag(field: Any) -> Read:
    def read(value: Any) -> bool:
        if value is True or value is False:
            return value
        raise Declines

    return read


def _whole(field: Any) -> Read:
    limits = _limits(field, ("min_value", "max_value"))
    if limits is None:
        return partial(_by_field, field, False)
    least, most = limits.get("min_value", -(2**63)), limits.get("max_value", 2**63 - 1)

    def read(value: Any) -> int:
        if type(value) is int and least <= value <= most:
            return value
        raise Declines

    return read


def _text(field: Any) -> Read:
    limits = _limits(field, ("max_length",))
    if limits is None:
        return partial(_by_field, field, False)
    most, is_trimmed, may_be_blank = limits.get("max_length", 2**63), field.trim_whitespace, field.allow_blank

    def read(value: Any) -> str:
        if not isinstance(value, str) or not free_json.is_storable(value):
            raise Declines
        text = value.strip() if is_trimmed else value
        if len(text) > most or not (text or may_be_blank):
            raise Declines
        return text

    return read


def _choice(field: Any) -> Read:
    words = {name: value for name, value in field.choice_strings_to_values.items() if name}

    def read(value: Any) -> Any:
        if type(value) is not str or value not in words:
            raise Declines
        return words[value]

    return read


def _list(field: Any) -> Read:
    limits = _limits(field, ("min_length", "max_length"))
    if limits is None:
        return partial(_by_field, field, False)
    least = limits.get("min_length", 0 if field.allow_empty else 1)
    most, read_one = limits.get("max_length", 2**63), _read_of(field.child, is_cleaned=False)

    def read(value: Any) -> list[Any]:
        if type(value) is not list or not least <= len(value) <= most:
            raise Declines
        return [read_one(item) for item in value]

    return read


def _free_json(field: Any) -> Read:
    name = field.field_name or ""

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Declines
        return free_json.checked_object(value, name)

    return read


_BY_KIND: dict[Any, Callable[[Any], Read]] = {
    Id: _id,
    FreeJson: _free_json,
    serializers.BooleanField: _flag,
    serializers.IntegerField: _whole,
    serializers.ListField: _list,
    serializers.ChoiceField: _choice,
    serializers.CharField: _text,
}
