"""Calls the API in every way its document allows, and in many that it does not, as every role: `python -m tests.api.fuzz`.

Requests go through WSGI in this process, to a database with rows of every kind; each is undone after its answer, so that
every case meets the same rows and a seed tells the whole run. Part of the ids are those of the rows.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

ROLES = ("anonymous", "customer", "participant", "bot", "integrator", "agent", "supervisor", "admin")
PHASES = ("examples", "coverage", "fuzzing")
"""By `--phases`: the document's examples; each constraint's edges, wrong methods, what is missing; anything at all."""
NOBODY = "999999"
OF_NETWORKS = ("max_redirects", "verify", "cert", "proxies")


EXPECTED = (
    ("positive_data_acceptance", "POST /api/v1/sessions", "bot"),  # an integrator names it, a bot is it
    (
        "positive_data_acceptance",
        "POST /api/v1/inbound",
        "needs text",
    ),  # no flow waits whose question could be repeated
    ("positive_data_acceptance", "", "needs text"),  # text or an attachment, one of the two
    ("positive_data_acceptance", "/messages", "attachment_not_found"),  # what the sender itself has put up here
    (
        "positive_data_acceptance",
        "POST /api/v1/conversations/{id}/attachments",
        "file",
    ),  # a file with a name, of a type
    ("positive_data_acceptance", "/escalate", "hand over to"),  # from the human who serves it is a handover
    ("positive_data_acceptance", "/webhooks/{id}/replay", "position"),  # of the stream as it is
    ("positive_data_acceptance", "/webhooks", "address_refused"),  # what can be sent to is more than a pattern
    ("positive_data_acceptance", "GET /api/v1/events", "no events of type"),
    ("positive_data_acceptance", "GET", "cursor"),  # none of ours
    ("positive_data_acceptance", "", "ull characters"),  # no text holds the character NUL
    ("positive_data_acceptance", "", "control character"),  # no id holds what nobody sees
    ("positive_data_acceptance", "", "t is empty"),  # an id of spaces
    ("positive_data_acceptance", "POST /api/v1/inbound", "is before 2000"),
    ("positive_data_acceptance", "POST /api/v1/inbound", "is no ISO 8601 time"),  # leap seconds
    ("positive_data_acceptance", "POST /api/v1/sessions", "no type"),  # a robot's kind for a human session
    ("positive_data_acceptance", "POST /api/v1/batches", ""),  # lines that are none of ours
    ("positive_data_acceptance", "/conversations/bulk", "label"),  # goes with the actions that are about one
    ("positive_data_acceptance", "/saved-views", ""),  # teams and labels that there are
    ("positive_data_acceptance", "/canned-replies", "team"),  # goes with the scope that is about one
    ("positive_data_acceptance", "/canned-replies", "no shortcut"),  # letters of any script, which no pattern names
    ("positive_data_acceptance", "/labels", "visible characters"),  # of any script, which no pattern names
    ("positive_data_acceptance", "/transfer", "hand over to"),  # to somebody
    ("negative_data_rejection", "POST /api/v1/batches", ""),  # a bad row is reported and stops nothing
)
"""What a schema cannot say: the check, part of the operation, a word of the answer."""


@dataclass
class Result:
    """`found` maps what is wrong, in short, to one request that shows it."""

    cases: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    found: dict[str, str] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)

    def told(self) -> str:
        lines = [f"{sum(self.cases.values()):,} cases: {', '.join(f'{r} {n:,}' for r, n in self.cases.items())}"]
        lines += [f"answers: {', '.join(f'{status} {n:,}' for status, n in sorted(self.statuses.items()))}"]
        lines += [f"\n{self.times[what]} × {what}\n{shown}" for what, shown in self.found.items()]
        return "\n".join([*lines, f"{len(self.found)} things are wrong."])


# --- The rows ----------------------------------------------------------------------------------------------------


def rows() -> tuple[dict[str, dict[str, str]], dict[str, list[str]]]:
    """Make rows of every kind, and a credential for each role. Returns the headers by role, the ids by kind."""
    from tests.api.world import STATES, world
    from tests.cast import Cast

    here, elsewhere = Cast("shop"), Cast("elsewhere")
    here.team("Returns", "ann", "ben")
    for name, state in STATES.items():
        if name != "served":
            state(here, "ben", "faq")
    made = world(STATES["served"], here, elsewhere)
    channel = made.callers["integrator"]
    hook = channel.post("webhooks", {"url": "https://example.org/"}).json()["id"]
    channel.post(f"webhooks/{hook}/ping")
    _batch(here)
    credentials: dict[str, dict[str, str]] = {}
    for role, caller in made.callers.items():
        cookies = caller.client.cookies
        if caller.secret:
            credentials[role] = {"Authorization": f"Bearer {caller.secret}"}
        elif "sessionid" in cookies:
            credentials[role] = {"Authorization": f"Login {cookies['sessionid'].value}"}  # see `undone`
        else:
            credentials[role] = {}
    return credentials, _ids()


def _batch(cast: Any) -> None:
    from sessions_app.models import Batch

    Batch.objects.create(tenant=cast.tenant, client=cast.bot_row("channel"), state=Batch.State.DONE)


def _ids() -> dict[str, list[str]]:
    from agents_app.models import Agent, ApiClient, Team
    from messaging_app.models import Conversation, WebhookDelivery, WebhookEndpoint
    from messaging_app.models.agent_tools import CannedReply, Label, Mention, SavedView
    from messaging_app.models.attachments import Attachment
    from sessions_app.models import Batch, ChatSession, GuidedFlow, Participant, Transfer

    kinds: dict[str, Any] = {
        "conversation": Conversation,
        "session": ChatSession,
        "transfer": Transfer,
        "flow": GuidedFlow,
        "participant": Participant,
        "agent": Agent,
        "team": Team,
        "bot": ApiClient,
        "batch": Batch,
        "reply": CannedReply,
        "label": Label,
        "view": SavedView,
        "mention": Mention,
        "attachment": Attachment,
        "webhook": WebhookEndpoint,
        "delivery": WebhookDelivery,
    }
    found = {kind: model._default_manager.values_list("pk", flat=True) for kind, model in kinds.items()}
    return {kind: [*map(str, ids), NOBODY] for kind, ids in found.items()}


# --- The document, with ids that hit -----------------------------------------------------------------------------


def with_ids(document: dict[str, Any], ids: dict[str, list[str]]) -> dict[str, Any]:
    """The same document, in which an id of the path or the body is one of a row, or one that no row has."""
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    noun = path.split("/")[3]
                    kind = {"batches": "batch", "canned-replies": "reply", "saved-views": "view"}.get(noun, noun[:-1])
                    parameter["schema"] = {"enum": ids[kind if parameter["name"] == "id" else parameter["name"]]}
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("BodyRequest"):
            for field_name, known in _known(schema, ids):
                schema["properties"][field_name] = {"enum": known}
    return document


def _known(schema: dict[str, Any], ids: dict[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    for name, told in schema["properties"].items():
        kind = name.removesuffix("_id").removeprefix("to_").replace("previous", "session")
        if "[0-9]" in str(told.get("pattern")) and kind in ids:
            yield name, ids[kind]


# --- The run -----------------------------------------------------------------------------------------------------


def undone(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The application, which forgets every request.

    A login's cookies come as `Authorization: Login …`: Schemathesis makes cookies of its own, and takes credentials away
    to see whether anybody minds.
    """
    from django.db import connection, transaction

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        word, _, key = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if word == "Login":
            del environ["HTTP_AUTHORIZATION"]
            csrf = "x" * 32
            environ |= {"HTTP_COOKIE": f"sessionid={key}; csrftoken={csrf}", "HTTP_X_CSRFTOKEN": csrf}
        with transaction.atomic():
            body = [b"".join(application(environ, start_response))]
            transaction.set_rollback(True)
        connection.close()  # its thread ends without a word, and would keep the database from being dropped
        return body

    return call


def run(*, examples: int, roles: Iterable[str] = ROLES, phases: Iterable[str] = PHASES, seed: int = 1) -> Result:
    """All operations as each role, with so many free examples of each, and everything that Schemathesis checks."""
    import schemathesis
    from django.core.signals import request_finished, request_started
    from django.db import close_old_connections
    from schemathesis.config import SchemathesisConfig
    from schemathesis.engine import from_schema

    from config.wsgi import application
    from sessions_app.management.commands.api_doc import document
    from tests.cast import snapshot

    _mend()
    credentials, ids = rows()
    for signal in (request_started, request_finished):  # a transaction is around each request
        signal.disconnect(close_old_connections)  # after `rows`, since Django's test client connects it anew
    before = snapshot()
    result = Result()
    wanted = {phase: {"enabled": phase in phases} for phase in PHASES}
    for role in roles:
        config = {
            "seed": seed,
            "headers": credentials[role],
            "workers": 1,
            "continue-on-failure": True,
            "generation": {"max-examples": examples, "deterministic": True, "no-shrink": True, "database": "none"},
            "phases": wanted | {"stateful": {"enabled": False}},
            "suppress-health-check": ["all"],
        }
        schema = schemathesis.openapi.from_dict(
            with_ids(json.loads(json.dumps(document(), default=str)), ids),
            config=SchemathesisConfig.from_dict(config),
        )
        schema.app = undone(application)
        for event in from_schema(schema).execute():
            _note(event, role, result)
    assert snapshot() == before, "a request was not undone"
    return result


def _mend() -> None:
    """What Schemathesis does not know: NDJSON, and that WSGI is no network."""
    import schemathesis
    from schemathesis.transport.wsgi import WSGITransport

    @schemathesis.serializer("application/x-ndjson")
    def lines(context: Any, value: Any) -> bytes:
        return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")

    send = WSGITransport.send

    def without_network(self: Any, case: Any, **more: Any) -> Any:
        named = {name: value for name, value in more.items() if name not in OF_NETWORKS}
        return send(self, case, **named)

    WSGITransport.send = without_network  # type: ignore[method-assign]


def _note(event: Any, role: str, result: Result) -> None:
    if (recorder := getattr(event, "recorder", None)) is not None:
        result.cases[role] += len(recorder.cases)
        for interaction in recorder.interactions.values():
            if interaction.response is not None:
                result.statuses[interaction.response.status_code] += 1
        for case, checks in recorder.checks.items():
            for check in checks:
                if check.failure_info is not None and not _expected(recorder, case, check.name):
                    _found(recorder.label, role, check, result)
    elif (error := getattr(event, "info", None)) is not None or hasattr(event, "exception"):
        what = f"{type(event).__name__}: {error or event.exception}"
        result.times[what] += 1
        result.found.setdefault(what, "")


def _expected(recorder: Any, case: str, check: str) -> bool:
    response = recorder.interactions[case].response
    said = response.content.decode("utf-8", "replace") if response is not None else ""
    return any(c == check and of in recorder.label and word in said for c, of, word in EXPECTED)


def _found(label: str, role: str, check: Any, result: Result) -> None:
    what = f"{label}: {check.name} ({check.failure_info.failure.title})"
    result.times[what] += 1
    shown = f"as {role}: {check.failure_info.code_sample}\n{check.failure_info.failure.message}"
    result.found.setdefault(what, shown[:3000])


@contextmanager
def own_database() -> Iterator[None]:
    """Django on a database of its own: that of DATABASE_URL under the name of a test's, else an SQLite file."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder}/fuzz.sqlite3")
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "ALLOWED_HOSTS": "testserver,localhost",
            "API_RATE": "100000000/min",
            "ANONYMOUS_RATE": "100000000/min",
            "LOGIN_RATE": "100000000/min",
            "PAGE_RATE": "100000000/min",
            "REDIS_URL": "",
            "WEBHOOK_ALLOW_LOOPBACK": "true",
            "FILES": folder,
        }
        import django

        django.setup()
        from django.db import connection

        from messaging_app.attachments import files

        files.never_in_a_transaction = lambda: None  # type: ignore[attr-defined]  # each request is undone
        name = connection.settings_dict["NAME"]
        if connection.vendor != "sqlite":
            connection.settings_dict["TEST"]["NAME"] = f"{name}_fuzz"  # the tests have theirs
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        try:
            yield
        finally:
            connection.creation.destroy_test_db(name, verbosity=0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--examples", type=int, default=10, help="free examples of each operation, for each role")
    parser.add_argument("--roles", default=",".join(ROLES))
    parser.add_argument("--phases", default=",".join(PHASES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-least", type=int, default=0, help="fail with fewer cases than these")
    asked = parser.parse_args()
    logging.disable()
    with own_database():
        result = run(
            examples=asked.examples, roles=asked.roles.split(","), phases=asked.phases.split(","), seed=asked.seed
        )
    print(result.told())
    return 1 if result.found or sum(result.cases.values()) < asked.at_least else 0


if __name__ == "__main__":
    sys.exit(main())
