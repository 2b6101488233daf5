"""What a query wants, parsed: conditions, order, limit. Values only; nothing here performs I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from popoto.fields.sources import Match


@dataclass(frozen=True, slots=True)
class Condition:
    """One lookup of one field.

    Attributes:
        field: the field's name.
        lookup: the name behind the double underscore, "" for equality.
        operand: what was given.
        match: what the field makes of it.
    """

    field: str
    lookup: str
    operand: Any
    match: Match


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every branch must hold; without branches it holds."""

    branches: tuple[Where, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One branch must hold."""

    branches: tuple[Where, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The branch must not hold."""

    branch: Where


@dataclass(frozen=True, slots=True)
class Related:
    """The related row must satisfy something; resolved before a query is planned.

    Attributes:
        field: the relationship.
        where: what the related row must satisfy.
        nested: whether the script that finds the rows finds the related ones too, and confirms both.
    """

    field: Any
    where: AllOf
    nested: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a field's `filter_query` is asked for; resolved before a query is planned.

    Attributes:
        field: the field.
        keywords: the keywords of the filter that are its own.
        model: the model class.
    """

    field: Any
    keywords: dict[str, Any]
    model: Any


@dataclass(frozen=True, slots=True)
class OneOf:
    """The row's key must be one of some, apart from a store's own prefix."""

    keys: frozenset[str]


Where: TypeAlias = Condition | AllOf | AnyOf | Not | Related | Asked | OneOf


def conditions(where: Where) -> Iterator[Condition]:
    """Every lookup of a tree."""
    if isinstance(where, Condition):
        yield where
    elif isinstance(where, Not):
        yield from conditions(where.branch)
    elif isinstance(where, (AllOf, AnyOf)):
        for branch in where.branches:
            yield from conditions(branch)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A parsed query.

    Attributes:
        where: what a row must satisfy.
        order: a field name and whether the order descends; None for no order.
        limit: the most rows to return; None for all.
        values: the names to return as dictionaries; None for instances.
        prefetch: the relationships whose rows are loaded too.
        computed: a function of a row to sort by after loading, and whether the order descends.
        tracks: whether a model that notes reads notes these.
    """

    where: AllOf = AllOf()
    order: tuple[str, bool] | None = None
    limit: int | None = None
    values: tuple[str, ...] | None = None
    prefetch: tuple[str, ...] = ()
    computed: tuple[Callable[[Any], Any], bool] | None = None
    tracks: bool = True
