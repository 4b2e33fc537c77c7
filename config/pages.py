"""The pages of the API's lists, by cursor."""

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
        """The rows that the request asks for. What it raises for a cursor that is none, `paginate_queryset` tells."""
        return super().paginate_queryset(queryset, request, view)

    def decode_cursor(self, request: Request) -> Any:
        """None for the first page. Every cursor of ours names a place: raises `NotFound` or `ValueError` for one that names none.

        REST framework makes the first page of it, and its client would read everything once more.
        """
        sent = request.query_params.get("cursor")
        if not sent:
            return None
        b64decode(sent, validate=True)  # REST framework passes over letters that are none of its own
        place = super().decode_cursor(request)
        if place is None or place.position is None:
            raise NotFound
        return place

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
        told = "A page of a list: follow `next` as it is until it is null."
        return {"type": "object", "description": told, "required": list(properties), "properties": properties}


class KeysetPages(Pages):
    """A list by what many rows may share (a time, a name) and then by id, both up or both down: a place in it is both.

    REST framework's own cursor counts the rows of a tie, to a thousand at most, and after that comes back to where it was.
    """

    ordering: tuple[str, str]

    def page_of(self, queryset: Any, request: Request, view: Any) -> list[Any]:
        self.base_url = request.build_absolute_uri()
        place = self.decode_cursor(request)
        is_back = bool(place and place.reverse)
        name, is_down = self.ordering[0].removeprefix("-"), self.ordering[0].startswith("-")
        rows = queryset.order_by(*self.ordering)
        rows = rows.reverse() if is_back else rows
        if place:
            pk, _, value = str(place.position or "").partition(" ")
            beyond = "lt" if is_down != is_back else "gt"
            rows = rows.filter(**{f"{name}__{beyond}e": value}).filter(
                Q(**{f"{name}__{beyond}": value}) | Q(**{f"pk__{beyond}": int(pk)})
            )
        size = self.get_page_size(request)
        found = list(rows[: size + 1])
        has_more = len(found) > size
        self.page = found[:size][::-1] if is_back else found[:size]
        self.has_next = is_back or has_more
        self.has_previous = has_more if is_back else place is not None
        return self.page

    def get_next_link(self) -> str | None:
        return self._link(self.page[-1], is_back=False) if self.page and self.has_next else None

    def get_previous_link(self) -> str | None:
        return self._link(self.page[0], is_back=True) if self.page and self.has_previous else None

    def _link(self, row: Any, *, is_back: bool) -> str:
        place: Any = f"{row.pk} {getattr(row, self.ordering[0].removeprefix('-'))}"
        return str(self.encode_cursor(Cursor(offset=0, reverse=is_back, position=place)))


class ByName(KeysetPages):
    ordering = ("name", "id")
