"""How the REST API speaks: problem+json, pages by cursor, opaque ids, bodies that say what they do not know.

Nothing of the domain, and nobody's rights: those are `agents_app.rest` and the verbs.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import django_filters
from django import forms
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as NotValid
from django.db import DataError
from django.http import Http404
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound, ParseError, Throttled, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import BaseParser, DataAndFiles, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from config.errors import DomainError
from config.uploads import parsed

PROBLEM = "application/problem+json"
ERRORS_PAGE = "/api/docs/errors#"
"""Where each code has its paragraph: `type` of a problem is this address with the code."""
_DIGITS = 18
_CODES = {
    "authentication_failed": "not_authenticated",
    "parse_error": "malformed",
    "invalid": "malformed",
    "permission_denied": "forbidden",
}


# --- Errors ------------------------------------------------------------------------------------------------------


def problem_of(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]] | None:
    """Status, body and headers of an error that a caller can do something about; None for any other."""
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
        told = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in fields.items())
        return 400, _problem(400, "malformed", told, {"errors": fields}), {}
    if isinstance(error, APIException):
        return error.status_code, _of_framework(error), _headers(error)
    return None


def _problem(status: int, code: str, detail: str, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The standard members, then what the error adds.

    No field takes the place of a standard member. The one that clashes by nature, the `status` of a session or flow, is
    told as `session_status`.
    """
    title = code.replace("_", " ").capitalize()
    told = {"type": f"{ERRORS_PAGE}{code}", "title": title, "status": status, "detail": detail, "code": code}
    added = {"session_status" if name == "status" else name: value for name, value in (more or {}).items()}
    return told | {name: value for name, value in added.items() if name not in told}


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
    """A validation error flat: `rows.3.content` → what is wrong there."""
    if isinstance(detail, dict):
        pairs = [(f"{path}.{name}" if path else str(name), value) for name, value in detail.items()]
    elif isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        pairs = [(f"{path}.{place}" if path else str(place), item) for place, item in enumerate(detail)]
    else:
        texts = detail if isinstance(detail, list) else [detail]
        return {path or "body": [str(text) for text in texts]}
    return {name: texts for key, value in pairs if value for name, texts in _by_field(value, key).items()}


def problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's EXCEPTION_HANDLER."""
    found = problem_of(error)
    if found is None:
        return None
    set_rollback()
    status, body, headers = found
    return Response(body, status=status, headers=headers, content_type=PROBLEM)


class Problem(serializers.Serializer):
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


ID_SCHEMA = {"type": "string", "pattern": f"^[0-9]{{1,{_DIGITS}}}$"}


def is_id(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS


class Id(serializers.Field):
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


class Json(JSONParser):
    """JSON of at most MAX_BODY_BYTES, and none that is nested beyond reading."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        body = stream.read(settings.MAX_BODY_BYTES + 1)
        if len(body) > settings.MAX_BODY_BYTES:
            raise TooLarge(f"A body has at most {settings.MAX_BODY_BYTES:,} bytes here.")
        try:
            return super().parse(BytesIO(body), media_type, parser_context)
        except RecursionError:
            raise ParseError("JSON parse error: nested too deeply.") from None


_TAKEN: dict[type[serializers.Field], tuple[type, str]] = {
    serializers.CharField: (str, "text"),
    serializers.IntegerField: (int, "a whole number"),
    serializers.BooleanField: (bool, "true or false"),
}


def _mistaken(field: serializers.Field, value: Any) -> str:
    """What a field wants that is of another type of JSON; the framework would rather guess."""
    if value is None:
        return ""
    if isinstance(field, serializers.ListField) and isinstance(value, list):
        return next(filter(None, (_mistaken(field.child, item) for item in value)), "")
    for kind, (type_, word) in _TAKEN.items():
        if isinstance(field, kind):
            whole = value.is_integer() if isinstance(value, float) else type(value) is int
            fits = whole if type_ is int else isinstance(value, type_)
            return "" if fits else f"Send {word}."
    return ""


class Body(serializers.Serializer):
    """What a caller sends. A field that nobody reads is a mistake of the caller's, and is answered as one."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            refusals = {name: self._refusal(name, value) for name, value in data.items()}
            if wrong := {name: [text] for name, text in refusals.items() if text}:
                raise ValidationError(wrong)
        return super().to_internal_value(data)

    def _refusal(self, name: str, value: Any) -> str:
        if name not in self.fields:
            return f"Unknown; this takes {', '.join(self.fields) or 'nothing'}."
        return _mistaken(self.fields[name], value)


class Nothing(Body):
    """An empty body."""


# --- Filters -----------------------------------------------------------------------------------------------------


class _IdField(forms.CharField):
    def clean(self, value: Any) -> int | None:
        if value is None:
            return None
        if not is_id(value):
            raise NotValid("This is no id.")
        return int(value)


@extend_schema_field(ID_SCHEMA)
class IdFilter(django_filters.Filter):
    field_class = _IdField


class _FlagField(forms.CharField):
    def clean(self, value: Any) -> bool | None:
        if value not in (None, "true", "false"):
            raise NotValid("Send true or false.")
        return None if value is None else value == "true"


@extend_schema_field({"type": "boolean"})
class FlagFilter(django_filters.Filter):
    """`true` or `false`: anything else is a mistake, and not the same as nothing."""

    field_class = _FlagField


# --- Pages -------------------------------------------------------------------------------------------------------


class Pages(CursorPagination):
    """`next` and `previous` are addresses to follow as they are. The newest first, unless the list says otherwise."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    ordering: Any = "-pk"

    def get_page_size(self, request: Request) -> int:
        sent = request.query_params.get("limit")
        if sent is None:
            return self.page_size
        if not (is_id(sent) and 1 <= int(sent) <= self.max_page_size):
            raise ValidationError({"limit": [f"A whole number from 1 to {self.max_page_size}."]})
        return int(sent)

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (NotFound, ValueError, OverflowError, NotValid, DataError):
            if "cursor" not in request.query_params:
                raise
            raise ValidationError({"cursor": ["Follow `next` and `previous` as they were given."]}) from None

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        limit = {"type": "integer", "minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        cursor = {"name": "cursor", "in": "query", "schema": {"type": "string"}}
        return [
            {**cursor, "description": "Where to go on: part of `next` and `previous`."},
            {"name": "limit", "in": "query", "schema": limit, "description": "How many at once."},
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        address = {"type": ["string", "null"], "format": "uri"}
        properties = {
            "next": {**address, "description": "The address of what follows; null at the end."},
            "previous": {**address, "description": "The address of what came before; null at the beginning."},
            "results": schema,
        }
        return {"type": "object", "required": list(properties), "properties": properties}
