"""Files at the desk, on the join page and on the try-it page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from agents_app.models import Agent
from messaging_app.models import Message
from messaging_app.models.attachments import Attachment
from sessions_app.actions import participants
from sessions_app.queries import guest
from tests.api.world import login_of
from tests.attachments.conftest import kept
from tests.cast import Cast, Chat
from tests.uploads import HTML, PDF, body_of, picture, upload

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _pages(settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.TRY_IT = True


@pytest.fixture
def ann(cast: Cast, chat: Chat) -> Client:
    """Ann's browser; she serves the chat."""
    chat.serve()
    client = Client()
    client.force_login(login_of(cast, "ann"))
    return client


def puts(client: Client, path: str, data: bytes | None = None, name: str = "photo.png", **more: Any) -> Any:
    sent = SimpleUploadedFile(name, picture() if data is None else data)
    return client.post(path, {"file": sent, **more}, headers=FRAGMENT)


def test_a_file_goes_from_the_composer_into_the_thread(ann: Client, chat: Chat) -> None:
    chip = puts(ann, f"/desk/c/{chat.id}/attach/", picture(size=(960, 480)), client_id="u-1")
    row = Attachment.objects.get()
    assert (chip.status_code, chip["Desk-Fragment"]) == (201, "attachment")
    assert f'name="attachment" value="{row.pk}"' in chip.content.decode()
    puts(ann, f"/desk/c/{chat.id}/attach/", picture(size=(960, 480)), client_id="u-1")
    assert Attachment.objects.count() == 1
    news = ann.post(
        f"/desk/c/{chat.id}/say/", {"mode": "reply", "content": "", "attachment": [row.pk]}, headers=FRAGMENT
    )
    page = news.content.decode()
    assert f'src="/desk/files/{row.pk}/preview/" alt="photo.png" width="480" height="240"' in page
    assert 'class="said"' not in page
    shown = ann.get(f"/desk/files/{row.pk}/preview/")
    assert body_of(shown).startswith(b"RIFF")
    assert shown["Cache-Control"] == "private, no-cache"
    assert "sandbox" in shown["Content-Security-Policy"]
    again = ann.get(f"/desk/files/{row.pk}/preview/", headers={"If-None-Match": shown["ETag"]})
    assert again.status_code == 304


def test_a_refusal_is_said_in_words(ann: Client, chat: Chat, settings: Any) -> None:
    where = f"/desk/c/{chat.id}/attach/"
    assert "Files of this type cannot be sent here." in puts(ann, where, HTML).content.decode()
    settings.ATTACHMENT_MAX_BYTES = 1024 * 1024
    large = puts(ann, where, b"a" * 1024 * 1024 + b"a", "a.txt")
    assert (large.status_code, large["Desk-Fragment"]) == (413, "attachment")
    assert "The file is larger than 1.0\xa0MB." in large.content.decode()
    gone = ann.post(f"/desk/c/{chat.id}/say/", {"mode": "reply", "content": "x", "attachment": "77"}, headers=FRAGMENT)
    assert "A file was not sent in time and is gone." in gone.content.decode()
    assert ann.post(f"/desk/c/{chat.id}/say/", {"mode": "reply", "content": "x", "attachment": "z"}).status_code == 400
    assert not Message.objects.exists()


def test_a_form_of_another_site_puts_up_nothing(cast: Cast, chat: Chat, folder: Path) -> None:
    chat.serve()
    client = Client(enforce_csrf_checks=True)
    client.force_login(login_of(cast, "ann"))
    assert puts(client, f"/desk/c/{chat.id}/attach/").status_code == 403
    client.get(f"/desk/c/{chat.id}/")
    token = client.cookies["csrftoken"].value
    sent = SimpleUploadedFile("photo.png", picture())
    allowed = client.post(f"/desk/c/{chat.id}/attach/", {"file": sent}, headers=FRAGMENT | {"X-CSRFToken": token})
    assert allowed.status_code == 201
    assert len(kept(folder)) == 2


def test_a_chip_that_is_removed_takes_its_file_back(ann: Client, cast: Cast, chat: Chat) -> None:
    row = upload(cast.ann, chat.id)
    assert ann.post(f"/desk/files/{row.pk}/discard/").status_code == 204
    assert ann.post(f"/desk/files/{row.pk}/discard/").status_code == 404
    assert not Attachment.objects.exists()


def test_names_of_files_are_only_text(ann: Client, cast: Cast, chat: Chat) -> None:
    row = upload(cast.ann, chat.id, PDF, '"><script>alert(1)<!--.pdf')
    ann.post(f"/desk/c/{chat.id}/say/", {"mode": "reply", "content": "", "attachment": row.pk})
    page = ann.get(f"/desk/c/{chat.id}/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert " style=" not in page


def test_another_tenants_agent_is_told_that_there_is_no_such_file(cast: Cast, others: Cast, chat: Chat) -> None:
    row = upload(chat.customer, chat.id)
    stranger = Client()
    stranger.force_login(login_of(others, "ann"))
    for path in ("", "preview/"):
        assert stranger.get(f"/desk/files/{row.pk}/{path}").status_code == 404


def _guest(cast: Cast, chat: Chat) -> tuple[Client, int]:
    invited = participants.invite_participant(actor=cast.ann, conversation_id=chat.id, name="Gus")
    client = Client()
    client.post("/join/", {"token": invited.token})
    assert str(invited.participant_id) in client.session[guest.JOINED]
    return client, invited.participant_id or 0


def test_a_guest_sends_a_file_and_sees_those_of_others_until_it_is_over(ann: Client, cast: Cast, chat: Chat) -> None:
    gus, number = _guest(cast, chat)
    before = upload(cast.ann, chat.id)
    assert puts(gus, f"/joined/{number}/attach/", PDF, "offer.pdf").status_code == 201
    mine = Attachment.objects.get(name="offer.pdf")
    assert gus.get(f"/joined/{number}/files/{before.pk}/").status_code == 404
    said = gus.post(f"/joined/{number}/say/", {"content": "", "attachment": mine.pk}, headers=FRAGMENT)
    assert f'href="/joined/{number}/files/{mine.pk}/" download="offer.pdf"' in said.content.decode()
    ann.post(f"/desk/c/{chat.id}/say/", {"mode": "reply", "content": "", "attachment": before.pk})
    for row in (mine, before):
        answer = gus.get(f"/joined/{number}/files/{row.pk}/")
        body_of(answer)
        assert answer.status_code == 200
    stolen = gus.post(f"/joined/{number}/say/", {"content": "", "attachment": before.pk}, headers=FRAGMENT)
    assert "is gone" in stolen.content.decode()
    participants.remove_participant(actor=cast.ann, conversation_id=chat.id, participant_id=number)
    assert gus.get(f"/joined/{number}/files/{mine.pk}/").status_code == 410
    assert puts(gus, f"/joined/{number}/attach/").status_code == 410


def test_the_customer_of_the_try_it_page_may_begin_with_a_picture(cast: Cast) -> None:
    visitor, other = Client(), Client()
    assert puts(visitor, "/try-it/attach/").status_code == 201
    row = Attachment.objects.get()
    assert row.conversation.platform == "try-it"
    said = visitor.post("/try-it/say/", {"content": "", "attachment": row.pk}, headers=FRAGMENT)
    assert f'src="/try-it/files/{row.pk}/preview/"' in said.content.decode()
    fetched = visitor.get(f"/try-it/files/{row.pk}/")
    body_of(fetched)
    assert fetched.status_code == 200
    assert other.get(f"/try-it/files/{row.pk}/").status_code == 404
    unsent = upload_by(visitor)
    assert other.post(f"/try-it/files/{unsent}/discard/").status_code == 404
    assert visitor.post(f"/try-it/files/{unsent}/discard/").status_code == 204


def upload_by(visitor: Client) -> int:
    puts(visitor, "/try-it/attach/")
    return Attachment.objects.latest("pk").pk


def test_the_admin_shows_files_with_their_conversation_and_a_way_to_them(cast: Cast, others: Cast, chat: Chat) -> None:
    row = upload(chat.customer, chat.id, name="damage.png")
    foreign = others.chat()
    upload(foreign.customer, foreign.id, name="foreign.png")
    sue: Agent = cast.agent("sue")
    user = login_of(cast, "sue")
    user.is_staff = user.is_superuser = True
    user.save()
    assert sue.role == "supervisor"
    client = Client()
    client.force_login(user)
    listed = client.get("/admin/messaging_app/attachment/").content.decode()
    assert "damage.png" in listed
    assert "foreign.png" not in listed
    page = client.get(f"/admin/messaging_app/attachment/{row.pk}/change/").content.decode()
    assert f"/admin/messaging_app/conversation/{chat.id}/change/" in page
