"""One file from a multipart body, written to disk in chunks: never whole in memory, and no longer than allowed.

Checks neither what the file is nor anybody's rights.
"""

from __future__ import annotations

import os
from hashlib import sha256
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils.datastructures import MultiValueDict

from config.errors import DomainError, Malformed

FIELD = "file"
AROUND = 64 * 1024
"""Bytes that a body may have in addition to its file: the other fields, and the headers of its parts."""


class FileTooLarge(DomainError):
    """`fields`: most."""

    code, status, message = "file_too_large", 413, "The file is larger than what is taken here."


def too_large(most: int) -> FileTooLarge:
    return FileTooLarge(f"A file has at most {most:,} bytes.", most=most)


if TYPE_CHECKING:
    _File = UploadedFile[bytes]
else:  # Django's files take no type argument at run time
    _File = UploadedFile


class Received(_File):
    """A file on disk that is deleted when it is closed. `digest` is its SHA-256, `name` its sender's name for it."""

    def __init__(self, file: IO[bytes], *, name: str, size: int, digest: str) -> None:
        super().__init__(file, name, size=size)
        self.digest = digest


class OneFile(FileUploadHandler):
    """Takes a single file, in the field `file`. Raises `FileTooLarge` with the byte that is too many, `Malformed`."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most, self._size, self._digest = most, 0, sha256()
        self._file: IO[bytes] | None = None

    def handle_raw_input(
        self,
        input_data: Any,
        META: Any,  # noqa: N803 – its parent's name
        content_length: int,
        boundary: Any,
        encoding: Any = None,
    ) -> None:
        """Refuse a body that announces too much, before it is read."""
        if content_length > self._most + AROUND:
            raise too_large(self._most)

    def new_file(self, field_name: str, *args: Any, **kwargs: Any) -> None:
        super().new_file(field_name, *args, **kwargs)
        if field_name != FIELD or self._file is not None:
            raise Malformed(f"Send one file, in the field {FIELD!r}.")
        self._file = TemporaryFile()  # noqa: SIM115 – whoever is given it closes it

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        assert self._file is not None
        self._size += len(raw_data)
        if self._size > self._most:
            raise too_large(self._most)
        self._digest.update(raw_data)
        self._file.write(raw_data)

    def file_complete(self, file_size: int) -> Received:
        assert self._file is not None
        self._file.seek(0, os.SEEK_SET)
        name = str(self.file_name or "")
        return Received(self._file, name=name, size=self._size, digest=self._digest.hexdigest())

    def upload_interrupted(self) -> None:
        self.close()

    def close(self) -> None:
        """Drop what has come so far."""
        if self._file is not None:
            self._file.close()


def parsed(request: HttpRequest, stream: Any, most: int) -> tuple[Any, MultiValueDict[str, Any]]:
    """Fields and files of a multipart body, for doors that do not use `request.FILES`. Raises what `OneFile` raises."""
    handler = OneFile(most)
    try:
        return MultiPartParser(request.META, stream, [handler], request.encoding or "utf-8").parse()
    except (MultiPartParserError, SuspiciousOperation) as error:
        handler.close()
        raise Malformed(f"This body cannot be read: {error}") from None
    except BaseException:
        handler.close()
        raise


def the_file(files: MultiValueDict[str, Any]) -> Received:
    """The file that was sent. Raises `Malformed` where there is none."""
    file = files.get(FIELD)
    if not isinstance(file, Received):
        raise Malformed(f"Send a file, with its name, in the field {FIELD!r} of multipart/form-data.")
    return file
