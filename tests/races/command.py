"""Running a command of this folder from a test: races need processes with databases and settings of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run(module: str, *arguments: object, **environment: str) -> Any:
    """Run `python -m module …` with `--json` and return what it printed. Its exit code is for people."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments), "--json"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise AssertionError(f"{module} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}") from None
