"""The configuration of the log: no token of an invitation's address gets into it, and strangers cannot fill it."""

from __future__ import annotations

import logging
import re
from typing import Any

_LINK = re.compile(r"/join/[^/?#\s'\"]+")


class RedactingFilter(logging.Filter):
    """Writes `/join/…` for the address of an invitation, whoever logs it."""

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        if "/join/" in line:
            record.msg, record.args = _LINK.sub("/join/…", line), ()
        return True


class OneLineFilter(logging.Filter):
    """A line instead of a traceback, for what anybody can cause without a login, such as a request for an unknown host."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = record.exc_text = None
        return True


def logging_of(level: str) -> dict[str, Any]:
    """Django's LOGGING: everything to the console, a line each, without secrets."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "{asctime} {levelname:<7} {name}: {message}", "style": "{"}},
        "filters": {
            "redacting": {"()": "config.logs.RedactingFilter"},
            "one_line": {"()": "config.logs.OneLineFilter"},
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["redacting"]}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "axes": {"level": "WARNING"},
            "daphne": {"level": "WARNING"},
            "django.channels.server": {"level": "WARNING"},
            "django.security.DisallowedHost": {"filters": ["one_line"]},
            "httpx": {"level": "WARNING"},  # it would log whole addresses, and WeCom's hold secrets
            "httpcore": {"level": "WARNING"},
            "psycopg.pool": {"level": "ERROR"},  # logs each attempt to connect; the failed request is logged anyway
        },
    }
