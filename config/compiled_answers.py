"""Answers written fast: what a serializer declares, compiled once into plain getters. Their JSON: `config.json_answers`.

REST framework makes a serializer's fields anew for each answer, and asks each field of each row for its value through
five calls. `Compiled`, put before a serializer's base, keeps the class as it is declared, so that the OpenAPI document
and the answer are made of one declaration, and replaces the walk alone: the values of a row are read at once, and those
of the type that a field expects are written as they are. Whatever is not plain (a value of another type, an attribute that
is missing or is called, a field of a class of its own) is written by the framework's own field.

`Compiled` stands first among the bases of a serializer whose fields are the same for every caller. What the class does
in its own `to_representation` around `super()`'s stays; so do its `get_…` methods.
tests/api/test_compiled_answers.py holds every compiled serializer to the framework's answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.relations import PKOnlyObject
from rest_framework.settings import api_settings

from config.api import FreeJson, Id, ResponseSerializer

type _Field = serializers.Field[Any, Any, Any, Any]
type _Convert = Callable[[Any], Any]

ISO = "iso-8601"
_AS_IT_IS: dict[type[_Field], tuple[type, ...]] = {
    serializers.CharField: (str,),
    serializers.IntegerField: (int,),
    serializers.BooleanField: (bool,),
    serializers.JSONField: (dict, list, str, int, float, bool),
    serializers.ReadOnlyField: (dict, list, str, int, float, bool),
    FreeJson: (dict,),
}
"""The types whose values a field writes unchanged."""
_NEED_NO_PARENT = (
    *_AS_IT_IS,
    serializers.BigIntegerField,
    serializers.ChoiceField,
    serializers.DateTimeField,
    serializers.FloatField,
    Id,
    ResponseSerializer,
)
"""Fields whose `to_representation` depends on the value and on how the field was declared, and on nothing else."""


# No docstring: the OpenAPI document would show it for every serializer that has none of its own.
class Compiled(serializers.BaseSerializer[Any]):
    def to_representation(self, instance: Any) -> dict[str, Any]:
        try:
            return plan_of(type(self)).write(self, instance)
        except _NotPlain:
            shown: dict[str, Any] = super().to_representation(instance)
            return shown


class _NotPlain(Exception):
    """The framework has to write this row: something in it is missing, or is called to be had."""


class _Plan:
    """How the rows of one serializer class are written."""

    def __init__(self, kind: type[serializers.Serializer[Any]]) -> None:
        declared: dict[str, Any] = {name: field for name, field in kind().fields.items() if not field.write_only}
        plain = {name: field for name, field in declared.items() if _is_plain(field)}
        self.blank: dict[str, Any] = dict.fromkeys(declared)
        self.plain = [(name, _written_by_type(field), field.to_representation) for name, field in plain.items()]
        self.of_object, self.of_mapping = _at_once(attrgetter, plain), _at_once(itemgetter, plain)
        rest = {name: field for name, field in declared.items() if name not in plain}
        self.methods = {name: field.method_name for name, field in rest.items() if _is_method(field)}
        self.nested = {name: field for name, field in rest.items() if _nested_in(field) and _is_attribute(field)}
        self.others = [name for name in rest if name not in self.methods and name not in self.nested]

    def write(self, serializer: Any, instance: Any) -> dict[str, Any]:
        shown = self.blank.copy()
        read = self.of_mapping if isinstance(instance, Mapping) else self.of_object
        try:
            values = read(instance)
        except (AttributeError, KeyError):
            raise _NotPlain from None
        for (name, by_type, otherwise), value in zip(self.plain, values, strict=True):
            convert = by_type.get(type(value), otherwise)
            if convert is None:
                shown[name] = value
            elif callable(value):
                raise _NotPlain
            else:
                shown[name] = convert(value)
        for name, method in self.methods.items():
            shown[name] = getattr(serializer, method)(instance)
        for name, field in self.nested.items():
            shown[name] = _written(serializer, name, field, instance)
        for name in self.others:
            shown[name] = _by_framework(serializer.fields[name], instance)
        return shown


_plans: dict[type[Any], _Plan] = {}


def plan_of(kind: type[Any]) -> _Plan:
    """The plan of a class, made when its first row is written."""
    if kind not in _plans:
        _plans[kind] = _Plan(kind)
    return _plans[kind]


def _is_attribute(field: _Field) -> bool:
    """Whether the value is one attribute of the row, or one entry of a mapping."""
    return field.source not in (None, "*") and "." not in str(field.source)


def _is_plain(field: _Field) -> bool:
    is_own = type(field).get_attribute is not serializers.Field.get_attribute
    return _is_attribute(field) and not is_own and _needs_no_parent(field)


def _needs_no_parent(field: Any) -> bool:
    if _writes_like(field, serializers.DictField) or _writes_like(field, serializers.ListField):
        return _has_no_type(field.child) or _needs_no_parent(field.child)
    return any(_writes_like(field, kind) for kind in _NEED_NO_PARENT)


def _writes_like(field: Any, kind: Any) -> bool:
    """Whether the field's class, or one that it is derived from unchanged, is this one."""
    return isinstance(field, kind) and type(field).to_representation is kind.to_representation


def _has_no_type(field: Any) -> bool:
    return type(field).__name__ == "_UnvalidatedField"  # of a dictionary or list without a child


def _written_by_type(field: Any) -> dict[type, _Convert | None]:
    """By the type of a value: how it is written, None for as it is. Another type is left to the field itself."""
    by_type: dict[type, _Convert | None] = {type(None): None}
    for kind, types in _AS_IT_IS.items():
        if _writes_like(field, kind):
            return by_type | dict.fromkeys(types)
    if _writes_like(field, serializers.BigIntegerField):
        as_text = getattr(field, "coerce_to_string", api_settings.COERCE_BIGINT_TO_STRING)
        by_type[int] = str if as_text else None
    elif _writes_like(field, Id):
        by_type[int] = str
    elif _writes_like(field, serializers.ChoiceField):
        kinds = {type(key) for key in field.choice_strings_to_values.values()}
        if len(kinds) == 1 and kinds <= {str, int}:
            by_type |= dict.fromkeys(kinds)
    elif (
        _writes_like(field, serializers.DateTimeField) and getattr(field, "format", api_settings.DATETIME_FORMAT) == ISO
    ):
        by_type[datetime] = _moment_of(field)
    return by_type


def _moment_of(field: Any) -> _Convert:
    def moment(value: datetime) -> Any:
        text = value.isoformat()
        if text.endswith("+00:00") and timezone.get_default_timezone_name() == "UTC":
            return f"{text[:-6]}Z"
        return field.to_representation(value)

    return moment


def _at_once(getter: Any, fields: Mapping[str, _Field]) -> Callable[[Any], tuple[Any, ...]]:
    """Reads the values of all the fields of a row."""
    sources = [str(field.source) for field in fields.values()]
    if not sources:
        return lambda instance: ()
    read = getter(*sources)
    return read if len(sources) > 1 else lambda instance: (read(instance),)


def _is_method(field: Any) -> bool:
    return type(field) is serializers.SerializerMethodField


def _nested_in(field: Any) -> type[Any] | None:
    """The compiled serializer of a nested object, or of the objects of a nested list."""
    inner = field.child if type(field) is serializers.ListSerializer else field
    return type(inner) if isinstance(inner, Compiled) else None


def _written(serializer: Any, name: str, field: Any, instance: Any) -> Any:
    """A nested object or list. Its serializer is made once for all rows, and reads the context of the outer one."""
    source = str(field.source)
    try:
        value = instance[source] if isinstance(instance, Mapping) else getattr(instance, source)
    except (AttributeError, KeyError):
        raise _NotPlain from None
    if value is None:
        return None
    made: dict[str, Any] = serializer.__dict__.setdefault("_compiled_nested", {})
    inner = made.get(name)
    if inner is None:
        kind = _nested_in(field)
        assert kind
        inner = made[name] = kind(context=serializer.context, many=type(field) is serializers.ListSerializer)
    if not hasattr(value, "all") and callable(value):
        raise _NotPlain
    return inner.to_representation(value)


def _by_framework(field: Any, instance: Any) -> Any:
    try:
        value = field.get_attribute(instance)
    except serializers.SkipField:
        raise _NotPlain from None
    if (value.pk if isinstance(value, PKOnlyObject) else value) is None:
        return None
    return field.to_representation(value)
