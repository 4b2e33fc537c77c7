"""Files put up, sent, refused, taken back, forgotten: by the verbs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import Storage
from django.core.management import call_command

from agents_app.actors import Actor
from messaging_app import relay, search
from messaging_app.attachments import files, rows
from messaging_app.models import Conversation, Message, MessageTerms
from messaging_app.models.attachments import Attachment
from messaging_app.thread import NewMessage
from sessions_app.actions import attachments, flows, inbound, messages, participants
from sessions_app.rights import visible
from tests.attachments.conftest import kept
from tests.cast import Cast, Chat, Later, refused
from tests.uploads import HTML, bomb, picture, upload


def says(chat: Chat, actor: Actor, *ids: int, content: str = "", message_id: str = "", **more: Any) -> Any:
    words = NewMessage(content=content, message_id=message_id, attachments=ids)
    if actor.kind in ("customer", "integrator"):
        return inbound.receive_message(actor=actor, conversation_id=chat.id, words=words)
    return messages.post_message(actor=actor, conversation_id=chat.id, words=words, **more)


# --- Putting up --------------------------------------------------------------------------------------------------


def test_an_upload_is_a_row_a_file_and_a_preview_and_nobody_is_told(cast: Cast, chat: Chat, folder: Path) -> None:
    chat.serve()
    before = chat.event_types
    row = upload(cast.ann, chat.id, picture(size=(600, 300)), "../broken lamp.png")
    assert (row.name, row.media_type, row.width, row.height, row.message_id) == (
        "broken lamp.png",
        "image/png",
        600,
        300,
        None,
    )
    assert kept(folder) == [row.storage_key, f"{row.storage_key}.preview"]
    assert "lamp" not in row.storage_key
    assert chat.event_types == before


def test_who_may_speak_may_put_up_a_file(cast: Cast, chat: Chat) -> None:
    chat.robot()
    upload(cast.bargain, chat.id)
    chat.take(cast.ann)
    participants.invite_colleague(actor=cast.ann, conversation_id=chat.id, agent_id=cast.ben.pk)
    for actor in (cast.ann, cast.ben, chat.customer, cast.channel, chat.guest()):
        assert upload(actor, chat.id).uploader_kind == actor.kind


def test_whoever_may_not_speak_is_refused_and_nothing_is_kept(
    cast: Cast, others: Cast, chat: Chat, folder: Path
) -> None:
    refused("not_serving", upload, cast.ann, chat.id)
    chat.robot()
    refused("not_found", upload, cast.faq, chat.id)
    chat.take(cast.ann)
    refused("forbidden", upload, cast.ben, chat.id)
    refused("forbidden", upload, cast.sue, chat.id)
    refused("forbidden", upload, cast.bargain, chat.id)
    refused("not_found", upload, others.ann, chat.id)
    guest = chat.guest()
    participants.remove_participant(actor=cast.ann, conversation_id=chat.id, participant_id=guest.pk)
    refused("not_found", upload, guest, chat.id)
    refused("not_found", upload, cast.chat().customer, chat.id)
    assert kept(folder) == []


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"", "empty.png", "file_empty"),
        (HTML, "photo.png", "file_type_refused"),
        (bomb(), "photo.png", "image_too_large"),
        (picture()[:-20], "photo.png", "file_damaged"),
    ],
)
def test_what_is_not_taken_leaves_no_trace(
    cast: Cast, chat: Chat, folder: Path, data: bytes, name: str, code: str
) -> None:
    chat.says()
    refused(code, upload, chat.customer, chat.id, data, name)
    assert kept(folder) == []


def test_the_same_upload_again_is_the_same_attachment(cast: Cast, chat: Chat, folder: Path) -> None:
    first = upload(chat.customer, chat.id, client_id="mine")
    assert upload(chat.customer, chat.id, client_id="mine") == first
    says(chat, chat.customer, first.pk)
    assert upload(chat.customer, chat.id, client_id="mine") == first
    assert len(kept(folder)) == 2
    refused("client_id_taken", upload, chat.customer, chat.id, picture(colour="red"), client_id="mine")
    assert upload(cast.channel, chat.id, client_id="mine") != first, "another's ids are another's"


def test_so_many_files_wait_and_no_more(cast: Cast, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_UNSENT", 2)
    first = upload(chat.customer, chat.id)
    upload(chat.customer, chat.id)
    assert refused("too_many_unsent", upload, chat.customer, chat.id).fields == {"most": 2}
    upload(cast.channel, chat.id)
    attachments.discard(actor=chat.customer, attachment_id=first.pk)
    upload(chat.customer, chat.id)


class Broken(Storage):
    """Writes, and fails at the preview."""

    gone: list[str] = []

    def _save(self, name: str, content: Any) -> str:
        if name.endswith(files.PREVIEW):
            raise OSError("no space left on device")
        return name

    def exists(self, name: str) -> bool:
        return False

    def delete(self, name: str) -> None:
        self.gone.append(name)


def test_a_store_that_fails_is_said_and_what_it_had_written_is_removed(cast: Cast, chat: Chat, settings: Any) -> None:
    settings.STORAGES = settings.STORAGES | {"attachments": {"BACKEND": "tests.attachments.test_verbs.Broken"}}
    Broken.gone.clear()
    chat.says()
    refused("storage_failed", upload, chat.customer, chat.id)
    assert len(Broken.gone) == 2


@pytest.mark.django_db(transaction=True)
def test_the_store_is_asked_outside_of_every_transaction(later: Later) -> None:
    cast = Cast()
    chat = cast.chat()
    row = upload(chat.customer, chat.id)  # else the guard would raise
    with files.opened(row) as file:
        assert file.read() == picture()
    attachments.discard(actor=chat.customer, attachment_id=row.pk)
    with pytest.raises(Exception, match="cannot be read"):
        files.opened(row)


# --- Sending -----------------------------------------------------------------------------------------------------


def test_a_message_takes_its_files_in_the_order_they_are_named(cast: Cast, chat: Chat) -> None:
    chat.serve()
    one, two = upload(cast.ann, chat.id, name="one.png"), upload(cast.ann, chat.id, name="two.png")
    says(chat, cast.ann, two.pk, one.pk, content="Look.")
    message = Message.objects.get(conversation_id=chat.id)
    assert [row.name for row in message.attachments.all()] == ["two.png", "one.png"]
    assert chat.row.last_text == "Look."
    told = chat.operations[-1].data["attachments"]
    assert told == [{"id": row.pk, "digest": row.sha256} for row in (two, one)]


def test_files_need_no_words_and_the_list_shows_their_names(cast: Cast, chat: Chat) -> None:
    one, two = upload(chat.customer, chat.id, name="one.png"), upload(chat.customer, chat.id, name="two.png")
    says(chat, chat.customer, one.pk, two.pk, content=" ")
    assert chat.row.last_text == "one.png, two.png"
    refused("malformed", says, chat, chat.customer)


def test_a_note_takes_files_too_and_only_agents_see_them(cast: Cast, chat: Chat) -> None:
    chat.serve()
    guest = chat.guest()
    row = upload(cast.ann, chat.id)
    messages.post_note(actor=cast.ann, conversation_id=chat.id, words=NewMessage(content="", attachments=(row.pk,)))
    seen = {actor.kind: visible.attachments(actor).exists() for actor in (cast.ben, guest, cast.channel, chat.customer)}
    assert seen == {"agent": True, "participant": False, "integrator": False, "customer": False}
    assert chat.row.last_text == ""


def test_only_what_is_ones_own_and_of_this_conversation_and_waits_is_sent(cast: Cast, others: Cast, chat: Chat) -> None:
    chat.serve()
    mine, sent = upload(cast.ann, chat.id), upload(cast.ann, chat.id)
    says(chat, cast.ann, sent.pk)
    elsewhere, foreign = cast.chat().serve(), others.chat().serve()
    of_others = (
        upload(cast.channel, chat.id),
        upload(cast.ann, elsewhere.id),
        upload(others.ann, foreign.id),
    )
    for row in of_others:
        refused("attachment_not_found", says, chat, cast.ann, mine.pk, row.pk)
    refused("attachment_not_found", says, chat, cast.ann, 2**40)
    assert refused("attachment_sent", says, chat, cast.ann, mine.pk, sent.pk).fields == {"attachment_id": str(sent.pk)}
    refused("malformed", says, chat, cast.ann, mine.pk, mine.pk)
    refused("malformed", says, chat, cast.ann, *range(11))
    says(chat, cast.ann, mine.pk)


def test_a_message_sent_twice_takes_its_files_once(cast: Cast, chat: Chat) -> None:
    row = upload(chat.customer, chat.id)
    first = says(chat, chat.customer, row.pk, message_id="m-1")
    again = says(chat, chat.customer, row.pk, message_id="m-1")
    assert (again.seq, again.is_repeat) == (first.seq, True)
    assert Message.objects.get(conversation_id=chat.id).attachments.get() == row


def test_a_bot_whose_turn_has_moved_keeps_its_file(cast: Cast, chat: Chat) -> None:
    chat.robot()
    row = upload(cast.bargain, chat.id)
    epoch = chat.epoch
    chat.take(cast.ann)
    refused("stale_epoch", says, chat, cast.bargain, row.pk, epoch=epoch)
    assert Attachment.objects.get(pk=row.pk).message_id is None


def test_a_picture_answers_a_guided_flow_and_empty_words_still_repeat_its_question(cast: Cast, chat: Chat) -> None:
    chat.robot()
    flow = flows.open_flow(
        actor=cast.bargain, trigger_id="t", question="A picture of the damage?", conversation_id=chat.id
    )
    asked = says(chat, chat.customer)
    assert asked.detail["question"] == "A picture of the damage?"
    says(chat, chat.customer, upload(chat.customer, chat.id, name="damage.png").pk)
    flow.refresh_from_db()
    assert (flow.status, flow.answer) == ("rerunning", "damage.png")


def test_the_context_package_of_a_transfer_names_the_files(cast: Cast, chat: Chat) -> None:
    chat.robot()
    says(chat, chat.customer, upload(chat.customer, chat.id, name="damage.png").pk)
    chat.escalate()
    (said,) = chat.pending.context["messages"]
    assert [file["name"] for file in said["attachments"]] == ["damage.png"]


def test_search_finds_a_message_by_its_files_name(cast: Cast, chat: Chat) -> None:
    says(chat, chat.customer, upload(chat.customer, chat.id, name="scratched lampshade.png").pk)
    relay.stamp(cast.tenant.pk)
    while search.index(cast.tenant.pk):
        pass
    assert f"{cast.tenant.pk}xlampshade" in MessageTerms.objects.get().terms.split()


def test_a_message_that_is_indexed_again_is_still_found_by_its_files_name(cast: Cast, chat: Chat) -> None:
    chat.serve()
    says(chat, cast.ann, upload(cast.ann, chat.id, name="scratched lampshade.png").pk, content="Is it this?")
    for told in ("message.created", "message.echoed"):
        assert chat.event_types[-1] == told
        relay.stamp(cast.tenant.pk)
        while search.index(cast.tenant.pk):
            pass
        assert f"{cast.tenant.pk}xlampshade" in MessageTerms.objects.get().terms.split()
        chat.echo("Is it this?", "wx-1")


# --- Who sees what -----------------------------------------------------------------------------------------------


def test_a_file_is_seen_with_its_message_and_before_that_by_its_uploader_alone(
    cast: Cast, others: Cast, chat: Chat
) -> None:
    chat.serve()
    guest = chat.guest(history="none")
    row = upload(cast.ann, chat.id)
    readers = [cast.ann, cast.ben, cast.sue, cast.channel, cast.bargain, chat.customer, guest]
    assert [actor for actor in readers if visible.attachments(actor).exists()] == [cast.ann]
    says(chat, cast.ann, row.pk)
    assert [actor for actor in readers if visible.attachments(actor).filter(pk=row.pk).exists()] == readers
    for stranger in (others.ann, others.channel, cast.faq, cast.chat().customer):
        assert not visible.attachments(stranger).exists()
    late = chat.guest(name="Late")
    assert not visible.attachments(late).exists()
    participants.remove_participant(actor=cast.ann, conversation_id=chat.id, participant_id=guest.pk)
    assert not visible.attachments(guest).exists()


# --- Gone again --------------------------------------------------------------------------------------------------


def test_what_was_not_sent_is_taken_back_by_its_uploader_alone(
    cast: Cast, chat: Chat, folder: Path, django_capture_on_commit_callbacks: Any
) -> None:
    row = upload(chat.customer, chat.id)
    refused("attachment_not_found", attachments.discard, actor=cast.channel, attachment_id=row.pk)
    with django_capture_on_commit_callbacks(execute=True):
        attachments.discard(actor=chat.customer, attachment_id=row.pk)
    assert kept(folder) == []
    refused("attachment_not_found", attachments.discard, actor=chat.customer, attachment_id=row.pk)
    sent = upload(chat.customer, chat.id)
    says(chat, chat.customer, sent.pk)
    refused("attachment_sent", attachments.discard, actor=chat.customer, attachment_id=sent.pk)


def test_what_nobody_sends_for_a_day_goes_row_and_file(cast: Cast, chat: Chat, folder: Path, later: Later) -> None:
    sent, old = upload(chat.customer, chat.id), upload(chat.customer, chat.id)
    says(chat, chat.customer, sent.pk)
    later(24 * 3600 - 60)
    young = upload(chat.customer, chat.id)
    assert rows.forget() == 0
    later(120)
    assert rows.forget() == 1
    assert set(Attachment.objects.all()) == {sent, young}
    assert {name.partition(".")[0] for name in kept(folder)} == {sent.storage_key, young.storage_key}
    refused("attachment_not_found", says, chat, chat.customer, old.pk)


def test_erasing_takes_files_with_the_messages_and_leaves_the_record_whole(
    cast: Cast, others: Cast, chat: Chat, folder: Path, django_capture_on_commit_callbacks: Any
) -> None:
    row, unsent = upload(chat.customer, chat.id), upload(chat.customer, chat.id)
    says(chat, chat.customer, row.pk)
    message = Message.objects.get(conversation_id=chat.id)
    assert rows.erase(tenant_id=others.tenant.pk, messages=[message.pk], conversations=[chat.id]) == 0
    with django_capture_on_commit_callbacks(execute=True):
        assert rows.erase(tenant_id=cast.tenant.pk, messages=[message.pk]) == 1
        assert len(kept(folder)) == 4, "not before the commit"
    assert len(kept(folder)) == 2
    with django_capture_on_commit_callbacks(execute=True):
        assert rows.erase(tenant_id=cast.tenant.pk, conversations=[chat.id]) == 1
    assert kept(folder) == []
    assert not Attachment.objects.filter(pk=unsent.pk).exists()
    assert Conversation.objects.get(pk=chat.id).seq == len(chat.operations)


def test_files_that_no_row_names_are_found_and_removed(
    cast: Cast, chat: Chat, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = upload(chat.customer, chat.id)
    lost = upload(chat.customer, chat.id)
    Attachment.objects.filter(pk=lost.pk).delete()
    assert list(files.orphans(timedelta(hours=1))) == [], "it may be on its way"
    call_command("sweep_files", "--older-than", "0", "--dry-run")
    assert lost.storage_key in capsys.readouterr().out
    assert len(kept(folder)) == 4
    call_command("sweep_files", "--older-than", "0")
    assert kept(folder) == [row.storage_key, f"{row.storage_key}.preview"]
