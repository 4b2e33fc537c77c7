"""Why a file is not taken, or cannot be sent. Each has a stable code, like every refusal."""

from __future__ import annotations

from config.errors import Conflict, DomainError, NotFound


class FileEmpty(DomainError):
    code, status, message = "file_empty", 400, "The file is empty."


class FileTypeRefused(DomainError):
    """By its content, whatever it calls itself. `fields`: media_type (empty where it is not known), allowed."""

    code, status, message = "file_type_refused", 415, "Files of this type are not taken here."


class FileDamaged(DomainError):
    """It begins like a file of its type, and is none to the end."""

    code, status, message = "file_damaged", 422, "The file is damaged."


class ImageTooLarge(DomainError):
    """`fields`: width, height, most."""

    code, status, message = "image_too_large", 422, "The picture has more pixels than what is taken here."


class AttachmentNotFound(NotFound):
    """Of all that the sender may not send here: another's, another conversation's, another tenant's, invented, or gone."""

    code, message = "attachment_not_found", "There is no such attachment of yours in this conversation."


class AttachmentSent(Conflict):
    """`fields`: attachment_id."""

    code, message = "attachment_sent", "This attachment has been sent already; a file goes with one message."


class UploadIdTaken(Conflict):
    code, message = "client_id_taken", "This client_id was used for another file."


class TooManyFiles(DomainError):
    """`fields`: bound (the setting that is reached), most."""

    code, status, message = "too_many_files", 413, "There is no room for another file here."


class TooManyUnsent(Conflict):
    """`fields`: most."""

    code, message = "too_many_unsent", "There are too many files of yours here that were never sent."
