"""A `Wanted` becomes a `Plan`: which indexes know, in what order, and what is left for the loaded row to decide."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, Literal

from popoto.exceptions import QueryException
from popoto.fields.sources import InCircle, Index, InRange, InSets, InTexts, Keyed, Source
from popoto.keys import VALUES, spellings
from popoto.queries.schema import Schema
from popoto.queries.where import AllOf, AnyOf, Asked, Condition, Not, OneOf, Related, Wanted, Where

# More names than this in one script would hold the server; the rows are compared after loading then.
MOST_NAMED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Referring:
    """Members of the sets of a relationship, one set for each row of the other model that satisfies a plan."""

    index: Index
    other: Schema
    plan: Plan


@dataclass(frozen=True, slots=True)
class Sourced:
    """A source with the keys where it is found, apart from a store's own prefix.

    Attributes:
        source: what is asked of the index.
        keys: its sets or sorted sets; for named rows their keys.
    """

    source: Source | Referring
    keys: tuple[str, ...]

    @property
    def index(self) -> Index | None:
        """The index, None for rows that are named by their keys."""
        return None if isinstance(self.source, Keyed) else self.source.index


@dataclass(frozen=True, slots=True)
class Group:
    """Sources of which a row must be in all, or in any.

    Attributes:
        kind: `A` for all, `O` for any.
        branches: the sources.
    """

    kind: Literal["A", "O"]
    branches: tuple[Sourced | Group, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is answered.

    Attributes:
        source: where candidates are found; a group without branches means every row.
        exact: whether the sources alone decide, so that counting loads nothing.
        walk: the sorted set to walk in order, and whether downward; None when rows are ordered after loading.
        wanted: what the rows must satisfy, and how they are finished.
        prefetch: the relationships whose rows come with each page.
    """

    source: Group
    exact: bool
    walk: tuple[str, bool] | None
    wanted: Wanted
    prefetch: tuple[str, ...] = ()


def plan(schema: Schema, wanted: Wanted) -> Plan:
    """Choose the sources of a query.

    Raises:
        QueryException: when a partitioned field is asked without its partition.
    """
    equal = equalities(wanted.where)
    found = _source(schema, wanted.where, {})
    source = found if isinstance(found, Group) and found.kind == "A" else Group("A", (found,) if found else ())
    return Plan(source, _exact(schema, wanted.where, {}), _walk(schema, wanted, equal), wanted)


def equalities(where: Where) -> dict[str, Any]:
    """The values that every satisfying row has, by field."""
    if isinstance(where, Condition):
        return {where.field: where.match.equals[0]} if where.match.equals else {}
    if not isinstance(where, AllOf):
        return {}
    return {name: value for branch in where.branches for name, value in equalities(branch).items()}


def _source(schema: Schema, where: Where, equal: Mapping[str, Any]) -> Sourced | Group | None:
    if isinstance(where, Condition):
        return _leaf(schema, where, equal)
    if isinstance(where, Not):
        # What an index does not have, it may only have lost: the rows decide.
        _source(schema, where.branch, equal)
        return None
    if isinstance(where, Related):
        return _referring(where) if where.nested else None
    if isinstance(where, Asked):
        return None
    if isinstance(where, OneOf):
        return Sourced(Keyed(()), tuple(sorted(where.keys))) if len(where.keys) <= MOST_NAMED else None
    if isinstance(where, AnyOf):
        branches = [_source(schema, branch, equal) for branch in where.branches]
        known = tuple(branch for branch in branches if branch is not None)
        return Group("O", known) if len(known) == len(branches) else None
    known_values = {**equal, **equalities(where)}
    if _is_named(schema, known_values) and not _is_named(schema, equal):
        # All key values are given: the row has just one name, or 1.x's spelling of it.
        named: list[Sourced | Group] = [Sourced(Keyed(()), tuple(schema.row_keys(known_values)))]
    else:
        named = []
    found = (_source(schema, branch, known_values) for branch in where.branches)
    branches_found = tuple(branch for branch in (*named, *found) if branch is not None)
    return Group("A", branches_found) if branches_found else None


def _referring(where: Related) -> Sourced:
    other = where.field.related()._meta
    return Sourced(Referring(where.field.index, other, plan(other, Wanted(where.where))), ())


def _is_named(schema: Schema, equal: Mapping[str, Any]) -> bool:
    return bool(schema.key_order) and all(name in equal for name in schema.key_order)


def _leaf(schema: Schema, condition: Condition, equal: Mapping[str, Any]) -> Sourced | None:
    source = condition.match.source
    if source is None or (isinstance(source, Keyed) and len(schema.key_order) > 1):
        return None
    return Sourced(source, _keys(schema, condition, source, equal))


def _exact(schema: Schema, where: Where, equal: Mapping[str, Any]) -> bool:
    if isinstance(where, Condition):
        keyed = isinstance(where.match.source, Keyed) and len(schema.key_order) > 1
        return where.match.exact and (not keyed or _is_named(schema, equal))
    if isinstance(where, Related):
        return where.nested
    if isinstance(where, (Not, Asked, OneOf)):
        return False
    known = {**equal, **equalities(where)} if isinstance(where, AllOf) else {}
    return all(_exact(schema, branch, known) for branch in where.branches)


def _keys(schema: Schema, condition: Condition, source: Source, equal: Mapping[str, Any]) -> tuple[str, ...]:
    if isinstance(source, Keyed):
        return tuple(f"{schema.model_name}:{part}" for part in source.parts)
    if isinstance(source, InSets):
        return tuple(source.index.key(schema.model_name, (part,)) for part in source.parts)
    if isinstance(source, InCircle):
        return (source.index.key(schema.model_name, ()),)
    if isinstance(source, InTexts):
        # The roster is beside the lists; without a list the class set is walked.
        listed = source.index.field in schema.listed
        return (source.index.value_list(schema.model_name), f"{VALUES}:{schema.model_name}") if listed else ()
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


def circle_words(source: InCircle) -> tuple[str, ...]:
    """A circle as `select.lua` reads it: longitude, latitude and metres."""
    return repr(source.centre[1]), repr(source.centre[0]), repr(source.metres)
