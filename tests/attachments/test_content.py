"""What a file is, by its content; what it may be called."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from config.errors import DomainError
from config.uploads import FileTooLarge
from messaging_app.attachments import content, names
from messaging_app.attachments.content import SHEET, WORD, Content
from messaging_app.attachments.errors import FileDamaged, FileEmpty, FileTypeRefused, ImageTooLarge
from tests import uploads


def examined(data: bytes) -> Content:
    return content.examined(io.BytesIO(data), len(data))


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (uploads.picture("PNG"), "image/png"),
        (uploads.picture("JPEG"), "image/jpeg"),
        (uploads.picture("GIF"), "image/gif"),
        (uploads.picture("WEBP"), "image/webp"),
        (uploads.PDF, "application/pdf"),
        (uploads.MP4, "video/mp4"),
        (uploads.MP3, "audio/mpeg"),
        (uploads.document(), WORD),
        (uploads.document("xl/workbook.xml"), SHEET),
        ("Größe 42, 尺码 L\r\n".encode(), "text/plain"),
        ("订单,金额\n17,25\n".encode("gbk"), "text/plain"),
        (b"a < b, and b > a", "text/plain"),
    ],
)
def test_a_file_is_what_its_content_says(data: bytes, media_type: str) -> None:
    assert examined(data).media_type == media_type


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (uploads.HTML, "text/html"),
        (b"\xef\xbb\xbf  \n" + uploads.HTML, "text/html"),
        (uploads.SVG, "text/html"),
        (uploads.zipped(a="x"), "application/zip"),
        (uploads.document("word/document.xml", "word/vbaProject.bin"), "application/zip"),
        (b"MZ\x90\0" + bytes(200), None),
        (b"\x7fELF\x02\x01\x01" + bytes(200), None),
        (bytes(range(256)), None),
    ],
)
def test_what_is_not_on_the_list_is_refused_and_named(data: bytes, media_type: str | None) -> None:
    with pytest.raises(FileTypeRefused) as refusal:
        examined(data)
    assert refusal.value.fields["allowed"][0] == "image/png"
    if media_type is not None:
        assert refusal.value.fields["media_type"] == media_type


def test_the_list_is_the_installations(settings: Any) -> None:
    settings.ATTACHMENT_TYPES = ["application/zip"]
    assert examined(uploads.zipped(a="x")).media_type == "application/zip"
    with pytest.raises(FileTypeRefused):
        examined(uploads.picture())


def test_an_empty_file_and_one_that_is_too_large_are_refused(settings: Any) -> None:
    with pytest.raises(FileEmpty):
        examined(b"")
    settings.ATTACHMENT_MAX_BYTES = 10
    with pytest.raises(FileTooLarge) as refusal:
        examined(b"eleven byte")
    assert refusal.value.fields == {"most": 10}


def test_a_picture_that_says_it_is_huge_is_refused_before_a_pixel_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(content, "_preview", never)
    with pytest.raises(ImageTooLarge) as refusal:
        examined(uploads.bomb())
    assert (refusal.value.fields["width"], refusal.value.fields["most"]) == (30_000, 40_000_000)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_that_breaks_off_is_damaged(kind: str) -> None:
    made = io.BytesIO()
    Image.effect_noise((300, 300), 60).convert("RGB").save(made, kind)
    data = made.getvalue()
    with pytest.raises(FileDamaged):
        examined(data[: len(data) // 2])


def test_a_picture_that_lies_about_its_pixels_is_damaged() -> None:
    with pytest.raises(FileDamaged):
        examined(uploads.bomb(2000, 2000))


def test_a_picture_that_is_a_page_as_well_is_a_picture() -> None:
    """It goes out as a picture, `nosniff`, and its preview is drawn anew: nothing of the page is in it."""
    found = examined(uploads.picture("GIF") + uploads.HTML)
    assert found.media_type == "image/gif"
    assert b"script" not in found.preview


def test_a_preview_is_small_upright_and_tells_nothing_of_the_camera() -> None:
    found = examined(uploads.turned((1200, 800)))
    assert (found.width, found.height) == (800, 1200)
    preview = Image.open(io.BytesIO(found.preview))
    assert (preview.format, preview.size) == ("WEBP", (320, 480))
    assert b"Secret" not in found.preview
    assert not preview.getexif()


def test_a_small_picture_keeps_its_size_and_its_clear_parts() -> None:
    made = io.BytesIO()
    Image.new("RGBA", (20, 10), (255, 0, 0, 0)).save(made, "PNG")
    preview = Image.open(io.BytesIO(examined(made.getvalue()).preview))
    assert (preview.size, preview.mode) == ((20, 10), "RGBA")


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "I;16", "CMYK"])
def test_pictures_of_every_kind_of_colour_have_a_preview(mode: str) -> None:
    made = io.BytesIO()
    Image.new(mode, (900, 30)).save(made, "JPEG" if mode == "CMYK" else "PNG")
    assert Image.open(io.BytesIO(examined(made.getvalue()).preview)).size == (480, 16)


def test_a_file_is_read_in_pieces() -> None:
    class Reader(io.BytesIO):
        most = 0

        def read(self, size: int | None = -1) -> bytes:
            piece = super().read(size)
            Reader.most = max(Reader.most, len(piece))
            return piece

    data = b"line\n" * 1_000_000
    assert content.examined(Reader(data), len(data)).media_type == "text/plain"
    assert Reader.most <= content.PIECE


@given(st.binary(max_size=400))
def test_whatever_comes_is_taken_or_refused_and_nothing_else(data: bytes) -> None:
    for before in (
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBP",
        b"PK\x03\x04",
        b"%PDF-",
    ):
        try:
            examined(before + data)
        except DomainError as refusal:
            assert refusal.code.startswith(("file_", "image_"))  # noqa: PT017 – both are right


# --- Names -------------------------------------------------------------------------------------------------------


def of_png(given: Iterable[tuple[str, str]]) -> Any:
    return pytest.mark.parametrize(("given", "name"), given)


@of_png(
    [
        ("photo.png", "photo.png"),
        ("Photo.PNG", "Photo.PNG"),
        ("photo.exe", "photo.exe.png"),
        ("photo", "photo.png"),
        ("", "file.png"),
        ("..", "file.png"),
        (".png", "png.png"),
        ("../../etc/passwd", "passwd.png"),
        ("C:\\Windows\\win.ini", "win.ini.png"),
        ('he said "hi".png', 'he said "hi".png'),
        ("a\r\nSet-Cookie: x=1.png", "a Set-Cookie: x=1.png"),
        ("photo\u202egnp.exe", "photognp.exe.png"),
        ("two\u200b\u2028lines\x00.png", "two lines.png"),
        ("发票 三月.png", "发票 三月.png"),
        ("e\u0301te\u0301.png", "été.png"),
    ],
)
def test_a_name_is_made_safe_and_ends_as_its_content(given: str, name: str) -> None:
    assert names.safe(given, "image/png") == name


def test_text_that_a_computer_would_carry_out_is_called_text() -> None:
    assert names.safe("setup.bat", "text/plain") == "setup.bat.txt"
    assert names.safe("orders.csv", "text/plain") == "orders.csv"
    assert names.safe("strange", "application/x-nobody-knows") == "strange.bin"


@given(st.text(max_size=400))
def test_whatever_it_is_called_a_name_is_one_line_of_what_can_be_seen(given: str) -> None:
    name = names.safe(given, "image/png")
    assert name.isprintable() or " " in name
    assert not set(name) & set("/\\\r\n\x00\u202e")
    assert len(name) <= 200
    assert names.safe(name, "image/png") == name
