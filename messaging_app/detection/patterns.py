"""Compiles the phrases of the admin to patterns, and refuses those that are wrong.

No database. A phrase is a word or some words, taken literally, or a regular expression between slashes. RE2 matches
both, against text as `normalised` returns it: however they are written, the time is linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, zip_longest
from typing import Any, NamedTuple

import re2
from django.utils.translation import gettext_noop as _

from config.errors import Malformed
from messaging_app.detection import expressions
from messaging_app.detection.expressions import Refused

EXCERPT = 80
"""Characters of a phrase that a refusal repeats."""
MAX_TEXT = 4_000
"""Characters of a message that are looked at. A customer who needs a human says so before that."""
MAX_PHRASE = 2_000
MAX_PHRASES = 500
MAX_FOUND = 100
"""How often one pattern is searched in one message: each search may read to the end of it."""
MAX_RULE_PROGRAM = 30_000
"""Instructions of RE2 for all phrases of one rule together. All default rules together have about 22,000."""
MAX_SET_MEMORY = 8 << 20
"""Bytes of one RE2 set, which finds in one pass which of many patterns occur, and of its cache of states."""

# Scripts that put no space between words, or that glue endings to them (Hangul): no word boundary to look for.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3100-\u312f\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
MASK = "\n"
"""Stands for a character that does not count. Normalised text holds no line break."""

_UNSPACED_CHARACTER = re.compile(f"[{_UNSPACED}]")
_SPACED_LETTER = re.compile(rf"[^\W{_UNSPACED}]")
_BOUNDARY = r"\b"

_QUOTES = dict.fromkeys(map(ord, "\u2018\u2019\u02bc\u00b4`"), "'")
_INVISIBLE = dict.fromkeys([0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF])
_PLAIN = _QUOTES | _INVISIBLE

NOT_TEXT = _("A phrase is text, not %(phrase)s.")
TOO_LONG = _("A phrase holds at most %(most)s characters: %(phrase)s")
INVISIBLE = _("A phrase needs at least one visible character: %(phrase)s")
NO_EXPRESSION = _("Not a regular expression: %(phrase)s (%(reason)s)")
MATCHES_NOTHING = _("This expression matches even where nothing is said: %(phrase)s")
LOOKS_AROUND = _(
    "This expression looks ahead or back, which cannot be done in a time that is known beforehand: %(phrase)s. Write"
    " what may stand there into the expression, and name the part that counts: (?P<match>…)."
)
REFERS_BACK = _(
    "This expression refers back to a group, which cannot be done in a time that is known beforehand: %(phrase)s."
    " Write out what the group may hold."
)
KEEPS_HOLD = _("This expression has an atomic group or a possessive repetition: %(phrase)s. Write it without.")
ONLY_ASCII = _("This expression restricts itself to ASCII: %(phrase)s. Write the characters that are meant.")
REPEATS = _("This expression repeats something more than %(most)s times: %(phrase)s")
TOO_LARGE = _("This expression is too large: %(phrase)s. Divide it into several phrases.")
TOO_MUCH = _("These phrases are too many and too long for one rule. Divide them among several rules.")
UNKNOWN = _("Its %(field)s is %(value)s, which is none of %(known)s.")
NO_LIST = _("Phrases are a list of texts.")
TOO_MANY = _("A rule holds at most %(most)s phrases; this one has %(count)s.")

_REASONS = {
    Refused.LOOKS_AROUND: LOOKS_AROUND,
    Refused.REFERS_BACK: REFERS_BACK,
    Refused.KEEPS_HOLD: KEEPS_HOLD,
    Refused.ONLY_ASCII: ONLY_ASCII,
    Refused.REPEATS: REPEATS,
    Refused.TOO_LARGE: TOO_LARGE,
}


class PhraseRefused(Malformed):
    """A phrase that cannot be used. `sentence` % `values` says why, and may be translated before it is filled in."""

    def __init__(self, sentence: str, **values: Any) -> None:
        self.sentence, self.values = sentence, values
        super().__init__(sentence % values, **values)


# --- Texts -------------------------------------------------------------------------------------------------------


def normalised(text: str) -> str:
    """A text in one form, whatever width, case, apostrophes, invisible characters and white space it was typed with."""
    text = text[:MAX_TEXT]
    if text.isascii():
        return " ".join(text.replace("`", "'").lower().split())
    text = unicodedata.normalize("NFKC", text.translate(_PLAIN)).casefold()
    return " ".join(text.split())[:MAX_TEXT]  # again: NFKC may make text longer


_words = expressions.Spelling(str.isalnum)
_spaced_words = expressions.Spelling(lambda letter: letter.isalnum() and not _UNSPACED_CHARACTER.match(letter))


class Text:
    """Normalised text, spelled for RE2 in the two ways that phrases read it.

    An expression takes every letter as a part of a word, as Python does. For a literal phrase, letters of unspaced
    scripts make no words, so that "agent" is found in "我要agent".
    """

    def __init__(self, plain: str) -> None:
        self.plain = plain

    @cached_property
    def for_expressions(self) -> bytes:
        return _words.spelled(self.plain)

    @cached_property
    def for_literals(self) -> bytes:
        return self.for_expressions if self.plain.isascii() else _spaced_words.spelled(self.plain)

    @cached_property
    def _ends(self) -> dict[bool, list[int]]:
        """Where each character begins in the two spellings."""
        spellings = ((True, _spaced_words), (False, _words))
        return {literal: list(accumulate(map(by.size, self.plain), initial=0)) for literal, by in spellings}

    def place(self, offset: int, *, literal: bool) -> int:
        """Which character begins at this offset of a spelling."""
        return offset if self.plain.isascii() else bisect_left(self._ends[literal], offset)

    def offset(self, place: int, *, literal: bool) -> int:
        return place if self.plain.isascii() else self._ends[literal][place]


# --- Patterns ----------------------------------------------------------------------------------------------------


class Pattern(NamedTuple):
    """One compiled pattern: of an expression, or of literal phrases."""

    source: bytes
    engine: Any
    is_literal: bool

    def bytes_of(self, text: Text) -> bytes:
        return text.for_literals if self.is_literal else text.for_expressions

    def search(self, text: Text, start: int = 0) -> tuple[int, int] | None:
        """Where the first match from `start` on begins and ends, in characters; its group `match`, if it has one."""
        match = self.engine.search(self.bytes_of(text), text.offset(start, literal=self.is_literal))
        if match is None:
            return None
        span = match.span(self.engine.groups)
        first, last = span if span[0] >= 0 else match.span()
        return text.place(first, literal=self.is_literal), text.place(last, literal=self.is_literal)

    def spans(self, text: Text) -> Iterator[tuple[int, int]]:
        """Where it matches without touching what is masked, from left to right, at most `MAX_FOUND` times."""
        position = 0
        for _time in range(MAX_FOUND):
            if position > len(text.plain) or (span := self.search(text, position)) is None:
                return
            masked = text.plain.find(MASK, *span)
            if masked < 0:
                yield span
                position = max(span[1], span[0] + 1)
            else:
                rest = text.plain[masked:]
                position = masked + len(rest) - len(rest.lstrip(MASK))


class Patterns:
    """Finds which of many patterns occur in a text, in one pass over it."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = patterns
        self._sets = [
            pattern_set
            for is_literal in (True, False)
            for pattern_set in _sets(
                [n for n, pattern in enumerate(patterns) if pattern.is_literal is is_literal], patterns
            )
        ]

    def occurring(self, text: Text) -> set[int]:
        """The numbers of the patterns that match somewhere."""
        occurring: set[int] = set()
        for pattern_set, numbers in self._sets:
            matches = pattern_set.Match(self._patterns[numbers[0]].bytes_of(text)) if pattern_set else None
            if matches is None:  # not even `\z` matched: too large for a set, or the engine ran out of memory
                occurring.update(n for n in numbers if self._patterns[n].search(text))
            else:
                occurring.update(numbers[place] for place in matches if place < len(numbers))
        return occurring


def _sets(numbers: list[int], patterns: Sequence[Pattern]) -> list[tuple[Any, list[int]]]:
    """As few RE2 sets as the patterns fit into, each with their numbers, in order; None for one too large for a set."""
    if not numbers:
        return []
    pattern_set = re2.Set.SearchSet(expressions.options(MAX_SET_MEMORY))
    for number in numbers:
        pattern_set.Add(patterns[number].source)
    pattern_set.Add(r"\z")  # matches every text, so that an empty result can only be a failure
    try:
        pattern_set.Compile()
    except re2.error:
        if len(numbers) == 1:
            return [(None, numbers)]
        half = len(numbers) // 2
        return _sets(numbers[:half], patterns) + _sets(numbers[half:], patterns)
    return [(pattern_set, numbers)]


# --- Phrases -----------------------------------------------------------------------------------------------------


def validate_phrases(phrases: object) -> None:
    """Raises `PhraseRefused`, naming the phrase, for one that is not text, is empty, or that RE2 cannot express."""
    if not isinstance(phrases, (list, tuple)):
        raise PhraseRefused(NO_LIST)
    if len(phrases) > MAX_PHRASES:
        raise PhraseRefused(TOO_MANY, most=MAX_PHRASES, count=len(phrases))
    for phrase in phrases:
        compile_phrase(phrase)
    compile_phrases(phrases)


def is_expression(phrase: str) -> bool:
    return len(phrase) > 2 and phrase.startswith("/") and phrase.endswith("/")


def compile_phrase(phrase: object) -> Pattern:
    """One phrase as a pattern. Raises `Malformed`."""
    if not isinstance(phrase, str):
        raise PhraseRefused(NOT_TEXT, phrase=repr(phrase))
    if len(phrase) > MAX_PHRASE:
        raise PhraseRefused(TOO_LONG, most=MAX_PHRASE, phrase=_short(phrase))
    return _compiled(phrase.strip())


@lru_cache(maxsize=4096)  # an edited rule, or another tenant's default rule, compiles only new phrases
def _compiled(phrase: str) -> Pattern:
    if not is_expression(phrase):
        before, words, after = _literal(phrase)
        return _literals(before + words + after)
    try:
        source = expressions.translated(_source(phrase))
        engine = expressions.compiled(source)
    except Refused as refusal:
        raise PhraseRefused(_REASONS[refusal.reason], phrase=_short(phrase), most=expressions.MAX_REPEAT) from refusal
    except (re.error, RecursionError, OverflowError) as error:
        raise PhraseRefused(NO_EXPRESSION, phrase=_short(phrase), reason=str(error)) from error
    if engine.search(b""):
        raise PhraseRefused(MATCHES_NOTHING, phrase=_short(phrase))
    return Pattern(source.encode(), engine, is_literal=False)


def compile_phrases(phrases: Iterable[str]) -> list[Pattern]:
    """As few patterns as possible. Raises `PhraseRefused`.

    The literal phrases with the same boundaries are in one, longest first. Each regular expression is on its own,
    because its matches count by themselves.
    """
    literals: dict[tuple[str, str], list[str]] = defaultdict(list)
    separate = []
    for phrase in phrases:
        if is_expression(phrase.strip()):
            separate.append(compile_phrase(phrase))
        else:
            before, words, after = _literal(phrase)
            literals[before, after].append(words)
    combined = [
        _literals(f"{before}(?:{'|'.join(sorted(words, key=len, reverse=True))}){after}")
        for (before, after), words in literals.items()
    ]
    if sum(pattern.engine.programsize for pattern in combined + separate) > MAX_RULE_PROGRAM:
        raise PhraseRefused(TOO_MUCH)
    return combined + separate


def _literals(source: str) -> Pattern:
    try:
        engine = re2.compile(source.encode(), expressions.options(MAX_SET_MEMORY))
    except re2.error as error:
        raise PhraseRefused(TOO_MUCH) from error
    return Pattern(source.encode(), engine, is_literal=True)


def _literal(phrase: str) -> tuple[str, str, str]:
    """A literal phrase as an expression: the boundary before, the words, the boundary after.

    Whole words where the script has words; anywhere in the text where it has none. An apostrophe may be missing
    ("dont"), and a space may stand between two characters of an unspaced script.
    """
    words = normalised(phrase)
    if not words:
        raise PhraseRefused(INVISIBLE, phrase=repr(phrase))
    parts = []
    for character, following in zip_longest(words, words[1:], fillvalue=""):
        parts.append("'?" if character == "'" else re2.escape(_spaced_words.spell(character)))
        if _UNSPACED_CHARACTER.match(character) and _UNSPACED_CHARACTER.match(following):
            parts.append(" ?")
    before = _BOUNDARY if _SPACED_LETTER.match(words[0]) else ""
    after = _BOUNDARY if _SPACED_LETTER.match(words[-1]) else ""
    return before, "".join(parts), after


def _source(phrase: str) -> str:
    """An expression, normalised like the text, but so that full-width brackets do not become syntax."""
    return "".join(
        character if character.isascii() else re.escape(unicodedata.normalize("NFKC", character))
        for character in unicodedata.normalize("NFC", phrase[1:-1])
    )


def _short(phrase: str) -> str:
    return phrase if len(phrase) <= EXCERPT else f"{phrase[: EXCERPT - 3]}..."
