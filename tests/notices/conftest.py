"""The channels of the tests: nothing is set up unless a test asks for it, whatever this machine's environment says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.patience import PATIENCE
from tests.standins import HttpStandIn, MailStandIn, http_stand_in, mail_stand_in

SECRET = "whsec_dGhlIHNlY3JldCBvZiBhbGwgdGhlIHRlc3Rz"


@pytest.fixture(autouse=True)
def _no_channel(settings: Any) -> None:
    settings.PUBLIC_URL = "https://tandem.example"
    settings.EMAIL_URL = settings.NOTICE_WEBHOOK_URL = settings.NOTICE_WEBHOOK_SECRET = ""
    settings.WECOM_CORP_ID = settings.WECOM_SECRET = ""
    settings.WECOM_AGENT_ID = 0
    settings.NOTICE_TIMEOUT = 5.0


@pytest.fixture
def webhook(settings: Any) -> Iterator[HttpStandIn]:
    with http_stand_in() as server:
        settings.NOTICE_WEBHOOK_URL, settings.NOTICE_WEBHOOK_SECRET = f"{server.url}/notices", SECRET
        yield server


@pytest.fixture
def wecom_server(settings: Any) -> Iterator[HttpStandIn]:
    """Takes every card, and numbers the tokens that it gives."""
    with http_stand_in() as server:
        settings.WECOM_URL, settings.WECOM_CORP_ID = server.url, "corp"
        settings.WECOM_SECRET, settings.WECOM_AGENT_ID = "the secret", 1000002

        def answers(asked: Any) -> tuple[int, Any]:
            if asked.path.endswith("gettoken"):
                given = sum(earlier.path.endswith("gettoken") for earlier in server.asked)
                return 200, {"errcode": 0, "errmsg": "ok", "access_token": f"token-{given}", "expires_in": 7200}
            return 200, {"errcode": 0, "errmsg": "ok", "msgid": "1"}

        server.answers = answers
        yield server


@pytest.fixture
def mail_server(settings: Any) -> Iterator[MailStandIn]:
    with mail_stand_in() as server:
        settings.EMAIL_URL = "smtp://stand-in"
        options = {"host": "127.0.0.1", "port": server.port, "timeout": PATIENCE}
        settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}
        yield server
