"""A `Wanted` becomes a `Plan`: which indexes know, in what order, and what is left for the loaded row to decide."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from popoto.exceptions import QueryException
from popoto.fields.sources import Index, InRange, InSets, Keyed, Source
from popoto.keys import spellings
from popoto.queries.schema import Schema
from popoto.queries.where import Condition, Wanted


@dataclass(frozen=True, slots=True)
class Sourced:
    """A source with the keys where it is found, apart from a store's own prefix.

    Attributes:
        source: what is asked of the index.
        keys: its sets or sorted sets; for named rows their keys.
    """

    source: Source
    keys: tuple[str, ...]

    @property
    def index(self) -> Index | None:
        """The index, None for rows that are named by their keys."""
        return None if isinstance(self.source, Keyed) else self.source.index


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is answered.

    Attributes:
        sources: a row must be in all.
        exact: whether the sources alone decide, so that counting loads nothing.
        walk: the sorted set to walk in order, and whether downward; None when rows are ordered after loading.
        wanted: what the rows must satisfy, and how they are finished.
    """

    sources: tuple[Sourced, ...]
    exact: bool
    walk: tuple[str, bool] | None
    wanted: Wanted


def plan(schema: Schema, wanted: Wanted) -> Plan:
    """Choose the sources of a query.

    Raises:
        QueryException: when a partitioned field is asked without its partition.
    """
    equal = {condition.field: condition.match.equals[0] for condition in wanted.conditions if condition.match.equals}
    sources = [
        Sourced(condition.match.source, _keys(schema, condition, condition.match.source, equal))
        for condition in wanted.conditions
        if condition.match.source is not None
    ]
    if schema.key_order and all(name in equal for name in schema.key_order):
        # All key values are given: the row has just one name, or 1.x's spelling of it.
        keys = tuple(schema.row_keys(equal))
        sources = [one for one in sources if not isinstance(one.source, Keyed)]
        sources.append(Sourced(Keyed(()), keys))
    elif len(schema.key_order) > 1:
        sources = [one for one in sources if not isinstance(one.source, Keyed)]
    sourced = {one.source for one in sources}
    exact = all(
        condition.match.exact and (condition.match.source in sourced or isinstance(condition.match.source, Keyed))
        for condition in wanted.conditions
    )
    if len(schema.key_order) > 1 and any(isinstance(c.match.source, Keyed) for c in wanted.conditions):
        exact = exact and all(name in equal for name in schema.key_order)
    return Plan(tuple(sources), exact, _walk(schema, wanted, equal), wanted)


def _keys(schema: Schema, condition: Condition, source: Source, equal: Mapping[str, Any]) -> tuple[str, ...]:
    if isinstance(source, Keyed):
        return tuple(f"{schema.model_name}:{part}" for part in source.parts)
    if isinstance(source, InSets):
        return tuple(source.index.key(schema.model_name, (part,)) for part in source.parts)
    missing = [name for name in source.index.partitions if name not in equal]
    if missing:
        raise QueryException(
            f"{schema.model_name}: {condition.field} is partitioned by {', '.join(source.index.partitions)}; "
            f"add {', '.join(f'{name}=...' for name in missing)} to the filter"
        )
    return _sorted_keys(schema, source.index, equal)


def _sorted_keys(schema: Schema, index: Index, equal: Mapping[str, Any]) -> tuple[str, ...]:
    choices = [spellings(equal[name]) for name in index.partitions]
    return tuple(index.key(schema.model_name, parts) for parts in product(*choices))


def _walk(schema: Schema, wanted: Wanted, equal: Mapping[str, Any]) -> tuple[str, bool] | None:
    """The sorted set of the ordering field, if a limit makes it worth while to walk it."""
    if wanted.order is None or wanted.limit is None:
        return None
    name, descending = wanted.order
    index = schema.fields[name].index
    if index is None or index.kind != "Z" or any(partition not in equal for partition in index.partitions):
        return None
    keys = _sorted_keys(schema, index, equal)
    return (keys[0], descending) if len(keys) == 1 else None


def bound(score: float) -> str:
    """A score as a script reads it."""
    return "+inf" if score == math.inf else "-inf" if score == -math.inf else repr(score)


def range_words(source: InRange) -> tuple[str, ...]:
    """A range as `select.lua` reads it."""
    return bound(source.low), bound(source.high), str(int(source.low_open)), str(int(source.high_open))
