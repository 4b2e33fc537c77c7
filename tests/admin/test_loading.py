"""A process of sockets and streams holds no admin in memory; the first page brings all of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
LOADED = """
import sys
import daphne.server
import config.asgi
assert "sessions_app.admin" not in sys.modules
from django.urls import reverse
assert reverse("admin:agents_app_tenant_changelist") == "/admin/agents_app/tenant/"
from django.contrib import admin
from sessions_app.models import ChatSession
assert admin.site.is_registered(ChatSession)
"""


def test_a_process_without_pages_loads_the_admin_with_the_first_one(tmp_path: Path) -> None:
    env = (
        os.environ
        | {"PAGES": "false"}
        | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": f"sqlite:///{tmp_path}/none.sqlite3",
        }
    )
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, env=env, timeout=PATIENCE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
