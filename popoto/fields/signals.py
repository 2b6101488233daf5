"""Signals: numbers that rows have and rankings weigh. Values only; nothing here performs I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from popoto.fields.companions import Fragment


@dataclass(frozen=True, slots=True)
class Signal:
    """Where a ranking script finds a number for each row, and how it computes it.

    The key of a sorted set is `before`, the partition's parts, each behind a colon, and `after`.

    Attributes:
        kind: how the script computes the number: `score` takes the member's score as it is; further kinds are named by
            the rooms that bring them.
        before, after: the key of the sorted set that is walked in the order of its scores.
        partitions: the fields whose values choose the sorted set; a query must name them.
        bare: whether partition parts are spelled without escapes but for colons.
        words: settled parameters of the kind.
        current: parameters that come before those and are read at each use, as defaults that a process may override.
        beside: the beginnings and ends of further keys that the kind reads, chosen by the same partitions; None for one
            that is not kept.
        fragments: the Lua of the kind, where a room brings it: it adds an entry to `signal_kinds` of `signals.lua`.
    """

    kind: str
    before: str
    after: str = ""
    partitions: tuple[str, ...] = ()
    bare: bool = False
    words: tuple[str, ...] = ()
    current: Callable[[], Sequence[str]] | None = field(default=None, compare=False)
    beside: tuple[tuple[str, str] | None, ...] = ()
    fragments: tuple[Fragment, ...] = ()
