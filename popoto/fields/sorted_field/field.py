"""A field whose rows are found in the order of its values."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final

from popoto.exceptions import ModelException
from popoto.fields.field import Field
from popoto.fields.field.field import is_nan
from popoto.fields.lookups import PLAIN, Lookup
from popoto.fields.signals import Signal
from popoto.fields.sorted_field.lookups import LOOKUPS
from popoto.fields.sources import Index
from popoto.fields.variables import N
from popoto.keys import field_tag

# Doubles tell whole numbers apart below 2**53, microseconds below 2**32 seconds, and decimals nowhere.
_TIED_FROM: Final[dict[Any, float]] = {int: 2.0**53, datetime: 2.0**32, Decimal: 0.0}


class SortedField(Field[N]):
    """A number or moment that is kept in a sorted set, for ranges and for order. It cannot be null.

    Args:
        type: int, float, Decimal, date or datetime.
        default: the value of a new instance, or a callable that makes it.
        partition_by: one field name or a tuple of them: each combination of their values has a sorted set of its own,
            and filters on this field must then name them all. `sort_by` is the deprecated name.

    Raises:
        ModelException: for `null=True`, another type, or an unknown option.
    """

    types: ClassVar[tuple[Any, ...]] = (int, float, Decimal, date, datetime)

    def __init__(
        self,
        type: type[N] = float,  # type: ignore[assignment]
        null: bool = False,
        default: N | Callable[[], N] | None = None,
        partition_by: str | tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        if null is not False:
            raise ModelException(f"{self._title()} cannot be null: a row without a value has no place in the order")
        if "sort_by" in options:
            partition_by = self._from_sort_by(options.pop("sort_by"), partition_by)
        self.partition_by = (partition_by,) if isinstance(partition_by, str) else partition_by
        if not isinstance(self.partition_by, tuple) or not all(isinstance(name, str) for name in self.partition_by):
            raise ModelException(
                f"{self._title()}: partition_by={partition_by!r} must be a field name or a tuple of them"
            )
        options.pop("max_length", None)
        super().__init__(type, False, default, None, **options)
        self.tied_from = _TIED_FROM.get(type, math.inf)

    def _from_sort_by(self, sort_by: Any, partition_by: Any) -> Any:
        if partition_by:
            raise ModelException(f"{self._title()}: give partition_by alone, sort_by is its old name")
        warnings.warn("sort_by is deprecated: write partition_by", DeprecationWarning, stacklevel=4)
        return sort_by

    def make_index(self) -> Index | None:
        tag = field_tag(type(self).__name__)
        return Index("Z", tag, self.name, self.code, self.partition_by)

    def signals(self, model_name: str) -> dict[str, Signal]:
        index = self.index
        return {} if index is None else {self.name: Signal("score", index.base(model_name), "", self.partition_by)}

    def number_order(self, model_name: str) -> str | None:
        if self.index is None or self.partition_by or type(self).score is not SortedField.score:
            return None
        return self.index.key(model_name, ())

    def make_lookups(self) -> dict[str, Lookup]:
        return {**LOOKUPS, "isnull": PLAIN["isnull"]}

    def score(self, value: Any) -> float | None:
        """The place of a value: the number, a date's proleptic ordinal, a moment's seconds since 1970 UTC.

        A moment without a zone is meant in the local zone of this process, as in 1.x.
        """
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, date):
            return float(value.toordinal())
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf

    def complaint(self, value: Any, *, null_check: bool = True) -> str | None:
        if type(value) is float and math.isfinite(value) and type(self).score is SortedField.score:
            return None
        if is_nan(value):
            return "is not a number and has no place in the order: give a number"
        if value is not None:
            try:
                score = self.score(value)
            except (OverflowError, ValueError) as error:
                return f"has no place in the order ({error}): give a value nearer to the present"
            if score is not None and _finite(value) and math.isinf(score):
                return "is too large for a score: give a number below 1.8e308"
        return super().complaint(value, null_check=null_check)


def _finite(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return not isinstance(value, float) or math.isfinite(value)
