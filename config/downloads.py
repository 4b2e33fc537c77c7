"""File responses that no browser takes for a page of ours. Checks no rights: the caller has done so."""

from __future__ import annotations

import os
from typing import IO

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified
from django.utils.http import content_disposition_header, parse_etags

from config import limits

PIECE = limits.PIECE
SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Media types that a browser may display; none of them can hold a script."""


class Pieces(FileResponse):
    """A file response whose parts are as large as one read of a disk should be."""

    block_size = PIECE


def unchanged(request: HttpRequest, digest: str) -> HttpResponseBase | None:
    """304 if the browser has this content already, else None. Check first that it may still show it."""
    tags = parse_etags(request.headers.get("If-None-Match", ""))
    return _guarded(HttpResponseNotModified(), digest) if _tag(digest) in tags else None


def answer(request: HttpRequest, file: IO[bytes], *, name: str, media_type: str, digest: str) -> HttpResponseBase:
    """The file under its name: to be saved, unless its type is in SHOWN, and always sandboxed. HEAD gets its length."""
    response: HttpResponseBase
    if request.method == "HEAD":
        with file:
            response = HttpResponse(headers={"Content-Length": str(file.seek(0, os.SEEK_END))})
    else:
        response = Pieces(file)
    response["Content-Type"] = media_type
    response["Content-Disposition"] = content_disposition_header(media_type not in SHOWN, name) or "attachment"
    return _guarded(response, digest)


def _tag(digest: str) -> str:
    return f'"{digest}"'


def _guarded(response: HttpResponseBase, digest: str) -> HttpResponseBase:
    response["ETag"] = _tag(digest)
    response["Cache-Control"] = "private, no-cache"  # the browser keeps it, and asks again before it shows it
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox; frame-ancestors 'none'"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
