"""The type of a file, by its content: what its sender calls it does not count.

A picture must open as one, and is decoded to the end. Text has no control characters and does not begin like markup. A
ZIP is a document if its parts are those of one. Recordings are recognised by their first bytes, everything else by
puremagic. A type that is not in ATTACHMENT_TYPES is refused.
No whole file is held in memory. A picture's pixels are counted before they are decoded, one picture at a time.
"""

from __future__ import annotations

import io
import re
import struct
import threading
import zipfile
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from django.conf import settings

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
"""Parts, and bytes of the list of parts, of a document. The end of the file states both; only the list is read."""
_ZIP_END, _ZIP64_END = b"PK\x05\x06", b"PK\x06\x07"
_decoding = threading.Lock()
"""One picture at a time, so that a process holds the pixels of one only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a file is. `preview` is a small picture without the original's metadata; empty where there is none."""

    media_type: str
    width: int | None = None
    height: int | None = None
    preview: bytes = b""


def examined(file: IO[bytes], size: int) -> Content:
    """What a file of `size` bytes is.

    Raises `FileEmpty`, `FileTooLarge`, `FileTypeRefused`, `FileDamaged`, `ImageTooLarge`.
    """
    if size == 0:
        raise FileEmpty
    if size > settings.ATTACHMENT_MAX_BYTES:
        raise too_large(settings.ATTACHMENT_MAX_BYTES)
    content = _picture(file)
    if content is None:
        content = Content(media_type=_recognised(file))
        _allowed(content.media_type)
        if content.media_type in _PICTURES.values():
            raise FileDamaged(_NOT_SHOWN)  # it begins like a picture that did not open as one
    return content


def _allowed(media_type: str) -> None:
    if media_type not in settings.ATTACHMENT_TYPES:
        what = f"This is {media_type}, which is not taken here." if media_type else ""
        raise FileTypeRefused(what, media_type=media_type, allowed=list(settings.ATTACHMENT_TYPES))


# --- Pictures ----------------------------------------------------------------------------------------------------


def _picture(file: IO[bytes]) -> Content | None:
    """None for what does not begin like a picture of these types."""
    file.seek(0)
    try:
        image = _opened(file)
    except Exception:  # Pillow raises many kinds of errors for what is no picture
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
    except Exception as error:  # a hostile file may make a decoder raise anything
        raise FileDamaged(_NOT_SHOWN) from error
    return Content(media_type=media_type, width=size[0], height=size[1], preview=preview)


def _opened(file: IO[bytes]) -> Any:
    """The picture. Pillow and puremagic are loaded with the first file: a process of sockets never sees one."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # Pillow would warn at a limit of its own; ATTACHMENT_MAX_PIXELS is checked before
    return Image.open(file, formats=_OPENED)


def _verified(file: IO[bytes]) -> None:
    """Check the checksums of formats that have some. Raises what Pillow raises."""
    file.seek(0)
    with _opened(file) as image:
        image.verify()


def _preview(file: IO[bytes]) -> tuple[tuple[int, int], bytes]:
    """Width and height as shown, and a small WebP copy: the first frame, turned as EXIF says, without metadata."""
    from PIL import ImageOps

    file.seek(0)
    with _opened(file) as image:
        is_turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        size = image.size[::-1] if is_turned else image.size
        image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG need not be decoded in full
        is_clear = "A" in image.getbands() or "transparency" in image.info
        small = image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGBA" if is_clear else "RGB")
        small.thumbnail((SIDE, SIDE))
        plain = ImageOps.exif_transpose(small).convert("RGBA" if is_clear else "RGB")
    plain.info.clear()
    output = io.BytesIO()
    plain.save(output, "WEBP", quality=80, method=2)
    return size, output.getvalue()


# --- Everything else ---------------------------------------------------------------------------------------------


def _recognised(file: IO[bytes]) -> str:
    """The media type; empty where it is unknown."""
    text = is_text(file)
    file.seek(0)
    head = file.read(1024)
    if text:
        if head.startswith(b"%PDF-"):  # a PDF without control characters
            return "application/pdf"
        return "text/html" if _MARKUP.match(head) else "text/plain"
    file.seek(0)
    if file.read(4) == b"PK\x03\x04":
        return _document(file)
    if media_type := recordings.media_type(head):
        return media_type
    import puremagic

    file.seek(0)
    matches = puremagic.magic_stream(file)
    best = matches[0].confidence if matches else 0
    names = [match.mime_type for match in matches if match.confidence == best and match.mime_type]
    return next((name for name in names if name in settings.ATTACHMENT_TYPES), names[0] if names else "")


def is_text(file: IO[bytes]) -> bool:
    """True without control characters, in whatever encoding: a shop's lists come in GBK as well as in UTF-8."""
    file.seek(0)
    return not any(piece.translate(None, _TEXT) for piece in iter(partial(file.read, PIECE), b""))


def _document(file: IO[bytes]) -> str:
    """The type of a ZIP, by its list of parts; nothing is unpacked. A document with macros counts as a plain ZIP."""
    if _has_too_many_parts(file):
        return "application/zip"
    try:
        with zipfile.ZipFile(file) as parts:
            names = parts.namelist()
    except Exception as error:  # zipfile raises many kinds of errors
        raise FileDamaged from error
    if len(names) > _MOST_PARTS or any(name.lower().endswith("vbaproject.bin") for name in names):
        return "application/zip"
    if "[Content_Types].xml" in names:
        for part, media_type in (("word/document.xml", WORD), ("xl/workbook.xml", SHEET)):
            if part in names:
                return media_type
    return "application/zip"


def _has_too_many_parts(file: IO[bytes]) -> bool:
    """Whether the list of parts is too long, by the end of the ZIP: listing 60,000 parts took seconds.

    A list of the larger kind (ZIP64) is too long in any case.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 22 - 0xFFFF))
    tail = file.read()
    at = len(tail) - 22
    # As zipfile looks: at the very end, or before a comment.
    if not (tail[at : at + 4] == _ZIP_END and tail.endswith(b"\0\0")):
        at = tail.rfind(_ZIP_END)
    if at < 0 or len(tail) < at + 22:
        return False  # no end of a ZIP: zipfile says that it is damaged
    parts, list_bytes = struct.unpack_from("<HL", tail, at + 10)
    return parts > _MOST_PARTS or list_bytes > _MOST_LIST_BYTES or tail[at - 20 : at - 16] == _ZIP64_END
