"""What the rules of need cost a message, beside Python's own engine, and what expressions that hurt cost either.

    python benchmarks/detection.py [--messages 3000] [--letters 4000] [--seconds 2]

The messages are real conversations in several languages, which are not in this repository; the rules are the default
ones. The baseline is what detection did before: each literal group and each expression of a rule searched by `re`, one
after the other, until the first that escalates. Expressions that `re` can read and ours are the same; where ours name a part
`(?P<match>…)` so does the baseline. Both take turns in blocks, in one process. Exceptions are left out of the
baseline, which so has a little less to do. What is measured is the thread's own time on a processor.

Then forty expressions that hurt engines which go back: each on 1,000 and on 4,000 letters, by a set that has met no text
before; the baseline in a process of its own, ended after `--seconds`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import random
import re
import sys
import time
from collections.abc import Callable
from typing import Any

from common import ROOT, noise, quantile, spread

sys.path.insert(0, str(ROOT))
DATA = ROOT.parent / "shared" / "data"
SETS = ("jddc", "jddc2019", "twcs", "craigslist", "uss_sgd", "uss_mwoz", "multidogo", "bitext")
BLOCK = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--letters", type=int, default=4000)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    print(noise())
    compare(options.messages)
    hurt(options.letters, options.seconds)
    print(noise())


def said(how_many: int) -> list[str]:
    lines = []
    for name in SETS:
        with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            lines += [line["content"] for line in map(json.loads, file) if line["sender_type"] == "customer"]
    return random.Random(7).sample(lines, how_many)


# --- The baseline ------------------------------------------------------------------------------------------------

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3100-\u312f\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_LETTER = re.compile(rf"[^\W{_UNSPACED}]")


def by_re(phrases: tuple[str, ...]) -> list[re.Pattern[str]]:
    """A rule's phrases as they were: literal ones with the same boundaries in one pattern, expressions each on its own."""
    literals: dict[tuple[str, str], list[str]] = {}
    patterns = []
    for phrase in phrases:
        if len(phrase) > 2 and phrase.startswith("/") and phrase.endswith("/"):
            patterns.append(re.compile(phrase[1:-1], re.IGNORECASE))
            continue
        words = phrase.casefold()
        before = rf"(?<![^\W{_UNSPACED}])" if _LETTER.match(words[0]) else ""
        after = rf"(?![^\W{_UNSPACED}])" if _LETTER.match(words[-1]) else ""
        literals.setdefault((before, after), []).append(re.escape(words).replace("'", "'?"))
    for (before, after), alike in literals.items():
        patterns.append(re.compile(f"{before}(?:{'|'.join(sorted(alike, key=len, reverse=True))}){after}"))
    return patterns


def baseline() -> Callable[[str], bool]:
    from messaging_app.detection.defaults import DEFAULT_RULES
    from messaging_app.detection.patterns import normalised

    rules = [by_re(row.phrases) for row in DEFAULT_RULES if row.kind in ("keyword", "sentiment")]

    def find(text: str) -> bool:
        text = normalised(text)
        found = [any(pattern.search(text) for pattern in rule) for rule in rules]
        return any(found)

    return find


# --- A message ---------------------------------------------------------------------------------------------------


def compare(how_many: int) -> None:
    from messaging_app.detection import patterns
    from messaging_app.detection.defaults import DEFAULT_RULES
    from messaging_app.detection.rules import Rules

    texts = said(how_many)
    start = time.thread_time()
    before = baseline()
    middle = time.thread_time()
    patterns._compiled.cache_clear()
    rules = Rules(DEFAULT_RULES)
    end = time.thread_time()
    print(f"compiling the default rules: re {(middle - start) * 1e3:.0f} ms, ours {(end - middle) * 1e3:.0f} ms")

    def now(text: str) -> bool:
        return rules.customer_said(text, is_vip=False) is not None

    theirs: list[float] = []
    ours: list[float] = []
    ratios: list[float] = []
    for at in range(0, len(texts), BLOCK):
        block = texts[at : at + BLOCK]
        theirs += (old := [timed(before, text) for text in block])
        ours += (new := [timed(now, text) for text in block])
        ratios.append(sum(old) / sum(new))
    for name, times in (("re", theirs), ("ours", ours)):
        print(
            f"{name:<5} {len(times)} messages, once each: mean {sum(times) / len(times) * 1e6:.0f} µs,"
            f" p50 {quantile(times, 0.5) * 1e6:.0f} µs, p95 {quantile(times, 0.95) * 1e6:.0f} µs,"
            f" p99 {quantile(times, 0.99) * 1e6:.0f} µs, worst {max(times) * 1e6:.0f} µs"
        )
    print(f"faster {spread(ratios)} times, in blocks of {BLOCK}")


def timed(find: Callable[[str], Any], text: str) -> float:
    start = time.thread_time()
    find(text)
    return time.thread_time() - start


# --- Expressions that hurt ---------------------------------------------------------------------------------------


def hurt(letters: int, seconds: float) -> None:
    from config.errors import Malformed
    from messaging_app.detection.patterns import compile_phrase
    from tests.backtracking import HURTFUL, text

    print(f"{'expression':<40} {letters // 4:>5} letters {letters:>6} letters  ratio   re")
    for expression, piece, end in HURTFUL:
        try:
            compile_phrase(f"/{expression}/")
        except Malformed as refusal:
            print(f"{expression:<40} refused: {str(refusal)[:60]}…")
            continue
        short, long = (least(expression, text(piece, end, n)) for n in (letters // 4, letters))
        print(
            f"{expression:<40} {short * 1e3:10.3f} ms {long * 1e3:10.3f} ms {long / short:6.1f}"
            f"   {by_itself(expression, text(piece, end, letters), seconds)}"
        )


def least(expression: str, words: str) -> float:
    from messaging_app.detection.rules import RuleRow, Rules

    times = []
    for number in range(5):
        rules = Rules([RuleRow("keyword", str(number), (f"/{expression}/",))])
        times.append(timed(lambda text: rules.customer_said(text, is_vip=False), words))  # noqa: B023
    return min(times)


def by_itself(expression: str, words: str, seconds: float) -> str:
    """How long `re` takes, in a process that is ended after so many seconds."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_search, args=(expression, words, theirs))
    process.start()
    took = f"{ours.recv() * 1e3:.3f} ms" if ours.poll(seconds) else f"not in {seconds:g} s"
    process.kill()
    process.join()
    return took


def _search(expression: str, words: str, answer: Any) -> None:
    pattern = re.compile(expression, re.IGNORECASE)
    answer.send(timed(pattern.search, words))


if __name__ == "__main__":
    main()
