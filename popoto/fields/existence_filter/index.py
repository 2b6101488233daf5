"""What an `ExistenceFilter` keeps: where its bits lie, and plans that ask, count and rebuild them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from popoto.analysis import Analyzer, bloom_positions, bloom_shape
from popoto.exceptions import QueryException, ReplyError
from popoto.fields.companions import Companion, Fragment
from popoto.fields.fingerprints import Fingerprints
from popoto.storage.commands.bitmaps import bitcount
from popoto.storage.commands.hashes import hget
from popoto.storage.commands.keys import delete
from popoto.storage.plans import ask, ask_all
from popoto.storage.scripts import Script
from popoto.storage.steps import Arg, Call

_PACKAGE: Final = "popoto.fields.existence_filter"
FRAGMENT: Final = Fragment("existence", _PACKAGE)
_EXISTS: Final = Script("popoto.existence.exists", _PACKAGE, "exists.lua", shape=list[int], writes=False)
_BEGIN: Final = Script("popoto.existence.begin", _PACKAGE, "begin.lua", shape=list[Any], writes=True)
_SETTLE: Final = Script("popoto.existence.settle", _PACKAGE, "settle.lua", shape=bytes, writes=True)

# As in the scripts: 4 KB, so that the first rows of a great filter take little memory.
SEGMENT: Final = 32_768
# So many bits in one script take a server about 5 ms.
_MOST_BITS: Final = 10_000
_MOST_KEYS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Bloom:
    """A Bloom filter of a model.

    Attributes:
        base: what its keys begin with, without a store's own prefix.
        analyzer: gives a text's words.
        capacity, error_rate: what it was made for.
    """

    base: str
    analyzer: Analyzer
    capacity: int
    error_rate: float

    @property
    def size(self) -> tuple[int, int]:
        """Its bits and the hashes of a word."""
        return bloom_shape(self.capacity, self.error_rate)

    @property
    def shape(self) -> str:
        """What is stored with the filter: two of one shape have the same bits for a word."""
        bits, hashes = self.size
        return f"blake2b {self.analyzer.name} {bits} {hashes} {self.capacity} {self.error_rate!r}"

    def companion(self, name: str, prints: Fingerprints) -> Companion:
        """What the saves of the model are told."""

        def said(instance: Any, change: Any) -> list[Arg] | None:
            words = prints.said(instance, change)
            return None if words is None else self.positions(words)

        return Companion(
            FRAGMENT,
            name,
            settled=(self.base, self.shape),
            follows=prints.follows,
            said=said,
            renewal=self._begin,
            renewed=self._end,
        )

    def positions(self, words: Iterable[str]) -> list[Arg]:
        """The bits of some words, those of each word together."""
        bits, hashes = self.size
        return [place for word in words for place in bloom_positions(word, bits, hashes)]

    def _meta(self, prefix: str) -> str:
        return f"{prefix}{self.base}:meta"

    # -- plans

    async def known(self, prefix: str, class_set: Arg, asked: Sequence[Sequence[str]], model_name: str) -> list[bool]:
        """Of each fingerprint, given as its words, whether any word may be there.

        Raises:
            QueryException: when the filter cannot tell; the message names the remedy.
        """
        hashes = self.size[1]
        keys = [class_set, f"{prefix}{self.base}", self._meta(prefix)]
        calls = []
        for some in _portions(asked, max(1, _MOST_BITS // hashes)):
            argv: list[Arg] = [self.shape, hashes, len(some)]
            for words in some:
                argv += (len(words), *self.positions(words))
            calls.append(Call(_EXISTS, keys, argv))
        try:
            pages = await ask_all(calls)
        except ReplyError as error:
            if error.code not in ("UNBUILT", "BEHIND", "SHAPE"):
                raise
            raise QueryException(_remedy(error, self, model_name)) from None
        return [bool(answer) for page in pages for answer in page]

    async def fill_ratio(self, prefix: str) -> float:
        """The part of its bits that are set, 0.0 for a filter that is not there."""
        current = await ask(hget(self._meta(prefix), "current"))
        if current is None:
            return 0.0
        total = 0
        segments = self._segments(prefix, current.decode())
        for start in range(0, len(segments), _MOST_KEYS):
            total += sum(await ask_all([bitcount(key) for key in segments[start : start + _MOST_KEYS]]))
        return total / self.size[0]

    def _segments(self, prefix: str, number: str, bits: int | None = None) -> list[str]:
        bits = self.size[0] if bits is None else bits
        return [f"{prefix}{self.base}:{number}:{segment}" for segment in range(-(-bits // SEGMENT))]

    async def _begin(self, prefix: str) -> None:
        _, unended = await ask(Call(_BEGIN, [self._meta(prefix)], [self.shape]))
        await self._clear(prefix, unended)

    async def _end(self, prefix: str) -> None:
        before = await ask(hget(self._meta(prefix), "shape"))
        former = await ask(Call(_SETTLE, [f"{prefix}{self.base}", self._meta(prefix)], []))
        bits = int(before.split()[-4]) if before is not None else None
        await self._clear(prefix, former, bits)

    async def _clear(self, prefix: str, number: bytes, bits: int | None = None) -> None:
        """Remove a filter that nothing asks any more."""
        segments = self._segments(prefix, number.decode(), bits) if number else []
        for start in range(0, len(segments), _MOST_KEYS):
            await ask(delete(*segments[start : start + _MOST_KEYS]))


def _portions(asked: Sequence[Sequence[str]], most: int) -> Iterable[Sequence[Sequence[str]]]:
    """The fingerprints in portions of about so many words."""
    portion: list[Sequence[str]] = []
    words = 0
    for one in asked:
        if portion and words + len(one) > most:
            yield portion
            portion, words = [], 0
        portion.append(one)
        words += len(one)
    if portion:
        yield portion


def _remedy(error: ReplyError, bloom: Bloom, model_name: str) -> str:
    what = {
        "UNBUILT": "does not know every row yet, or was made by popoto 1.x",
        "BEHIND": "misses rows that were saved by a process with another declaration",
        "SHAPE": f"was made as {error.text!r}, and the field now is {bloom.shape!r}",
    }
    return f"{bloom.base} {what[error.code]}: run {model_name}.rebuild_indexes()"
