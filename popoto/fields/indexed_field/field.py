"""A field with a set per value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from popoto.fields.field import Field
from popoto.fields.variables import T
from popoto.keys import field_tag


class IndexedField(Field[T]):
    """A field that filters find without loading every row. It is not part of the key.

    Args:
        type: as `Field`.
        null: whether None may be stored.
        unique: refuse a second row with the same value; None may repeat.

    Raises:
        ModelException: for an unknown type or option.
    """

    def __init__(
        self,
        type: type[T] = str,  # type: ignore[assignment]
        null: bool = True,
        unique: bool = False,
        *,
        default: T | Callable[[], T] | None = None,
        max_length: int | None = 1024,
        **options: Any,
    ) -> None:
        options.pop("indexed", None)
        super().__init__(type, null, default, max_length, indexed=True, unique=unique, **options)

    def index_tag(self) -> str:
        return field_tag(type(self).__name__)
