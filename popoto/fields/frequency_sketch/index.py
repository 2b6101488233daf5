"""What a `FrequencySketch` keeps: its cells, and plans that ask and rebuild it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from popoto.analysis import Analyzer, sketch_columns
from popoto.exceptions import QueryException
from popoto.fields.companions import Companion, Fragment, Store
from popoto.fields.fingerprints import Fingerprints
from popoto.storage.commands.hashes import hmget
from popoto.storage.commands.keys import exists
from popoto.storage.commands.sets import scard
from popoto.storage.plans import ask, ask_all
from popoto.storage.scripts import Script
from popoto.storage.steps import Arg, Call

_PACKAGE: Final = "popoto.fields.frequency_sketch"
FRAGMENT: Final = Fragment("frequency", _PACKAGE)
_BEGIN: Final = Script("popoto.frequency.begin", _PACKAGE, "begin.lua", shape=int, writes=True)
_SETTLE: Final = Script("popoto.frequency.settle", _PACKAGE, "settle.lua", shape=int, writes=True)
_WORDS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Sketch:
    """A Count-Min sketch of a model.

    Attributes:
        base: what its keys begin with, without a store's own prefix.
        analyzer: gives a text's words.
        width, depth: its columns and rows.
    """

    base: str
    analyzer: Analyzer
    width: int
    depth: int

    @property
    def shape(self) -> str:
        """What is stored with the sketch: two of one shape have the same cells for a word."""
        return f"blake2b {self.analyzer.name} {self.width} {self.depth}"

    def companion(self, name: str, prints: Fingerprints) -> Companion:
        """What the saves of the model are told."""

        def said(instance: Any, change: Any) -> list[Arg] | None:
            words = prints.said(instance, change)
            return None if words is None else [self._cells(words)]

        stores = (Store("H", self.base, ":cells"), Store("H", self.base, ":next:cells"))
        return Companion(
            FRAGMENT,
            name,
            stores,
            settled=(self.shape,),
            follows=prints.follows,
            said=said,
            renewal=self._begin,
            renewed=self._end,
        )

    def _cells(self, words: Sequence[str]) -> bytes:
        size = max(1, -(-(self.width - 1).bit_length() // 8))
        columns = (column for word in words for column in sketch_columns(word, self.width, self.depth))
        return b"".join(column.to_bytes(size, "big") for column in columns)

    def _keys(self, prefix: str) -> list[str]:
        """The counters, what rows have added to them, both of a sketch that is being filled, and the description."""
        return [f"{prefix}{self.base}{after}" for after in ("", ":cells", ":next", ":next:cells", ":meta")]

    # -- plans

    async def frequency(self, prefix: str, class_set: Arg, words: Sequence[str], model_name: str) -> int:
        """In how many rows all the words are at most: the least count of any word in any row of the sketch.

        Raises:
            QueryException: when the sketch cannot tell; the message names the remedy.
        """
        counters, _, _, _, meta = self._keys(prefix)
        steps: list[Any] = [hmget(meta, "shape", "behind"), exists(counters), scard(class_set)]
        for start in range(0, len(words), _WORDS_AT_ONCE):
            cells = [
                f"{row}:{column}"
                for word in words[start : start + _WORDS_AT_ONCE]
                for row, column in enumerate(sketch_columns(word, self.width, self.depth))
            ]
            steps.append(hmget(counters, *cells))
        (shape, behind), there, rows, *pages = await ask_all(steps)
        problem = self._problem(shape, behind, there or rows > 0)
        if problem is not None:
            raise QueryException(f"{self.base} {problem}: run {model_name}.rebuild_indexes()")
        return min(int(count or 0) for page in pages for count in page)

    def _problem(self, shape: bytes | None, behind: bytes | None, in_use: bool) -> str | None:
        if shape is None:
            return "does not know every row yet, or was made by popoto 1.x" if in_use else None
        if shape.decode() != self.shape:
            return f"was made as {shape.decode()!r}, and the field now is {self.shape!r}"
        return "misses rows that were saved by a process with another declaration" if behind is not None else None

    async def _begin(self, prefix: str) -> None:
        _, _, counters, cells, meta = self._keys(prefix)
        await ask(Call(_BEGIN, [meta, counters, cells], [self.shape]))

    async def _end(self, prefix: str) -> None:
        await ask(Call(_SETTLE, self._keys(prefix), []))
