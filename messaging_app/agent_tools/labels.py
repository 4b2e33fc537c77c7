"""The labels of a tenant, the verbs on them, and which conversations have which. `sessions_app` puts them there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet, Subquery

from agents_app.actors import Actor, ActorKind
from config import limits
from config.compiled_query import CompiledQuery
from config.db import lock_rows, related_ids, retried
from config.errors import Conflict, Forbidden, Malformed, NameTaken, NotFound, TryAgain
from messaging_app.models.agent_tools import ConversationLabel, Label

MOST_LABELS = 200
"""Labels of one tenant: nobody can tell more apart."""


class LabelInUse(Conflict):
    """`fields`: conversations."""

    code, message = "label_in_use", "Conversations have this label; take it off them, or out of use."


def labels_of(actor: Actor) -> QuerySet[Label]:
    """The tenant's labels, for whoever sees the desk. Raises `Forbidden`."""
    must_see(actor)
    return Label.objects.filter(tenant_id=actor.tenant_id)


def must_see(actor: Actor) -> None:
    if actor.kind not in (ActorKind.AGENT, ActorKind.BOT, ActorKind.INTEGRATOR, ActorKind.SYSTEM):
        raise Forbidden("Only agents and programs see labels.")


def label_of(actor: Actor, label_id: int) -> Label:
    """One of the tenant's labels. Raises `NotFound`, also for another tenant's."""
    row = labels_of(actor).filter(pk=label_id).first()
    if row is None:
        raise NotFound("There is no such label.")
    return row


def on(conversation_ids: Iterable[int]) -> Mapping[int, list[Label]]:
    """The labels of each conversation, sorted by name, in one query for all of them."""
    by_conversation: defaultdict[int, list[Label]] = defaultdict(list)
    rows = ConversationLabel.objects.filter(conversation__in=list(conversation_ids))
    for row in rows.select_related("label").order_by("label__name", "label_id"):
        by_conversation[row.conversation_id].append(row.label)
    return by_conversation


def ids_on() -> Subquery:
    """For a query of conversations: the ids of each one's labels, as `ids_in` reads them."""
    return related_ids(ConversationLabel.objects.all(), "label_id", of="conversation")


def of_tenant(actor: Actor) -> dict[int, Label]:
    """The tenant's labels by id, in the order of their names; in one query. Raises `Forbidden`."""
    must_see(actor)
    return {label.pk: label for label in _of_tenant.run(tenant_id=actor.tenant_id)}


_of_tenant = CompiledQuery(lambda tenant_id: Label.objects.filter(tenant_id=tenant_id))


def chosen(known: Mapping[int, Label], ids: Iterable[int]) -> list[Label]:
    """The labels with these ids, in the order of `known`."""
    wanted = set(ids)
    return [label for pk, label in known.items() if pk in wanted]


# --- Verbs -------------------------------------------------------------------------------------------------------


@retried
def create_label(*, actor: Actor, name: str, colour: str = Label.Colour.GREY) -> Label:
    """Create a label. Supervisors only. Raises `Forbidden`, `Malformed`, `NameTaken`, and `Conflict` for too many."""
    _must_keep(actor)
    with transaction.atomic():
        label = Label(tenant_id=actor.tenant_id)
        if labels_of(actor).count() >= MOST_LABELS:
            raise Conflict(f"There are {MOST_LABELS} labels already; delete one first.")
        return _write(actor, label, name=name, colour=colour)


@retried
def change_label(*, actor: Actor, label_id: int, is_enabled: bool | None = None, **changes: Any) -> Label:
    """Change name or colour, or take the label out of use, whichever is given. Conversations keep it.

    Raises `NotFound`, and what `create_label` does.
    """
    _must_keep(actor)
    with transaction.atomic():
        label = lock_label(actor, label_id)
        label.is_enabled = label.is_enabled if is_enabled is None else is_enabled
        return _write(actor, label, **({"name": label.name, "colour": label.colour} | changes))


@retried
def delete_label(*, actor: Actor, label_id: int) -> None:
    """Raises `LabelInUse` while a conversation has it: taking it off is on record, and never a side effect."""
    _must_keep(actor)
    with transaction.atomic():
        label = lock_label(actor, label_id)
        if used := label.labelled.count():
            raise LabelInUse(conversations=used)
        label.delete()


def checked_name(name: str) -> str:
    """A name as it is kept: trimmed. Raises `Malformed`."""
    if not name.strip() or len(name.strip()) > limits.MAX_LABEL_NAME or not name.strip().isprintable():
        raise Malformed(f"A label’s name has 1 to {limits.MAX_LABEL_NAME} visible characters.")
    return name.strip()


def _must_keep(actor: Actor) -> None:
    if not actor.is_supervisor:
        raise Forbidden("Labels are kept by supervisors.")


def lock_label(actor: Actor, label_id: int) -> Label:
    """A label, locked, so that putting it on and deleting it wait for each other. Raises `NotFound`."""
    label = lock_rows(labels_of(actor).filter(pk=label_id)).first()
    if label is None:
        raise NotFound("There is no such label.")
    return label


def _write(actor: Actor, label: Label, *, name: str, colour: str) -> Label:
    label.name = checked_name(name)
    if colour not in Label.Colour.values:
        raise Malformed(f"Unknown colour {colour!r}; use one of {', '.join(Label.Colour.values)}.")
    label.colour = colour
    if labels_of(actor).filter(name=label.name).exclude(pk=label.pk).exists():
        raise NameTaken(f"There is a label {label.name!r} already.")
    label.changed_by = actor.name
    try:
        with transaction.atomic():
            label.save()
    except IntegrityError as error:
        raise TryAgain(f"{label.name!r} was taken just now") from error
    return label
