"""Notices by the installation's own webhook, signed by the Standard Webhooks scheme: for channels we do not know."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from django.conf import settings
from standardwebhooks import Webhook as Signer

from config.clock import utc
from config.http import Unanswered, ask
from sessions_app.notices.notice import Notice, NotSent, Passing, is_passing

TYPE = "participant.notice"


class Webhook:
    name = "webhook"

    def is_set_up(self) -> bool:
        return bool(settings.NOTICE_WEBHOOK_URL and settings.NOTICE_WEBHOOK_SECRET)

    def send(self, notice: Notice) -> None:
        """The id is the same whenever the same link is sent, so that a receiver can drop a repeat."""
        id, now = f"notice_{notice.key[:32]}", datetime.now(UTC)
        body = json.dumps({"type": TYPE, "timestamp": utc(now), "data": _data(notice)}, ensure_ascii=False)
        try:
            signature = Signer(settings.NOTICE_WEBHOOK_SECRET).sign(id, now, body)
        except ValueError:
            raise NotSent("NOTICE_WEBHOOK_SECRET is not in base64") from None
        headers = {
            "webhook-id": id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        try:
            answer = ask(
                "POST",
                settings.NOTICE_WEBHOOK_URL,
                timeout=settings.NOTICE_TIMEOUT,
                headers=headers,
                content=body.encode(),
            )
        except Unanswered as why:
            raise Passing(f"webhook: {why}") from None
        if not answer.is_success:
            kind = Passing if is_passing(answer.status) else NotSent
            raise kind(f"webhook: answered {answer.status}")


def _data(notice: Notice) -> dict[str, str]:
    return {
        "participant_id": str(notice.participant_id),
        "conversation_id": str(notice.conversation_id),
        "tenant": notice.tenant,
        "tenant_name": notice.tenant_name,
        "contact": notice.contact,
        "name": notice.name,
        "role": notice.role,
        "invited_by": notice.invited_by,
        "link": notice.link,
    }
