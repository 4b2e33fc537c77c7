"""What people leave out when they type in a hurry: the marks on letters that are read without them. Pure."""

from __future__ import annotations

import unicodedata

_ALIKE = {
    "đ": "d", "ð": "d", "ø": "o", "ł": "l", "ħ": "h", "ŧ": "t", "ı": "i", "ŋ": "n",
    "æ": "ae", "œ": "oe", "þ": "th", "ß": "ss", "ё": "е",
}  # fmt: skip
"""Letters that Unicode does not take apart, and what is typed for them. Of Cyrillic only ё: й is another letter than и."""

_SCRIPTS = ("LATIN ", "GREEK ", "HEBREW ", "ARABIC ")
"""Scripts whose people leave marks out. In Thai, Japanese, Korean or Hindi a mark is half of the letter."""

_MARKS = ((0x0300, 0x036F), (0x0591, 0x05C7), (0x0610, 0x061A), (0x064B, 0x065F), (0x0670, 0x0670), (0x06D6, 0x06ED))
"""Marks that stand by themselves behind their letter: accents, Hebrew points, Arabic vowels."""


class _Letters(dict[int, str]):
    """For `str.translate`; each character is worked out once."""

    def __missing__(self, code: int) -> str:
        self[code] = found = _folded(chr(code))
        return found


def _folded(character: str) -> str:
    if character in _ALIKE:
        return _ALIKE[character]
    if unicodedata.combining(character) and any(first <= ord(character) <= last for first, last in _MARKS):
        return ""
    apart = unicodedata.normalize("NFD", character)
    if len(apart) > 1 and unicodedata.name(apart[0], "").startswith(_SCRIPTS):
        return _ALIKE.get(apart[0], apart[0])
    return character


_letters = _Letters()


def without_marks(text: str) -> str:
    """Small letters without the marks that are left out in typing: café is cafe, Nguyễn nguyen, Đơn don.

    The text is folded for case already and composed (NFC or NFKC). What has no such marks stays as it is.
    """
    return text if text.isascii() else text.translate(_letters)
