"""Drafts: what an agent has typed into a composer and not sent yet, kept so that it can be finished at another screen.

A draft is no operation of the stream. Only its writer sees it, nothing follows from it, and nobody has to catch up with
it. As an event, each pause in somebody's typing would go to every reader, and words that were never sent would be on
record. So it is written without the conversation's lock; its own row is locked.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from agents_app.actors import Actor
from config import clock, limits
from config.db import lock_rows, retried
from config.errors import Forbidden, Malformed, NotFound, TryAgain
from messaging_app.incoming import clean
from messaging_app.models import Conversation
from messaging_app.models.agent_tools import Draft


class Saved(NamedTuple):
    """`at` is the time of saving, by the database's clock, and identifies this version. None when no draft is kept."""

    at: datetime | None
    other: str = ""  # the text that was kept until now, if the page that saves had not seen it


@retried
def save_draft(*, actor: Actor, conversation_id: int, mode: str, text: str, seen: datetime | None = None) -> Saved:
    """Keep the text as the agent's draft; the last save wins. A blank text deletes the draft.

    `seen` is the version (`Saved.at`) that the writer's page has seen last. If another page has saved since, its text
    is returned as `other`, so that it is not lost unseen. Raises `NotFound`, `Forbidden`, `Malformed`.
    """
    drafts = _of(actor, conversation_id, mode)
    if len(text) > limits.MAX_CONTENT:
        raise Malformed(f"A draft holds at most {limits.MAX_CONTENT} characters; this one has {len(text)}.")
    text = clean(text)
    with transaction.atomic():
        draft = lock_rows(drafts).first()
        other = draft.text if draft and draft.updated_at != seen and draft.text != text else ""
        if not text.strip():
            drafts.delete()
            return Saved(None, other)
        draft = draft or Draft(agent_id=actor.pk, conversation_id=conversation_id, mode=mode)
        draft.text, draft.updated_at = text, clock.now()
        try:
            with transaction.atomic():
                draft.save()
        except IntegrityError as error:
            raise TryAgain("another page saved the first draft just now") from error
    return Saved(draft.updated_at, other)


def clear_draft(*, actor: Actor, conversation_id: int, mode: str, text: str) -> None:
    """Delete the draft if this text, which was sent, is what it holds. What another page has saved since stays.

    Raises `NotFound`, `Forbidden`, `Malformed`.
    """
    sent = {draft.pk for draft in _of(actor, conversation_id, mode) if draft.text.strip() == text.strip()}
    if sent:
        Draft.objects.filter(pk__in=sent).delete()


def _of(actor: Actor, conversation_id: int, mode: str) -> QuerySet[Draft]:
    """The agent's draft of this mode in a conversation of its tenant: one row, or none."""
    if not actor.is_agent:
        raise Forbidden("Only agents keep drafts.")
    if mode not in Draft.Mode.values:
        raise Malformed(f"Unknown mode {mode!r}; use one of {', '.join(Draft.Mode.values)}.")
    if not Conversation.objects.filter(pk=conversation_id, tenant_id=actor.tenant_id).exists():
        raise NotFound("There is no such conversation.")
    return Draft.objects.filter(agent_id=actor.pk, conversation_id=conversation_id, mode=mode)
