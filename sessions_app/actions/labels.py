"""Putting a label on a conversation and taking it off. No toggles; both are harmless to repeat."""

from __future__ import annotations

from agents_app.actors import Actor
from messaging_app.agent_tools import labels
from messaging_app.models.agent_tools import ConversationLabel
from sessions_app.core.locked_conversation import Outcome
from sessions_app.errors import Conflict
from sessions_app.rights import access
from sessions_app.unit.unit_of_work import locked_conversation, verb


@verb
def label(*, actor: Actor, conversation_id: int, label_id: int) -> Outcome:
    """Put a label on. Raises `NotFound` for one that is not the tenant's, `Conflict` for one that is out of use."""
    access.may_label(actor)
    with locked_conversation(actor, conversation_id) as locked:
        own_label = labels.lock_label(actor, label_id)
        existing = ConversationLabel.objects.filter(conversation=locked.conversation, label=own_label)
        if existing.exists():
            return locked.outcome(locked.live, is_repeat=True)
        if not own_label.is_enabled:
            raise Conflict(f"The label {own_label.name!r} is out of use.")
        ConversationLabel.objects.create(
            tenant_id=locked.conversation.tenant_id,
            conversation=locked.conversation,
            label=own_label,
            labelled_by=actor.name,
            labelled_at=locked.now,
        )
        locked.record("conversation.labelled", locked.live, label_id=own_label.pk, label=own_label.name)
    return locked.outcome(locked.live)


@verb
def unlabel(*, actor: Actor, conversation_id: int, label_id: int) -> Outcome:
    """Take a label off, also one that is out of use. Raises `NotFound` for one that is not the tenant's."""
    access.may_label(actor)
    with locked_conversation(actor, conversation_id) as locked:
        own_label = labels.label_of(actor, label_id)
        deleted, _ = ConversationLabel.objects.filter(conversation=locked.conversation, label=own_label).delete()
        if not deleted:
            return locked.outcome(locked.live, is_repeat=True)
        locked.record("conversation.unlabelled", locked.live, label_id=own_label.pk, label=own_label.name)
    return locked.outcome(locked.live)
