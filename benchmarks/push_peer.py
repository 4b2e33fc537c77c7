"""The raw peers of push.py, as one ASGI application without a framework: streams that are written to, an echo."""

from __future__ import annotations

from typing import Any

streams: dict[int, Any] = {}


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await _echo(receive, send)
    elif scope["method"] == "POST":
        await _say(receive, send)
    else:
        await _stream(receive, send)


async def _stream(receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"retry: 1000\n\n", "more_body": True})
    streams[id(send)] = send
    while (await receive())["type"] != "http.disconnect":
        pass
    del streams[id(send)]


async def _say(receive: Any, send: Any) -> None:
    """Write the body to every stream, then answer."""
    said, is_more = b"", True
    while is_more:
        message = await receive()
        said, is_more = said + message["body"], message["more_body"]
    for each in tuple(streams.values()):
        await each({"type": "http.response.body", "body": said, "more_body": True})
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _echo(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
