"""A field that is part of the row's key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, ClassVar

from popoto.fields.field import Field
from popoto.fields.sources import Index
from popoto.fields.variables import T
from popoto.keys import field_tag


class KeyField(Field[T]):
    """A part of the model's key; all key fields together are unique, and each is indexed by a set per value.

    Args:
        type: int, float, Decimal, str, bool, date, datetime or time.
        null: whether None may be stored.
        max_length: the longest text, in characters.

    Raises:
        ModelException: for an unknown type or option.
    """

    types: ClassVar[tuple[Any, ...]] = (int, float, Decimal, str, bool, date, datetime, time)
    key = True

    def __init__(
        self,
        type: type[T] = str,  # type: ignore[assignment]
        null: bool = True,
        max_length: int | None = 128,
        *,
        default: T | Callable[[], T] | None = None,
        unique: bool = False,
        **options: Any,
    ) -> None:
        options.pop("indexed", None)
        super().__init__(type, null, default, max_length, indexed=True, unique=unique, **options)

    def make_index(self) -> Index | None:
        return Index("U" if self.unique else "S", field_tag(type(self).__name__), self.name, self.code)
