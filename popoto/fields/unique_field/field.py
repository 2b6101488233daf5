"""An indexed field whose every value belongs to one row."""

from __future__ import annotations

from typing import Any

from popoto.exceptions import ModelException
from popoto.fields.indexed_field import IndexedField
from popoto.fields.variables import T


class UniqueField(IndexedField[T]):
    """A field that no two rows share. It cannot be null and is not part of the key.

    Args:
        type: as `Field`.

    Raises:
        ModelException: for `unique=False`, `null=True`, an unknown type or option.
    """

    def __init__(self, type: type[T] = str, **options: Any) -> None:  # type: ignore[assignment]
        if options.pop("unique", True) is not True:
            raise ModelException(f"{self._title()} is unique by its nature: use IndexedField for unique=False")
        if options.pop("null", False) is not False:
            raise ModelException(f"{self._title()} cannot be null: use IndexedField(unique=True) for null=True")
        super().__init__(type, null=False, unique=True, **options)
