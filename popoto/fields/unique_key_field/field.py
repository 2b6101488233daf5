"""A key field whose every value belongs to one row."""

from __future__ import annotations

from typing import Any

from popoto.exceptions import ModelException
from popoto.fields.key_field import KeyField
from popoto.fields.variables import T


class UniqueKeyField(KeyField[T]):
    """A part of the model's key that no two rows share, also where other key fields differ. It cannot be null.

    Args:
        type: int, float, Decimal, str, bool, date, datetime or time.

    Raises:
        ModelException: for `unique=False`, `null=True`, an unknown type or option.
    """

    def __init__(self, type: type[T] = str, **options: Any) -> None:  # type: ignore[assignment]
        if options.pop("unique", True) is not True:
            raise ModelException(f"{self._title()} is unique by its nature: use KeyField for unique=False")
        if options.pop("null", False) is not False:
            raise ModelException(f"{self._title()} cannot be null: use KeyField for null=True")
        super().__init__(type, null=False, unique=True, **options)
