"""Whether a caller may use an endpoint at all; whose session it is, the verbs check."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from agents_app.api.authentication import principal_of
from config.errors import Forbidden


class HasScope(BasePermission):
    """The caller must be authenticated; a program needs the scope of the endpoint."""

    def has_permission(self, request: Request, view: Any) -> bool:
        caller = principal_of(request)
        if caller is None:
            raise NotAuthenticated("Send an API key or a token as `Authorization: Bearer …`, or log in.")
        scope = getattr(getattr(view, view.action or "", None), "scope", None)
        if scope and not caller.may(scope):
            raise Forbidden(f"This credential lacks the scope {scope}.", scope=str(scope))
        return True
