"""What lies on disk and in caches: files of their owner only, secrets sealed, answers that no cache keeps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from agents_app.actors import customer_actor
from agents_app.credentials.tokens import issue_token, read_token
from config.sealing import CannotOpen, opened, sealed
from messaging_app.models import StreamHead, WebhookEndpoint
from messaging_app.webhooks import endpoints
from tests.api.world import agent, program
from tests.cast import Cast, Chat
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = (
    "a-secret-key-that-was-there-before-0123456789-abcdefgh",
    "a-secret-key-that-came-afterwards-0123456789-abcdefgh",
)


# --- Files -------------------------------------------------------------------------------------------------------


def run(database: Path, code: str) -> None:
    """Something that uses the database, in a process whose umask hides nothing."""
    subprocess.run(
        [sys.executable, "-c", f"import os; os.umask(0)\nimport django; django.setup()\n{code}"],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": f"sqlite:///{database}"},
        check=True,
        timeout=PATIENCE,
    )


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode & 0o777) for path in [folder, *folder.iterdir()]}


WRITES = "from django.db import connection; c = connection.cursor(); c.execute('create table if not exists t (a)'); "
LOOKS = "import os, pathlib; print({p.name: oct(p.stat().st_mode & 0o777) for p in pathlib.Path(%r).iterdir()})"


def test_t7_9_the_sqlite_file_and_what_is_beside_it_are_their_owners(tmp_path: Path) -> None:
    database = tmp_path / "new" / "tandem.sqlite3"
    check = f"import pathlib; assert {{oct(p.stat().st_mode & 0o777) for p in pathlib.Path({str(database.parent)!r}).iterdir()}} == {{'0o600'}}"
    run(database, f"{WRITES} c.execute('insert into t values (1)'); {check}")  # with its WAL, while it is open
    assert modes(database.parent) == {"new": "0o700", "tandem.sqlite3": "0o600"}


def test_t7_9_files_that_others_can_read_are_tightened_and_a_folder_of_others_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    for name in ("tandem.sqlite3", "tandem.sqlite3-wal"):
        (folder / name).touch()
        (folder / name).chmod(0o644)
    run(folder / "tandem.sqlite3", "")
    assert modes(folder) == {"shared": "0o755", "tandem.sqlite3": "0o600", "tandem.sqlite3-wal": "0o600"}


# --- Secrets -----------------------------------------------------------------------------------------------------


def row() -> tuple[str, str]:
    """The secrets of the one webhook, as a copy of the database would show them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret, old_secret FROM messaging_app_webhookendpoint")
        (found,) = cursor.fetchall()
    return found


@pytest.fixture
def hook(cast: Cast, settings: Any) -> endpoints.Issued:
    settings.SECRET_KEY = OLD
    StreamHead.objects.get_or_create(tenant=cast.tenant)
    made = endpoints.create_endpoint(actor=cast.channel, url="https://hooks.example/")
    return endpoints.rotate_secret(actor=cast.channel, endpoint_id=made.endpoint.pk)


def test_t7_9_the_secrets_of_webhooks_are_sealed_and_read_in_clear(hook: endpoints.Issued) -> None:
    secret, before = row()
    assert hook.secret.startswith("whsec_")
    assert not any("whsec_" in text for text in (secret, before))
    found = WebhookEndpoint.objects.get()
    assert found.secret == hook.secret
    assert found.old_secret.startswith("whsec_")
    assert found.old_secret != found.secret


def test_t7_9_a_secret_is_sealed_for_its_own_column(hook: endpoints.Issued) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE messaging_app_webhookendpoint SET old_secret = secret")
    assert WebhookEndpoint.objects.get().old_secret == ""


def test_t7_9_a_new_secret_key_opens_what_the_old_one_sealed_and_seals_it_anew(
    hook: endpoints.Issued, settings: Any
) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]
    assert WebhookEndpoint.objects.get().secret == hook.secret
    told = StringIO()
    call_command("reseal", stdout=told)
    assert told.getvalue() == "Sealed anew: 1.\n"
    settings.SECRET_KEY_FALLBACKS = []
    assert WebhookEndpoint.objects.get().secret == hook.secret


def test_t7_9_what_no_key_opens_is_no_secret_at_all(hook: endpoints.Issued, settings: Any) -> None:
    """Nothing is signed with an empty key, and the page that lists webhooks goes on."""
    settings.SECRET_KEY = NEW
    assert WebhookEndpoint.objects.get().secret == ""


def test_t7_9_secrets_in_clear_are_sealed_by_the_migration_and_opened_by_its_way_back(hook: endpoints.Issued) -> None:
    from importlib import import_module

    from django.apps import apps

    migration = import_module("messaging_app.migrations.0013_sealed_secrets")
    with connection.schema_editor(atomic=False) if connection.vendor != "sqlite" else Editor() as editor:
        migration.unseal(apps, editor)
        assert row()[0] == hook.secret
        assert WebhookEndpoint.objects.get().secret == hook.secret  # also before it has run
        migration.seal(apps, editor)
    assert "whsec_" not in row()[0]
    assert WebhookEndpoint.objects.get().secret == hook.secret


class Editor:
    """SQLite's schema editor cannot be opened inside a test's transaction; the migration only asks for its connection."""

    connection = connection

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None: ...


def test_a_seal_serves_one_purpose(settings: Any) -> None:
    seal = sealed("word", purpose=("a", "b"))
    assert opened(seal, purpose=("a", "b")) == "word"
    with pytest.raises(CannotOpen):
        opened(seal, purpose=("a", "c"))


def test_a_token_goes_on_while_its_key_is_among_the_fallbacks(chat: Chat, settings: Any) -> None:
    settings.SECRET_KEY = OLD
    token = issue_token(customer_actor(chat.cast.tenant, chat.id, "Carla"))
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]
    assert read_token(token)
    settings.SECRET_KEY_FALLBACKS = []
    assert read_token(token) is None


# --- Caches ------------------------------------------------------------------------------------------------------


def addresses(patterns: Any, prefix: str = "/") -> Iterator[str]:
    """Every address of the API, with a 1 for whatever it takes."""
    for pattern in patterns:
        path = prefix + re.sub(r"\(\?P<\w+>[^)]*\)|<[^>]+>", "1", str(pattern.pattern)).strip("^$").replace("\\", "")
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield re.sub(r"[$^]|/\Z(?<!/)", "", path).replace("/Z", "")


PATHS = sorted(path for path in set(addresses(get_resolver().url_patterns)) if not path.startswith("/admin/"))


def test_there_are_addresses() -> None:
    assert len(PATHS) > 100
    assert "/api/v1/conversations/1/messages" in PATHS
    assert "/desk/c/1/" in PATHS


@pytest.mark.parametrize("caller", ["nobody", "agent", "program"])
def test_t7_9_no_cache_keeps_an_answer_of_any_address(cast: Cast, settings: Any, caller: str) -> None:
    settings.PAGE_RATE = settings.LOGIN_RATE = "1000000/min"
    rates = {"caller": "1000000/min", "anonymous": "1000000/min"}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}
    who = {
        "nobody": Client,
        "agent": lambda: agent(cast, "ann").client,
        "program": lambda: program(cast, "channel").client,
    }
    client: Any = who[caller]()
    kept = []
    for path in PATHS:
        answer = client.get(path)
        if "no-store" not in answer.headers.get("Cache-Control", ""):
            kept.append((path, answer.status_code, answer.headers.get("Cache-Control")))
        if answer.streaming and not path.endswith("/stream"):
            b"".join(answer.streaming_content)
    assert kept == []
