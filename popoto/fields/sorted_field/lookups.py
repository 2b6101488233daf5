"""Ranges over a sorted set: bounds on scores where a score tells all, else coarse ones that the row makes exact."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

from popoto.fields.field.field import is_nan
from popoto.fields.lookups import Lookup, choices, same
from popoto.fields.sources import InRange, Match

Compare = Callable[[Any, Any], bool]
_EXACT_INTEGERS: Final = 2**53
# Later moments have microseconds that a double of seconds cannot tell apart.
_EXACT_YEARS: Final = 2200


def _compared(holds: Compare, *, low: bool = False, high: bool = False, open_: bool = False) -> Lookup:
    def lookup(field: Any, operand: Any) -> Match:
        value = _bound(field, operand)
        exact = _tells_all(field, value)
        score = field.score(value)
        bottom, top = (score if low else -math.inf), (score if high else math.inf)
        if exact:
            source = InRange(field.index, bottom, top, low and open_, high and open_)
        else:
            source = _coarse(field, bottom, top)
        return Match(partial(_holds, holds, value), source, exact=exact, equals=(value,) if low and high else ())

    return lookup


def _coarse(field: Any, low: float, high: float) -> InRange:
    # float() may round up or down: one step outward holds every candidate.
    return InRange(field.index, math.nextafter(low, -math.inf), math.nextafter(high, math.inf))


def _tells_all(field: Any, value: Any) -> bool:
    """Whether comparing scores is comparing values, whatever the other value is."""
    if isinstance(value, datetime):
        return 1900 < value.year < _EXACT_YEARS
    if isinstance(value, date):
        return True
    if field.type is Decimal or not isinstance(value, int | float):
        return False
    return (field.type is float and isinstance(value, float)) or abs(value) < _EXACT_INTEGERS


def _holds(holds: Compare, wanted: Any, value: Any) -> bool:
    if value is None:
        return False
    if isinstance(value, datetime) and (value.tzinfo is None) != (wanted.tzinfo is None):
        return holds(value.timestamp(), wanted.timestamp())
    return holds(value, wanted)


def _bound(field: Any, operand: Any) -> Any:
    if operand is None:
        raise ValueError("cannot be compared with None; give a value")
    try:
        value = field.convert(operand)
    except ValueError:
        # 1.5 is a good bound for whole numbers, though it is none itself.
        plain = isinstance(operand, int | float | Decimal) and not isinstance(operand, bool)
        if not plain or field.type not in (int, float, Decimal):
            raise
        value = operand
    if is_nan(value):
        raise ValueError("cannot be compared with NaN; give a number")
    return value


def _between(field: Any, operand: Any) -> Match:
    if not isinstance(operand, tuple | list) or len(operand) != 2:
        raise ValueError(f"wants a pair (low, high), not {operand!r}")
    low, high = (_bound(field, one) for one in operand)
    exact = _tells_all(field, low) and _tells_all(field, high)
    scores = field.score(low), field.score(high)
    return Match(
        lambda value: _holds(operator.ge, low, value) and _holds(operator.le, high, value),
        InRange(field.index, *scores) if exact else _coarse(field, *scores),
        exact=exact,
    )


def _in(field: Any, operand: Any) -> Match:
    wanted = [_bound(field, one) for one in choices(field, operand)]
    scores = [field.score(value) for value in wanted]
    source = _coarse(field, min(scores, default=math.inf), max(scores, default=-math.inf))
    return Match(lambda value: any(same(one, value) for one in wanted), source)


LOOKUPS: Final[dict[str, Lookup]] = {
    "": _compared(operator.eq, low=True, high=True),
    "gt": _compared(operator.gt, low=True, open_=True),
    "gte": _compared(operator.ge, low=True),
    "lt": _compared(operator.lt, high=True, open_=True),
    "lte": _compared(operator.le, high=True),
    "between": _between,
    "in": _in,
}
