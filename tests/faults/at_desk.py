"""An agent's open desk page: logs in, keeps the socket open and sends its heartbeat, until it is killed."""

from __future__ import annotations

import sys
import time

import httpx
from websockets.sync.client import connect


def main(url: str, name: str) -> None:
    with httpx.Client(base_url=url, timeout=300) as browser:
        browser.get("/login/")
        token = browser.cookies["csrftoken"]
        browser.post("/login/", data={"username": name, "password": "demo", "csrfmiddlewaretoken": token})
        cookies = "; ".join(f"{key}={value}" for key, value in browser.cookies.items())
    socket = url.replace("http", "ws", 1) + "/ws/desk/"
    with connect(socket, additional_headers={"Cookie": cookies}, origin=url) as desk:  # type: ignore[call-overload]
        print("here", flush=True)
        while True:
            desk.send("ping")
            time.sleep(0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])
