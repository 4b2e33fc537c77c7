"""A4: the codes that each operation declares, held against what the code behind it can raise."""

from __future__ import annotations

import re
from typing import Any

import pytest

from config.openapi import PROBLEMS, USUAL
from sessions_app.api.error_catalogue import CATALOGUE
from sessions_app.api.refusals import CODES
from sessions_app.management.commands import api_doc
from tests.api.reachable import Code
from tests.api.test_openapi import operations, routes

STATUS = {code.code: code.status for code in CATALOGUE}
ANYWHERE = {code for codes in USUAL.values() for code in codes}
UNTOLD = {
    "illegal_transition": "what the verb looks at first makes it impossible, but for verbs that drive a session or flow",
    "stale_epoch": "only where the body has an epoch",
    "flow_moved": "a message moves a flow under the lock that it has read it with",
    "no_bot": "a bot that takes over from itself",
    "internal_error": "a mistake of ours in one of many is told with it, and refuses nothing",
}
"""Codes that the code leads to and an operation need not declare, with the reason."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return api_doc.document()


@pytest.fixture(scope="module")
def reached() -> dict[str, frozenset[str]]:
    """By the operation's id: the codes of whatever its endpoint leads to, beyond those of any operation."""
    ids = {(m, path): operation["operationId"] for m, path, operation in operations(api_doc.document())}
    code, found = Code(), {}
    for path, called in routes():
        for method, action in getattr(called, "actions", {}).items():
            function = f"{called.cls.__module__}.{called.cls.__name__}.{action}"
            if (method, f"/api/v1/{path}") in ids and function in code.functions:
                found[ids[method, f"/api/v1/{path}"]] = code.raised(function) - ANYWHERE
    return found


def test_a4_what_an_operation_declares_can_happen(reached: dict[str, frozenset[str]]) -> None:
    invented = {name: set(codes) - reached[name] for name, codes in CODES.items() if set(codes) - reached[name]}
    assert invented == {"events_list": {"too_many_connections"}}  # of the same address as a stream, outside of Django


def test_a4_what_can_happen_is_declared(reached: dict[str, frozenset[str]]) -> None:
    silent = {name: codes - set(CODES.get(name, ())) - set(UNTOLD) for name, codes in reached.items()}
    assert {name: codes for name, codes in silent.items() if codes} == {}


def test_a4_each_response_names_its_codes(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        if operation["tags"] == ["operations"]:
            continue
        for status in map(str, PROBLEMS):
            own = {code for code in CODES.get(operation["operationId"], ()) if str(STATUS[code]) == status}
            response = operation["responses"].get(status)
            if response is None:
                assert not own, (path, status)
                continue
            if "$ref" in response:
                response = document["components"]["responses"][response["$ref"].rsplit("/", 1)[-1]]
            (content,) = response["content"].values()
            assert content["schema"]["$ref"] == "#/components/schemas/Problem"
            told = content["schema"]["properties"]["code"]
            named = set(told.get("enum", [told.get("const")]))
            assert named == own | set(USUAL[int(status)]), (path, status)
            assert content["example"]["code"] in named


def test_a4_whoever_may_name_an_epoch_may_be_told_that_it_is_over(document: dict[str, Any]) -> None:
    named = set()
    for _, _, operation in operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            body = document["components"]["schemas"].get(content["schema"].get("$ref", "").rsplit("/", 1)[-1], {})
            if {"epoch", "expected_epoch"} & set(body.get("properties", {})):
                named.add(operation["operationId"])
    assert named == {name for name, codes in CODES.items() if "stale_epoch" in codes}


def test_a4_every_code_of_the_catalogue_is_some_operations(document: dict[str, Any]) -> None:
    """But for what is the matter with us."""
    told = set(re.findall(r"'code': '(\w+)'", str(document["paths"]) + str(document["components"]["responses"])))
    of_all = {code for codes in CODES.values() for code in codes} | ANYWHERE
    assert told <= of_all
    assert {code.code for code in CATALOGUE} - of_all == {
        "internal_error",
        "not_queued",  # of one among many: POST conversations/bulk answers it beside the conversation
    }
