"""Cursor pagination of the API's lists."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from django.core.exceptions import ValidationError as NotValid
from django.db import DataError
from django.db.models import Q
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from config.api import is_id


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
            return self.page_of(queryset, request, view)
        except (NotFound, ValueError, OverflowError, NotValid, DataError):
            if "cursor" not in request.query_params:
                raise
            raise ValidationError({"cursor": ["Follow `next` and `previous` as they were given."]}) from None

    def page_of(self, queryset: Any, request: Request, view: Any) -> list[Any] | None:
        """The rows of the requested page. `paginate_queryset` answers with 400 what it raises for an invalid cursor."""
        return super().paginate_queryset(queryset, request, view)

    def decode_cursor(self, request: Request) -> Any:
        """None for the first page. Raises `NotFound` or `ValueError` for a cursor without a position.

        REST framework would answer it with the first page, and the client would read everything again.
        """
        sent = request.query_params.get("cursor")
        if not sent:
            return None
        b64decode(sent, validate=True)  # REST framework ignores characters that are not base64
        cursor = super().decode_cursor(request)
        if cursor is None or cursor.position is None:
            raise NotFound
        return cursor

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
        description = "A page of a list: follow `next` as it is until it is null."
        return {"type": "object", "description": description, "required": list(properties), "properties": properties}


class KeysetPages(Pages):
    """Keyset pagination: sorted by a column whose values may repeat (a time, a name), then by id, in one direction.

    A cursor holds both values. REST framework's own counts the rows of equal value, up to a thousand, and then goes
    back to a page that it has shown before.
    """

    ordering: tuple[str, str]

    def page_of(self, queryset: Any, request: Request, view: Any) -> list[Any]:
        self.base_url = request.build_absolute_uri()
        cursor = self.decode_cursor(request)
        is_back = bool(cursor and cursor.reverse)
        name, is_descending = self.ordering[0].removeprefix("-"), self.ordering[0].startswith("-")
        rows = queryset.order_by(*self.ordering)
        rows = rows.reverse() if is_back else rows
        if cursor:
            pk, _, value = str(cursor.position or "").partition(" ")
            beyond = "lt" if is_descending != is_back else "gt"
            rows = rows.filter(**{f"{name}__{beyond}e": value}).filter(
                Q(**{f"{name}__{beyond}": value}) | Q(**{f"pk__{beyond}": int(pk)})
            )
        size = self.get_page_size(request)
        read = list(rows[: size + 1])
        has_more = len(read) > size
        self.page = read[:size][::-1] if is_back else read[:size]
        self.has_next = is_back or has_more
        self.has_previous = has_more if is_back else cursor is not None
        return self.page

    def get_next_link(self) -> str | None:
        return self._link(self.page[-1], is_back=False) if self.page and self.has_next else None

    def get_previous_link(self) -> str | None:
        return self._link(self.page[0], is_back=True) if self.page and self.has_previous else None

    def _link(self, row: Any, *, is_back: bool) -> str:
        position: Any = f"{row.pk} {getattr(row, self.ordering[0].removeprefix('-'))}"
        return str(self.encode_cursor(Cursor(offset=0, reverse=is_back, position=position)))


class ByName(KeysetPages):
    ordering = ("name", "id")
