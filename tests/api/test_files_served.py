"""Files through a real server process: as a program sends and fetches them."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from hashlib import sha256
from typing import Any, cast

import httpx
import pytest

from config import downloads
from config.in_threads import InThreads
from tests.api.serving import Served
from tests.patience import PATIENCE


@pytest.fixture(scope="module")
def shop(served: Served) -> Iterator[httpx.Client]:
    credential = {"Authorization": f"Bearer {served.key('files', 'integrator')}"}
    with httpx.Client(base_url=f"{served.url}/api/v1/", headers=credential, timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="module")
def conversation(shop: httpx.Client) -> str:
    said = shop.post("inbound", json={"shop_id": "lamps", "account_id": "files", "content": "Hello?"})
    return str(said.json()["conversation_id"])


def test_a_large_file_comes_back_as_it_went(served: Served, shop: httpx.Client, conversation: str) -> None:
    data = b"one line of a long list\n" * 400_000
    put = shop.post(f"conversations/{conversation}/attachments", files={"file": ("list.csv", data)})
    assert put.status_code == 201, put.text
    assert put.json()["sha256"] == sha256(data).hexdigest()
    fetched = shop.get(f"{served.url}{put.json()['url']}")
    assert (fetched.status_code, fetched.headers["Content-Length"]) == (200, str(len(data)))
    assert fetched.content == data
    assert fetched.headers["Content-Disposition"] == 'attachment; filename="list.csv"'


def test_one_that_is_too_large_is_refused_as_a_file_and_a_body_of_words_as_a_body(
    shop: httpx.Client, conversation: str
) -> None:
    address = f"conversations/{conversation}/attachments"
    large = shop.post(address, files={"file": ("large.txt", b"a" * (10 * 1024 * 1024 + 1))})
    assert (large.status_code, large.json()["code"]) == (413, "file_too_large")
    much = shop.post(
        address, files={"file": ("large.txt", b"a" * (11 * 1024 * 1024))}
    )  # more than may stand around one
    huge = shop.post(address, content=b"a" * 52_000_000)
    for refused in (much, huge):
        told = refused.json()
        assert (refused.status_code, told["code"], told["most"]) == (413, "file_too_large", 10 * 1024 * 1024)
        assert told["detail"] == "A file has at most 10,485,760 bytes."
    words = shop.post("inbound", content=b"a" * 2_000_000).json()
    assert (words["code"], words["detail"]) == ("too_large", "A body has at most 1,000,000 bytes here.")
    assert shop.get(f"conversations/{conversation}").status_code == 200


async def test_a_file_is_read_piece_by_piece_by_asgi_too_while_its_client_takes_it() -> None:
    class File:
        read_so_far = 0

        def read(self, size: int) -> bytes:
            self.read_so_far += size
            return b"x" * size if self.read_so_far <= 10 * size else b""

        def close(self) -> None:
            pass

    file: Any = File()
    sent: list[tuple[int, int]] = []

    def handler(environ: dict[str, Any], start_response: Any) -> downloads.Pieces:
        start_response("200 OK", [])
        return downloads.Pieces(file)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if piece := message.get("body"):
            sent.append((len(piece), file.read_so_far))

    scope = {"type": "http", "method": "GET", "path": "/file", "headers": []}
    await InThreads(cast("Any", handler))(scope, receive, send)
    assert sent == [(downloads.PIECE, downloads.PIECE * number) for number in range(1, 11)]
