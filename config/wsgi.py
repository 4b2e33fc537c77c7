"""The API and the pages over WSGI, for servers without sockets. Bodies have the same limits as over ASGI; how slowly
they may come is the server's setting (gunicorn: `--timeout`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, cast

from asgiref.sync import async_to_sync
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

django = get_wsgi_application()  # first: it loads the apps

from django.conf import settings  # noqa: E402
from rest_framework.exceptions import APIException  # noqa: E402

from agents_app.api import cors  # noqa: E402
from config import body_sizes, preload  # noqa: E402
from config.body_limit import Head, NoLength, Stranger, answer_to  # noqa: E402
from config.consistency import is_stranger  # noqa: E402
from config.errors import DomainError  # noqa: E402


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django, behind 413 for a body that announces too much, 411 for one in chunks, which Django takes for empty."""
    head = Head(
        environ["REQUEST_METHOD"],
        environ.get("PATH_INFO", ""),
        environ.get("HTTP_AUTHORIZATION", ""),
        environ.get("HTTP_COOKIE", ""),
    )
    origin = environ.get("HTTP_ORIGIN", "")
    if is_stranger(environ.get("REMOTE_ADDR", ""), settings.SECRET_KEY):
        return _refused(start_response, head, origin, Stranger())
    announced = environ.get("CONTENT_LENGTH") or ""
    if not announced and environ.get("HTTP_TRANSFER_ENCODING"):
        return _refused(start_response, head, origin, NoLength())
    size = int(announced) if announced.isdecimal() else 0
    if size > body_sizes.small(head) and size > (limit := body_sizes.large(head)).most:
        return _refused(start_response, head, origin, limit.refusal)
    return cast("Iterable[bytes]", django(environ, start_response))


def _refused(
    start_response: Callable[..., Any], head: Head, origin: str, error: DomainError | APIException
) -> Iterable[bytes]:
    status, media_type, body = answer_to(head.path, error)
    headers = {"Content-Type": media_type, "Connection": "close", "Cache-Control": "no-store"}
    headers |= async_to_sync(cors.unknown)(head.path, origin, head.authorization)
    start_response(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
    return [body]


preload.load_if_served()
