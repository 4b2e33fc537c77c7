"""Labels: which there are, and putting them on conversations, on record."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from agents_app.actors import Actor
from messaging_app.agent_tools import labels as kept
from messaging_app.agent_tools.labels import change_label, create_label, delete_label, labels_of
from messaging_app.models.agent_tools import ConversationLabel, Label
from sessions_app.actions import labels
from sessions_app.queries import view_filters
from sessions_app.rights import visible
from tests.cast import Cast, Chat, refused


@pytest.fixture
def refund(cast: Cast) -> Label:
    return create_label(actor=cast.sue, name="refund", colour="teal")


def on(chat: Chat) -> list[str]:
    return [label.name for label in kept.on([chat.id]).get(chat.id, [])]


def put(actor: Actor, chat: Chat, label: Label) -> Any:
    return labels.label(actor=actor, conversation_id=chat.id, label_id=label.pk)


def take_off(actor: Actor, chat: Chat, label: Label) -> Any:
    return labels.unlabel(actor=actor, conversation_id=chat.id, label_id=label.pk)


# --- Which there are ---------------------------------------------------------------------------------------------


def test_supervisors_keep_the_labels(cast: Cast, refund: Label) -> None:
    for actor in (cast.ann, cast.channel, cast.bargain, cast.chat().customer):
        refused("forbidden", create_label, actor=actor, name="mine")
        refused("forbidden", change_label, actor=actor, label_id=refund.pk, name="mine")
        refused("forbidden", delete_label, actor=actor, label_id=refund.pk)
    assert change_label(actor=cast.sue, label_id=refund.pk, colour="red").colour == "red"
    delete_label(actor=cast.sue, label_id=refund.pk)
    assert not Label.objects.exists()


def test_every_tenant_has_its_own(cast: Cast, others: Cast, refund: Label) -> None:
    create_label(actor=others.sue, name="refund")
    refused("not_found", change_label, actor=others.sue, label_id=refund.pk, name="mine")
    refused("not_found", delete_label, actor=others.sue, label_id=refund.pk)
    assert list(labels_of(cast.ann)) == [refund]
    refused("forbidden", labels_of, cast.chat().customer)


def test_a_name_is_there_once_byte_by_byte(cast: Cast, refund: Label) -> None:
    refused("name_taken", create_label, actor=cast.sue, name=" refund ")
    other = create_label(actor=cast.sue, name="Refund")
    refused("name_taken", change_label, actor=cast.sue, label_id=other.pk, name="refund")
    with pytest.raises(IntegrityError), transaction.atomic():
        Label.objects.create(tenant=cast.tenant, name="refund")


@pytest.mark.parametrize("name", ["", "  ", "x" * 51, "two\nlines", "nul\x00"])
def test_what_is_no_name_is_refused(cast: Cast, name: str) -> None:
    refused("malformed", create_label, actor=cast.sue, name=name)


def test_the_palette_is_fixed(cast: Cast) -> None:
    refused("malformed", create_label, actor=cast.sue, name="x", colour="#fff")
    with pytest.raises(IntegrityError), transaction.atomic():
        Label.objects.create(tenant=cast.tenant, name="x", colour="#fff")


def test_a_label_in_use_is_not_deleted_but_taken_out_of_use(cast: Cast, chat: Chat, refund: Label) -> None:
    put(cast.ann, chat, refund)
    told = refused("label_in_use", delete_label, actor=cast.sue, label_id=refund.pk)
    assert told.fields == {"conversations": 1}
    with pytest.raises(ProtectedError):
        refund.delete()
    change_label(actor=cast.sue, label_id=refund.pk, is_enabled=False)
    assert put(cast.ann, chat, refund).is_repeat, "it is there already"
    refused("conflict", put, cast.ann, cast.chat(), refund)
    take_off(cast.ann, chat, refund)
    delete_label(actor=cast.sue, label_id=refund.pk)


# --- On conversations --------------------------------------------------------------------------------------------


def test_a_label_is_put_on_and_taken_off_on_record(cast: Cast, chat: Chat, refund: Label) -> None:
    put(cast.ann, chat, refund)
    assert on(chat) == ["refund"]
    row = ConversationLabel.objects.get()
    assert (row.labelled_by, row.tenant_id) == ("Ann", cast.tenant.pk)
    take_off(cast.ben, chat, refund)
    assert on(chat) == []
    told = [(o.type, o.actor_name, o.data) for o in chat.operations[-2:]]
    its = {"label_id": refund.pk, "label": "refund"}
    assert told == [("conversation.labelled", "Ann", its), ("conversation.unlabelled", "Ben", its)]


def test_done_again_it_changes_nothing(cast: Cast, chat: Chat, refund: Label) -> None:
    put(cast.ann, chat, refund)
    before = chat.row.seq
    assert put(cast.ben, chat, refund).is_repeat
    assert ConversationLabel.objects.get().labelled_by == "Ann"
    take_off(cast.ann, chat, refund)
    assert take_off(cast.ann, chat, refund).is_repeat
    assert chat.row.seq == before + 1


def test_agents_and_integrators_label_and_nobody_else(cast: Cast, chat: Chat, refund: Label) -> None:
    chat.serve()
    for actor in (cast.bargain, chat.customer, chat.guest()):
        refused("forbidden", put, actor, chat, refund)
        refused("forbidden", take_off, actor, chat, refund)
    for actor in (cast.cat, cast.sue, cast.channel):
        put(actor, chat, refund)
        take_off(actor, chat, refund)


def test_neither_label_nor_conversation_of_another_tenant(cast: Cast, others: Cast, chat: Chat, refund: Label) -> None:
    foreign = create_label(actor=others.sue, name="foreign")
    for verb in (put, take_off):
        refused("not_found", verb, cast.ann, chat, foreign)
        refused("not_found", verb, cast.ann, others.chat(), refund)


def test_people_outside_hear_nothing_of_it(cast: Cast, chat: Chat, refund: Label) -> None:
    chat.serve()
    gus = chat.guest()
    put(cast.ann, chat, refund)
    for outsider in (chat.customer, gus):
        assert not visible.operations(outsider).filter(type__contains="label").exists()
    assert visible.operations(cast.channel).filter(type="conversation.labelled").exists()


def test_conversations_are_found_by_any_of_some_labels(cast: Cast, refund: Label) -> None:
    gift = create_label(actor=cast.sue, name="gift")
    one, two, both, _ = (cast.chat() for _ in range(4))
    for chat, label in ((one, refund), (two, gift), (both, refund), (both, gift)):
        put(cast.ann, chat, label)
    rows = visible.conversations(cast.ann)
    assert {row.pk for row in view_filters.labelled(rows, refund.pk)} == {one.id, both.id}
    assert view_filters.labelled(rows, refund.pk, gift.pk).count() == 3


# --- Read well ---------------------------------------------------------------------------------------------------


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("colour", Label.Colour.values)
def test_every_colour_is_read_at_4_5_to_1_in_light_and_dark(colour: str) -> None:
    styles = settings.BASE_DIR / "static" / "css" / "core"
    tokens = (styles / "tokens.css").read_text(encoding="utf-8")
    pairs = dict(re.findall(rf"--label-{colour}-(ground|ink): light-dark\((.*?)\)", tokens))
    assert set(pairs) == {"ground", "ink"}, "the palette lacks a colour"
    rule = re.search(rf"\.label-{colour} {{(.*?)}}", (styles / "labels.css").read_text(encoding="utf-8"))
    assert rule, "no rule gives the colour to a label"
    drawn = dict(re.findall(r"--label-(ground|ink): var\((.*?)\)", rule[1]))
    assert drawn == {"ground": f"--label-{colour}-ground", "ink": f"--label-{colour}-ink"}
    for scheme, (ground, ink) in enumerate(zip(pairs["ground"].split(", "), pairs["ink"].split(", "), strict=True)):
        assert contrast(ground, ink) >= 4.5, f"{colour} in {('light', 'dark')[scheme]}"


def test_contrast_is_counted_as_the_standard_does() -> None:
    assert round(contrast("#000000", "#ffffff"), 1) == 21.0
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48
