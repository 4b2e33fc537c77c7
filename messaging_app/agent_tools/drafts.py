"""What an agent has typed into a composer and not sent yet, kept so that it can be gone on with at another screen.

A draft is no operation of the stream. Nobody but its writer sees it, nothing follows from it, and nobody has to catch up
with it: as an event each pause in somebody's typing would be told to every reader, and words that were thought better of
would be on record. So it is written beside the conversation without its lock; the row itself is locked.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from agents_app.actors import Actor
from config import clock, limits
from config.db import TryAgain, lock_rows, retried
from config.errors import Forbidden, Malformed, NotFound
from messaging_app.incoming import clean
from messaging_app.models import Conversation
from messaging_app.models.agent_tools import Draft


class Saved(NamedTuple):
    """`at` is when, by the database's clock: what names this version. None where nothing is kept any more."""

    at: datetime | None
    other: str = ""  # what was kept until now, if whoever saved had not seen it


@retried
def save_draft(*, actor: Actor, conversation_id: int, mode: str, text: str, seen: datetime | None = None) -> Saved:
    """Keep the words as the agent's draft; the later one wins. Blank ones keep nothing.

    `seen` names the version that the writer's page has seen last. Where another page has saved since, its words are
    given back, so that they are not lost unseen. Raises `NotFound`, `Forbidden`, `Malformed`.
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
    """These words have been sent: if they are the draft, it is done with. What another page keeps stays.

    Raises `NotFound`, `Forbidden`, `Malformed`.
    """
    kept = {draft.pk for draft in _of(actor, conversation_id, mode) if draft.text.strip() == text.strip()}
    if kept:
        Draft.objects.filter(pk__in=kept).delete()


def _of(actor: Actor, conversation_id: int, mode: str) -> QuerySet[Draft]:
    """The agent's draft of this mode in a conversation of its tenant: one row, or none."""
    if not actor.is_agent:
        raise Forbidden("Only agents keep drafts.")
    if mode not in Draft.Mode.values:
        raise Malformed(f"Unknown mode {mode!r}; use one of {', '.join(Draft.Mode.values)}.")
    if not Conversation.objects.filter(pk=conversation_id, tenant_id=actor.tenant_id).exists():
        raise NotFound("There is no such conversation.")
    return Draft.objects.filter(agent_id=actor.pk, conversation_id=conversation_id, mode=mode)
