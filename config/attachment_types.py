"""The types of files that people may attach, where ATTACHMENT_TYPES names no others."""

from __future__ import annotations

USUAL = [
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "application/pdf",
    "text/plain",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "audio/mpeg",
    "video/mp4",
    # As telephones and browsers record them: to be saved, never shown by us
    "image/heic",
    "audio/ogg",
    "audio/mp4",
    "audio/wav",
    "video/quicktime",
    "video/webm",
]
