"""A compiled answer is the framework's answer, to the byte: for every address, every state and everybody who may read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from config.api import Id, ResponseSerializer
from config.compiled_answers import Compiled, plan_of
from config.json_answers import JsonAnswer
from messaging_app.attachments import files
from messaging_app.models import Conversation
from sessions_app.actions import conversations as marks
from sessions_app.actions import labels as labelling
from sessions_app.api import responses
from tests.api import matrix
from tests.api.world import STATES, Caller, world
from tests.cast import Cast

READS = ("conversations", "sessions", "transfers", "flows", "agents", "teams", "labels", "attachments", "departments")


@pytest.fixture(autouse=True)
def _unhurried(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rates = {"caller": "1000000/min", "anonymous": "1000000/min"}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}
    settings.WEBHOOK_ALLOW_LOOPBACK = True
    settings.DIRECTORY = "agents_app.directory.Rows"
    where = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "media"}}
    settings.STORAGES = settings.STORAGES | {"attachments": where}
    monkeypatch.setattr(files, "never_in_a_transaction", lambda: None)  # each test is one


@contextmanager
def framework_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within it, answers are written by the framework."""
    with monkeypatch.context() as patch:
        patch.setattr(Compiled, "to_representation", lambda self, row: super(Compiled, self).to_representation(row))
        patch.setattr(JsonAnswer, "render", JSONRenderer.render)
        yield


@contextmanager
def no_framework(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within it, the framework's walk over the fields of a compiled serializer fails the test."""
    walk: Any = serializers.Serializer.to_representation

    def refuse(self: Any, row: Any) -> Any:
        assert not isinstance(self, Compiled), f"{type(self).__name__} was left to the framework"
        return walk(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(serializers.Serializer, "to_representation", refuse)
        yield


@pytest.mark.django_db
@pytest.mark.parametrize("state", STATES)
def test_every_answer_is_to_the_byte_the_frameworks(
    state: str, cast: Cast, others: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world(STATES[state], cast, others)
    own = made.places["own"]
    marks.pin(actor=cast.sue, conversation_id=own.conversation)
    marks.mark_urgent(actor=cast.sue, conversation_id=own.conversation)
    labelling.label(actor=cast.sue, conversation_id=own.conversation, label_id=own.label)
    Conversation.objects.filter(pk=own.conversation).update(customer_name="Zoë\u2028\u2029\x1f</b>", is_vip=True)
    paths = {
        row.path(own)
        for row in matrix.rows()
        if row.method == "GET" and row.path(own).removeprefix("/api/v1/").partition("/")[0] in READS
    }
    compared = 0
    for role in ("customer", "participant", "bot", "integrator", "agent"):
        caller = made.callers[role]
        for path in sorted(path for path in paths if not path.endswith(("/content", "/preview"))):
            compiled, plain = _both(caller, path, monkeypatch)
            assert compiled == plain, (role, path)
            compared += compiled[0] == 200
    assert compared > 30


def _both(caller: Caller, path: str, monkeypatch: pytest.MonkeyPatch) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    """The compiled answer and the framework's; asked again where time itself has changed the answer meanwhile."""
    while True:
        with framework_alone(monkeypatch):
            before = caller.get(path)
        with no_framework(monkeypatch):
            compiled = caller.get(path)
        with framework_alone(monkeypatch):
            after = caller.get(path)
        if before.content == after.content:
            return (compiled.status_code, compiled.content), (after.status_code, after.content)


def test_every_serializer_of_the_responses_is_compiled() -> None:
    kinds = [getattr(responses, name) for name in responses.__all__]
    assert [kind.__name__ for kind in kinds if not issubclass(kind, Compiled)] == []
    for kind in kinds:
        plan = plan_of(kind)
        assert list(plan.blank) == [name for name, column in kind().fields.items() if not column.write_only]


# --- Rows that are not as declared -------------------------------------------------------------------------------


class Inner(Compiled, serializers.Serializer[Any]):
    id = Id()
    name = serializers.CharField()


class Outer(Compiled, serializers.Serializer[Any]):
    id = Id(allow_null=True)
    text = serializers.CharField()
    number = serializers.IntegerField()
    large = serializers.BigIntegerField()
    large_text = serializers.BigIntegerField(source="large", coerce_to_string=True)
    flag = serializers.BooleanField()
    word = serializers.ChoiceField([("a", "A"), ("b", "B")])
    rank = serializers.ChoiceField([(1, "one"), (2, "two")])
    at = serializers.DateTimeField()
    free = serializers.DictField()
    levels = serializers.DictField(child=serializers.IntegerField())
    detail = ResponseSerializer()
    words = serializers.ListField(child=serializers.CharField())
    below = serializers.CharField(source="inner.name", allow_null=True)
    optional = serializers.CharField(required=False)
    usual = serializers.CharField(default="usual")
    own = serializers.SerializerMethodField()
    inner = Inner(allow_null=True)
    several = Inner(many=True)

    def get_own(self, row: Any) -> str:
        return f"{self.context['who']}, {row['text'] if isinstance(row, Mapping) else row.text}"


@dataclass
class Thing:
    id: Any = 7
    name: Any = "inner"


@dataclass
class Row:
    id: Any = 2**60
    text: Any = "plain"
    number: Any = 5
    large: Any = 2**62
    flag: Any = True
    word: Any = "a"
    rank: Any = 2
    at: Any = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)
    free: Any = field(default_factory=lambda: {"a": [1, None]})
    levels: Any = field(default_factory=lambda: {"a": 1})
    detail: Any = field(default_factory=lambda: {"agent_id": 5, "opens_at": datetime(2026, 1, 2, tzinfo=UTC)})
    words: Any = field(default_factory=lambda: ["a", "b"])
    inner: Any = field(default_factory=Thing)
    several: Any = field(default_factory=lambda: [Thing(), Thing(8, None)])
    optional: Any = "there"
    usual: Any = "other"


ODD: dict[str, dict[str, Any]] = {
    "plain": {},
    "empty": dict.fromkeys(
        ("id", "text", "number", "flag", "word", "rank", "at", "large", "free", "levels", "detail", "words", "optional")
    ),
    "nobody inside": {"inner": None, "several": []},
    "other types": {"text": 5, "number": "5", "flag": "true", "rank": "2", "word": 3, "id": "9"},
    "decimals": {"text": Decimal("1.50"), "number": Decimal(7), "flag": 0, "large": "8"},
    "east of here": {"at": datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=9)))},
    "to the second": {"at": datetime(2026, 1, 2, 3, tzinfo=UTC)},
    "numbers as names": {"free": {1: 2}, "levels": {"a": "4"}},
    "to be called": {"text": lambda: "called"},
    "to be called inside": {"inner": Thing},
    "unknown words": {"word": "z", "rank": 9},
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_a_row_of_any_kind_is_written_as_the_framework_writes_it(
    odd: str, zone: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TIME_ZONE = zone
    row = Row(**ODD[odd])
    lacking = Row(**ODD[odd])
    del lacking.optional, lacking.usual
    rows = [row, lacking, {**vars(row), "several": [{"id": 1, "name": "m"}]}]
    assert _answers(rows) == _by_framework(rows, monkeypatch)


def _answers(rows: list[Any]) -> Any:
    return [Outer(row, context={"who": "Ann"}).data for row in rows]


def _by_framework(rows: list[Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    with framework_alone(monkeypatch):
        return _answers(rows)


# --- JSON --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        [1, -1, 2**63, 2**70, 1.5, True, None, "é\u2028\u2029\x00\x1f\x7f/\\\"'<&>🙂"],
        {"at": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "for": timedelta(seconds=90), "of": Decimal("1.50")},
        {1: "a", 2.5: "b", None: "c"},
        ({"a": (1, 2)}, Conversation.Kind.PERSON),
        {"lazy": Conversation.Kind.PERSON.label},
    ],
)
def test_json_is_to_the_byte_the_frameworks(data: Any) -> None:
    for accepted in ("application/json", "application/json; indent=2"):
        assert JsonAnswer().render(data, accepted) == JSONRenderer().render(data, accepted)
