"""Texts that differ only in case, width, accents or the composition of their letters become one."""

from __future__ import annotations

from typing import Final, Literal
from unicodedata import category, normalize

# The marks that voice a kana make another letter of it; they are no accents.
_VOICING: Final = "\u3099\u309a"
# Letters with a stroke, and ligatures: Unicode does not take them apart.
_PLAIN: Final = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "ð": "d", "đ": "d", "ħ": "h", "\u0131": "i", "ł": "l", "ŧ": "t", "þ": "th"}
)
# What is typed for an apostrophe; the letter U+02BC stays a letter.
_APOSTROPHES: Final = frozenset("\u2018\u2019\u201b\uff07")


class Folding(dict[int, str]):
    """A table for `str.translate` that learns a character when it first meets it.

    A character that is no part of a word stays itself, so that "Acme™" does not become "acmetm"; a letter that would
    fold to none (as U+FE70, a mark on a space) stays too, so that no word is lost.
    """

    def __init__(self, form: Literal["NFKC", "NFKD"], drop_marks: bool) -> None:
        super().__init__()
        self._form, self._drop_marks = form, drop_marks

    def __missing__(self, code: int) -> str:
        self[code] = folded = self._fold(chr(code))
        return folded

    def folded(self, text: str) -> str:
        """Give a text folded and composed; canonically equivalent texts give the same."""
        if text.isascii():
            return text.lower()
        return normalize("NFC", normalize("NFC", text).translate(self))

    def _fold(self, char: str) -> str:
        if char.isalnum():
            folded = self._plain(normalize(self._form, self._plain(normalize(self._form, char)).casefold()))
            return folded if any(map(str.isalnum, folded)) else char
        if self._drop_marks and _is_mark(char):
            return ""
        return "'" if char in _APOSTROPHES else char

    def _plain(self, text: str) -> str:
        if not self._drop_marks:
            return text
        return "".join(char for char in text if not _is_mark(char)).translate(_PLAIN)


def _is_mark(char: str) -> bool:
    return category(char)[0] == "M" and char not in _VOICING


# Compatibility forms and case are one, accents stay.
COMPATIBLE: Final = Folding("NFKC", drop_marks=False)
# Accents go too.
UNACCENTED: Final = Folding("NFKD", drop_marks=True)
