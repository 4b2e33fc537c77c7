"""A page goes to a client's socket in the turn in which it was read, as long as the client has taken all before it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.tcp import Connection
from websockets.frames import Frame, Opcode

from config.backpressure import Backpressure, as_chunk, as_frame
from tests.patience import PATIENCE


class Reactor:
    """Takes note of nothing: what is written in a later turn is not written here."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class WebSocket:
    """What daphne's own has, as far as it is looked at."""

    STATE_OPEN = state = 3
    send_queue: list[bytes] = []

    def __init__(self, transport: Any) -> None:
        self.transport = transport


@pytest.fixture
def pair() -> Iterator[tuple[Backpressure, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(PATIENCE)
    transport: Any = Connection(ours, None, Reactor())
    transport.connected = 1
    written = Backpressure(None, WebSocket(transport))  # type: ignore[arg-type]
    written._register()
    yield written, theirs
    ours.close()
    theirs.close()


def test_it_is_there_before_the_loop_turns(pair: tuple[Backpressure, socket.socket]) -> None:
    written, theirs = pair
    assert written.write_at_once(b"first")
    assert written.write_at_once(b"second")
    assert theirs.recv(100) == b"firstsecond"


def test_of_what_the_kernel_does_not_take_the_rest_is_kept_and_nothing_more_is_added(
    pair: tuple[Backpressure, socket.socket],
) -> None:
    written, theirs = pair
    count = 0
    while written.write_at_once(bytes([count % 251]) * 30_000):
        count += 1
        assert count < 1000, "whoever reads nothing is written to for ever"
    transport = written._transport
    kept = b"".join(transport._tempDataBuffer)
    assert 0 < len(kept) <= 30_000
    assert not written.write_at_once(b"and more")
    assert b"".join(transport._tempDataBuffer) == kept
    got = b""
    while len(got) < count * 30_000 - len(kept):
        got += theirs.recv(65_536)
    assert got + kept == b"".join(bytes([number % 251]) * 30_000 for number in range(count))


def test_what_is_larger_than_the_buffer_goes_the_patient_way(pair: tuple[Backpressure, socket.socket]) -> None:
    written, _ = pair
    assert not written.write_at_once(b"x" * (written._transport.bufferSize + 1))


@pytest.mark.parametrize("change", [{"connected": 0}, {"disconnecting": 1}])
def test_a_connection_that_is_over_is_not_written_to(
    pair: tuple[Backpressure, socket.socket], change: dict[str, Any]
) -> None:
    written, _ = pair
    vars(written._transport).update(change)
    assert not written.write_at_once(b"late")


def test_a_socket_that_is_closing_is_not_written_to(pair: tuple[Backpressure, socket.socket]) -> None:
    written, _ = pair
    written._connection.state = WebSocket.STATE_OPEN + 1
    assert not written.write_at_once(b"late")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_a_frame_is_what_the_standard_says(size: int) -> None:
    text = b"x" * size
    assert as_frame(text) == Frame(Opcode.TEXT, text).serialize(mask=False)


def test_a_chunk_is_what_the_standard_says() -> None:
    assert as_chunk(b"data: 1234567890\n\n") == b"12\r\ndata: 1234567890\n\n\r\n"
