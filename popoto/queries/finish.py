"""What no index could do: exact tests, order and limit over loaded rows."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from popoto.exceptions import ModelException
from popoto.queries.where import AllOf, Asked, Condition, Not, OneOf, Related, Wanted, Where, conditions

logger = logging.getLogger("popoto.queries")
T = TypeVar("T")


def satisfies(row: Any, where: Where) -> bool:
    """Whether a row's own values satisfy the conditions; the index was only a hint."""
    if isinstance(where, Condition):
        try:
            value = row._meta.fields[where.field].compared(row)
        except ModelException as error:
            # One damaged row hides no other: it is where it can be loaded, named and mended.
            logger.warning("left out of a query: %s", error)
            return False
        return where.match.test(value)
    if isinstance(where, Not):
        return not satisfies(row, where.branch)
    if isinstance(where, OneOf):
        return row.pk in where.keys
    if isinstance(where, Asked) or (isinstance(where, Related) and not where.nested):
        raise TypeError("what another query or a hook decides must be resolved before rows are compared")
    if isinstance(where, Related):
        return True  # the script has confirmed it
    if isinstance(where, AllOf):
        return all(satisfies(row, branch) for branch in where.branches)
    return any(satisfies(row, branch) for branch in where.branches)


def ordered(rows: list[T], order: tuple[str, bool] | None) -> list[T]:
    """The rows by a field's value, ties by key, None and unreadable ones first; reversed when the order descends."""
    if order is None:
        return rows
    name, descending = order
    return sorted(rows, key=lambda row: _place(row, name), reverse=descending)


def attach(rows: Iterable[Any], name: str, found: Mapping[str, Any]) -> None:
    """Note on rows the instances that they refer to, by key; a dangling reference stays a key."""
    for row in rows:
        key = row._meta.fields[name].stored(row)
        related = found.get(key) if isinstance(key, str) else None
        if related is not None:
            row.__dict__[name] = related


def _place(row: Any, name: str) -> tuple[bool, Any, str]:
    try:
        value = row._meta.fields[name].compared(row)
    except ModelException:
        value = None
    return (value is not None, 0 if value is None else value, row.pk)


def annotated(rows: list[Any], wanted: Wanted) -> None:
    """Note on the rows what their conditions have to say of them, as a distance."""
    for condition in conditions(wanted.where):
        annotate = condition.match.annotate
        if annotate is not None:
            for row in rows:
                annotate(row)
