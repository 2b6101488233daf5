"""What a `BM25Field` keeps: its keys, the words of a row's text, and plans over its statistics."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

from popoto.analysis import Analyzer
from popoto.exceptions import ModelException
from popoto.fields.companions import Companion, Fragment, Store
from popoto.storage.commands.sorted_sets import zmscore, zscan
from popoto.storage.commands.strings import get, set_
from popoto.storage.plans import ask, ask_all
from popoto.storage.scripts import Script
from popoto.storage.steps import Arg, Call

_PACKAGE: Final = "popoto.fields.bm25_field"
FRAGMENT: Final = Fragment("bm25", _PACKAGE)
SEARCH: Final = Script("popoto.bm25.search", _PACKAGE, "search.lua", shape=list[Any], writes=False)
_SWEEP: Final = Script("popoto.bm25.sweep", _PACKAGE, "sweep.lua", shape=list[int], writes=True)
_RECOUNT: Final = Script("popoto.bm25.recount", _PACKAGE, "recount.lua", shape=list[int], writes=True)
_SIGN: Final = Script("popoto.bm25.sign", _PACKAGE, "sign.lua", shape=int, writes=True)

# A save that changes all of so many different words takes a server about 60 ms.
MOST_WORDS: Final = 5_000
_PAGE: Final = 1_000
# So many documents take a server about 40 ms; those of most models are counted at one moment.
MOST_COUNTED: Final = 100_000
_COUNTED: Final = -1
_POSTINGS: Final = 5_000
_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Postings:
    """An inverted index: its keys on a store, and who made its words.

    Attributes:
        base: what its keys begin with, without a store's own prefix.
        analyzer: gives a text's words.
        k1, b: the parameters of the formula.
    """

    base: str
    analyzer: Analyzer
    k1: float
    b: float

    def statistics(self, prefix: str) -> list[str]:
        """The keys of the number of documents, of all lengths together, of the mean length, and of the analyser."""
        return [f"{prefix}{self.base}:{name}" for name in ("n", "total", "avgdl", "analyzer")]

    def lengths(self, prefix: str) -> str:
        """The key of the documents' lengths."""
        return f"{prefix}{self.base}:dl"

    def frequencies(self, prefix: str) -> str:
        """The key of the words' numbers of documents."""
        return f"{prefix}{self.base}:df"

    def words(self, prefix: str, words: Sequence[str]) -> list[bytes]:
        """The keys of some words' postings and of their impact order."""
        return [_bytes(f"{prefix}{self.base}:{kind}:{word}") for word in words for kind in ("inv", "imp")]

    # -- beside the rows

    def companion(self, name: str, source: str) -> Companion:
        """What the saves of the model are told."""

        def said(instance: Any, change: Any) -> list[Arg] | None:
            if change.mode == "update" and source not in change.values:
                return None
            if change.mode == "reindex":
                # What another writer changed meanwhile, that one has indexed.
                change.expected[source] = instance._raw.get(source)
            return self._said(instance, name, instance._meta.fields[source].text_of(instance))

        stores = (Store("Z", self.base, ":dl"), Store("R", f"{self.base}:tf"))
        settled = (self.analyzer.name,)
        return Companion(
            FRAGMENT,
            name,
            stores,
            settled=settled,
            follows=(source,),
            said=said,
            renewal=self._begin_rebuild,
            renewed=self._end_rebuild,
            # A long text takes some thousand commands to drop.
            reaped=8,
        )

    def _said(self, instance: Any, name: str, text: str) -> list[Arg]:
        counts = Counter(self.analyzer.terms(text))
        if len(counts) > MOST_WORDS:
            raise ModelException(
                f"{type(instance).__name__}.{name}: the text has {len(counts)} different words, and a row is indexed "
                f"by {MOST_WORDS} at most: split it into several rows"
            )
        return [part for word, count in counts.items() for part in (_bytes(word), count)]

    # -- plans

    async def _begin_rebuild(self, prefix: str) -> None:
        await ask(set_(f"{prefix}{self.base}:rebuild", self.analyzer.name))

    async def _end_rebuild(self, prefix: str) -> None:
        cursor = 0
        while True:
            cursor, pairs = await ask(zscan(self.frequencies(prefix), cursor, count=200))
            words, start = [word for word, _ in pairs], 0
            while words:
                argv: list[Arg] = [f"{prefix}{self.base}", start, _POSTINGS, *words]
                done, start = await ask(Call(_SWEEP, [self.frequencies(prefix)], argv))
                words = words[done:]
            if cursor == 0:
                break
        # Where it cannot be done beside the writers, what they have counted stands.
        await self.recount(prefix)
        documents, _, _, analyzer = self.statistics(prefix)
        await ask(Call(_SIGN, [f"{prefix}{self.base}:rebuild", analyzer, documents], []))

    async def recount(self, prefix: str) -> dict[str, float] | None:
        """Count documents and lengths anew; None when they are so many that others change some at every attempt."""
        documents, total, mean, _ = self.statistics(prefix)
        keys = [self.lengths(prefix), documents, total, mean, f"{prefix}{self.base}:recount"]
        for _ in range(_TRIES):
            token, rank, number, words = token_hex(8), 0, 0, 0
            while rank >= 0:
                rank, number, words = await ask(Call(_RECOUNT, keys, [token, rank, MOST_COUNTED, number, words]))
            if rank == _COUNTED:
                return {"n": number, "avgdl": words / number if number else 0.0}
        return None

    async def idf(self, prefix: str, words: Sequence[str]) -> dict[str, float]:
        """How much each word tells: ln((N - df + .5)/(df + .5) + 1), 0 for all in an empty index."""
        if not words:
            return {}
        listed = list(map(_bytes, words))
        pages = [listed[start : start + _PAGE] for start in range(0, len(listed), _PAGE)]
        asked = [zmscore(self.frequencies(prefix), *some) for some in pages]
        known, *found = await ask_all([get(self.statistics(prefix)[0]), *asked])
        number = int(known or 0)
        frequencies = [frequency or 0.0 for page in found for frequency in page]
        return {word: _idf(number, frequency) for word, frequency in zip(words, frequencies, strict=True)}


def _idf(number: int, frequency: float) -> float:
    return math.log((number - frequency + 0.5) / (frequency + 0.5) + 1) if number else 0.0


def _bytes(word: str) -> bytes:
    return word.encode("utf-8", "surrogatepass")
