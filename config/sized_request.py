"""Django behind ASGI, which knows how long a body is that came in chunks.

Such a body says no length (RFC 9112, section 7.1), and what reads forms, files and JSON takes one without a length for none: the
request would be answered as if nothing had been sent.
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
    """As Django's own, which knows no other way to name a handler."""
    django.setup(set_prefix=False)
    return Handler()
