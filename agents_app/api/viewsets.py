"""The shape of every endpoint: who calls, by which scope, at most once, one verb.

    class SessionEndpoints(Endpoints):
        @command(body=CompleteRequest, answer=OutcomeResponse, scope=Scope.SESSIONS)
        def complete(self, actor: Actor, session_id: int, **body: Any) -> Outcome:
            return lifecycle.complete_session(actor=actor, session_id=session_id, **body)

A command is a POST. It checks the body, hands its fields to the method, keeps the answer under the request's
Idempotency-Key, and documents itself. Lists and details are REST framework's own, decorated with `read_endpoint`.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

from django.conf import settings
from django.utils import translation
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import GenericViewSet

from agents_app.actors import Actor, ActorKind
from agents_app.api import throttles
from agents_app.api.authentication import principal_of
from agents_app.api.idempotency import KEY as IDEMPOTENCY_KEY
from agents_app.api.idempotency import Answer, check_key, digest_of, run_idempotent, stored_response
from agents_app.api.permissions import HasScope
from config import body_readers, limits
from config.api import PROBLEM, EmptyRequest, Json, RequestSerializer, problem_of
from config.errors import DomainError, NotFound

_ROUTED = ("create", "partial_update", "destroy")
"""Methods that REST framework's router finds by their names; the first is a POST."""
_SENTENCE = re.compile(r"[.;]\s|\.$")
JSON = "application/json"
_TAKES_JSON = ("*/*", JSON)
NOBODY = Actor(kind=ActorKind.CUSTOMER, tenant_id=0)
REFUSALS = frozenset({401, 403, 404, 429})
refusals = logging.getLogger("tandem.refused")
_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": IDEMPOTENCY_KEY},
    OpenApiParameter.HEADER,
    description="Sent again with the same key and body, the request is answered as the first time.",
)


class Endpoints(GenericViewSet[Any]):
    """What all endpoints share. `actor` is who calls, from the credential and nothing else."""

    permission_classes: Any = (HasScope,)
    parser_classes: Any = (Json,)
    metadata_class = None  # no OPTIONS: the OpenAPI document tells more
    lookup_value_regex = "[^/]+"

    @property
    def actor(self) -> Actor:
        """Who calls; `NOBODY` where an endpoint asks for no credential."""
        caller = principal_of(self.request)
        return caller.actor if caller else NOBODY

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Refusals are in English, not in the framework's translation: `code` is the contract, `detail` explains it.

        What a verb says to people is in the request's language: see `respond`.
        """
        with speaking("en"):
            return super().dispatch(request, *args, **kwargs)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Whoever takes anything, or asks for JSON, gets JSON: the usual answer of the framework, without its search."""
        if (
            request.META.get("HTTP_ACCEPT", "*/*") in _TAKES_JSON
            and "format" not in request.META.get("QUERY_STRING", "")
            and self.content_negotiation_class is DefaultContentNegotiation
            and (renderer := self.get_renderers()[0]).media_type == JSON
        ):
            return renderer, JSON
        return super().perform_content_negotiation(request, force)

    def perform_authentication(self, request: Request) -> None:
        """An invalid credential counts against the rate of its sender's address."""
        try:
            super().perform_authentication(request)
        except AuthenticationFailed:
            super().check_throttles(request)
            raise

    def check_permissions(self, request: Request) -> None:
        """The request is counted first: else a caller who is refused could try without a limit."""
        super().check_throttles(request)
        super().check_permissions(request)

    def check_throttles(self, request: Request) -> None:
        """Done before the permissions."""

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        throttles.tell(request, response)
        if response.status_code in REFUSALS:
            log_refusal(request, response.status_code, str((response.data or {}).get("code", "")))
        return response


def speaking(language: str) -> AbstractContextManager[None]:
    """Work in a language; nothing to do where it is spoken already."""
    return nullcontext() if translation.get_language() == language else translation.override(language)


def log_refusal(request: Any, status: int, code: str) -> None:
    """One line for each refused attempt (`REFUSALS`): who, where, and what was answered."""
    try:
        caller = principal_of(request)
    except AuthenticationFailed:  # refused before anybody asked who it is
        caller = None
    who = caller.key if caller else throttles.address_of(request)
    refusals.warning("%s %s by=%s %s %r", status, code, who, request.method, request.path)


def number(text: str) -> int:
    """An id from a path. Raises `NotFound` for a text that is no id."""
    if text.isascii() and text.isdigit() and len(text) <= limits.MAX_DIGITS:
        return int(text)
    raise NotFound


def command[Result](
    *,
    answer: type[Serializer[Result]] | None,
    scope: str | None,
    body: type[RequestSerializer] = EmptyRequest,
    status: int = 200,
    repeated: int | None = None,
    detail: bool = True,
    path: str | None = None,
    called: str = "",
    non_atomic: bool = False,
    also: tuple[int, ...] = (),
) -> Callable[[Callable[..., Result | None]], Any]:
    """Make a method an endpoint that changes something. See the module, and `respond` for `non_atomic`.

    `repeated` is the status of a repeat, for which nothing was made (`is_repeat`), if it differs. `also` are statuses
    of refusals that other endpoints do not have. `detail` is False for the list's address; `path` replaces the method's
    name.

    A method named `create` answers at the list's own address, `partial_update` to a PATCH and `destroy` to a DELETE of
    the detail's; `called` is its name in the document.
    """

    def decorate(method: Callable[..., Result | None]) -> Any:
        @wraps(method)
        def run(self: Endpoints, request: Request, **path_ids: str) -> Response:
            fields = body_readers.validated(body, request.data)
            ids = [number(text) for text in path_ids.values()]

            def work() -> Answer:
                result = method(self, self.actor, *ids, **fields)
                code = repeated if repeated and getattr(result, "is_repeat", False) else status
                return code, answer(result, context=self.get_serializer_context()).data if answer else None

            return respond(request, work, non_atomic=non_atomic)

        return _documented(
            run if method.__name__ in _ROUTED else _acting(run, "post", detail, path),
            scope,
            request=body if body is not EmptyRequest else None,
            responses={status: answer} | ({repeated: answer} if repeated else {}),
            parameters=[] if method.__name__ in _ROUTED[1:] else [_KEY],
            called=called,
            also=also,
        )

    return decorate


def read_endpoint(
    answer: Any,
    *,
    scope: str | None,
    detail: bool | None = None,
    path: str | None = None,
    also: tuple[int, ...] = (),
    **schema: Any,
) -> Callable[..., Any]:
    """Document a GET and name its scope. With `detail` it becomes an action of its own, else it is `list` or `retrieve`.

    `answer` is a serializer, or serializers by status and content type.
    """

    def decorate(method: Callable[..., Any]) -> Any:
        endpoint = method if detail is None else _acting(method, "get", detail, path)
        return _documented(
            endpoint, scope, responses=answer if isinstance(answer, dict) else {200: answer}, also=also, **schema
        )

    return decorate


def describes(
    *, scope: str | None, called: str = "", writes: bool = False, **schema: Any
) -> Callable[[Callable[..., Any]], Any]:
    """Document a method that is neither a `command` nor a `read_endpoint`, and name its scope."""
    more: dict[str, Any] = {"parameters": [_KEY]} if writes else {}
    return lambda method: _documented(method, scope, called=called, **more, **schema)


def _acting(method: Callable[..., Any], verb: Any, detail: bool, path: str | None) -> Any:
    return action(detail=detail, methods=[verb], url_path=path or method.__name__.replace("_", "-"))(method)


def _documented(method: Any, scope: str | None, *, called: str = "", also: tuple[int, ...] = (), **schema: Any) -> Any:
    """The docstring's first sentence is the summary."""
    text = inspect.cleandoc(method.__doc__ or "")
    method.scope, method.called, method.also = scope, called, also
    paragraphs = [text] + ([f"Scope: `{scope}`."] if scope else [])
    return extend_schema(summary=_SENTENCE.split(text, maxsplit=1)[0], description="\n\n".join(paragraphs), **schema)(
        method
    )


def respond(
    request: Request,
    work: Callable[[], Answer],
    *,
    digest: str | Callable[[], str] | None = None,
    non_atomic: bool = False,
) -> Response:
    """Do the work once for each Idempotency-Key, in the request's language. `digest` is the body's, or makes it, if it is
    not JSON.

    Work that is `non_atomic` commits by itself and may be done twice; its answer is stored afterwards.
    """
    language = getattr(request, "LANGUAGE_CODE", settings.LANGUAGE_CODE)
    with speaking(language):
        return _respond_once(request, work, digest=digest, non_atomic=non_atomic)


def _respond_once(
    request: Request, work: Callable[[], Answer], *, digest: str | Callable[[], str] | None, non_atomic: bool
) -> Response:
    key, caller = request.META.get("HTTP_IDEMPOTENCY_KEY"), principal_of(request)
    if key is not None:
        check_key(key)
    if not (key and caller):
        status, body = work()
        return Response(body, status=status)
    if digest is None:
        digest = digest_of(json.dumps(request.data, sort_keys=True, default=str).encode())
    elif callable(digest):
        digest = digest()
    identity = {"principal": caller.key, "key": key, "route": f"{request.method} {request.path}", "digest": digest}

    def storable_answer() -> Answer:
        """A refusal is an answer like any other, and is repeated. A failure of ours (5xx) is raised, and not stored."""
        try:
            status, body = work()
            return status, json.loads(json.dumps(body, default=str))
        except DomainError as error:
            refusal = problem_of(error)
            if error.status >= 500 or refusal is None:
                raise
            return refusal[0], refusal[1]

    stored = stored_response(**identity) if non_atomic else None
    if non_atomic and stored is None:
        answer = storable_answer()
        (status, body), is_replay = run_idempotent(**identity, work=lambda: answer)
    else:
        (status, body), is_replay = (stored, True) if stored else run_idempotent(**identity, work=storable_answer)
    headers = {"Idempotent-Replayed": "true"} if is_replay else {}
    return Response(body, status=status, headers=headers, content_type=PROBLEM if status >= 400 else None)
