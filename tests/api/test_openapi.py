"""The document says everything of the API, and nothing that is not so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver
from jsonschema import Draft202012Validator
from rest_framework.exceptions import APIException
from rest_framework.serializers import FileField

from agents_app.credentials.secrets import issue_key
from agents_app.models import ApiClient, Tenant
from agents_app.scopes import Scope
from config import body_limit
from config.api import RequestSerializer
from config.errors import DomainError
from config.openapi import BEFORE_DJANGO, PROBLEMS
from messaging_app.webhooks.outbox import PING
from sessions_app.api import document_components, glossary, webhooks_document
from sessions_app.api.error_catalogue import CATALOGUE
from sessions_app.api.examples import ANSWERS, BODIES, OUTCOMES
from sessions_app.events.catalogue import EVENT_TYPES
from sessions_app.management.commands import api_doc
from tests.cast import Chat

OF_OTHERS = ("shop_id", "account_id", "trigger_id", "event_id")
"""Ids that are not of our making, or are read as words."""
NO_OPERATIONS = {"openapi.json", "asyncapi.yaml", "docs", "docs/errors", ""}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return api_doc.document()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def is_file(schema: dict[str, Any]) -> bool:
    """A file as it is: nothing that an example in JSON could show."""
    return schema.get("format") == "binary"


def contents(operation: dict[str, Any], of: str) -> Iterator[dict[str, Any]]:
    if of == "request":
        yield from operation.get("requestBody", {}).get("content", {}).values()
        return
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            yield from (shown for shown in response.get("content", {}).values() if not is_file(shown["schema"]))


def below(of: type[Any]) -> Iterator[type[Any]]:
    """Its subclasses, and theirs."""
    for child in of.__subclasses__():
        yield child
        yield from below(child)


def complaints(document: dict[str, Any], schema: dict[str, Any], value: object) -> list[str]:
    whole = {**schema, "components": document["components"]}
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(value)]


# --- The files of docs/api ---------------------------------------------------------------------------------------


def test_docs_api_is_not_stale() -> None:
    call_command("api_doc", "--check", stdout=StringIO())


def test_a_stale_page_is_told_and_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_doc, "pages", lambda: [("errors.md", "other\n")])
    with pytest.raises(CommandError) as stale:
        call_command("api_doc", "--check", stdout=StringIO())
    assert stale.value.returncode == 1


def test_every_code_that_can_be_raised_is_in_the_catalogue() -> None:
    """…but for the framework's own that no endpoint raises."""
    known = {(code.code, code.status) for code in CATALOGUE}
    raised = {(e.code, e.status) for e in below(DomainError) if e.__module__.split(".")[0] != "tests"}
    raised |= {(e.default_code, e.status_code) for e in below(APIException) if e.__module__ == "config.api"}
    assert raised - known == set()


# --- What the document says of each operation --------------------------------------------------------------------


def test_it_is_openapi_3_1_and_says_what_it_is_about(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert "Authorization: Bearer" in document["info"]["description"]
    assert all(tag["description"] for tag in document["tags"])


def routes() -> Iterator[tuple[str, Any]]:
    """Each address of the API as the document writes it, below `/api/v1/`, with what is called there."""

    def under(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
        for pattern in resolver.url_patterns:
            here = prefix + re.sub(r"^\^|\$$|\\Z$", "", str(pattern.pattern))
            if isinstance(pattern, URLPattern):
                yield re.sub(r"\(\?P<(\w+)>\[\^/\]\+\)", r"{\1}", here), pattern.callback
            else:
                yield from under(pattern, here)

    api = next(p for p in get_resolver().url_patterns if str(p.pattern) == "api/")
    assert isinstance(api, URLResolver)
    for path, called in under(api):
        yield path.removeprefix("v1/").replace("{pk}", "{id}"), called


def test_every_address_of_the_api_is_in_it(document: dict[str, Any]) -> None:
    served = {path for path, _ in routes()}
    told = {path.removeprefix("/api/v1/") for path in document["paths"]}
    assert served - told == NO_OPERATIONS
    assert told - served == set()


def test_operations_are_named_and_sorted(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    described = {tag["name"] for tag in document["tags"]}
    for _, path, operation in operations(document):
        assert re.fullmatch(r"[a-z]+_[a-z_]+", operation["operationId"]), path
        assert set(operation["tags"]) <= described, path
        assert operation["summary"], path
        assert operation["operationId"].startswith(operation["tags"][0]), path


def test_operations_say_what_they_refuse(document: dict[str, Any]) -> None:
    """By status; the codes of each are tests/api/test_refusals.py's."""
    for method, path, operation in operations(document):
        if operation["tags"] == ["operations"]:
            continue
        wanted = {400, 403, 404, 405, 406, 429, 503} | ({413, 415, 422} if method != "get" else set())
        wanted |= {401} if operation.get("security") and {} not in operation["security"] else set()
        for status in wanted:
            response = operation["responses"][str(status)]
            assert "$ref" not in response or response == {"$ref": f"#/components/responses/{PROBLEMS[status][0]}"}, path
    uncounted = {PROBLEMS[status][0] for status in BEFORE_DJANGO}
    for name, response in document["components"]["responses"].items():
        assert list(response["content"]) == ["application/problem+json"]
        assert ("RateLimit-Remaining" in response.get("headers", {})) == (name not in uncounted), name


def test_what_is_refused_before_django_is_told_by_every_operation(document: dict[str, Any]) -> None:
    """A length is a body's: what only reads has none."""
    kinds = [kind for kind in vars(body_limit).values() if isinstance(kind, type) and issubclass(kind, APIException)]
    refusals = {(kind.status_code, kind.default_code) for kind in kinds if kind is not APIException}
    assert {status for status, _ in refusals} >= set(BEFORE_DJANGO)
    silent = []
    for method, path, operation in operations(document):
        for status, code in refusals:
            response = operation["responses"].get(str(status), {})
            if "$ref" in response:
                response = document["components"]["responses"][response["$ref"].rsplit("/", 1)[-1]]
            has_code = f"'{code}'" in str(response.get("content", {}))
            if not has_code and (method != "get" or status not in (411, 413)):
                silent.append(f"{method} {path}: {status} {code}")
    assert silent == []


def test_every_post_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        named = {parameter["name"] for parameter in operation.get("parameters", [])}
        assert ("Idempotency-Key" in named) == (method == "post"), path


def test_lists_are_pages_and_filters_are_typed(document: dict[str, Any]) -> None:
    lists = [o for _, _, o in operations(document) if any("Paginated" in str(c["schema"]) for c in contents(o, "ok"))]
    assert {o["operationId"] for o in lists} >= {
        "conversations_list",
        "conversations_messages",
        "conversations_timeline",
        "conversations_participants",
        "sessions_list",
    }
    for operation in lists:
        parameters = {p["name"]: p["schema"] for p in operation["parameters"]}
        assert parameters["limit"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
        assert parameters["cursor"] == {"type": "string"}
        for name, schema in parameters.items():
            assert "type" in schema or "$ref" in schema, (operation["operationId"], name)
            if name == "id" or (name.endswith("_id") and name not in OF_OTHERS):
                assert schema["pattern"] == "^[0-9]{1,18}$", (operation["operationId"], name)


def test_bodies_take_nothing_else(document: dict[str, Any]) -> None:
    found = {
        n: s for n, s in document["components"]["schemas"].items() if n.endswith("Request") and n != "BatchRowRequest"
    }
    assert len(found) > 20
    assert all(schema["additionalProperties"] is False for schema in found.values())


# --- Events and webhooks ---------------------------------------------------------------------------------------------


def test_webhooks_are_in_the_document_one_for_each_type_of_event_and_the_ping(document: dict[str, Any]) -> None:
    assert list(document["webhooks"]) == [*EVENT_TYPES, PING]
    for type, path in document["webhooks"].items():
        sent = path["post"]
        assert type == PING or sent["summary"] == EVENT_TYPES[type].meaning
        named = [parameter["$ref"].rsplit("/", 1)[-1] for parameter in sent["parameters"]]
        assert named == ["webhook-id", "webhook-timestamp", "webhook-signature"]
        assert set(sent["responses"]) == {"2XX", "410"}
    assert {p["in"] for p in document["components"]["parameters"].values()} == {"header"}


@pytest.mark.parametrize("type", EVENT_TYPES)
def test_an_event_has_one_schema_by_its_type(document: dict[str, Any], type: str) -> None:
    """The discriminator leads to it, what the catalogue says of its data is in it, and no other takes it."""
    schemas = document["components"]["schemas"]
    name = schemas["Event"]["discriminator"]["mapping"][type].rsplit("/", 1)[-1]
    assert set(EVENT_TYPES[type].schema()["properties"]) <= set(
        schemas[name.removesuffix("Event") + "Data"]["properties"]
    )
    event = {
        "id": "evt_1_1",
        "type": type,
        "tenant": "demo",
        "conversation_id": "1",
        "session_id": None,
        "seq": 1,
        "pos": 1,
        "at": "2026-03-02T09:00:00Z",
        "actor": {"kind": "bot", "id": "3", "name": "bargain"},
        "data": {},
        "message": None,
    }
    fits = [
        one["$ref"].rsplit("/", 1)[-1]
        for one in schemas["Event"]["oneOf"]
        if not any("data" not in complaint for complaint in complaints(document, one, event))
    ]
    assert fits == [name]


# --- What a generator of clients makes of it -----------------------------------------------------------------------


def places(part: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object of the document but examples, with the place where it stands."""
    if isinstance(part, dict):
        yield where, part
        for name, value in part.items():
            if name not in ("example", "examples", "if", "then", "else"):
                yield from places(value, f"{where}/{name}")
    elif isinstance(part, list):
        for place, value in enumerate(part):
            yield from places(value, f"{where}/{place}")


def properties(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for where, schema in places(document):
        if isinstance(schema.get("properties"), dict):
            yield from ((f"{where}.{name}", part) for name, part in schema["properties"].items())


def test_every_part_says_what_it_is(document: dict[str, Any]) -> None:
    """Describe a field by its `help_text`, or in sessions_app/api/glossary.py where its name means one thing everywhere."""
    silent = [where for where, part in properties(document) if not part.get("description")]
    silent += [name for name, schema in document["components"]["schemas"].items() if not schema.get("description")]
    for _, path, operation in operations(document):
        silent += [f"{path}?{p['name']}" for p in operation.get("parameters", []) if not p.get("description")]
        silent += [
            f"{path} {s}" for s, r in operation["responses"].items() if not (r.get("description") or "$ref" in r)
        ]
    silent += [name for name, header in document["components"]["headers"].items() if not header.get("description")]
    silent += [name for name, answer in document["components"]["responses"].items() if not answer.get("description")]
    assert silent == []


def test_the_glossary_has_nothing_that_no_part_uses(document: dict[str, Any]) -> None:
    """What is described by its field needs no entry: one sentence for each thing, in one place."""
    said = {part["description"] for _, part in properties(document) if "description" in part}
    for words in (glossary.FIELDS, webhooks_document.FIELDS):
        assert {name for name, text in words.items() if text not in said} == set()
    said = {p["description"] for _, _, operation in operations(document) for p in operation.get("parameters", [])}
    assert {name for name, text in glossary.PARAMETERS.items() if text not in said} == set()
    said = {schema["description"] for schema in document["components"]["schemas"].values()}
    assert {name for name, text in glossary.COMPONENTS.items() if text not in said} == set()


def test_an_enumeration_stands_once_and_has_a_name(document: dict[str, Any]) -> None:
    """Name a new one in sessions_app/api/enumerations.py."""
    inline = [
        where
        for where, schema in places(document)
        if isinstance(schema.get("enum"), list) and not where.endswith("/schema/properties/code")  # of one response
    ]
    assert {where for where in inline if not re.fullmatch(r"/components/schemas/\w+", where)} == set()
    values = [frozenset(document["components"]["schemas"][where.rsplit("/", 1)[-1]]["enum"]) for where in inline]
    assert len(values) == len(set(values)) > 30


def test_a_constant_is_a_text(document: dict[str, Any]) -> None:
    """Of a number a well-known generator makes a program that cannot be read."""
    assert [where for where, schema in places(document) if not isinstance(schema.get("const", ""), str)] == []


def test_nothing_is_called_after_the_label_of_a_form(document: dict[str, Any]) -> None:
    titled = [where for where, schema in places(document) if isinstance(schema.get("title"), str)]
    assert titled == ["/info"]


def test_objects_have_members_but_for_a_few_with_a_reason(document: dict[str, Any]) -> None:
    """Name the part in sessions_app/api/document_components.py, or say there why it stays open."""
    said = {"properties", "allOf", "oneOf"}
    open_ones = {
        where.removeprefix("/components/schemas/").replace("/properties/", ".")
        for where, schema in places(document)
        if schema.get("type") == "object"
        and not schema.keys() & said
        and schema.get("additionalProperties") in (None, True, {})
    }
    assert open_ones == set(document_components.OPEN)


def test_the_document_says_where_it_is_served(document: dict[str, Any]) -> None:
    assert [server["url"] for server in document["servers"]] == ["/"]


def test_scopes_are_said_as_they_are_asked(document: dict[str, Any]) -> None:
    """Beside `bearer`, where programs read them: what the endpoint's permission asks of a key, and no other."""
    known = document["components"]["securitySchemes"]["bearer"]["x-scopes"]
    assert set(known) == set(Scope.values)
    asked = {
        (method, path): getattr(getattr(called.cls, action), "scope", None)
        for path, called in routes()
        for method, action in getattr(called, "actions", {}).items()
        if method != "head"
    }
    told = {}
    for method, path, operation in operations(document):
        if operation["tags"] != ["operations"]:
            bearer = [way["bearer"] for way in operation.get("security", []) if "bearer" in way]
            told[method, path.removeprefix("/api/v1/")] = bearer[0][0] if bearer and bearer[0] else None
    assert told == asked
    assert len({scope for scope in told.values() if scope}) == len(Scope)


def test_a_key_without_the_scope_of_an_operation_is_refused(db: None, document: dict[str, Any]) -> None:
    tenant = Tenant.objects.create(slug="demo", name="Demo")
    keys = {}
    for scope in Scope.values:
        others = [other for other in Scope.values if other != scope]
        client = ApiClient.objects.create(tenant=tenant, name=scope, kind=ApiClient.Kind.INTEGRATOR, scopes=others)
        keys[scope] = issue_key(client)
    for method, path, operation in operations(document):
        for way in operation.get("security", []):
            for scope in way.get("bearer", []):
                address = re.sub(r"\{\w+\}", "1", path)
                headers = {"Authorization": f"Bearer {keys[scope]}"}
                answer = Client().generic(method.upper(), address, headers=headers)
                assert (answer.status_code, answer.json()["scope"]) == (403, scope), operation["operationId"]


# --- Examples ----------------------------------------------------------------------------------------------------


def test_every_operation_has_examples_that_fit(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        for content in contents(operation, "request"):
            assert content["examples"], path
            for example in content["examples"].values():
                assert complaints(document, content["schema"], example["value"]) == [], path
        for content in contents(operation, "ok"):
            assert complaints(document, content["schema"], content["example"]) == [], path


def test_no_example_is_of_nothing(document: dict[str, Any]) -> None:
    schemas = set(document["components"]["schemas"])
    assert set(ANSWERS) <= schemas
    assert set(BODIES) <= schemas
    assert set(OUTCOMES) <= {operation["operationId"] for _, _, operation in operations(document)}


@pytest.mark.parametrize(("name", "title"), [(name, title) for name, shown in BODIES.items() for title in shown])
def test_an_example_of_a_body_is_taken(name: str, title: str) -> None:
    found = {kind.__name__: kind for kind in below(RequestSerializer)}
    body = found[name](data=BODIES[name][title])
    for field in (field for field, kind in body.fields.items() if isinstance(kind, FileField)):
        body.initial_data = {**body.initial_data, field: SimpleUploadedFile("a.txt", b"its content")}
    assert body.is_valid(), body.errors


# --- The pages ---------------------------------------------------------------------------------------------------


def test_the_pages_keep_the_strict_policy(db: None, client: Client) -> None:
    for address in ("/api/docs", "/api/docs/errors"):
        page = client.get(address)
        assert page.status_code == 200
        policy = page.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "script-src 'self'" in policy
        assert "<script>" not in page.text


def test_the_page_of_errors_has_a_place_for_each_code(db: None, client: Client) -> None:
    page = client.get("/api/docs/errors").text
    assert all(f'id="{code.code}"' in page for code in CATALOGUE)
    assert "<code>epoch</code>" in page


def test_what_is_only_read_refuses_the_rest_as_a_problem(db: None, client: Client) -> None:
    for address in ("health/live", "health/ready", "build", "metrics"):
        answer = client.post(f"/api/v1/{address}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (405, "application/problem+json")
        assert answer.headers["Allow"] == "GET, HEAD"
        assert answer.json()["code"] == "method_not_allowed"


def test_the_example_of_the_metrics_is_a_line_as_they_have_it(
    chat: Chat, client: Client, document: dict[str, Any]
) -> None:
    """Of a metric that exists, with its labels (it named one that did not)."""
    chat.robot()
    chat.escalate()
    answer = document["paths"]["/api/v1/metrics"]["get"]["responses"]["200"]["content"]["text/plain"]["example"]
    line = answer.replace('"demo"', f'"{chat.cast.tenant.slug}"').replace(" 3.0", " 1.0")
    assert line in client.get("/api/v1/metrics").text
