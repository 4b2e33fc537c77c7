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

from config.api import Body
from config.errors import DomainError
from config.openapi import PROBLEMS
from sessions_app.api.catalogue import CATALOGUE
from sessions_app.api.examples import ANSWERS, BODIES, OUTCOMES
from sessions_app.management.commands import api_doc

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


def test_every_address_of_the_api_is_in_it(document: dict[str, Any]) -> None:
    def under(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
        for pattern in resolver.url_patterns:
            here = prefix + re.sub(r"^\^|\$$|\\Z$", "", str(pattern.pattern))
            if isinstance(pattern, URLPattern):
                yield re.sub(r"\(\?P<(\w+)>\[\^/\]\+\)", r"{\1}", here)
            else:
                yield from under(pattern, here)

    api = next(p for p in get_resolver().url_patterns if str(p.pattern) == "api/")
    assert isinstance(api, URLResolver)
    served = {path.removeprefix("v1/") for path in under(api)}
    told = {path.removeprefix("/api/v1/").replace("{id}", "{pk}") for path in document["paths"]}
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
    for method, path, operation in operations(document):
        if operation["tags"] == ["operations"]:
            continue
        wanted = {400, 403, 404, 405, 406, 429, 503} | ({409, 413, 415, 422} if method != "get" else set())
        wanted |= {401} if operation.get("security") and {} not in operation["security"] else set()
        for status in wanted:
            assert operation["responses"][str(status)] == {"$ref": f"#/components/responses/{PROBLEMS[status][0]}"}, (
                path
            )
    for response in document["components"]["responses"].values():
        assert list(response["content"]) == ["application/problem+json"]
        assert "RateLimit-Remaining" in response["headers"]


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
            assert "type" in schema, (operation["operationId"], name)
            if name == "id" or (name.endswith("_id") and name not in OF_OTHERS):
                assert schema["pattern"] == "^[0-9]{1,18}$", (operation["operationId"], name)


def test_bodies_take_nothing_else(document: dict[str, Any]) -> None:
    found = {n: s for n, s in document["components"]["schemas"].items() if n.removesuffix("Request").endswith("Body")}
    assert len(found) > 20
    assert all(schema["additionalProperties"] is False for schema in found.values())


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
    schemas = {name.removeprefix("Patched") for name in document["components"]["schemas"]}
    assert set(ANSWERS) <= schemas
    assert {f"{name}Request" for name in BODIES} <= schemas
    assert set(OUTCOMES) <= {operation["operationId"] for _, _, operation in operations(document)}


@pytest.mark.parametrize(("name", "title"), [(name, title) for name, shown in BODIES.items() for title in shown])
def test_an_example_of_a_body_is_taken(name: str, title: str) -> None:
    found = {kind.__name__: kind for kind in below(Body)}
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
