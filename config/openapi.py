"""How the OpenAPI document is made, beyond what the generator finds by itself. Nothing of the domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import is_list_serializer

from config.api import ID_SCHEMA, PROBLEM, Problem

PROBLEMS = {
    400: ("Malformed", "malformed", "The body, a parameter or a header is not of the documented form."),
    401: ("NotAuthenticated", "not_authenticated", "No credential, or one that is not valid (any more)."),
    403: ("Forbidden", "forbidden", "You are known, and may not do this."),
    404: ("NotFound", "not_found", "It does not exist, or is not yours to see."),
    405: ("MethodNotAllowed", "method_not_allowed", "The address does not take this method."),
    406: ("NotAcceptable", "not_acceptable", "The answer cannot be given in the form that `Accept` asks for."),
    409: ("Conflict", "conflict", "The present state forbids that; the code says why."),
    413: ("TooLarge", "too_large", "The body is larger than this address takes."),
    415: ("UnsupportedMediaType", "unsupported_media_type", "The body is of a type that is not read here."),
    422: ("Unprocessable", "unprocessable", "This Idempotency-Key was used for another request."),
    429: ("Throttled", "throttled", "Too many requests with one credential."),
    502: ("BadGateway", "directory_failed", "Another server that has to be asked did not answer; nothing was done."),
    503: ("Busy", "busy", "The database gave up after every retry; nothing was stored."),
}
"""What an operation may refuse: its name in the document, the usual code, the meaning."""
_SELDOM = (502,)
"""Told only by those that say so."""
_OF_WRITING = (409, 413, 415, 422)
_DONE = {"200": "Done, or what was asked for.", "201": "Made.", "202": "Taken on; it goes on by itself."}
_LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_WHOLE = {"type": "integer", "minimum": 0}
HEADERS = {
    "RateLimit-Limit": {"description": "How many requests one credential has in a window.", "schema": _WHOLE},
    "RateLimit-Remaining": {"description": "How many of them are left.", "schema": _WHOLE},
    "RateLimit-Reset": {"description": "Seconds until there are more.", "schema": _WHOLE},
    "Retry-After": {"description": "Seconds to wait before the same is sent again.", "schema": _WHOLE},
    "WWW-Authenticate": {"description": "How to show who you are.", "schema": {"type": "string"}},
    "Allow": {"description": "The methods that the address takes.", "schema": {"type": "string"}},
    "Location": {"description": "Where to ask how it goes.", "schema": {"type": "string", "format": "uri-reference"}},
    "Idempotent-Replayed": {
        "description": "`true` when this is the answer to an earlier request with this Idempotency-Key.",
        "schema": {"type": "string", "const": "true"},
    },
}
_MORE = {401: ("WWW-Authenticate",), 405: ("Allow",), 429: ("Retry-After",), 503: ("Retry-After",)}
_EXTENSION = "x-spec-enum-id"
"""The generator's own note of an enumeration; nobody else reads it."""


class Described(AutoSchema):
    """An operation is called after its tag and its method. What any of them may refuse is said once for all."""

    def get_operation_id(self) -> str:
        action = getattr(self.view, "action", None)
        if action is None:
            return super().get_operation_id()
        called = getattr(getattr(self.view, action), "called", "") or action
        return f"{self.get_tags()[0]}_{called}"

    def get_tags(self) -> list[str]:
        return [tag.replace("-", "_") for tag in super().get_tags()]

    def _is_list_view(self, serializer: Any = None) -> bool:
        """A list is what is answered with one: `reads(Answer(many=True))`."""
        answers = self.get_response_serializers() if serializer is None else serializer
        return any(map(is_list_serializer, answers.values() if isinstance(answers, dict) else [answers]))

    def _resolve_path_parameters(self, variables: Iterable[str]) -> list[dict[str, Any]]:
        """Every variable part of an address is an id."""
        return [{"name": name, "in": "path", "required": True, "schema": dict(ID_SCHEMA)} for name in sorted(variables)]

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        self.resolve_serializer(Problem, "response")
        writes = self.method not in ("GET", "HEAD")
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status, body in bodies.items():
            body["description"] = str(body["description"] or _DONE.get(status, ""))
            named = _LIMITS + (("Idempotent-Replayed",) if self.method == "POST" else ())
            body["headers"] = _refer("headers", named) | body.get("headers", {})
        refused = (
            status
            for status in PROBLEMS
            if (writes or status not in _OF_WRITING or status in self._also())
            and (status != 401 or self._asks_who())
            and (status not in _SELDOM or status in self._also())
        )
        return bodies | {str(status): {"$ref": f"#/components/responses/{PROBLEMS[status][0]}"} for status in refused}

    def _also(self) -> tuple[int, ...]:
        told: tuple[int, ...] = getattr(getattr(self.view, getattr(self.view, "action", None) or "", None), "also", ())
        return told

    def _asks_who(self) -> bool:
        return bool(self.view.permission_classes)


def _refer(part: str, names: Iterable[str]) -> dict[str, dict[str, str]]:
    return {name: {"$ref": f"#/components/{part}/{name}"} for name in names}


def _refusals() -> Iterator[tuple[str, dict[str, Any]]]:
    for status, (name, code, meaning) in PROBLEMS.items():
        example = {
            "type": f"/api/docs/errors#{code}",
            "title": code.replace("_", " ").capitalize(),
            "status": status,
            "detail": meaning,
            "code": code,
        }
        yield (
            name,
            {
                "description": meaning,
                "headers": _refer("headers", _LIMITS + _MORE.get(status, ())),
                "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
            },
        )


AS_TYPED = ("content",)
"""Texts that are kept to the last blank."""


def polished(result: Any, **_: Any) -> Any:
    """The parts that operations share; every `…Body` refuses other fields; nothing of the generator is left."""
    components = result["components"]
    components["responses"] = dict(_refusals())
    components["headers"] = {name: dict(header) for name, header in HEADERS.items()}
    for name, schema in components.get("schemas", {}).items():
        if name.removesuffix("Request").endswith("Body"):
            schema["additionalProperties"] = False
            for field, told in schema.get("properties", {}).items():
                if field not in AS_TYPED and told.get("minLength") and not told.keys() & {"pattern", "format", "enum"}:
                    told["pattern"] = r"\S"  # blanks around a text are cut off, and nothing must not be left
    return _without_notes(result)


def _without_notes(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _without_notes(value) for name, value in part.items() if name != _EXTENSION}
    return [_without_notes(value) for value in part] if isinstance(part, list) else part
