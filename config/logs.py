"""What a log must not hold: an invitation's token stands in the address that was asked for, and strangers must not fill it."""

from __future__ import annotations

import logging
import re

_LINK = re.compile(r"/join/[^/?#\s'\"]+")


class RedactingFilter(logging.Filter):
    """Writes `/join/…` for the address of an invitation, whoever logs it."""

    def filter(self, record: logging.LogRecord) -> bool:
        told = record.getMessage()
        if "/join/" in told:
            record.msg, record.args = _LINK.sub("/join/…", told), ()
        return True


class OneLineFilter(logging.Filter):
    """A line instead of a traceback, for what anybody can cause without a login, such as a request for an unknown host."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = record.exc_text = None
        return True
