"""From a phrase in the admin to a compiled pattern, and the refusal of those that are wrong or too slow.

Pure: no Django, no database. A phrase is a word or some words, taken literally, or a regular expression between
slashes. Both look at text as `normalised` leaves it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from itertools import zip_longest
from typing import Any

from config.errors import Malformed

MAX_TEXT = 4_000
"""Characters of a message that are looked at. Whoever needs a human says so before that."""
MAX_PHRASE = 2_000
MAX_PHRASES = 500
MAX_WAYS = 20_000
"""How many ways one regular expression may try at one place of the text, see `_ways`."""

# Scripts that put no space between words, or that glue endings to them (Hangul): no word boundary to look for.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3100-\u312f\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_UNSPACED_CHARACTER = re.compile(f"[{_UNSPACED}]")
_SPACED_LETTER = re.compile(rf"[^\W{_UNSPACED}]")
_STARTS_WORD = rf"(?<![^\W{_UNSPACED}])"
_ENDS_WORD = rf"(?![^\W{_UNSPACED}])"

_QUOTES = dict.fromkeys(map(ord, "\u2018\u2019\u02bc\u00b4`"), "'")
_INVISIBLE = dict.fromkeys([0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF])
_PLAIN = _QUOTES | _INVISIBLE

# `sre_parse` under its present name. The only way to ask the regular expressions' own parser what it understood.
_parser: Any = import_module("re._parser")
_REPEATS = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}


def normalised(text: str) -> str:
    """One form for what people type in many: width, case, apostrophes, invisible characters and white space."""
    text = unicodedata.normalize("NFKC", text[:MAX_TEXT].translate(_PLAIN)).casefold()
    return " ".join(text.split())[:MAX_TEXT]  # again: NFKC may make text longer


def validate_phrases(phrases: object) -> None:
    """Raises `Malformed`, naming the phrase, when one is not text, empty, no regular expression, or may be slow."""
    if not isinstance(phrases, (list, tuple)):
        raise Malformed("Phrases are a list of texts.")
    if len(phrases) > MAX_PHRASES:
        raise Malformed(f"A rule holds at most {MAX_PHRASES} phrases; this one has {len(phrases)}.")
    for phrase in phrases:
        compile_phrase(phrase)


def is_expression(phrase: str) -> bool:
    return len(phrase) > 2 and phrase.startswith("/") and phrase.endswith("/")


def compile_phrase(phrase: object) -> re.Pattern[str]:
    """One phrase as a pattern. Raises `Malformed`."""
    if not isinstance(phrase, str):
        raise Malformed(f"A phrase is text, not {phrase!r}.", phrase=repr(phrase))
    if len(phrase) > MAX_PHRASE:
        raise Malformed(f"A phrase holds at most {MAX_PHRASE} characters: {_short(phrase)}", phrase=phrase)
    return _compiled(phrase.strip())


@lru_cache(maxsize=4096)  # a rule edited, or the same default rule of another tenant, costs only what is new
def _compiled(phrase: str) -> re.Pattern[str]:
    if is_expression(phrase):
        return re.compile(_expression(phrase), re.IGNORECASE)
    before, words, after = _literal(phrase)
    return re.compile(before + words + after)  # both sides are normalised: no case to ignore


def compile_phrases(phrases: Iterable[str]) -> list[re.Pattern[str]]:
    """Few patterns: the literal phrases with the same boundaries in one, longest first; each regular expression on
    its own, because group numbers and flags must not be mixed. Raises `Malformed`."""
    literals: dict[tuple[str, str], list[str]] = defaultdict(list)
    expressions = []
    for phrase in phrases:
        if is_expression(phrase.strip()):
            expressions.append(compile_phrase(phrase))
        else:
            before, words, after = _literal(phrase)
            literals[before, after].append(words)
    together = [
        re.compile(f"{before}(?:{'|'.join(sorted(words, key=len, reverse=True))}){after}")
        for (before, after), words in literals.items()
    ]
    return together + expressions


def _literal(phrase: str) -> tuple[str, str, str]:
    """A boundary, the words as an expression, a boundary.

    Whole words where the script has words; anywhere in the text where it has none. An apostrophe may be missing
    ("dont"), and a space may stand between two characters of an unspaced script.
    """
    words = normalised(phrase)
    if not words:
        raise Malformed(f"A phrase needs at least one visible character: {phrase!r}", phrase=phrase)
    parts = []
    for character, following in zip_longest(words, words[1:], fillvalue=""):
        parts.append("'?" if character == "'" else re.escape(character))
        if _UNSPACED_CHARACTER.match(character) and _UNSPACED_CHARACTER.match(following):
            parts.append(" ?")
    before = _STARTS_WORD if _SPACED_LETTER.match(words[0]) else ""
    after = _ENDS_WORD if _SPACED_LETTER.match(words[-1]) else ""
    return before, "".join(parts), after


def _expression(phrase: str) -> str:
    # As the text is normalised, so must be what it is compared with; full-width brackets must not become syntax.
    source = "".join(
        character if character.isascii() else re.escape(unicodedata.normalize("NFKC", character))
        for character in unicodedata.normalize("NFC", phrase[1:-1])
    )
    try:
        tree = _parser.parse(source, re.IGNORECASE)
        pattern = re.compile(source, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise Malformed(f"Not a regular expression: {_short(phrase)} ({error})", phrase=phrase) from error
    if pattern.search(""):
        raise Malformed(f"This expression matches even where nothing is said: {_short(phrase)}", phrase=phrase)
    if _ways(tree) > MAX_WAYS:
        raise Malformed(
            f"This expression may take too long: {_short(phrase)}. Avoid a repetition inside a repetition and more "
            "than one '.*'; say how far to look instead, as in '.{0,20}'.",
            phrase=phrase,
        )
    return source


def _ways(tree: Any) -> int:
    """An upper bound of the ways an expression can match from one place, which bounds how long it can search.

    What follows in a row multiplies; alternatives that begin alike add up; a repetition of something with w ways
    has w + w**2 + ... ways. So `(a+)+` and `.*.*` are beyond every limit and `(?:real |live ){0,2}` is harmless.
    """
    ways = 1
    for operation, argument in tree:
        ways = min(ways * _ways_of(str(operation), argument), MAX_WAYS + 1)
    return ways


def _ways_of(operation: str, argument: Any) -> int:
    if operation in _REPEATS:
        least, most, body = argument
        once, total = _ways(body), 0
        for times in range(int(least), min(int(most), MAX_TEXT) + 1):
            total += min(once**times if once > 1 else 1, MAX_WAYS + 1)
            if total > MAX_WAYS:
                break
        return total
    if operation == "BRANCH":
        return _ways_of_one_of(argument[1])
    if operation == "SUBPATTERN":
        return _ways(argument[3])
    if operation == "ATOMIC_GROUP":
        return _ways(argument)
    if operation in {"ASSERT", "ASSERT_NOT"}:
        return _ways(argument[1])
    if operation == "GROUPREF_EXISTS":
        return _ways(argument[1]) + (_ways(argument[2]) if argument[2] is not None else 0)
    return 1


def _ways_of_one_of(alternatives: list[Any]) -> int:
    """Alternatives add up only where one text can begin as both do: 'call' and 'ring' exclude each other."""
    choices = [(_beginning(alternative), _ways(alternative)) for alternative in alternatives]
    return max(
        sum(ways for other, ways in choices if other.startswith(beginning) or beginning.startswith(other))
        for beginning, _ in choices
    )


def _beginning(tree: Any) -> str:
    """The characters a match must begin with."""
    letters = ""
    for operation, argument in tree:
        if str(operation) != "LITERAL":
            break
        letters += chr(argument)
    return letters


def _short(phrase: str) -> str:
    return phrase if len(phrase) <= 80 else f"{phrase[:77]}..."
