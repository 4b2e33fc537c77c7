"""Pages and sockets in one application: what `manage.py serve` runs, and any other ASGI server may."""

from __future__ import annotations

import os
import warnings
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

django = get_asgi_application()  # first: it loads the apps that the sockets import

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from config.bounds import bounded  # noqa: E402
from config.pace import paced  # noqa: E402
from sessions_app.api import streams  # noqa: E402
from sessions_app.consumers import DeskConsumer, JoinedConsumer, NowhereConsumer, TryItConsumer  # noqa: E402

# whitenoise hands out files by a plain iterator; read in a thread, that is what small files want.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

LONGEST_BODY = max(settings.MAX_BODY_BYTES, settings.BATCH_MAX_BYTES, settings.ATTACHMENT_MAX_BYTES) + 1_000_000
pages = bounded(django, LONGEST_BODY)
nowhere = re_path(r"", NowhereConsumer.as_asgi())
events = path("ws/events/", streams.event_socket)  # type: ignore[arg-type]
desk = [
    path("ws/desk/", DeskConsumer.as_asgi()),
    path("ws/try-it/", TryItConsumer.as_asgi()),
    path("ws/joined/<int:participant_id>/", JoinedConsumer.as_asgi()),
]

# A browser sends its login from any page, so whoever comes with one is asked for the page's origin. Programs have none,
# and need none: a ticket is sent by nobody but its bearer, and opens nothing but the events.
by_login = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter([*desk, events, nowhere])))
by_ticket = URLRouter([events, nowhere])


async def http(scope: Any, receive: Any, send: Any) -> None:
    if streams.is_stream(scope):
        await streams.event_stream(scope, receive, paced(send))
    else:
        await pages(scope, receive, paced(send))


async def websocket(scope: Any, receive: Any, send: Any) -> None:
    way_in = by_ticket if streams.has_ticket(scope) else by_login
    await way_in(scope, receive, paced(send))


application = ProtocolTypeRouter({"http": http, "websocket": websocket})
