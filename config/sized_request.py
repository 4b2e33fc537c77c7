"""Django's ASGI handler, with the length of a body that came in chunks.

Such a request has no Content-Length (RFC 9112, section 7.1), and the parsers of forms, files and JSON take a body
without one for empty: the request would be answered as if nothing had been sent.
"""

from __future__ import annotations

from io import SEEK_END
from typing import Any

import django
from django.core.handlers.asgi import ASGIHandler, ASGIRequest


class SizedRequest(ASGIRequest):
    def __init__(self, scope: Any, body_file: Any) -> None:
        super().__init__(scope, body_file)
        if not self.META.get("CONTENT_LENGTH") and (size := body_file.seek(0, SEEK_END)):
            self.META["CONTENT_LENGTH"] = str(size)
            body_file.seek(0)


class Handler(ASGIHandler):
    request_class = SizedRequest


def get_asgi_application() -> Handler:
    """Like Django's own function, which cannot be given another handler."""
    django.setup(set_prefix=False)
    return Handler()
