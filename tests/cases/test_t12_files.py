"""What customers send from their telephones is taken, to be saved; and how much of it there may be."""

from __future__ import annotations

import io
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from messaging_app.attachments import content, names
from messaging_app.attachments.errors import FileDamaged, FileTypeRefused
from messaging_app.models.attachments import Attachment
from tests.api.world import bearer
from tests.attachments.conftest import _within_the_tests_transaction, folder  # noqa: F401 – fixtures
from tests.cast import Cast, Chat
from tests.uploads import MP4, document, picture, upload


def ftyp(brand: bytes, *compatible: bytes) -> bytes:
    box = b"ftyp" + brand + bytes(4) + b"".join(compatible)
    return struct.pack(">I", len(box) + 4) + box + bytes(range(256)) * 2


def ogg(packet: bytes) -> bytes:
    return b"OggS\0\2" + bytes(20) + b"\1" + bytes([len(packet)]) + packet + bytes(range(256))


def matroska(kind: bytes) -> bytes:
    return b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82" + bytes([0x80 + len(kind)]) + kind + bytes(range(256))


RECORDINGS = {
    "heic": (ftyp(b"heic", b"mif1", b"heic"), "image/heic", ".heic"),
    "heic as mif1": (ftyp(b"mif1", b"mif1", b"heic"), "image/heic", ".heic"),
    "opus": (ogg(b"OpusHead\1\1" + bytes(9)), "audio/ogg", ".ogg"),
    "vorbis": (ogg(b"\1vorbis" + bytes(23)), "audio/ogg", ".ogg"),
    "m4a": (ftyp(b"M4A ", b"M4A ", b"mp42"), "audio/mp4", ".m4a"),
    "mov": (ftyp(b"qt  ", b"qt  "), "video/quicktime", ".mov"),
    "webm": (matroska(b"webm"), "video/webm", ".webm"),
    "wav": (b"RIFF" + struct.pack("<I", 400) + b"WAVEfmt " + bytes(range(256)), "audio/wav", ".wav"),
    "mp4": (MP4, "video/mp4", ".mp4"),
}


def examined(data: bytes) -> str:
    return content.examined(io.BytesIO(data), len(data)).media_type


@pytest.mark.parametrize("kind", RECORDINGS)
def test_t12_recordings_of_telephones_are_taken_by_their_content(kind: str) -> None:
    data, media_type, ending = RECORDINGS[kind]
    assert examined(data) == media_type
    assert names.safe("voice", media_type) == f"voice{ending}"


@pytest.mark.django_db
@pytest.mark.parametrize("kind", RECORDINGS)
def test_t12_recordings_are_handed_out_to_be_saved(chat: Chat, kind: str) -> None:
    data, media_type, ending = RECORDINGS[kind]
    customer = bearer(chat.customer)
    sent = customer.client.post(
        f"/api/v1/conversations/{chat.id}/attachments",
        {"file": SimpleUploadedFile("IMG_0001", data)},
        format="multipart",
    )
    assert (sent.status_code, sent.json()["media_type"]) == (201, media_type)
    file = customer.client.get(f"/api/v1/attachments/{sent.json()['id']}/content")
    assert file.headers["Content-Disposition"] == f'attachment; filename="IMG_0001{ending}"'
    assert (file.headers["Content-Type"], file.headers["X-Content-Type-Options"]) == (media_type, "nosniff")
    assert b"".join(file.streaming_content) == data  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (matroska(b"matroska"), "video/x-matroska"),
        (ogg(b"\x80theora" + bytes(30)), "video/ogg"),
        (ftyp(b"avif", b"mif1"), "image/avif"),
    ],
)
def test_what_only_looks_like_one_of_them_is_refused_and_named(data: bytes, media_type: str) -> None:
    with pytest.raises(FileTypeRefused) as refusal:
        examined(data)
    assert refusal.value.fields["media_type"] == media_type


# --- How much ----------------------------------------------------------------------------------------------------


def many_parts(count: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}", b"")
        archive.writestr("[Content_Types].xml", b"<Types/>")
        archive.writestr("word/document.xml", b"<w/>")
    return made.getvalue()


def test_t6_5_a_zip_of_many_parts_is_refused_without_a_look_at_its_list(monkeypatch: pytest.MonkeyPatch) -> None:
    data = many_parts(10_000)

    def never(*_: Any) -> None:
        raise AssertionError("listed")

    monkeypatch.setattr(content.zipfile, "ZipFile", never)  # type: ignore[attr-defined]
    with pytest.raises(FileTypeRefused) as refusal:
        examined(data)
    assert refusal.value.fields["media_type"] == "application/zip"


@pytest.mark.parametrize("lie", [(10, "<H", 5), (12, "<L", 50)], ids=["parts", "bytes"])
def test_t6_5_a_zip_that_lies_about_its_list_costs_no_more(lie: tuple[int, str, int]) -> None:
    data = bytearray(many_parts(10_000))
    end = data.rfind(b"PK\x05\x06")
    struct.pack_into(lie[1], data, end + lie[0], lie[2])
    began = time.process_time()
    with pytest.raises((FileTypeRefused, FileDamaged)):
        examined(bytes(data))
    assert time.process_time() - began < 1


def test_a_document_with_a_comment_at_its_end_is_one() -> None:
    data = document()
    commented = data[:-2] + struct.pack("<H", 5) + b"hello"
    assert examined(commented).endswith("wordprocessingml.document")


@pytest.mark.django_db
def test_t6_5_a_body_of_60_000_parts_is_refused_at_once(chat: Chat) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n' * 60_000 + b"--b--\r\n"
    began = time.process_time()
    answer = bearer(chat.customer).client.generic(
        "POST",
        f"/api/v1/conversations/{chat.id}/attachments",
        body,
        content_type="multipart/form-data; boundary=b",
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert time.process_time() - began < 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("bound", "most"),
    [("ATTACHMENT_CONVERSATION_FILES", 2), ("ATTACHMENT_CONVERSATION_BYTES", 25), ("ATTACHMENT_TENANT_BYTES", 25)],
)
def test_t6_5_the_files_of_a_conversation_and_of_a_tenant_are_bounded_and_the_bound_is_named(
    cast: Cast, chat: Chat, settings: Any, bound: str, most: int
) -> None:
    setattr(settings, bound, most)
    customer = bearer(chat.customer)

    def puts_up(number: int) -> Any:
        file = SimpleUploadedFile(f"{number}.txt", b"ten bytes.")
        address = f"/api/v1/conversations/{chat.id}/attachments"
        return customer.client.post(address, {"file": file, "client_id": f"{number}"}, format="multipart")

    assert [puts_up(number).status_code for number in (1, 2)] == [201, 201]
    refused = puts_up(3)
    assert (refused.status_code, refused.json()["code"]) == (413, "too_many_files")
    assert (refused.json()["bound"], refused.json()["most"]) == (bound, most)
    assert puts_up(2).status_code == 201, "a repeat is no further file"
    assert Attachment.objects.count() == 2
    elsewhere = cast.chat()
    if bound.startswith("ATTACHMENT_CONVERSATION"):
        upload(elsewhere.customer, elsewhere.id, b"ten bytes.", "a.txt")


@pytest.mark.django_db
def test_t6_5_anothers_files_take_no_room(others: Cast, chat: Chat, settings: Any, folder: Path) -> None:  # noqa: F811
    settings.ATTACHMENT_TENANT_BYTES = len(picture())
    theirs = others.chat()
    upload(theirs.customer, theirs.id)
    upload(chat.customer, chat.id)
