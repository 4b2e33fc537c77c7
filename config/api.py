"""The formats of the REST API: problem+json, opaque ids, bodies that refuse unknown fields. Pagination: `config.pages`.

Knows neither the domain nor anybody's rights: those are `agents_app.api.viewsets` and the verbs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import django_filters
from django import forms
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as NotValid
from django.http import Http404
from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError, Throttled, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser, DataAndFiles
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from config import free_json, limits, wire_format
from config.errors import DomainError
from config.faults import answer_of
from config.uploads import parsed

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
ERRORS_PAGE = "/api/docs/errors#"
"""The page that explains each code; a problem's `type` is this address followed by its code."""
BODY = "body"
"""The key under which the errors of a body as a whole stand."""
_CODES = {
    "authentication_failed": "not_authenticated",
    "parse_error": "malformed",
    "invalid": "malformed",
    "permission_denied": "forbidden",
}


# --- Errors ------------------------------------------------------------------------------------------------------


def problem_of(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]] | None:
    """Status, body and headers of an error that a caller can do something about; None for any other.

    A fault below (`config.faults`) is one of them, whichever library reports it, because it is temporary.
    """
    if fault := answer_of(error):
        if fault is not error:
            log.warning("answered with %s: %s: %s", fault.code, type(error).__name__, error)
        error = fault
    if isinstance(error, DomainError):
        more: dict[str, Any] = {"legacy_code": error.legacy_code} if error.legacy_code else {}
        headers = {"Retry-After": "1"} if error.status == 503 else {}
        return error.status, _problem(error.status, error.code, error.detail, more | error.fields), headers
    if isinstance(error, Http404):
        return 404, _problem(404, "not_found", "There is no such thing here."), {}
    if isinstance(error, PermissionDenied):
        return 403, _problem(403, "forbidden", "You may not do that."), {}
    if isinstance(error, ValidationError):
        fields = _by_field(error.detail)
        sentences = (
            " ".join(texts) if name == BODY else f"{name}: {' '.join(texts)}" for name, texts in fields.items()
        )
        return 400, _problem(400, "malformed", " ".join(sentences), {"errors": fields}), {}
    if isinstance(error, APIException):
        return error.status_code, _of_framework(error), _headers(error)
    return None


def _problem(status: int, code: str, detail: str, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The standard members, then what the error adds.

    No field replaces a standard member. The `status` of a session or flow would, so it is sent as `session_status`.
    """
    title = code.replace("_", " ").capitalize()
    members = {"type": f"{ERRORS_PAGE}{code}", "title": title, "status": status, "detail": detail, "code": code}
    added = {"session_status" if name == "status" else name: value for name, value in (more or {}).items()}
    encoded: dict[str, Any] = wire_format.encode({name: value for name, value in added.items() if name not in members})
    return members | encoded


def _of_framework(error: APIException) -> dict[str, Any]:
    code = str(error.default_code)
    return _problem(error.status_code, _CODES.get(code, code), str(error.detail))


def _headers(error: APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(challenge)
    wait = getattr(error, "wait", None)
    if isinstance(error, Throttled) and wait is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    return headers


def _by_field(detail: Any, path: str = "") -> dict[str, list[str]]:
    """A validation error flattened: `rows.3.content` → what is wrong there. An error of a whole object has its path."""
    if isinstance(detail, dict):
        pairs = [
            (path if name == api_settings.NON_FIELD_ERRORS_KEY else f"{path}.{name}" if path else str(name), value)
            for name, value in detail.items()
        ]
    elif isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        pairs = [(f"{path}.{place}" if path else str(place), item) for place, item in enumerate(detail)]
    else:
        texts = detail if isinstance(detail, list) else [detail]
        return {path or BODY: [str(text) for text in texts]}
    return {name: texts for key, value in pairs if value for name, texts in _by_field(value, key).items()}


def problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's EXCEPTION_HANDLER."""
    refusal = problem_of(error)
    if refusal is None:
        return None
    set_rollback()
    status, body, headers = refusal
    return Response(body, status=status, headers=headers, content_type=PROBLEM)


class Problem(serializers.Serializer[dict[str, Any]]):
    """What went wrong, and what to do about it (RFC 9457). `code` is stable; some codes carry more fields."""

    type = serializers.CharField(help_text="The page that explains the code.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="For people; may change.")
    code = serializers.CharField(help_text="For programs; stable.")
    legacy_code = serializers.IntegerField(required=False, help_text="The number the predecessor's clients know.")
    errors: Any = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="With `malformed`: what is wrong, by field.",
    )


# --- Ids and bodies ----------------------------------------------------------------------------------------------


ID_SCHEMA = {"type": "string", "pattern": f"^[0-9]{{1,{limits.MAX_DIGITS}}}$"}


def is_id(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= limits.MAX_DIGITS


class Id(serializers.Field[int, Any, str, Any]):
    """An id: text for the caller, a number for us. Opaque: never counted with, never guessed."""

    default_error_messages = {"no_id": "This is no id: send it as the text it was given as."}

    def to_internal_value(self, data: Any) -> int:
        if not is_id(data):
            self.fail("no_id")
        return int(data)

    def to_representation(self, value: Any) -> str:
        return str(value)


class IdSchema(OpenApiSerializerFieldExtension):
    target_class = "config.api.Id"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return dict(ID_SCHEMA)


class TooLarge(APIException):
    status_code = 413
    default_code = "too_large"
    default_detail = "The body is larger than this address takes."


class Multipart(BaseParser):
    """A body with one file, which is read to disk and no further than ATTACHMENT_MAX_BYTES."""

    media_type = "multipart/form-data"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        fields, files = parsed(parser_context["request"]._request, stream, settings.ATTACHMENT_MAX_BYTES)
        return DataAndFiles(fields, files)


class AsItIs(DefaultContentNegotiation):
    """A file has one form, whatever `Accept` asks for; refusals are JSON."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class Json(BaseParser):
    """JSON of at most MAX_BODY_BYTES. Refuses an object with a name twice, and what is nested too deeply to be parsed.

    Texts and numbers that cannot be stored are refused by `RequestSerializer`, which knows their place.
    """

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        body = stream.read(settings.MAX_BODY_BYTES + 1)
        if len(body) > settings.MAX_BODY_BYTES:
            raise TooLarge(f"A body has at most {settings.MAX_BODY_BYTES:,} bytes here.")
        try:
            return free_json.loads(body.decode("utf-8-sig"))
        except RecursionError:
            raise ParseError("JSON parse error: nested too deeply.") from None
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from None


type _Field = serializers.Field[Any, Any, Any, Any]
"""A field of whatever types."""
_TAKEN: dict[type[_Field], tuple[type, str]] = {
    serializers.CharField: (str, "text"),
    serializers.IntegerField: (int, "a whole number"),
    serializers.BooleanField: (bool, "true or false"),
}


def mistaken(field: _Field, value: Any) -> str:
    """The refusal of a value of the wrong JSON type, which the framework would convert; empty if the type is right."""
    if value is None:
        return ""
    if isinstance(field, serializers.ListField) and isinstance(value, list):
        return next(filter(None, (mistaken(field.child, item) for item in value)), "")
    for kind, (type_, word) in _TAKEN.items():
        if isinstance(field, kind):
            whole = value.is_integer() if isinstance(value, float) else type(value) is int
            fits = whole if type_ is int else isinstance(value, type_)
            return "" if fits else f"Send {word}."
    return ""


@extend_schema_field({"type": "object", "additionalProperties": True})
class FreeJson(serializers.Field[dict[str, Any], Any, Any, Any]):
    """An object whose names are the caller's own, within the bounds of `free_json`."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        return free_json.checked_object(data, self.field_name or "")

    def to_representation(self, value: Any) -> Any:
        return value


class ResponseSerializer(serializers.DictField):
    """An object of an answer that verbs or rules fill: its ids and times look as they do everywhere."""

    def to_representation(self, value: Any) -> Any:
        return wire_format.encode(value)


class RequestSerializer(serializers.Serializer[None]):
    """What a caller sends. A field that nobody reads is a mistake of the caller's, and is answered as one."""

    # Text that cannot be stored is refused anywhere in the body except in these fields: there it is replaced, so that
    # what people have written is never refused for one character.
    cleaned: tuple[str, ...] = ()

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            self._must_be_storable(data)
            refusals = {name: self._refusal(name, value) for name, value in data.items()}
            if wrong := {name: [text] for name, text in refusals.items() if text}:
                raise ValidationError(wrong)
        return super().to_internal_value(data)

    def _must_be_storable(self, data: dict[str, Any]) -> None:
        try:
            for name, value in data.items():
                free_json.check({name: None}, "")
                is_cleaned = name in self.cleaned and isinstance(value, str)
                if not is_cleaned and not isinstance(self.fields.get(name), serializers.FileField):
                    free_json.check(value, name)
        except free_json.Unstorable as error:
            raise ValidationError({error.place: [error.reason]}) from None

    def _refusal(self, name: str, value: Any) -> str:
        if name not in self.fields:
            return f"Unknown; this takes {', '.join(self.fields) or 'nothing'}."
        return mistaken(self.fields[name], value)


class EmptyRequest(RequestSerializer):
    """An empty body."""


# --- Filters -----------------------------------------------------------------------------------------------------


class _IdField(forms.CharField):
    def clean(self, value: Any) -> int | None:
        if value is None:
            return None
        if not is_id(value):
            raise NotValid("This is no id.")
        return int(value)


class _Typed(django_filters.Filter):
    """A filter with a schema of its own; its `help_text` is put there, because the generator would lose it."""

    schema: Mapping[str, Any] = {}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        description = {"description": options["help_text"]} if "help_text" in options else {}
        set_override(self, "field", dict(self.schema) | description)


class IdFilter(_Typed):
    field_class = _IdField
    schema = ID_SCHEMA


class _FlagField(forms.CharField):
    def clean(self, value: Any) -> bool | None:
        if value not in (None, "true", "false"):
            raise NotValid("Send true or false.")
        return None if value is None else value == "true"


class FlagFilter(_Typed):
    """`true` or `false`: anything else is refused, and not ignored."""

    field_class = _FlagField
    schema: Mapping[str, Any] = {"type": "boolean"}
