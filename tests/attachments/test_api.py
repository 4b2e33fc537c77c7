"""Files over the API: multipart in, metadata and bytes out, refusals as problems."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from config import buckets
from config.body_limit import bounded
from config.body_sizes import BodyRules
from messaging_app import relay
from messaging_app.events import rendered
from messaging_app.models import Message, Operation
from messaging_app.models.attachments import Attachment
from tests.api.world import Caller, agent, bearer, program
from tests.attachments.conftest import kept
from tests.cast import Cast, Chat
from tests.uploads import HTML, PDF, body_of, bomb, picture, upload


@pytest.fixture(autouse=True)
def _nobody_has_called_yet() -> None:
    buckets.forget()


HEADS_OF_PICTURES = (
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"GIF87a",
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    b"RIFF\xd0\x00\x00\x00WEBPVP8 ",
)
"""Of what is none: nothing behind them opens as a picture."""


def puts(caller: Caller, chat: Chat | int, data: bytes | None = None, name: str = "photo.png", **more: Any) -> Any:
    """Send a file as browsers and programs do; its type is a lie."""
    key = {"Idempotency-Key": more.pop("key")} if "key" in more else {}
    sent = SimpleUploadedFile("x", picture() if data is None else data, content_type="text/html")
    sent._name = name  # type: ignore[attr-defined] # past Django's own cleaning
    where = chat if isinstance(chat, int) else chat.id
    return caller.client.post(f"/api/v1/conversations/{where}/attachments", {"file": sent, **more}, headers=key)


def test_a_file_is_put_up_sent_read_and_fetched(cast: Cast, chat: Chat) -> None:
    chat.serve()
    ann, customer = agent(cast, "ann"), bearer(chat.customer)
    answer = puts(ann, chat, picture(size=(600, 300)), "lamp.png", client_id="u-1")
    assert answer.status_code == 201
    told = answer.json()
    assert (told["name"], told["media_type"], told["width"], told["message_id"]) == ("lamp.png", "image/png", 600, None)
    assert customer.get(told["url"]).status_code == 404, "not before it is sent"
    sent = ann.post("messages", {"conversation_id": str(chat.id), "attachments": [told["id"]]})
    assert sent.status_code == 201
    (message,) = customer.get(f"conversations/{chat.id}/messages").json()["results"]
    (file,) = message["attachments"]
    assert (message["content"], file["id"], file["message_id"]) == ("", told["id"], message["id"])
    assert customer.get(f"attachments/{told['id']}").json() == file
    fetched = customer.get(file["url"])
    assert body_of(fetched) == picture(size=(600, 300))
    small = customer.get(file["preview_url"])
    assert small["Content-Type"] == "image/webp"
    assert body_of(small).startswith(b"RIFF")


@pytest.mark.parametrize(
    ("data", "name", "disposition"),
    [
        (picture(), "lamp.png", 'inline; filename="lamp.png"'),
        (PDF, "invoice.pdf", 'attachment; filename="invoice.pdf"'),
        (b"just text", 'he "said".bat', 'attachment; filename="he \\"said\\".bat.txt"'),
        (picture(), "发票.png", "inline; filename*=utf-8''%E5%8F%91%E7%A5%A8.png"),
        (picture("GIF") + HTML, "page.html", 'inline; filename="page.html.gif"'),
    ],
)
def test_no_browser_takes_a_file_for_a_page_of_ours(
    cast: Cast, chat: Chat, data: bytes, name: str, disposition: str
) -> None:
    row = upload(chat.customer, chat.id, data, name)
    answer = bearer(chat.customer).get(f"attachments/{row.pk}/content")
    body_of(answer)
    assert answer["Content-Type"] == row.media_type
    assert answer["Content-Disposition"] == disposition
    assert answer["Content-Length"] == str(len(data))
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
    assert answer["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("name", ["a\r\nSet-Cookie: x=1.png", "../../../etc/passwd", "photo\u202egnp.exe", "\x00.png"])
def test_names_that_mean_no_good_stay_names(cast: Cast, chat: Chat, folder: Path, name: str) -> None:
    customer = bearer(chat.customer)
    told = puts(customer, chat, name=name)
    assert told.status_code == 201, told.content
    answer = customer.get(told.json()["url"])
    body_of(answer)
    assert "Set-Cookie" not in answer.headers
    assert answer["Content-Disposition"].isprintable()
    assert all(path.startswith(f"{cast.tenant.pk}/") for path in kept(folder))


def test_who_has_it_already_is_sent_nothing_and_still_has_to_ask(cast: Cast, chat: Chat) -> None:
    row = upload(chat.customer, chat.id)
    customer = bearer(chat.customer)
    first = customer.get(f"attachments/{row.pk}/content")
    body_of(first)
    again = customer.client.get(f"/api/v1/attachments/{row.pk}/content", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    stranger = bearer(cast.chat().customer).client
    assert (
        stranger.get(f"/api/v1/attachments/{row.pk}/content", headers={"If-None-Match": first["ETag"]}).status_code
        == 404
    )


def test_whatever_accept_asks_for_a_file_is_what_it_is(cast: Cast, chat: Chat) -> None:
    row = upload(chat.customer, chat.id)
    customer = bearer(chat.customer)
    answer = customer.client.get(f"/api/v1/attachments/{row.pk}/content", headers={"Accept": "image/avif"})
    body_of(answer)
    assert answer.status_code == 200
    head = customer.client.head(f"/api/v1/attachments/{row.pk}/content")
    assert (head.status_code, head.content, head["Content-Length"]) == (200, b"", str(row.size))
    document = upload(chat.customer, chat.id, PDF, "a.pdf")
    refused = customer.client.get(f"/api/v1/attachments/{document.pk}/preview", headers={"Accept": "image/*"})
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("data", "name", "status", "code"),
    [
        (b"", "empty.png", 400, "file_empty"),
        (HTML, "photo.png", 415, "file_type_refused"),
        (bomb(), "photo.png", 422, "image_too_large"),
        (picture()[:-30], "photo.png", 422, "file_damaged"),
        *((head + bytes(200), "photo.png", 422, "file_damaged") for head in HEADS_OF_PICTURES),
    ],
)
def test_a_refusal_is_a_problem_with_its_page(
    cast: Cast, chat: Chat, data: bytes, name: str, status: int, code: str
) -> None:
    answer = puts(bearer(chat.customer), chat, data, name)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer["Content-Type"] == "application/problem+json"
    assert f'id="{code}"' in errors_page(bearer(chat.customer))


def errors_page(caller: Caller) -> str:
    return str(caller.get("/api/docs/errors").content.decode())


def test_a_file_that_is_too_large_is_refused_while_it_comes(
    cast: Cast, chat: Chat, settings: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ATTACHMENT_MAX_BYTES = 300_000
    customer = bearer(chat.customer)
    read = 0

    class Body:
        """A body that tells how much of it was read."""

        def __init__(self, length: int) -> None:
            self.left = length
            self.head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'

        def read(self, size: int = -1) -> bytes:
            nonlocal read
            piece = self.head or b"a" * min(size, self.left)
            self.left -= 0 if self.head else len(piece)
            self.head = b""
            read += len(piece)
            return piece

        readline = read

    def send(said: int) -> Any:
        return customer.client.generic(
            "POST",
            f"/api/v1/conversations/{chat.id}/attachments",
            **{
                "wsgi.input": Body(said),
                "CONTENT_LENGTH": str(said),
                "CONTENT_TYPE": "multipart/form-data; boundary=x",
            },
        )

    answer = send(10_000_000)  # says so: not one byte is read
    assert (answer.status_code, answer.json()["code"], read) == (413, "file_too_large", 0)
    answer = send(300_000 + 60_000)  # would fit with what stands around a file, and the file alone is too large
    assert (answer.status_code, answer.json()["most"]) == (413, 300_000)
    assert read < 400_000
    assert kept(folder) == []


@pytest.mark.django_db  # whose credential it is decides how long a body may be
def test_a_body_that_is_longer_than_its_address_takes_does_not_reach_django() -> None:
    async def application(scope: Any, receive: Callable[[], Any], send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def ask(headers: list[tuple[bytes, bytes]]) -> tuple[int, int]:
        read, sent = 0, []

        async def receive() -> dict[str, Any]:
            nonlocal read
            read += 100_000
            return {"type": "http.request", "body": b"a" * 100_000, "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"method": "POST", "path": "/api/v1/inbound", "headers": headers}
        await bounded(application, BodyRules())(scope, receive, send)
        return sent[0]["status"], read

    assert asyncio.run(ask([(b"content-length", b"1000001")])) == (413, 0)
    assert asyncio.run(ask([])) == (413, 1_100_000)


def test_what_is_no_file_is_told_what_to_send(cast: Cast, chat: Chat) -> None:
    customer = bearer(chat.customer)
    address = f"/api/v1/conversations/{chat.id}/attachments"
    assert customer.client.post(address, {"client_id": "x"}).json()["code"] == "malformed"
    assert customer.client.post(address, {"file": "words"}).json()["code"] == "malformed"
    two = {"file": SimpleUploadedFile("a.txt", b"a"), "more": SimpleUploadedFile("b.txt", b"b")}
    assert customer.client.post(address, two).json()["code"] == "malformed"
    assert "sender" in puts(customer, chat, sender="ann").json()["errors"]
    assert customer.post(f"conversations/{chat.id}/attachments", {"file": "x"}).status_code == 415


def test_an_idempotency_key_makes_a_repeat_harmless(cast: Cast, chat: Chat, folder: Path) -> None:
    customer = bearer(chat.customer)
    first, again = puts(customer, chat, key="k"), puts(customer, chat, key="k")
    assert (first.json(), again["Idempotent-Replayed"]) == (again.json(), "true")
    assert puts(customer, chat, picture(colour="red"), key="k").status_code == 422
    assert len(kept(folder)) == 2


def test_a_program_without_the_scope_puts_up_nothing(cast: Cast, chat: Chat) -> None:
    cast.change("channel", scopes=["conversations:read"])
    assert puts(program(cast, "channel"), chat).status_code == 403


def test_what_was_not_sent_is_taken_back(cast: Cast, chat: Chat) -> None:
    customer = bearer(chat.customer)
    row = upload(chat.customer, chat.id)
    assert customer.client.delete(f"/api/v1/attachments/{row.pk}").status_code == 204
    assert not Attachment.objects.exists()


def test_the_channel_brings_in_a_customers_picture_without_words(cast: Cast, chat: Chat) -> None:
    channel = program(cast, "channel")
    file = puts(channel, chat).json()["id"]
    answer = channel.post("inbound", {"conversation_id": str(chat.id), "attachments": [file]})
    assert answer.status_code == 201
    assert channel.get(f"conversations/{chat.id}").json()["last_text"] == "photo.png"
    nothing = channel.post("inbound", {"conversation_id": str(chat.id), "content": ""})
    assert (nothing.status_code, nothing.json()["code"]) == (400, "malformed")


def test_an_event_tells_of_the_files(cast: Cast, chat: Chat) -> None:
    row = upload(chat.customer, chat.id)
    bearer(chat.customer).post("messages", {"conversation_id": str(chat.id), "attachments": [str(row.pk)]})
    relay.stamp(cast.tenant.pk)
    (event,) = rendered(list(Operation.objects.filter(type="message.created")))
    (told,) = event["message"]["attachments"]
    assert told == {
        "id": str(row.pk),
        "name": "photo.png",
        "media_type": "image/png",
        "size": row.size,
        "sha256": row.sha256,
        "width": 60,
        "height": 40,
        "url": f"/api/v1/attachments/{row.pk}/content",
        "preview_url": f"/api/v1/attachments/{row.pk}/preview",
    }
    assert event["data"]["attachments"] == [{"id": str(row.pk), "digest": row.sha256}]
    assert Message.objects.get().content == ""


def test_a_file_that_the_store_has_lost_is_said_so(cast: Cast, chat: Chat, folder: Path) -> None:
    row = upload(chat.customer, chat.id)
    (folder / row.storage_key).unlink()
    answer = bearer(chat.customer).get(f"attachments/{row.pk}/content")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "storage_failed", "1")
