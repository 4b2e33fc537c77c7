"""What a file is, by its content: nothing is believed of what its sender calls it.

A picture must open as one and is decoded to the end; text has no control characters and does not begin like markup; of a
ZIP the parts tell whether it is a document; recordings say in their first bytes what they are; all else puremagic names. What is none of ATTACHMENT_TYPES is refused.
Nothing here holds a whole file in memory; a picture's pixels are counted before they are decoded, one picture at a time.
"""

from __future__ import annotations

import io
import re
import struct
import threading
import zipfile
from dataclasses import dataclass
from functools import partial
from typing import IO

import puremagic
from django.conf import settings
from PIL import Image, ImageOps

from config import limits
from config.uploads import too_large
from messaging_app.attachments import recordings
from messaging_app.attachments.errors import FileDamaged, FileEmpty, FileTypeRefused, ImageTooLarge
from messaging_app.models.attachments import SIDE

PIECE = limits.PIECE
PREVIEW_TYPE = "image/webp"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_OPENED = ("PNG", "JPEG", "GIF", "WEBP")
_PICTURES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with a second picture in it, as telephones make them
    "GIF": "image/gif",
    "WEBP": "image/webp",
}
_NOT_SHOWN = "The picture is damaged: it cannot be shown."
_TEXT = bytes({*range(0x20, 0x7F), *range(0x80, 0x100), *b"\t\n\r\f"})
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[!?/a-zA-Z]")
_MOST_PARTS = 10_000
_MOST_LIST_BYTES = 1_000_000
"""Of a document; its list of parts is all that is read, and its end says how many parts and bytes the list has."""
_ZIP_END, _ZIP64_END = b"PK\x05\x06", b"PK\x06\x07"
Image.MAX_IMAGE_PIXELS = (
    None  # Pillow would warn at a size of its own; ATTACHMENT_MAX_PIXELS is asked here, before a pixel is decoded
)
_decoding = threading.Lock()
"""One picture at a time: beside its file, a process holds the pixels of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What was found. `preview` is a small picture without the original's metadata; empty where there is none."""

    media_type: str
    width: int | None = None
    height: int | None = None
    preview: bytes = b""


def examined(file: IO[bytes], size: int) -> Content:
    """Raises `FileEmpty`, `FileTooLarge`, `FileTypeRefused`, `FileDamaged`, `ImageTooLarge`."""
    if size == 0:
        raise FileEmpty
    if size > settings.ATTACHMENT_MAX_BYTES:
        raise too_large(settings.ATTACHMENT_MAX_BYTES)
    found = _picture(file)
    if found is None:
        found = Content(media_type=_recognised(file))
        _allowed(found.media_type)
        if found.media_type in _PICTURES.values():
            raise FileDamaged(_NOT_SHOWN)  # it begins like a picture that did not open as one
    return found


def _allowed(media_type: str) -> None:
    if media_type not in settings.ATTACHMENT_TYPES:
        what = f"This is {media_type}, which is not taken here." if media_type else ""
        raise FileTypeRefused(what, media_type=media_type, allowed=list(settings.ATTACHMENT_TYPES))


# --- Pictures ----------------------------------------------------------------------------------------------------


def _picture(file: IO[bytes]) -> Content | None:
    """None for what does not begin like a picture of these types."""
    file.seek(0)
    try:
        image = Image.open(file, formats=_OPENED)
    except Exception:  # as many kinds as there are ways to be no picture
        return None
    media_type = _PICTURES[image.format or ""]
    _allowed(media_type)
    width, height = image.size
    most = settings.ATTACHMENT_MAX_PIXELS
    if width * height > most:
        raise ImageTooLarge(f"A picture has at most {most:,} pixels.", most=most, width=width, height=height)
    try:
        with _decoding:
            _verified(file)
            size, preview = _preview(file)
    except Exception as error:  # a decoder meets a file that means it no good
        raise FileDamaged(_NOT_SHOWN) from error
    return Content(media_type=media_type, width=size[0], height=size[1], preview=preview)


def _verified(file: IO[bytes]) -> None:
    """The check sums of formats that have some."""
    file.seek(0)
    with Image.open(file, formats=_OPENED) as image:
        image.verify()


def _preview(file: IO[bytes]) -> tuple[tuple[int, int], bytes]:
    """Size as it is looked at, and a small copy: the first picture of a film, turned as the camera was, nothing beside."""
    file.seek(0)
    with Image.open(file, formats=_OPENED) as image:
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        size = image.size[::-1] if turned else image.size
        image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG need not be decoded in full
        is_clear = "A" in image.getbands() or "transparency" in image.info
        small = image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGBA" if is_clear else "RGB")
        small.thumbnail((SIDE, SIDE))
        plain = ImageOps.exif_transpose(small).convert("RGBA" if is_clear else "RGB")
    plain.info.clear()
    made = io.BytesIO()
    plain.save(made, "WEBP", quality=80, method=2)
    return size, made.getvalue()


# --- Everything else ---------------------------------------------------------------------------------------------


def _recognised(file: IO[bytes]) -> str:
    """The type; empty where nobody knows it."""
    text = is_text(file)
    file.seek(0)
    head = file.read(1024)
    if text:
        if head.startswith(b"%PDF-"):  # one may be written by hand
            return "application/pdf"
        return "text/html" if _MARKUP.match(head) else "text/plain"
    file.seek(0)
    if file.read(4) == b"PK\x03\x04":
        return _document(file)
    if media_type := recordings.media_type(head):
        return media_type
    file.seek(0)
    matches = puremagic.magic_stream(file)
    best = matches[0].confidence if matches else 0
    named = [match.mime_type for match in matches if match.confidence == best and match.mime_type]
    return next((name for name in named if name in settings.ATTACHMENT_TYPES), named[0] if named else "")


def is_text(file: IO[bytes]) -> bool:
    """Without control characters, in whatever encoding: a shop's lists come in GBK as well as in UTF-8."""
    file.seek(0)
    return not any(piece.translate(None, _TEXT) for piece in iter(partial(file.read, PIECE), b""))


def _document(file: IO[bytes]) -> str:
    """Of a ZIP only its list of parts is read, and nothing unpacked. One with macros is none of these."""
    if _has_too_many_parts(file):
        return "application/zip"
    try:
        with zipfile.ZipFile(file) as parts:
            names = parts.namelist()
    except Exception as error:  # zipfile raises what it meets
        raise FileDamaged from error
    if len(names) > _MOST_PARTS or any(name.lower().endswith("vbaproject.bin") for name in names):
        return "application/zip"
    if "[Content_Types].xml" in names:
        for part, media_type in (("word/document.xml", WORD), ("xl/workbook.xml", SHEET)):
            if part in names:
                return media_type
    return "application/zip"


def _has_too_many_parts(file: IO[bytes]) -> bool:
    """By what the end of the ZIP says of its list, before the list is read: 60,000 parts took seconds to list. What has a list of the
    larger kind (ZIP64) has too many in any case."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 22 - 0xFFFF))
    tail = file.read()
    at = len(tail) - 22
    if not (
        tail[at : at + 4] == _ZIP_END and tail.endswith(b"\0\0")
    ):  # as zipfile looks: at the very end, or before a comment
        at = tail.rfind(_ZIP_END)
    if at < 0 or len(tail) < at + 22:
        return False  # none: zipfile says that it is damaged
    parts, list_bytes = struct.unpack_from("<HL", tail, at + 10)
    return parts > _MOST_PARTS or list_bytes > _MOST_LIST_BYTES or tail[at - 20 : at - 16] == _ZIP64_END
