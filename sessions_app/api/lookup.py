"""Rows by the id in the address, as far as the caller may see them."""

from __future__ import annotations

from typing import Any

from rest_framework import mixins

from agents_app.api.viewsets import Endpoints, number
from sessions_app.errors import NotFound


def choices_of(words: Any) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in words]


class FoundById(mixins.ListModelMixin, mixins.RetrieveModelMixin, Endpoints):
    """Lists and details of what the caller may see; all else is not found."""

    what = "thing"

    def get_object(self) -> Any:
        row = self.get_queryset().filter(pk=number(self.kwargs["pk"])).first()
        if row is None:
            raise NotFound(f"There is no such {self.what}.")
        return row
