"""What a query wants, parsed: conditions, order, limit. Values only; nothing here performs I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
class Wanted:
    """A parsed query.

    Attributes:
        conditions: all must hold.
        order: a field name and whether the order descends; None for no order.
        limit: the most rows to return; None for all.
        values: the names to return as dictionaries; None for instances.
    """

    conditions: tuple[Condition, ...] = ()
    order: tuple[str, bool] | None = None
    limit: int | None = None
    values: tuple[str, ...] | None = None
