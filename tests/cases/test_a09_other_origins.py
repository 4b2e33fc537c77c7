"""A9: a customer's token is of use in a page of another origin, where the tenant allows that page; none by default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from agents_app import origins
from agents_app.api import cors
from agents_app.credentials.tokens import issue_token
from agents_app.models import Tenant
from tests.api.world import login_of
from tests.cast import Cast, Chat

SHOP, OTHER = "https://shop.example", "https://elsewhere.example"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    origins.forget()
    yield
    origins.forget()


def allow(cast: Cast, *allowed: str) -> None:
    tenant = Tenant.objects.get(pk=cast.tenant.pk)
    tenant.allowed_origins = "\n".join(allowed)
    tenant.full_clean()
    tenant.save()


def ask(chat: Chat, origin: str = SHOP, *, path: str = "", method: str = "GET", **headers: str) -> Any:
    """A request of a customer's page; without a token where `Authorization` is empty."""
    sent = {"Origin": origin, "Authorization": f"Bearer {issue_token(chat.customer)}"} | headers
    address = path or f"/api/v1/conversations/{chat.id}"
    return Client().generic(method, address, headers={name: value for name, value in sent.items() if value})


def preflight(origin: str, path: str = "/api/v1/messages") -> Any:
    return Client().options(path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})


def allowed_origin(answer: Any) -> str | None:
    found: str | None = answer.headers.get("Access-Control-Allow-Origin")
    return found


def test_a9_no_page_of_another_origin_is_let_in_by_default(chat: Chat) -> None:
    answer = ask(chat)
    assert (answer.status_code, allowed_origin(answer)) == (200, None)
    assert allowed_origin(preflight(SHOP)) is None


def test_a9_the_page_that_a_tenant_allows_reads_what_its_customers_token_may(chat: Chat) -> None:
    allow(chat.cast, SHOP)
    answer = ask(chat)
    assert (answer.status_code, allowed_origin(answer)) == (200, SHOP)
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"]
    assert allowed_origin(ask(chat, OTHER)) is None


def test_a9_a_preflight_is_answered_without_a_credential(chat: Chat) -> None:
    allow(chat.cast, SHOP)
    answer = preflight(SHOP)
    assert (answer.status_code, answer.content, allowed_origin(answer)) == (204, b"", SHOP)
    asked = {"authorization", "content-type", "idempotency-key", "last-event-id"}
    assert asked <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    assert set(answer.headers["Access-Control-Allow-Methods"].split(", ")) == {"GET", "POST", "PATCH", "DELETE"}
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert "Origin" in answer.headers["Vary"]
    assert allowed_origin(preflight(OTHER)) is None


def test_a9_a_page_that_another_tenant_allows_reads_nothing_of_this_one(chat: Chat, others: Cast) -> None:
    allow(chat.cast, SHOP)
    allow(others, OTHER)
    assert allowed_origin(preflight(OTHER)) == OTHER  # whose token comes is not known yet
    answer = ask(chat, OTHER)
    assert (answer.status_code, allowed_origin(answer)) == (200, None)
    assert allowed_origin(ask(others.chat(), OTHER)) == OTHER


def test_a9_nothing_is_read_with_what_a_browser_adds_by_itself(chat: Chat) -> None:
    allow(chat.cast, SHOP)
    browser = Client()
    browser.force_login(login_of(chat.cast, "ann"))
    answer = browser.get("/api/v1/agents/me", headers={"Origin": SHOP})
    assert (answer.status_code, allowed_origin(answer)) == (200, None)
    for one in (answer, ask(chat), preflight(SHOP)):
        assert "Access-Control-Allow-Credentials" not in one.headers


def test_a9_only_the_api_is_opened(chat: Chat) -> None:
    allow(chat.cast, SHOP)
    for path in ("/login/", "/desk/", "/admin/login/", "/api/docs"):
        assert allowed_origin(ask(chat, path=path)) is None, path
        assert allowed_origin(preflight(SHOP, path)) is None, path


def test_a9_a_page_can_read_why_it_was_refused(chat: Chat) -> None:
    """Else a script could not tell a token that ended from a server that is down."""
    allow(chat.cast, SHOP)
    for told, answer in {
        404: ask(chat, path="/api/v1/conversations/999999"),
        401: ask(chat, Authorization="Bearer ended"),
        400: ask(chat, path="/api/v1/messages", method="POST"),
    }.items():
        assert (answer.status_code, allowed_origin(answer)) == (told, SHOP)
    assert allowed_origin(ask(chat, Authorization="")) is None  # without a bearer nothing is read


def test_a9_an_answer_says_that_it_differs_by_origin_also_where_none_was_sent(chat: Chat) -> None:
    """So that a cache on the way keeps no answer for a page that came from none."""
    assert "Origin" in ask(chat, "").headers["Vary"]


def test_a9_origins_are_looked_up_from_memory(chat: Chat, django_assert_num_queries: Any) -> None:
    allow(chat.cast, SHOP)
    preflight(SHOP)
    with django_assert_num_queries(0):
        assert allowed_origin(preflight(SHOP)) == SHOP


def test_a9_an_origin_that_is_taken_back_counts_no_more(chat: Chat) -> None:
    allow(chat.cast, SHOP)
    assert allowed_origin(ask(chat)) == SHOP
    allow(chat.cast)
    assert allowed_origin(ask(chat)) is None


# --- What may be written -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://shop.example", ["https://shop.example"]),
        (" HTTPS://Shop.Example/ \n\nhttps://b.example:8443", ["https://shop.example", "https://b.example:8443"]),
        ("https://shop.example:443\nhttps://shop.example", ["https://shop.example"]),
        ("http://localhost:5173\nhttp://127.0.0.1", ["http://localhost:5173", "http://127.0.0.1"]),
        ("https://xn--bcher-kva.example", ["https://xn--bcher-kva.example"]),
        ("", []),
    ],
)
def test_a9_origins_are_kept_as_browsers_send_them(written: str, kept: list[str]) -> None:
    assert origins.normalize(written) == kept


@pytest.mark.parametrize(
    "written",
    [
        "*",
        "null",
        "shop.example",
        "http://shop.example",
        "https://*.shop.example",
        "https://shop.example/path",
        "https://shop.example?q",
        "https://shop.example#f",
        "https://user@shop.example",
        "https://shop.example:port",
        "https://shop.example:99999",
        "https://",
        "https://a..b",
        "https://bücher.example",
        "https://shop.example https://b.example",
        "javascript://shop.example",
        "file:///etc/passwd",
        "https://shop.example\\evil",
        "\n".join(f"https://{n}.example" for n in range(origins.MOST + 1)),
    ],
)
def test_a9_what_is_no_origin_is_refused_when_it_is_entered(cast: Cast, written: str) -> None:
    with pytest.raises(ValidationError) as refused:
        allow(cast, written)
    assert set(refused.value.message_dict) == {"allowed_origins"}


def test_a9_a_preflight_is_no_request_that_only_looks_like_one(chat: Chat) -> None:
    allow(chat.cast, SHOP)
    plain = Client().options("/api/v1/messages", headers={"Origin": SHOP})
    assert plain.status_code in (401, 405)
    assert cors.PREFLIGHT_SECONDS <= 600
