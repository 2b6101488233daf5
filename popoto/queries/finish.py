"""What no index could do: exact tests, order and limit over loaded rows."""

from __future__ import annotations

from typing import Any, TypeVar

from popoto.queries.where import AllOf, Condition, Not, Related, Wanted, Where, conditions

T = TypeVar("T")


def satisfies(row: Any, where: Where) -> bool:
    """Whether a row's own values satisfy the conditions; the index was only a hint."""
    if isinstance(where, Condition):
        return where.match.test(row._meta.fields[where.field].compared(row))
    if isinstance(where, Not):
        return not satisfies(row, where.branch)
    if isinstance(where, Related):
        raise TypeError("a lookup through a relationship must be resolved before rows are compared")
    if isinstance(where, AllOf):
        return all(satisfies(row, branch) for branch in where.branches)
    return any(satisfies(row, branch) for branch in where.branches)


def ordered(rows: list[T], order: tuple[str, bool] | None) -> list[T]:
    """The rows by a field's value, ties by key, None first; all of it reversed when the order descends."""
    if order is None:
        return rows
    name, descending = order
    return sorted(rows, key=lambda row: _place(row, name), reverse=descending)


def _place(row: Any, name: str) -> tuple[bool, Any, str]:
    value = row._meta.fields[name].compared(row)
    return (value is not None, 0 if value is None else value, row.pk)


def annotated(rows: list[Any], wanted: Wanted) -> None:
    """Note on the rows what their conditions have to say of them, as a distance."""
    for condition in conditions(wanted.where):
        annotate = condition.match.annotate
        if annotate is not None:
            for row in rows:
                annotate(row)
