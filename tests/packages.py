"""Every context package that a test stores is held against the published schema of its version."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from django.db import connection
from jsonschema import Draft202012Validator

from config.settings import BASE_DIR


@cache
def published(version: int) -> Draft202012Validator:
    page = BASE_DIR / "docs" / "schemas" / f"context-package-{version}.json"
    return Draft202012Validator(json.loads(page.read_text(encoding="utf-8")))


VERSIONS = (1, 2)


def wrong(package: Any) -> str:
    """What a package holds against its schema; empty for nothing."""
    version = package.get("version") if isinstance(package, dict) else None
    if version not in VERSIONS:
        return f"no package: {json.dumps(package)[:200]}"
    errors = [f"{error.json_path}: {error.message[:200]}" for error in published(version).iter_errors(package)]
    return "; ".join(errors[:3])


def stored() -> list[tuple[int, Any]]:
    """As the database has them: the model leaves out of a damaged one what cannot be shown."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, context FROM sessions_app_transfer ORDER BY id")
        rows = cursor.fetchall()
    return [(pk, json.loads(text) if isinstance(text, str) else text) for pk, text in rows]


def invalid(rows: list[tuple[int, Any]]) -> list[str]:
    return [f"transfer {pk}: {why}" for pk, package in rows if (why := wrong(package))]


def plain(**more: Any) -> dict[str, Any]:
    """A package that says nothing, for a row that a test writes by hand."""
    customer = {"account_id": "a", "shop_id": "s", "platform": "default", "name": "", "is_vip": False}
    told: dict[str, Any] = dict.fromkeys(("reason", "reason_by", "trigger", "suggestion"), "")
    told |= dict.fromkeys(("history", "previous", "urgency"))
    told |= {"version": 2, "messages": [], "task": "consultation", "task_state": {}, "customer": customer}
    told |= {"promises": [], "said": {"promises": [], "task_state": {}}, "completeness": 0.0}
    return told | more
