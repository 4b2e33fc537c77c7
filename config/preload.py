"""What a serving process loads before its first request, so that no visitor waits for it.

`config.asgi` and `config.wsgi` call `load_if_served` when a server has imported them, which is before it listens.
"""

from __future__ import annotations

import gc
import logging
import sys
from threading import Thread

from django.conf import settings
from django.db import DatabaseError, connections
from django.template.loader import get_template
from django.urls import get_resolver

from agents_app.models import Tenant
from config.errors import DomainError
from messaging_app.detection import compile_rules as compile_rules_of

log = logging.getLogger(__name__)

SERVERS = frozenset({"daphne", "granian", "gunicorn", "hypercorn", "uvicorn", "uwsgi", "mod_wsgi", "waitress"})
"""Modules of which one is loaded in a process that serves; a command or test that imports the application does not wait."""


def load_if_served() -> None:
    """Load, in a thread: some servers import the application inside their event loop, where no database may be asked."""
    if SERVERS.isdisjoint(sys.modules):
        return
    if not settings.PAGES:
        gc.collect()
        gc.freeze()
        return
    thread = Thread(target=load, name="preload")
    thread.start()
    thread.join()


def load() -> None:
    """Compile the rules, the URL patterns and the templates, and exclude all that is loaded by now from garbage collection.

    These objects live as long as the process; scanning them again and again held up one page in twenty for a tenth of a
    second (the p95 of benchmarks/desk.py).
    """
    compile_rules()
    get_resolver().reverse_dict  # noqa: B018 – a property that compiles
    folder = settings.BASE_DIR / "templates"
    for path in sorted(folder.rglob("*.html")):
        get_template(path.relative_to(folder).as_posix())
    gc.collect()
    gc.freeze()


def compile_rules() -> None:
    """Compile each tenant's rules of need, which may take a second. Tenants with the same rules share them.

    Where the database is away, the process serves all the same: the rules are compiled at the first message.
    """
    try:
        for tenant_id in Tenant.objects.values_list("pk", flat=True):
            _compile(tenant_id)
    except (DatabaseError, DomainError, OSError) as error:
        log.warning("the rules of need are compiled later, because the database is away: %s", error)
    finally:
        connections.close_all()


def _compile(tenant_id: int) -> None:
    """Compile one tenant's rules. If that fails it is logged, so that all others are served."""
    try:
        compile_rules_of(tenant_id)
    except DatabaseError:
        raise
    except Exception:
        log.exception("the rules of need of tenant %s could not be compiled", tenant_id)
