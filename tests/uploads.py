"""Files of every kind for the tests of attachments, made here: good ones, and such that mean no good."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from hashlib import sha256
from typing import Any

from PIL import Image

from agents_app.actors import Actor
from messaging_app.models.attachments import Attachment
from sessions_app.actions import attachments


def picture(kind: str = "PNG", size: tuple[int, int] = (60, 40), colour: str = "teal", **more: Any) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, colour).save(made, kind, **more)
    return made.getvalue()


def turned(size: tuple[int, int] = (60, 40)) -> bytes:
    """As a telephone held upright makes it: lying down, with a note to turn it and where it was taken."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Secret Camera"
    return picture("JPEG", size, exif=exif)


def bomb(width: int = 30_000, height: int = 30_000) -> bytes:
    """A PNG of some hundred bytes that says it has 900 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def zipped(**parts: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name.replace("__", "/"), text)
    return made.getvalue()


def document(part: str = "word/document.xml", *more: str) -> bytes:
    return zipped(**{"[Content_Types].xml": "<Types/>", part: "<w/>"} | dict.fromkeys(more, "x"))


PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
MP4 = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(200)
MP3 = b"ID3\x04\0\0\0\0\0\x23" + bytes(200)
HTML = b"<!doctype html><script>document.title='owned'</script>"
SVG = b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>"


def upload(
    actor: Actor, conversation_id: int, content: bytes | None = None, name: str = "photo.png", client_id: str = ""
) -> Attachment:
    """Put up a file, by the verb."""
    data = picture() if content is None else content
    return attachments.upload(
        actor=actor,
        conversation_id=conversation_id,
        file=io.BytesIO(data),
        size=len(data),
        sha256=sha256(data).hexdigest(),
        name=name,
        client_id=client_id,
    )


def body_of(answer: Any) -> bytes:
    """Read to its end, which is how the test client closes it without the connection that a test's transaction is on."""
    return b"".join(answer.streaming_content)
