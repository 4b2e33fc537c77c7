"""Removes the marks on letters that people leave out when they type, such as accents. Pure."""

from __future__ import annotations

import unicodedata

_ALIKE = {
    "đ": "d", "ð": "d", "ø": "o", "ł": "l", "ħ": "h", "ŧ": "t", "ı": "i", "ŋ": "n",
    "æ": "ae", "œ": "oe", "þ": "th", "ß": "ss", "ё": "е",
}  # fmt: skip
"""Letters that Unicode does not decompose, and what people type instead. In Cyrillic only ё: й is not a form of и."""

_SCRIPTS = ("LATIN ", "GREEK ", "HEBREW ", "ARABIC ")
"""Scripts in which people leave marks out. In Thai, Japanese, Korean or Hindi a mark is a part of the letter."""

_MARKS = ((0x0300, 0x036F), (0x0591, 0x05C7), (0x0610, 0x061A), (0x064B, 0x065F), (0x0670, 0x0670), (0x06D6, 0x06ED))
"""Code points of marks that are characters of their own: accents, Hebrew points, Arabic vowels."""


class _Letters(dict[int, str]):
    """A table for `str.translate` that computes each character once."""

    def __missing__(self, code: int) -> str:
        self[code] = letter = _folded(chr(code))
        return letter


def _folded(character: str) -> str:
    if character in _ALIKE:
        return _ALIKE[character]
    if unicodedata.combining(character) and any(first <= ord(character) <= last for first, last in _MARKS):
        return ""
    decomposed = unicodedata.normalize("NFD", character)
    if len(decomposed) > 1 and unicodedata.name(decomposed[0], "").startswith(_SCRIPTS):
        return _ALIKE.get(decomposed[0], decomposed[0])
    return character


_letters = _Letters()


def without_marks(text: str) -> str:
    """A text without the marks that people leave out: café becomes cafe, nguyễn nguyen, đơn don.

    The text must be case-folded and composed (NFC or NFKC). Characters without such marks stay as they are.
    """
    return text if text.isascii() else text.translate(_letters)
