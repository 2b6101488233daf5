"""Where a query's candidates come from: what a lookup asks of an index. Values only; nothing here performs I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from popoto.keys import VALUES

TEXT_CODES: Final = frozenset("ifDsbdtT")
"""The codes of values whose text a script tells from their bytes."""


@dataclass(frozen=True, slots=True)
class Index:
    """One index of a field, as the scripts of saves and queries know it.

    Attributes:
        kind: `S` a set per value, `U` such a set that has one live member, `Z` a sorted set per partition,
            `G` a geospatial index, `C` a unique composite index and `c` another: a hash of digests.
        tag: the key prefix of the field class, as `$KeyF`.
        field: whose values it holds.
        code: how a stored value becomes text, one letter of `fields/values.lua`.
        partitions: the fields that choose the sorted set, or that make a composite index.
        owner: the name in its keys, where that is not the field whose values it holds.
        scored: a value's score, where that is not the field's own; None for a value that has no place.
    """

    kind: Literal["S", "U", "Z", "G", "C", "c"]
    tag: str
    field: str
    code: str
    partitions: tuple[str, ...] = ()
    owner: str = ""
    scored: Callable[[Any], float | str | None] | None = None

    def base(self, model: str) -> str:
        """The part that all keys of this index share."""
        return f"{self.tag}:{model}:{self.owner or self.field}"

    def value_list(self, model: str) -> str:
        """The key of the list of distinct values."""
        return f"{VALUES}:{model}:{self.field}"

    def key(self, model: str, parts: tuple[str, ...]) -> str:
        """The key of one value or partition, from its escaped parts."""
        return ":".join((self.base(model), *parts))


@dataclass(frozen=True, slots=True)
class InSets:
    """Members of any of some sets of one index, each named by its escaped part."""

    index: Index
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InTexts:
    """Members of the sets of one index whose values' texts start with, end with or contain another."""

    index: Index
    mode: str
    text: str


@dataclass(frozen=True, slots=True)
class InRange:
    """Members of a sorted set between two scores, both included unless marked as open."""

    index: Index
    low: float
    high: float
    low_open: bool = False
    high_open: bool = False


@dataclass(frozen=True, slots=True)
class InCircle:
    """Members of a geospatial index within some metres of a (latitude, longitude): a coarse answer."""

    index: Index
    centre: tuple[float, float]
    metres: float


@dataclass(frozen=True, slots=True)
class Keyed:
    """The rows that these values of the only key field name."""

    parts: tuple[str, ...]


Source: TypeAlias = InSets | InTexts | InRange | InCircle | Keyed
Test: TypeAlias = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Match:
    """What a lookup wants.

    Attributes:
        test: whether a value of the field satisfies it; it decides.
        source: where candidates are found; None when no index serves the lookup.
        exact: whether the source holds just what satisfies the test, so that counting needs no values.
        equals: for an exact lookup, the value, so that it can choose a partition.
        annotate: notes something on a found row, as its distance.
        rank: orders the rows when nothing else does.
    """

    test: Test
    source: Source | None = None
    exact: bool = False
    equals: tuple[Any, ...] = ()
    annotate: Callable[[Any], None] | None = None
    rank: Callable[[Any], float] | None = None
