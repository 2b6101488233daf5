"""What no index could do: exact tests, order and limit over loaded rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from popoto.queries.where import Condition

T = TypeVar("T")


def satisfies(row: Any, conditions: Sequence[Condition]) -> bool:
    """Whether a row's own values satisfy every condition; the index was only a hint."""
    return all(condition.match.test(getattr(row, condition.field)) for condition in conditions)


def ordered(rows: list[T], order: tuple[str, bool] | None) -> list[T]:
    """The rows by a field's value, ties by key, None first; all of it reversed when the order descends."""
    if order is None:
        return rows
    name, descending = order
    return sorted(rows, key=lambda row: _place(row, name), reverse=descending)


def _place(row: Any, name: str) -> tuple[bool, Any, str]:
    value = getattr(row, name)
    return (value is not None, 0 if value is None else value, row.pk)
