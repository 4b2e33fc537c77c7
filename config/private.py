"""Files that hold what people said are their owner's alone, whatever the umask says. Pure: nothing of Django."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

FILE, FOLDER = 0o600, 0o700
_BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside its file; it makes them with the file's own mode (https://sqlite.org/wal.html)."""


def private_database(path: Path, *, is_own_folder: bool) -> None:
    """An SQLite file with 0600, made empty if there is none, and so what stands beside it. A folder that is made for it has 0700, and
    one that is Tandem's own gets it; what belongs to somebody else is left as it is."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True, mode=FOLDER)
    elif is_own_folder:
        _tighten(path.parent, FOLDER)
    with suppress(OSError):  # a folder that cannot be written: the database says so, in its own words
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY, FILE))
    for name in (path, *(path.with_name(path.name + ending) for ending in _BESIDE)):
        _tighten(name, FILE)


def _tighten(path: Path, mode: int) -> None:
    with suppress(FileNotFoundError, PermissionError):
        if path.stat().st_mode & 0o777 & ~mode:
            path.chmod(mode)
