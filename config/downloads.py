"""A file as an answer, such that no browser takes it for a page of ours. Nobody's rights: who asks was asked before."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import IO, Any

from asgiref.sync import sync_to_async
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified
from django.utils.http import content_disposition_header, parse_etags

from config import limits

PIECE = limits.PIECE
SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""What a browser may show by itself. Nothing that can hold a script is among them."""


class Pieces(FileResponse):
    """Read piece by piece; also by ASGI, where Django would read all of a file before it sends any of it."""

    block_size = PIECE

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces: Any = self.streaming_content
        read = sync_to_async(next, thread_sensitive=False)
        while piece := await read(pieces, b""):  # type: ignore[call-arg]
            yield piece


def unchanged(request: HttpRequest, digest: str) -> HttpResponseBase | None:
    """304 for a browser that has this content already; it was let in to ask, and may go on showing it."""
    known = parse_etags(request.headers.get("If-None-Match", ""))
    return _guarded(HttpResponseNotModified(), digest) if _tag(digest) in known else None


def answer(request: HttpRequest, file: IO[bytes], *, name: str, media_type: str, digest: str) -> HttpResponseBase:
    """The file under its name. To be saved, unless it is a picture; in a box of its own in any case."""
    told: HttpResponseBase
    if request.method == "HEAD":
        with file:
            told = HttpResponse(headers={"Content-Length": str(file.seek(0, os.SEEK_END))})
    else:
        told = Pieces(file)
    told["Content-Type"] = media_type
    told["Content-Disposition"] = content_disposition_header(media_type not in SHOWN, name) or "attachment"
    return _guarded(told, digest)


def _tag(digest: str) -> str:
    return f'"{digest}"'


def _guarded(told: HttpResponseBase, digest: str) -> HttpResponseBase:
    told["ETag"] = _tag(digest)
    told["Cache-Control"] = "private, no-cache"  # kept by the browser, and shown only after asking again
    told["X-Content-Type-Options"] = "nosniff"
    told["Content-Security-Policy"] = "default-src 'none'; sandbox; frame-ancestors 'none'"
    told["Cross-Origin-Resource-Policy"] = "same-origin"
    return told
