"""A body that is read fast is read as its serializer reads it, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework import serializers
from rest_framework.exceptions import APIException

from config import body_readers, limits, urls
from config.api import EmptyRequest, FreeJson, RequestSerializer
from config.errors import DomainError
from sessions_app.api import requests

HARD = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
assert urls  # the endpoints, and so their bodies


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


BODIES: list[type[RequestSerializer]] = sorted(
    {kind for kind in _below(RequestSerializer) if kind.__module__.split(".")[0] != "tests"}, key=str
)
HOT: dict[type[RequestSerializer], dict[str, Any]] = {
    requests.InboundRequest: {
        "shop_id": "shop",
        "account_id": "客户-1",
        "platform": "default",
        "content": "您好 \x00",
        "message_id": "m-1",
        "customer_name": " Li\n",
        "sent_at": "2026-03-01T08:30:00Z",
        "attachments": ["3"],
    },
    requests.OpenRequest: {
        "conversation_id": "7",
        "robot": False,
        "kind": "AUTO_BARGAIN",
        "priority": 2,
        "on_conflict": "wait",
        "reason": " Why ",
        "context": {"order": {"id": 3}},
    },
    requests.MessageRequest: {
        "conversation_id": "7",
        "content": "Hello",
        "epoch": 3,
        "echo": True,
        "message_id": " a ",
    },
    requests.GuardedRequest: {"reason": "", "expected_epoch": 0},
    requests.BulkRequest: {"ids": ["1", "2"], "action": "pin"},
    EmptyRequest: {},
}
"""Bodies as they come all day."""

texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", " ", "a b", " a ", "\x00", "\ud800", "é", "e\u0301", "a\u202eb", "\u2028", "\ufeff", "\x1c"]),
    st.sampled_from(["1", "007", "0" * (limits.MAX_DIGITS + 1), "١", "-1", "true", "2026-03-01T08:30:00Z", "low"]),
    st.integers(0, 3).map(lambda more: "x" * (limits.MAX_ID - 1 + more)),
    st.integers(0, 3).map(lambda more: "é" * (limits.MAX_NAME - 1 + more)),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.sampled_from([2**31, 2**53, 2**63 - 1, 2**63, -(2**63) - 1]),
    st.sampled_from([0.0, 1.0, 2.5, 1e300, float("inf"), float("nan")]),
    texts,
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)


def _words(kind: type[RequestSerializer]) -> st.SearchStrategy[Any]:
    """The words that its choices know."""
    known = [
        word
        for field in kind().fields.values()
        if isinstance(field, serializers.ChoiceField)
        for word in field.choice_strings_to_values
    ]
    return st.sampled_from(known) if known else st.nothing()


@st.composite
def bodies(draw: st.DrawFn, kind: type[RequestSerializer]) -> Any:
    """Usually an object with some of the fields, begun from what is right."""
    if draw(st.integers(0, 19)) == 0:
        return draw(values)
    names = [*kind().fields, "unknown"]
    body = dict(HOT.get(kind, {}))
    for name in draw(st.lists(st.sampled_from(names), max_size=3)):
        if draw(st.booleans()):
            body.pop(name, None)
        else:
            body[name] = draw(values | _words(kind))
    return body


def _by_serializer(kind: type[RequestSerializer], body: Any) -> Any:
    serializer = kind(data=body)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


def _exactly(value: Any) -> Any:
    """Also tells True from 1, and 1 from 1.0."""
    if isinstance(value, dict):
        return {name: _exactly(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [type(value), *map(_exactly, value)]
    return type(value), value


def _compare(kind: type[RequestSerializer], body: Any) -> None:
    try:
        read = body_readers._reader(kind)(body)
    except Exception:
        return  # the serializer answers, whatever it is
    assert _exactly(read) == _exactly(_by_serializer(kind, body))


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
@HARD
@given(data=st.data())
def test_what_is_read_fast_is_what_the_serializer_reads(kind: type[RequestSerializer], data: st.DataObject) -> None:
    _compare(kind, data.draw(bodies(kind)))


@pytest.mark.parametrize("kind", HOT, ids=lambda kind: kind.__name__)
def test_the_bodies_of_every_day_are_read_fast(kind: type[RequestSerializer]) -> None:
    assert body_readers._reader(kind)(HOT[kind]) == _by_serializer(kind, HOT[kind])


@pytest.mark.parametrize("kind", HOT, ids=lambda kind: kind.__name__)
def test_what_the_reader_declines_is_refused_in_the_serializers_words(kind: type[RequestSerializer]) -> None:
    body = HOT[kind] | {"unknown": 1}
    told = []
    for read in (_by_serializer, body_readers.validated):
        with pytest.raises((APIException, DomainError)) as refused:
            read(kind, body)
        told.append(str(refused.value))
    assert told[0] == told[1]


class WithAMethod(RequestSerializer):
    name = serializers.CharField()

    def validate_name(self, value: str) -> str:
        return value.upper()


class WithItsOwnWay(RequestSerializer):
    name = serializers.CharField()

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(data) | {"more": 1}


class WithAnotherSource(RequestSerializer):
    name = serializers.CharField(source="called")


@pytest.mark.parametrize("kind", [WithAMethod, WithItsOwnWay, WithAnotherSource])
def test_a_serializer_with_a_way_of_its_own_is_not_read_fast(kind: type[RequestSerializer]) -> None:
    with pytest.raises(body_readers.Declines):
        body_readers._reader(kind)({"name": "a"})
    assert body_readers.validated(kind, {"name": "a"}) == _by_serializer(kind, {"name": "a"})


class Strange(RequestSerializer):
    mail = serializers.EmailField(required=False)
    code = serializers.RegexField("^[a-c]*$", required=False)
    exact = serializers.CharField(required=False, min_length=2, trim_whitespace=False)
    times = serializers.ListField(child=serializers.DateTimeField(), required=False, min_length=1)
    counts = serializers.DictField(child=serializers.IntegerField(), required=False)
    none = serializers.IntegerField(required=False, allow_null=True)
    several = serializers.MultipleChoiceField(choices=["a", "b"], required=False)
    context: Any = FreeJson(required=False)


@HARD
@given(data=st.data())
def test_fields_that_no_body_has_yet_are_read_as_the_serializer_does(data: st.DataObject) -> None:
    _compare(Strange, data.draw(bodies(Strange)))
