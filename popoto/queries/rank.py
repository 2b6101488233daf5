"""Ranked queries: the rows whose signals add up to most, in one round trip where a bound or few candidates allow it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any, Final, NamedTuple

from popoto.exceptions import QueryException
from popoto.fields.companions import Fragment
from popoto.fields.signals import Signal
from popoto.keys import spellings
from popoto.queries.fetch import WIDE, Wide, describe_tree
from popoto.queries.finish import satisfies
from popoto.queries.hits import Part
from popoto.queries.plan import Plan, bound, equalities
from popoto.queries.run import Hydrate
from popoto.queries.schema import Schema
from popoto.storage import Call, Layout, Op, Script, ask, layout

# A page of 1,000 rows of ten fields takes a server about 3 ms; 40,000 numbers are looked up in 40.
PAGE_ROWS: Final = 1_000
MOST_NUMBERS: Final = 40_000
# So many candidates are scored and put in order in about 3 ms.
FEW: Final = 1_000
# The first step of a walk is about what a small answer needs; later ones spare calls.
STEPS: Final = (16, 500)
AGGREGATES: Final = ("SUM", "MIN", "MAX")


class Weighed(NamedTuple):
    """One signal of a ranking, by its name, with its weight."""

    name: str
    signal: Signal
    weight: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """What rows are ranked by.

    Attributes:
        signals: what counts.
        now: the present, Unix seconds.
        aggregate: how weighted numbers become a score: SUM, MIN or MAX of those that a row has.
        by_moment: whether of equal scores the later moment comes first, before the lower key.
        min_score: the least score.
        boosts: by name, what is added for rows by their keys.
        explaining: whether parts are wanted.
    """

    signals: tuple[Weighed, ...]
    now: float
    aggregate: str = "SUM"
    by_moment: bool = False
    min_score: float | None = None
    boosts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    explaining: bool = False


@dataclass(frozen=True, slots=True)
class Ranked:
    """One row that was found.

    Attributes:
        key: its key, apart from the store's own prefix.
        score: the score.
        words: key, score and moment as the script wrote them.
        raws: the number of each signal, None for none.
        values: its bytes, None where they were not sent.
    """

    key: str
    score: float
    words: tuple[bytes, bytes, bytes]
    raws: tuple[float | None, ...] = ()
    values: Sequence[bytes | None] | None = None

    def place(self, by_moment: bool) -> tuple[float, float, bytes]:
        """What the row is sorted by, the best first."""
        key, _, moment = self.words
        return -self.score, -float(moment) if by_moment else 0.0, key


class _Page(NamedTuple):
    cursor: bytes
    hits: list[Any]
    parts: list[Any]
    rows: list[Any]


@cache
def _script(fragments: tuple[Fragment, ...]) -> Script[_Page]:
    suffix = "".join(f"+{one.kind}" for one in fragments)
    pieces = {"kinds": [(one.package, one.file) for one in fragments]}
    return Script(
        f"popoto.rank{suffix}", "popoto.queries", "rank.lua", shape=lambda raw: _Page(*raw), writes=False, pieces=pieces
    )


def partition(schema: Schema, weighed: Weighed, equal: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The parts of the sorted sets of a signal, in every spelling, the canonical one first.

    Raises:
        QueryException: when the query does not name the partition.
    """
    signal = weighed.signal
    missing = [name for name in signal.partitions if name not in equal]
    if missing:
        raise QueryException(
            f"{schema.model_name}: {weighed.name} is partitioned by {', '.join(signal.partitions)}; "
            f"add {', '.join(f'{name}=...' for name in missing)} to the filter"
        )
    choices = [spellings(equal[name]) for name in signal.partitions]
    found = [tuple(_bared(one) if signal.bare else one for one in parts) for parts in product(*choices)]
    return list(dict.fromkeys(found))


def _bared(part: str) -> str:
    """A part without escapes but for colons, as `companions.lua` spells it."""
    if "&#58;" in part or (part.endswith("None") and part.strip("/") == "None" and part != "None"):
        return part
    pieces, at = [], 0
    while at < len(part):
        at += part[at] == "/" and at + 1 < len(part)
        pieces.append(part[at])
        at += 1
    return "".join(pieces)


class Search:
    """One ranked query on one store."""

    def __init__(self, schema: Schema, query: Plan, ranking: Ranking, here: Layout) -> None:
        self.schema = schema
        self.query = query
        self.ranking = ranking
        self.here = here
        self.prefix = schema.keyspace(here).prefix
        self._class_set = schema.keyspace(here).class_set
        self._boosts = {
            name: {key.removeprefix(self.prefix): value for key, value in boost.items()}
            for name, boost in ranking.boosts.items()
        }
        equal = equalities(query.wanted.where)
        self._parts = [partition(schema, weighed, equal) for weighed in ranking.signals]
        kinds = {one: None for weighed in ranking.signals for one in weighed.signal.fragments}
        # A kind may build on another: each brings them in the order in which it needs them.
        self._script = _script(tuple(sorted(kinds, key=lambda one: one.kind)))

    def _call(self, most: int, after: Ranked | None, worst: Ranked | None, cursor: bytes) -> Call[_Page]:
        ranking = self.ranking
        keys: list[bytes | str] = [self._class_set]
        words: list[Any] = [*STEPS, repr(ranking.now)]
        describe_tree(self.schema, self.query.source, self.here, keys, words)
        words.append(len(ranking.signals))
        for weighed, parts in zip(ranking.signals, self._parts, strict=True):
            words += self._signal_words(weighed, parts, keys)
        words += (ranking.aggregate, int(ranking.by_moment), most, MOST_NUMBERS, FEW)
        words.append("" if ranking.min_score is None else bound(ranking.min_score))
        boosts: dict[str, float] = {}
        for boost in self._boosts.values():
            for key, value in boost.items():
                boosts[key] = self._added(boosts.get(key), value)
        words.append(len(boosts))
        for key, value in boosts.items():
            words += (self._stored(key), bound(value))
        for hit in (after, worst):
            words += ("0",) if hit is None else ("1", *hit.words[1:], hit.words[0])
        words += (cursor, int(ranking.explaining), *self.schema.read_words)
        return Call(self._script, keys, words)

    def _signal_words(self, weighed: Weighed, parts: list[tuple[str, ...]], keys: list[bytes | str]) -> Iterator[Any]:
        signal = weighed.signal
        places = ["".join(f":{one}" for one in some) for some in parts]
        yield from (signal.kind, bound(weighed.weight), len(places))
        keys += [f"{self.prefix}{signal.before}{place}{signal.after}" for place in places]
        words = (*(signal.current() if signal.current is not None else ()), *signal.words)
        yield from (len(words), *words, len(signal.beside))
        for one in signal.beside:
            yield int(one is not None)
            if one is not None:
                keys.append(f"{self.prefix}{one[0]}{places[0]}{one[1]}")

    def _added(self, known: float | None, more: float) -> float:
        if known is None:
            return more
        aggregate = self.ranking.aggregate
        return known + more if aggregate == "SUM" else min(known, more) if aggregate == "MIN" else max(known, more)

    def _stored(self, key: str) -> bytes:
        return (self.prefix + key).encode("utf-8", "surrogateescape")

    def _hits(self, page: _Page) -> Iterator[Ranked]:
        for place, (key, score, moment) in enumerate(page.hits):
            raws = tuple(float(one) if one else None for one in page.parts[place])
            values = (page.rows[place] or None) if page.rows else None
            text = key.decode("utf-8", "surrogateescape")[len(self.prefix) :]
            yield Ranked(text, float(score), (key, score, moment), raws, values)

    async def best(self, most: int, after: Ranked | None) -> list[Ranked]:
        """The best hits after one, in order; fewer than asked for when there are no more.

        Raises:
            Wide: when related rows must be found first, as they are very many.
        """
        found: dict[str, Ranked] = {}
        cursor = b""
        while True:
            worst = list(found.values())[-1] if len(found) == most else None
            page = await ask(self._call(most, after, worst, cursor))
            if page.cursor == WIDE:
                raise Wide
            merged = {**found, **{hit.key: hit for hit in self._hits(page)}}
            ordered = sorted(merged.values(), key=lambda hit: hit.place(self.ranking.by_moment))
            found = {hit.key: hit for hit in ordered[:most]}
            cursor = page.cursor
            if not cursor:
                return list(found.values())

    def parts(self, hit: Ranked) -> tuple[Part, ...]:
        """What gave a hit its score."""
        found = [
            Part(weighed.name, raw, weighed.weight, weighed.weight * raw)
            for weighed, raw in zip(self.ranking.signals, hit.raws, strict=True)
            if raw is not None
        ]
        boosts = self._boosts.items()
        found += [Part(name, boost[hit.key], 1.0, boost[hit.key]) for name, boost in boosts if hit.key in boost]
        return tuple(found)


async def ranked(
    schema: Schema,
    query: Plan,
    ranking: Ranking,
    most: int,
    hydrate: Hydrate,
    read: Callable[[Sequence[str]], Op[list[Any]]],
    accept: Callable[[Ranked], bool],
) -> tuple[Search, list[tuple[Any, Ranked]]]:
    """The best rows, at most so many, that satisfy the query and are accepted.

    Args:
        read: the rows with some keys, None for one that is gone.
        accept: has the last word on a hit, before its row is looked at.
    """
    search = Search(schema, query, ranking, await layout())
    found: list[tuple[Any, Ranked]] = []
    after: Ranked | None = None
    # Where rows are rejected after loading, more are asked for each time.
    step = min(PAGE_ROWS, most)
    while len(found) < most:
        hits = await search.best(step, after)
        wanted = [hit for hit in hits if accept(hit)]
        unread = [hit.key for hit in wanted if hit.values is None]
        rows = dict(zip(unread, await read(unread), strict=True)) if unread else {}
        for hit in wanted:
            row = rows.get(hit.key) if hit.values is None else hydrate(hit.key, schema.field_names, hit.values)
            if row is not None and satisfies(row, query.wanted.where):
                found.append((row, hit))
        if len(hits) < step:
            break
        after = hits[-1]
        step = min(PAGE_ROWS, 2 * step)
    return search, found[:most]
