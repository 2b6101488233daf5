"""The analyser `english`: folded, spelt out, stemmed by Porter2, with a stop list that holds question words too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from threading import local
from typing import Final

from popoto.analysis.folding import UNACCENTED
from popoto.analysis.irregular import LEMMAS
from popoto.analysis.stop_words import STOP_WORDS
from popoto.exceptions import ModelException

# Longer than any word of a dictionary: tokens, hashes and the like are not stemmed and don't fill the cache.
LONGEST: Final = 40
_TOKEN = re.compile(r"\w+(?:'\w+)*")
# Scripts that put no space between words: kana and Han.
_UNSPACED: Final = "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_CLITICS: Final = {"d": "would", "ll": "will", "m": "am", "re": "are", "ve": "have"}
_BEFORE_NOT: Final = {"ain": "be", "can": "can", "shan": "shall", "won": "will"}


def terms(text: str) -> list[str]:
    return [_stemmed(token) for token in _tokens(text, 2) if token not in STOP_WORDS]


def words(text: str) -> list[str]:
    return list(dict.fromkeys(_stemmed(token) for token in _tokens(text, 1)))


def _tokens(text: str, gram: int) -> Iterator[str]:
    """Give the folded tokens of a text; a run of an unspaced script comes as its grams of so many characters."""
    for token in _TOKEN.findall(UNACCENTED.folded(text)):
        for piece in _spelt_out(token) if "'" in token else (token,):
            if piece.isascii():
                yield _bare(piece)
            else:
                yield from _split(piece, gram)


def _bare(piece: str) -> str:
    # Underscores around a word are emphasis, or a convention of its language; inside they are part of it.
    return piece.strip("_") or piece


def _spelt_out(token: str) -> list[str]:
    """Give the words that apostrophes join: o'brien is o and brien, didn't is did and not, a possessive 's is none."""
    found: list[str] = []
    for piece in token.split("'"):
        if not found:
            found.append(piece)
        elif piece == "t" and len(found[-1]) > 1 and found[-1].endswith("n"):
            found[-1:] = [_BEFORE_NOT.get(found[-1], found[-1][:-1]), "not"]
        elif piece != "s":
            found.append(_CLITICS.get(piece, piece))
    return found


def _split(piece: str, gram: int) -> Iterator[str]:
    for run in _RUN.findall(piece):
        if _IS_UNSPACED.match(run):
            yield from (run[start : start + gram] for start in range(max(1, len(run) - gram + 1)))
        else:
            yield _bare(run)


def _stemmed(token: str) -> str:
    return _stem(token) if len(token) <= LONGEST and token.isascii() and token.isalpha() else token


@lru_cache(maxsize=16_384)
def _stem(word: str) -> str:
    stem = _kept.stem or _loaded()
    return stem(LEMMAS.get(word, word))


class _Kept(local):
    """A stemmer for each thread, since one keeps the word that it works on in itself; loaded at the first word."""

    stem: Callable[[str], str] | None = None


_kept: Final = _Kept()


def _loaded() -> Callable[[str], str]:
    try:
        import snowballstemmer  # noqa: PLC0415 - it is optional, and loads the stemmers of all its languages
    except ImportError as error:
        raise ModelException(
            "analyzer='english' needs snowballstemmer: pip install 'popoto[text]', or use 'simple'"
        ) from error
    stem: Callable[[str], str] = snowballstemmer.stemmer("english").stemWord
    _kept.stem = stem
    return stem
