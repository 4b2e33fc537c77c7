"""Forty expressions that make engines which go back over a text slow: known ones, and kinds that bounds let through.

With each the text that hurts it most, as a piece to be repeated and an end. `tests/cases/test_t06_rules.py` holds them
against the rules of need, `benchmarks/detection.py` measures them.
"""

from __future__ import annotations

from random import Random

_CHANCE = "".join(Random(7).choices("ab", k=4_000))
"""Letters without a pattern: an automaton that notes which places it may be at meets new sets of them all the time."""

HURTFUL: tuple[tuple[str, str, str], ...] = (
    # A repetition of what may be nothing or one of two equal things: within the bound that rules had before.
    (r"(?:a?){14}b", "a", ""),
    (r"(?:a|a){14}b", "a", ""),
    (r"(a*)\1\1b", "a", ""),
    (r"(?:a?){13}a{13}b", "a", ""),
    (r"(?:a|a|a){8}b", "a", ""),
    (r"(?:ab?|a){12}c", "a", ""),
    (r"(?:a{0,2}){8}b", "a", ""),
    # Repetitions of repetitions.
    (r"(a+)+$", "a", "!"),
    (r"(a*)*c$", "a", "!"),
    (r"(?:a+)+b", "a", ""),
    (r"(?:a*)*b", "a", ""),
    (r"(?:a+a+)+b", "a", ""),
    (r"([a-z]+)*1", "a", ""),
    (r"(?:\w+\s?)*!", "word ", ""),
    (r"(?:\w+\s*)+:", "word ", ""),
    (r"(?:.*)*x", "a", ""),
    (r"(?:[^x]+)+x", "a", ""),
    (r"(?:(?:a+)+)+b", "a", ""),
    (r"(?:\d+,?)+;", "1", ""),
    (r"(?:-?\w+)+\.com", "a", ""),
    # Alternatives that begin alike.
    (r"(?:a|aa)+$", "a", "!"),
    (r"(?:a|ab)*c", "ab", ""),
    (r"(?:a|a)*b", "a", ""),
    (r"(?:a|a?)+b", "a", ""),
    (r"(?:.|a)*b", "a", ""),
    (r"(?:\w|\d)+!", "1", ""),
    (r"(?:foo|fo|f|o)+x", "foo", ""),
    # One look for the rest of the text from each place of it.
    (r".*.*=.*", "a", ""),
    (r".*please.*agent.*now", "please agent ", ""),
    (r"\s*\w+\s*\w+\s*\w+!", "a ", ""),
    (r"a.*b.*c.*d", "abc", ""),
    (r"[ab]*a[ab]{12}c", "ab", ""),
    (r"[ab]*a[ab]{40}c", _CHANCE, ""),
    (r"(?:.{0,10}a){10}b", "a", ""),
    (r"^(?:.*?,){11}p", "1,", ""),
    # In practice: an e-mail address, markup, a number, white space at the end, Chinese.
    (r"(?:[\w.+-]+)+@(?:[\w-]+\.)+[a-z]+", "a.", "@"),
    (r"<(?:[^<>]*)*>", "<a", ""),
    (r"(?:\d{1,3}[., ]?)+kg", "11 ", ""),
    (r"(?:转|转人|人工|工)+台", "转人工", ""),
    (r"(?=(?:a+)+b)a", "a", ""),
)


def text(piece: str, end: str, letters: int) -> str:
    return (piece * letters)[: letters - len(end)] + end
