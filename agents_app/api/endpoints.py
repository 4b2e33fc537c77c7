"""The shape of every endpoint: who calls, by which scope, at most once, one verb.

    class SessionEndpoints(Endpoints):
        @command(body=CompleteRequest, answer=OutcomeResponse, scope=Scope.SESSIONS)
        def complete(self, actor: Actor, session_id: int, **body: Any) -> Outcome:
            return lifecycle.complete_session(actor=actor, session_id=session_id, **body)

A command is a POST. It checks the body, hands its fields to the method, keeps the answer under the request's
Idempotency-Key, and documents itself. Lists and details are REST framework's own, decorated with `reads`.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.utils import translation
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import AuthenticationFailed
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
from config import limits
from config.api import PROBLEM, EmptyRequest, Json, RequestSerializer, problem_of
from config.errors import DomainError, NotFound

_ROUTED = ("create", "partial_update", "destroy")
"""Methods that REST framework's router finds by their names; the first is a POST."""
PROBLEMS: dict[Any, Any] = {}
"""Refusals that an operation would have to name by itself; `config.openapi` adds them to all."""
_SENTENCE = re.compile(r"[.;]\s|\.$")
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
        """Refusals are in English, whatever the framework would rather say: `code` is the contract, `detail` its gloss.

        What a verb says to people is in the request's language: see `answered`.
        """
        with translation.override("en"):
            return super().dispatch(request, *args, **kwargs)

    def perform_authentication(self, request: Request) -> None:
        """A credential that is not valid costs its sender a try, by address."""
        try:
            super().perform_authentication(request)
        except AuthenticationFailed:
            super().check_throttles(request)
            raise

    def check_permissions(self, request: Request) -> None:
        """Counted first: else whoever is refused could ask as often as it takes."""
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


def log_refusal(request: Any, status: int, code: str) -> None:
    """One line for each attempt at what is not one's own: who, where, and what was answered."""
    caller = principal_of(request)
    who = caller.key if caller else throttles.address_of(request)
    refusals.warning("%s %s by=%s %s %r", status, code, who, request.method, request.path)


def number(text: str) -> int:
    """An id out of a path. What is none names nothing."""
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
    in_parts: bool = False,
    also: tuple[int, ...] = (),
) -> Callable[[Callable[..., Result | None]], Any]:
    """Make a method an endpoint that changes something. See the module, and `answered` for what works `in_parts`.

    `repeated` is the status where nothing was made because it was there already (`is_repeat`), if it is another one.
    `also` are statuses of refusals that are not any endpoint's.

    A method named `create` answers at the list's own address, `partial_update` to a PATCH and `destroy` to a DELETE of
    the detail's; they are `called` something of their own in the document.
    """

    def decorate(method: Callable[..., Result | None]) -> Any:
        @wraps(method)
        def run(self: Endpoints, request: Request, **path_ids: str) -> Response:
            sent = body(data=request.data)
            sent.is_valid(raise_exception=True)
            ids = [number(text) for text in path_ids.values()]

            def work() -> Answer:
                result = method(self, self.actor, *ids, **sent.validated_data)
                done = repeated if repeated and getattr(result, "is_repeat", False) else status
                return done, answer(result, context=self.get_serializer_context()).data if answer else None

            return respond(request, work, in_parts=in_parts)

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

    `answer` is a serializer, or what is answered by status and content type.
    """

    def decorate(method: Callable[..., Any]) -> Any:
        its = method if detail is None else _acting(method, "get", detail, path)
        return _documented(
            its, scope, responses=answer if isinstance(answer, dict) else {200: answer}, also=also, **schema
        )

    return decorate


def describes(
    *, scope: str | None, called: str = "", writes: bool = False, **schema: Any
) -> Callable[[Callable[..., Any]], Any]:
    """Document what is neither a `command` nor `reads`, and name its scope."""
    more: dict[str, Any] = {"parameters": [_KEY]} if writes else {}
    return lambda method: _documented(method, scope, called=called, **more, **schema)


def _acting(method: Callable[..., Any], verb: Any, detail: bool, path: str | None) -> Any:
    return action(detail=detail, methods=[verb], url_path=path or method.__name__.replace("_", "-"))(method)


def _documented(method: Any, scope: str | None, *, called: str = "", also: tuple[int, ...] = (), **schema: Any) -> Any:
    """The docstring's first sentence is the summary."""
    text = inspect.cleandoc(method.__doc__ or "")
    method.scope, method.called, method.also = scope, called, also
    told = [text] + ([f"Scope: `{scope}`."] if scope else [])
    return extend_schema(summary=_SENTENCE.split(text, maxsplit=1)[0], description="\n\n".join(told), **schema)(method)


def respond(
    request: Request, work: Callable[[], Answer], *, digest: str | None = None, in_parts: bool = False
) -> Response:
    """Do the work once for each Idempotency-Key. `digest` is the body's, where it is no JSON.

    Work `in_parts` commits by itself and may be done twice; its answer is kept afterwards.
    """
    language = getattr(request, "LANGUAGE_CODE", settings.LANGUAGE_CODE)
    with translation.override(language):
        return _answered(request, work, digest=digest, in_parts=in_parts)


def _answered(request: Request, work: Callable[[], Answer], *, digest: str | None, in_parts: bool) -> Response:
    key, caller = request.headers.get("Idempotency-Key"), principal_of(request)
    if key is not None:
        check_key(key)
    if not (key and caller):
        status, body = work()
        return Response(body, status=status)
    if digest is None:
        digest = digest_of(json.dumps(request.data, sort_keys=True, default=str).encode())
    asked = {"principal": caller.key, "key": key, "route": f"{request.method} {request.path}", "digest": digest}

    def kept() -> Answer:
        """What the state forbids is an answer like any other: asked again, it is said again. A failure of ours is not."""
        try:
            status, body = work()
            return status, json.loads(json.dumps(body, default=str))
        except DomainError as error:
            told = problem_of(error)
            if error.status >= 500 or told is None:
                raise
            return told[0], told[1]

    known = stored_response(**asked) if in_parts else None
    if in_parts and known is None:
        done = kept()
        (status, body), again = run_idempotent(**asked, work=lambda: done)
    else:
        (status, body), again = (known, True) if known else run_idempotent(**asked, work=kept)
    headers = {"Idempotent-Replayed": "true"} if again else {}
    return Response(body, status=status, headers=headers, content_type=PROBLEM if status >= 400 else None)
