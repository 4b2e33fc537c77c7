"""An empty SQLite database with every table, for servers that tests start: migrated once, then copied.

Migrating takes some seconds of a core, and dozens of servers are started. The file is kept by what it is made of, so a
changed migration, or another Django, makes another one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import django

from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".pytest_cache" / "migrated"


def lay(url: str, environment: dict[str, str]) -> None:
    """Make the database at `url` ready to be served; one that is no SQLite file is migrated where it is."""
    path = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///"):
        _migrate(environment)
        return
    kept = KEPT / f"{_made_of()}.sqlite3"
    if not kept.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        new = KEPT / f"{os.getpid()}.sqlite3"
        new.unlink(missing_ok=True)
        _migrate(environment | {"DATABASE_URL": f"sqlite:///{new}"})
        new.replace(kept)  # of two workers that made it at once, either's will do
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kept, path)
    path.chmod(0o600)


def _made_of() -> str:
    digest = sha256(django.__version__.encode())
    for path in sorted(
        [*ROOT.glob("*_app/migrations/*.py"), ROOT / "requirements.lock", ROOT / "config" / "settings.py"]
    ):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _migrate(environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--noinput", "--verbosity", "0"],
        cwd=ROOT,
        env=environment,
        check=True,
        timeout=PATIENCE,
    )
