"""A burst of events at one desk: what it asks of the server, and the frames it drops, beside the same page at rest.

    python benchmarks/burst.py [--events 500] [--rounds 5]

A server of its own on PostgreSQL and Redis (TEST_POSTGRES_URL, TEST_REDIS_URL), and a real Chromium with the desk and a
thread open. In each round so many customers write, and the hints of all of them come at once, as after a relay that was
away. Counted are the desk's requests in the busiest second, and the longest time between two frames, in the page, by
requestAnimationFrame; beside it as long a stretch in which nothing happens.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from common import noise, spread

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS, Server, Windows
from tests.races.servers import Server as DatabaseServer
from tests.races.servers import server_url

REQUESTS_MOST, FRAME_MOST_MS = 2, 200
WATCH = 6
"""Seconds that are watched: the hints come within one, and what they cause is over in three."""
FRAMES = """seconds => new Promise((done) => {
  const began = performance.now();
  let last = began;
  let longest = 0;
  requestAnimationFrame(function next(now) {
    longest = Math.max(longest, now - last);
    last = now;
    if (now - began > seconds * 1000) done(longest);
    else requestAnimationFrame(next);
  });
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    redis = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
    print(noise())
    with (
        tempfile.TemporaryDirectory() as folder,
        DatabaseServer(server_url("TEST_POSTGRES_URL")).database(f"burst_{os.getpid()}") as database,
        sync_playwright() as playwright,
    ):
        server = Server(Path(folder), DATABASE_URL=database, REDIS_URL=redis)
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            measure(Windows(chromium, server), server, options.events, options.rounds)
        finally:
            chromium.close()
            server.close()
    print(noise())


def measure(windows: Windows, server: Server, events: int, rounds: int) -> None:
    number = server.stage("hears", "open", "hello", "human please")
    page = windows.open(f"/desk/c/{number}/?view=all", login="maya")
    asked: list[float] = []
    hints: list[float] = []

    def note(frame: str | bytes) -> None:
        if '"seq"' in str(frame):
            hints.append(time.perf_counter())

    page.on("request", lambda request: asked.append(time.perf_counter()) if is_asking(request.url) else None)
    page.on("websocket", lambda socket: socket.on("framereceived", note))
    page.reload()
    page.wait_for_selector("#connection[data-state=live]")
    page.wait_for_timeout(2000)
    rest, burst, busiest = [], [], []
    for turn in range(rounds):
        rest.append(watched(page))
        asked.clear()
        hints.clear()
        server.begin("burst", f"round-{turn}", str(events))
        while not hints:  # the customers are still writing
            page.wait_for_timeout(5)
        burst.append(watched(page))
        server.done()
        busiest.append(most_in_a_second(asked))
        print(
            f"  {len(hints)} hints in {hints[-1] - hints[0]:.2f} s: {len(asked)} requests, {busiest[-1]} in the busiest second"
        )
    print(f"longest frame at rest   {spread(rest)} ms")
    print(f"longest frame in bursts {spread(burst)} ms, at most {max(burst):.0f} (to be: {FRAME_MOST_MS})")
    print(f"requests in the busiest second: at most {max(busiest)} (to be: {REQUESTS_MOST})")


def is_asking(url: str) -> bool:
    return bool(re.search(r"/(list|news)/", url))


def watched(page: Page) -> float:
    longest: float = page.evaluate(FRAMES, WATCH)
    return longest


def most_in_a_second(moments: list[float]) -> int:
    return max((sum(1 for other in moments if 0 <= other - one < 1) for one in moments), default=0)


if __name__ == "__main__":
    main()
