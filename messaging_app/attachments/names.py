"""A file's name as it may be shown and saved: what the user called it, without what could mislead or escape. Pure."""

from __future__ import annotations

import mimetypes
import re
import unicodedata

LONGEST = 150
_FOR_NOTHING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Characters that are dropped, control and direction marks among them: `gpj.exe` must not be shown as `exe.jpg`."""
ENDINGS = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    "application/pdf": (".pdf",),
    "text/plain": (".txt", ".csv", ".tsv", ".log", ".md", ".json", ".srt", ".vtt"),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": (".docx",),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": (".xlsx",),
    "audio/mpeg": (".mp3",),
    "video/mp4": (".mp4", ".m4v"),
    "image/heic": (".heic", ".heif", ".hif"),
    "audio/ogg": (".ogg", ".oga", ".opus", ".spx"),
    "audio/mp4": (".m4a", ".m4b"),
    "audio/wav": (".wav",),
    "video/quicktime": (".mov", ".qt"),
    "video/webm": (".webm", ".weba"),
}
"""The endings of each type. None of them runs when it is opened, as `.bat`, which is plain text too, would."""


def safe(name: str, media_type: str) -> str:
    """The last part of a path, without characters that cannot be seen, and with an ending that fits the content."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    seen = "".join(
        " " if c.isspace() else c for c in last if c.isspace() or unicodedata.category(c) not in _FOR_NOTHING
    )
    plain = " ".join(seen.split()).strip(". ")
    endings = ENDINGS.get(media_type) or tuple(mimetypes.guess_all_extensions(media_type)) or (".bin",)
    stem, dot, ending = plain.rpartition(".")
    if not (dot and stem and f".{ending.lower()}" in endings):
        stem, ending = plain or "file", endings[0].removeprefix(".")
    return f"{stem[:LONGEST].rstrip('. ') or 'file'}.{ending}"
