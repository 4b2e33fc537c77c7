"""Files with what people wrote are readable by their owner only, whatever the umask says. Pure: nothing of Django."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

FILE, FOLDER = 0o600, 0o700
_ENDINGS = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps next to its own; it gives them the same mode (https://sqlite.org/wal.html)."""


def private_database(path: Path, *, is_own_folder: bool) -> None:
    """Give an SQLite file, and those that SQLite keeps next to it, mode 0600; create an empty one if there is none.

    A folder that is created for it gets 0700, and so does an existing one that is Tandem's own (`is_own_folder`).
    """
    if not path.parent.exists():
        path.parent.mkdir(parents=True, mode=FOLDER)
    elif is_own_folder:
        _tighten(path.parent, FOLDER)
    with suppress(OSError):  # a folder that cannot be written: the database reports it
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY, FILE))
    for name in (path, *(path.with_name(path.name + ending) for ending in _ENDINGS)):
        _tighten(name, FILE)


def _tighten(path: Path, mode: int) -> None:
    with suppress(FileNotFoundError, PermissionError):
        if path.stat().st_mode & 0o777 & ~mode:
            path.chmod(mode)
