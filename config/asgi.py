"""Pages and sockets in one application: what `manage.py serve` runs, and any other ASGI server may."""

from __future__ import annotations

import os
import sys
from typing import Any
from urllib.parse import urlsplit

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

handler = get_wsgi_application()  # first: it loads the apps that the sockets import

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import OriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from agents_app.api import cors  # noqa: E402
from agents_app.connections.registry import Close  # noqa: E402
from config import preload  # noqa: E402
from config.backpressure import with_backpressure  # noqa: E402
from config.body_limit import bounded  # noqa: E402
from config.body_sizes import BodyRules  # noqa: E402
from config.consistency import is_stranger  # noqa: E402
from config.in_threads import InThreads  # noqa: E402
from config.last_resort import caught, caught_socket  # noqa: E402
from sessions_app.api import streams  # noqa: E402
from sessions_app.consumers import DeskConsumer, JoinedConsumer, NowhereConsumer, TryItConsumer  # noqa: E402

django = InThreads(handler)
rules = BodyRules()
if "daphne.server" in sys.modules:  # it writes bodies to disk before it calls any application
    from config import daphne_limits

    daphne_limits.install(rules)
nowhere = re_path(r"", NowhereConsumer.as_asgi())
events = path("ws/events/", streams.event_socket)  # type: ignore[arg-type]


class FromOurPages(OriginValidator):
    """Lets in sockets of our own pages only, because a browser sends its login from any page.

    Any other socket is accepted and closed with a code, because a browser does not learn why a handshake failed. A
    client without an origin is a program, and needs a ticket.
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        origin = next((value.decode("latin1") for name, value in scope["headers"] if name == b"origin"), None)
        if self._is_ours(origin):
            await self.application(scope, receive, send)
        elif (await receive())["type"] == "websocket.connect":
            code = Close.NOT_AUTHENTICATED if origin is None else Close.FORBIDDEN
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": int(code), "reason": code.reason})

    def _is_ours(self, origin: str | None) -> bool:
        try:
            return origin is not None and bool(self.valid_origin(urlsplit(origin)))
        except ValueError:
            return False


def _by_login(address: str, socket: Any) -> Any:
    """A socket for logins. Its origin is checked behind the router, so that an unknown path closes with NOT_FOUND."""
    checked: Any = FromOurPages(AuthMiddlewareStack(socket), settings.ALLOWED_HOSTS)
    return path(address, checked)


by_login = URLRouter(
    [
        _by_login("ws/desk/", DeskConsumer.as_asgi()),
        _by_login("ws/try-it/", TryItConsumer.as_asgi()),
        _by_login("ws/joined/<int:participant_id>/", JoinedConsumer.as_asgi()),
        _by_login("ws/events/", streams.event_socket),
        nowhere,
    ]
)
# Programs send no origin, and need none: no browser sends a ticket by itself, and it opens nothing but the events.
by_ticket = URLRouter([events, nowhere])


async def http(scope: Any, receive: Any, send: Any) -> None:
    handler = streams.event_stream if streams.is_stream(scope) else django
    await bounded(handler, rules)(scope, receive, send)


async def websocket(scope: Any, receive: Any, send: Any) -> None:
    if is_stranger((scope.get("client") or [""])[0], settings.SECRET_KEY):
        await send({"type": "websocket.close"})
        return
    router = by_ticket if streams.has_ticket(scope) else by_login
    await router(scope, receive, send)


application = with_backpressure(
    ProtocolTypeRouter({"http": cors.opened(caught(http)), "websocket": caught_socket(websocket)})
)

preload.load_if_served()
