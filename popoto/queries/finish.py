"""What no index could do: exact tests, order and limit over loaded rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, Final, TypeAlias, TypeVar

from popoto.exceptions import ModelException
from popoto.fields import Field
from popoto.queries.schema import Schema
from popoto.queries.where import AllOf, Asked, Condition, Not, OneOf, Related, Wanted, Where, conditions

logger = logging.getLogger("popoto.queries")
T = TypeVar("T")
Decision: TypeAlias = Callable[[Any, Sequence[Any]], bool]
"""Called with a row and the values that it was made from."""
# Rows that are found through an index have few values between them, or each its own: more are not worth remembering.
MOST_VERDICTS: Final = 1_000


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


def decision(schema: Schema, where: AllOf) -> Decision:
    """`satisfies` for many rows of one query: what can be settled once is, and equal bytes are tested once."""
    tests = [_test(schema, branch) for branch in where.branches]
    return reduce(_both, tests) if tests else lambda row, values: True


def _both(one: Decision, other: Decision) -> Decision:
    return lambda row, values: one(row, values) and other(row, values)


def _test(schema: Schema, where: Where) -> Decision:
    if isinstance(where, AllOf):
        return decision(schema, where)
    if isinstance(where, Condition):
        field = schema.fields[where.field]
        kind = type(field)
        # A value that is looked at in a way of its own may be more than its bytes.
        if kind.compared is Field.compared and kind.__get__ is Field.__get__:
            return _test_of_bytes(field, schema.places[where.field], where)
    return lambda row, values: satisfies(row, where)


def _test_of_bytes(field: Field[Any], place: int, condition: Condition) -> Decision:
    verdicts: dict[bytes, bool] = {}

    def holds(row: Any, values: Sequence[Any]) -> bool:
        raw = values[place]
        verdict = verdicts.get(raw)
        if verdict is None:
            if type(raw) is not bytes:
                return satisfies(row, condition)
            try:
                value = field.decode(raw)
            except ValueError:
                # What cannot be read says so itself.
                return satisfies(row, condition)
            verdict = condition.match.test(value)
            if len(verdicts) < MOST_VERDICTS:
                verdicts[raw] = verdict
        return verdict

    return holds


def ordered(schema: Schema, rows: list[T], order: tuple[str, bool] | None) -> list[T]:
    """The rows by a field's value, ties by key, None and unreadable ones first; reversed when the order descends."""
    if order is None:
        return rows
    name, descending = order
    compared = schema.fields[name].compared

    def place(row: Any) -> tuple[bool, Any, str]:
        try:
            value = compared(row)
        except ModelException:
            value = None
        return (value is not None, 0 if value is None else value, row.pk)

    return sorted(rows, key=place, reverse=descending)


def attach(rows: Iterable[Any], name: str, found: Mapping[str, Any]) -> None:
    """Note on rows the instances that they refer to, by key; a dangling reference stays a key."""
    for row in rows:
        key = row._meta.fields[name].stored(row)
        related = found.get(key) if isinstance(key, str) else None
        if related is not None:
            row.__dict__[name] = related


def annotated(rows: list[Any], wanted: Wanted) -> None:
    """Note on the rows what their conditions have to say of them, as a distance."""
    for condition in conditions(wanted.where):
        annotate = condition.match.annotate
        if annotate is not None:
            for row in rows:
                annotate(row)
