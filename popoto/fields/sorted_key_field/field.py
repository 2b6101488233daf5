"""A part of the key whose rows are found in the order of its values."""

from __future__ import annotations

from popoto.fields.lookups import TEXT, Lookup
from popoto.fields.sorted_field import SortedField
from popoto.fields.variables import N


class SortedKeyField(SortedField[N]):
    """A part of the model's key that is kept in a sorted set, for ranges and for order. It cannot be null.

    Args:
        type: int, float, Decimal, date or datetime.
        partition_by: as `SortedField`.

    Raises:
        ModelException: as `SortedField`.
    """

    key = True

    def make_lookups(self) -> dict[str, Lookup]:
        return {**super().make_lookups(), **TEXT}
