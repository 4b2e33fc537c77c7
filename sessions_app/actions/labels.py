"""Putting a label on a conversation and taking it off. No toggles; both are harmless to repeat."""

from __future__ import annotations

from agents_app.actors import Actor
from messaging_app import labels
from messaging_app.desk_models import ConversationLabel
from sessions_app import access
from sessions_app.errors import Conflict
from sessions_app.shape import taking, verb
from sessions_app.turn import Outcome


@verb
def label(*, actor: Actor, conversation_id: int, label_id: int) -> Outcome:
    """Put a label on. Raises `NotFound` for none of the tenant's, `Conflict` for one that is out of use."""
    access.may_label(actor)
    with taking(actor, conversation_id) as turn:
        wanted = labels.held(actor, label_id)
        here = ConversationLabel.objects.filter(conversation=turn.conversation, label=wanted)
        if here.exists():
            return turn.outcome(turn.live, is_repeat=True)
        if not wanted.is_enabled:
            raise Conflict(f"The label {wanted.name!r} is out of use.")
        ConversationLabel.objects.create(
            tenant_id=turn.conversation.tenant_id,
            conversation=turn.conversation,
            label=wanted,
            labelled_by=actor.name,
            labelled_at=turn.now,
        )
        turn.record("conversation.labelled", turn.live, label_id=wanted.pk, label=wanted.name)
    return turn.outcome(turn.live)


@verb
def unlabel(*, actor: Actor, conversation_id: int, label_id: int) -> Outcome:
    """Take a label off, also one that is out of use. Raises `NotFound` for none of the tenant's."""
    access.may_label(actor)
    with taking(actor, conversation_id) as turn:
        unwanted = labels.label_of(actor, label_id)
        gone, _ = ConversationLabel.objects.filter(conversation=turn.conversation, label=unwanted).delete()
        if not gone:
            return turn.outcome(turn.live, is_repeat=True)
        turn.record("conversation.unlabelled", turn.live, label_id=unwanted.pk, label=unwanted.name)
    return turn.outcome(turn.live)
