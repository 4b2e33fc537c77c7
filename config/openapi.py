"""How the OpenAPI document is made, beyond what the generator finds by itself. Nothing of the domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import force_instance, is_list_serializer

from config.api import ERRORS_PAGE, ID_SCHEMA, PROBLEM, Problem, RequestSerializer

PROBLEMS = {
    400: ("Malformed", "malformed", "The body, a parameter or a header is not of the documented form."),
    401: ("NotAuthenticated", "not_authenticated", "No credential, or one that is not valid (any more)."),
    403: ("Forbidden", "forbidden", "You are known, and may not do this."),
    404: ("NotFound", "not_found", "It does not exist, or is not yours to see."),
    405: ("MethodNotAllowed", "method_not_allowed", "The address does not take this method."),
    406: ("NotAcceptable", "not_acceptable", "The answer cannot be given in the form that `Accept` asks for."),
    408: ("TooSlow", "too_slow", "The request came too slowly; the connection is closed."),
    409: ("Conflict", "conflict", "The present state forbids that; the code says why."),
    410: ("CursorGone", "cursor_gone", "The cursor is older than what is kept; `cursor` is where to go on."),
    411: (
        "LengthRequired",
        "length_required",
        "The body came in chunks; this server (WSGI) wants its `Content-Length`.",
    ),
    413: ("TooLarge", "too_large", "The body is larger than this address takes."),
    414: ("AddressTooLong", "address_too_long", "Path and query are longer than what is read."),
    415: ("UnsupportedMediaType", "unsupported_media_type", "The body is of a type that is not read here."),
    422: ("Unprocessable", "unprocessable", "This Idempotency-Key was used for another request."),
    429: ("Throttled", "throttled", "Too many requests with one credential."),
    431: ("HeadersTooLarge", "headers_too_large", "The headers are longer than what is read."),
    502: ("BadGateway", "directory_failed", "Another server that has to be asked did not answer; nothing was done."),
    503: ("Busy", "busy", "The database or a disk cannot do it now; send the same again, with the same ids."),
}
"""What an operation may refuse: its name in the document, the usual code, the meaning."""
USUAL: dict[int, tuple[str, ...]] = {status: (code,) for status, (_, code, _) in PROBLEMS.items()} | {
    400: ("malformed", "unknown_host"),
    503: ("busy", "storage_failed"),
    # These an operation declares by itself, or has none.
    409: (),
    410: (),
    502: (),
}
"""The codes that any operation may refuse with, by status."""
BEFORE_DJANGO = (408, 411, 414, 431)
"""Refused by `config.body_limit` and `config.wsgi` before the caller is known, so without the RateLimit headers."""
_SELDOM = (410, 502)
"""Refusals only of the operations that declare them."""
_OF_WRITING = (409, 411, 413, 415, 422)
_DONE = {"200": "Done, or what was asked for.", "201": "Made.", "202": "Taken on; it goes on by itself."}
_LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_WHOLE = {"type": "integer", "minimum": 0}
HEADERS = {
    "RateLimit-Limit": {"description": "How many requests one credential has in a window.", "schema": _WHOLE},
    "RateLimit-Remaining": {"description": "How many of them are left.", "schema": _WHOLE},
    "RateLimit-Reset": {"description": "Seconds until there are more.", "schema": _WHOLE},
    "Retry-After": {"description": "Seconds to wait before the same is sent again.", "schema": _WHOLE},
    "WWW-Authenticate": {"description": "How to show who you are.", "schema": {"type": "string"}},
    "Allow": {"description": "The methods that the address takes.", "schema": {"type": "string"}},
    "Location": {"description": "Where to ask how it goes.", "schema": {"type": "string", "format": "uri-reference"}},
    "Idempotent-Replayed": {
        "description": "`true` when this is the answer to an earlier request with this Idempotency-Key.",
        "schema": {"type": "string", "const": "true"},
    },
}
_MORE = {401: ("WWW-Authenticate",), 405: ("Allow",), 429: ("Retry-After",), 503: ("Retry-After",)}
_EXTENSION = "x-spec-enum-id"
"""The generator's own note of an enumeration; nobody else reads it."""


class Described(AutoSchema):
    """Names an operation by its tag and method, and refers to shared responses for what any operation may refuse."""

    def get_operation_id(self) -> str:
        action = getattr(self.view, "action", None)
        if action is None:
            return super().get_operation_id()
        called = getattr(getattr(self.view, action), "called", "") or action
        return f"{self.get_tags()[0]}_{called}"

    def get_tags(self) -> list[str]:
        return [tag.replace("-", "_") for tag in super().get_tags()]

    def get_auth(self) -> list[dict[str, list[str]]]:
        """The scope that an API key needs stands with `bearer`; tokens and logins need none."""
        scope = getattr(getattr(self.view, getattr(self.view, "action", None) or "", None), "scope", None)
        auth: list[dict[str, list[str]]] = super().get_auth()
        return [{name: [str(scope)] if name == "bearer" and scope else [] for name in way} for way in auth]

    def _get_serializer_name(self, serializer: Any, direction: Any, bypass_extensions: bool = False) -> str:
        """A serializer named `…Request` keeps its name; the generator would add the word again."""
        name: str = super()._get_serializer_name(serializer, direction, bypass_extensions)
        return name.removesuffix("Request") if name.endswith("RequestRequest") else name

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        """A request refuses unknown fields, so its schema says so."""
        schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        if isinstance(force_instance(serializer), RequestSerializer):
            _close(schema)
        return schema

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Whether an operation is a list, by its response: `read_endpoint(Response(many=True))`."""
        answers = self.get_response_serializers() if serializer is None else serializer
        return any(map(is_list_serializer, answers.values() if isinstance(answers, dict) else [answers]))

    def _resolve_path_parameters(self, variables: Iterable[str]) -> list[dict[str, Any]]:
        """Every variable part of an address is an id."""
        return [{"name": name, "in": "path", "required": True, "schema": dict(ID_SCHEMA)} for name in sorted(variables)]

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        self.resolve_serializer(Problem, "response")
        writes = self.method not in ("GET", "HEAD")
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status, body in bodies.items():
            body["description"] = str(body["description"] or _DONE.get(status, ""))
            names = _LIMITS + (("Idempotent-Replayed",) if self.method == "POST" else ())
            body["headers"] = _refer("headers", names) | body.get("headers", {})
        refused = (
            status
            for status in PROBLEMS
            if (writes or status not in _OF_WRITING or status in self._declared_statuses())
            and (status != 401 or self._needs_credential())
            and (status not in _SELDOM or status in self._declared_statuses())
        )
        return bodies | refused_with(refused)

    def _declared_statuses(self) -> tuple[int, ...]:
        statuses: tuple[int, ...] = getattr(
            getattr(self.view, getattr(self.view, "action", None) or "", None), "also", ()
        )
        return statuses

    def _needs_credential(self) -> bool:
        return bool(self.view.permission_classes)


def refused_with(statuses: Iterable[int]) -> dict[str, Any]:
    """References to the shared responses for these statuses."""
    return {str(status): {"$ref": f"#/components/responses/{PROBLEMS[status][0]}"} for status in statuses}


def _refer(part: str, names: Iterable[str]) -> dict[str, dict[str, str]]:
    return {name: {"$ref": f"#/components/{part}/{name}"} for name in names}


def _refusals() -> Iterator[tuple[str, dict[str, Any]]]:
    for status, codes in USUAL.items():
        if codes:
            yield PROBLEMS[status][0], refusal(status, codes)


def refusal(status: int, codes: Iterable[str]) -> dict[str, Any]:
    """A response that refuses, with the codes that its problem may have.

    The codes stand next to the reference to `Problem`, which JSON Schema allows: a generator of classes makes one class
    of all problems, and a validator or a generator of types has the codes.
    """
    _, code, meaning = PROBLEMS[status]
    names = sorted(codes) or [code]
    one_of = {"const": names[0]} if len(names) == 1 else {"enum": names}
    example = {
        "type": f"{ERRORS_PAGE}{names[0]}",
        "title": names[0].replace("_", " ").capitalize(),
        "status": status,
        "detail": meaning,
        "code": names[0],
    }
    schema = {
        "$ref": "#/components/schemas/Problem",
        "properties": {"code": {"description": "For programs; stable.", **one_of}},
    }
    return {
        "description": meaning if len(names) == 1 else f"{meaning} Codes: {', '.join(f'`{name}`' for name in names)}.",
        "headers": _refer("headers", () if status in BEFORE_DJANGO else _LIMITS + _MORE.get(status, ())),
        "content": {PROBLEM: {"schema": schema, "example": example}},
    }


AS_TYPED = ("content",)
"""Fields whose text keeps the blanks around it."""


def polished(result: Any, **_: Any) -> Any:
    """A hook of the generator: adds the parts that operations share, and removes the generator's own notes."""
    components = result["components"]
    components["responses"] = dict(_refusals())
    components["headers"] = {name: dict(header) for name, header in HEADERS.items()}
    for schema in schemas_in([components.get("schemas", {}), result["paths"]]):
        if isinstance(schema.get("title"), str):  # the label of a form: `From`, where the field is `sender_type`
            del schema["title"]
    return _without_notes(result)


def _close(schema: dict[str, Any]) -> None:
    schema["additionalProperties"] = False
    for field, member in schema.get("properties", {}).items():
        if field not in AS_TYPED and member.get("minLength") and not member.keys() & {"pattern", "format", "enum"}:
            member["pattern"] = r"\S"  # blanks around a text are cut off, and what is left must not be empty


def _without_notes(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _without_notes(value) for name, value in part.items() if name != _EXTENSION}
    return [_without_notes(value) for value in part] if isinstance(part, list) else part


# --- Passes over the whole document, with the domain's own words ----------------------------------------------------


def schemas_in(part: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document that may be a schema; examples are none."""
    if isinstance(part, dict):
        yield part
        for name, value in part.items():
            if name not in ("example", "examples"):
                yield from schemas_in(value)
    elif isinstance(part, list):
        for value in part:
            yield from schemas_in(value)


def name_enums(document: dict[str, Any], enums: Mapping[str, tuple[list[Any], str]]) -> None:
    """Make each enumeration one component, wherever it stands; `enums` has the values and the meaning by name.

    A set of values that is not in `enums` stays where it is: a test reports it. A single value becomes a constant.
    """
    names = {frozenset(values): name for name, (values, _) in enums.items()}
    used: set[str] = set()
    for schema in list(schemas_in(document)):
        values = schema.get("enum")
        if not isinstance(values, list):
            continue
        if len(values) == 1:
            schema["const"] = schema.pop("enum")[0]
        elif name := names.get(frozenset(value for value in values if value is not None)):
            used.add(name)
            _refer_to(
                schema, f"#/components/schemas/{name}", is_nullable=None in values or "null" in schema.get("type", "")
            )
    document["components"]["schemas"] |= {
        name: {"type": "integer" if isinstance(values[0], int) else "string", "enum": values, "description": meaning}
        for name, (values, meaning) in enums.items()
        if name in used
    }


def _refer_to(schema: dict[str, Any], address: str, *, is_nullable: bool) -> None:
    """Replace a schema by a reference, but keep its description: some tools ignore what stands next to a `$ref`."""
    del schema["enum"]
    schema.pop("type", None)
    reference = {"$ref": address}
    if is_nullable:
        schema["oneOf"] = [reference, {"type": "null"}]
    elif schema:
        schema["allOf"] = [reference]
    else:
        schema |= reference


def describe(document: dict[str, Any], fields: Mapping[str, str], parameters: Mapping[str, str]) -> None:
    """Give each property and parameter that has none its description.

    Looked up by component and name (where `…Request` may be left off), then by name.
    """
    for owner, component in document["components"]["schemas"].items():
        for schema in schemas_in(component):
            properties = schema.get("properties")
            for name, part in (properties if isinstance(properties, dict) else {}).items():
                _describe(part, owner, name, fields)
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                _describe(parameter, operation["operationId"], parameter["name"], parameters)


def _describe(part: dict[str, Any], owner: str, name: str, words: Mapping[str, str]) -> None:
    keys = (f"{owner}.{name}", f"{owner.removesuffix('Request')}.{name}", name)
    description = next((words[key] for key in keys if key in words), None)
    if description and "description" not in part:
        if "$ref" in part:
            part["allOf"] = [{"$ref": part.pop("$ref")}]
        part["description"] = description


def describe_components(document: dict[str, Any], words: Mapping[str, str]) -> None:
    """Give each component without a description its sentence."""
    for name, schema in document["components"]["schemas"].items():
        if "description" not in schema and name in words:
            schema["description"] = words[name]


def name_codes(document: dict[str, Any], own: Mapping[str, Mapping[int, Iterable[str]]]) -> None:
    """Name in each operation's responses the codes that this operation may refuse with.

    `own` has its codes beyond `USUAL`, by operation id and status. An operation without codes for 409 has no 409.
    """
    for path in document["paths"].values():
        for operation in path.values():
            declared = own.get(operation["operationId"], {})
            for status, codes in declared.items():
                operation["responses"][str(status)] = refusal(status, {*USUAL[status], *codes})
            if 409 not in declared:
                operation["responses"].pop("409", None)
