"""Filters of the API's lists, each for the roles that see what it is about."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from rest_framework.request import Request

from agents_app.actors import Actor
from agents_app.api.authentication import principal_of
from sessions_app.rights.field_rights import check_filters


class FilterByRole(django_filters.FilterSet):
    """`list_name` is the list's in `field_rights.FILTERS`."""

    list_name: ClassVar[str]

    @property
    def actor(self) -> Actor:
        """Who asks."""
        caller = principal_of(self.request)
        assert caller
        return caller.actor

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Raises `Forbidden` for a filter that is not the caller's to use."""
        check_filters(self.actor, self.list_name, (name for name in self.filters if (self.data or {}).get(name)))
        rows: QuerySet[Any] = super().filter_queryset(queryset)
        return rows


def asks_for_all(request: Request, filters: type[FilterByRole]) -> bool:
    """Whether a list is asked for from its beginning and without a filter."""
    return not any(name == "cursor" or name in filters.base_filters for name in request.query_params)
