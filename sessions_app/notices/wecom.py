"""Notices by a WeCom application message: a text card with the join button."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from html import escape
from threading import Lock
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from config.http import Unanswered, ask
from sessions_app.models import Participant
from sessions_app.notices.notice import MAX_NAME, Notice, NotSent, Passing, is_passing

PREFIX = "wecom:"
_ID = {
    "touser": re.compile(r"(?!@all$)[\w.@-]{1,64}", re.ASCII | re.IGNORECASE),
    "toparty": re.compile(r"\d{1,10}", re.ASCII),
}
"""One id, and never `@all` or a list: a link that works once is for one person."""
TOKEN_IS_OVER = (40014, 42001)  # invalid, expired
BUSY = (-1, 45009, 45011, 45033)  # for now: the system, calls in this time (minute, hour, day), calls at once
MOST_BYTES = 512
"""Bytes of a card's description, as it is sent. WeCom cuts off the rest of a longer one, at any place."""
SPARE_SECONDS = 300
"""How long before its end a token is given up, so that none ends on the way."""


class WeCom:
    """`wecom:<userid>` names a member, or a department where the participant is one. One token serves until it ends."""

    name = "wecom"

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._token = ""
        self._ends = 0.0
        self._issued_to: tuple[str, ...] = ()

    def is_set_up(self) -> bool:
        return bool(settings.WECOM_CORP_ID and settings.WECOM_SECRET and settings.WECOM_AGENT_ID)

    def send(self, notice: Notice) -> None:
        card = json.dumps(_card(notice), ensure_ascii=False).encode()
        answer = self._post(card, self._access_token())
        if answer["errcode"] in TOKEN_IS_OVER:
            answer = self._post(card, self._access_token(fresh=True))
        if answer["errcode"]:
            raise _kind(answer)(f"WeCom refused: {_error_text(answer)}")
        if answer.get("invaliduser") or answer.get("invalidparty"):
            raise NotSent("WeCom knows nobody by this id, or the application may not write to them")

    def _post(self, card: bytes, token: str) -> dict[str, Any]:
        return _call("POST", "/cgi-bin/message/send", {"access_token": token}, card)

    def _access_token(self, *, fresh: bool = False) -> str:
        issued_to = (settings.WECOM_URL, settings.WECOM_CORP_ID, settings.WECOM_SECRET)
        with self._lock:
            if fresh or issued_to != self._issued_to or self._clock() >= self._ends:
                parameters = {"corpid": settings.WECOM_CORP_ID, "corpsecret": settings.WECOM_SECRET}
                answer = _call("GET", "/cgi-bin/gettoken", parameters)
                token, seconds = answer.get("access_token"), answer.get("expires_in")
                if answer["errcode"] or not isinstance(token, str) or not isinstance(seconds, int):
                    raise _kind(answer)(f"WeCom gives no access token: {_error_text(answer)}")
                self._token, self._issued_to = token, issued_to
                self._ends = self._clock() + seconds - SPARE_SECONDS
            return self._token


def _call(method: str, path: str, params: dict[str, str], content: bytes | None = None) -> dict[str, Any]:
    """WeCom's answer, always with an `errcode`. Raises `NotSent`."""
    try:
        answer = ask(
            method,
            f"{settings.WECOM_URL}{path}",
            timeout=settings.NOTICE_TIMEOUT,
            params=params,
            content=content,
        )
        if not answer.is_success:
            raise (Passing if is_passing(answer.status) else NotSent)(f"WeCom: answered {answer.status}")
        reply = answer.json()
    except Unanswered as why:
        raise Passing(f"WeCom: {why}") from None
    if not isinstance(reply, dict) or not isinstance(reply.get("errcode"), int):
        raise NotSent("WeCom: the answer has no errcode")
    return reply


def _kind(answer: dict[str, Any]) -> type[NotSent]:
    return Passing if answer["errcode"] in BUSY else NotSent


def _error_text(answer: dict[str, Any]) -> str:
    return f"{answer['errcode']} {str(answer.get('errmsg', ''))[:100]}"


def _card(notice: Notice) -> dict[str, Any]:
    """The message as it is sent. Only the description holds what people typed."""
    to = "toparty" if notice.role == Participant.Role.DEPARTMENT else "touser"
    id = notice.contact.removeprefix(PREFIX)
    if not _ID[to].fullmatch(id):
        raise NotSent("this is no id of one WeCom member or department")
    return {
        to: id,
        "msgtype": "textcard",
        "agentid": settings.WECOM_AGENT_ID,
        "textcard": {
            "title": _("Invitation to a conversation"),
            "description": _description(notice),
            "url": notice.link,
            "btntxt": pgettext("button of a card, at most four characters", "Join"),
        },
    }


def _description(notice: Notice) -> str:
    """The card's HTML. Names are escaped, which makes them longer: each is cut to what fits before that, so that WeCom
    does not cut inside an escape."""
    for most in range(MAX_NAME, -1, -1):
        title, advice = escape(notice.title(most)), escape(notice.advice())
        text = f'<div class="normal">{title}</div><div class="gray">{advice}</div>'
        if len(text.encode()) <= MOST_BYTES:
            break
    return text
