"""A list in a row, whole or capped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Self, overload

from popoto.arrays import joined, parted
from popoto.exceptions import ModelException
from popoto.fields.companions import Companion, Fragment, Store
from popoto.fields.field import Field
from popoto.fields.list_field.capped import CappedList
from popoto.fields.list_field.items import item, item_bytes

CAPPED: Final = Fragment("capped", "popoto.fields.list_field", "capped.lua")
# A longer one would make a page of rows too large for one reply.
MOST: Final = 10_000


class ListField(Field[list[Any]]):
    """A `Field` that holds a list; with `max_length` a capped one, kept in a Redis list of its own beside the row.

    Args:
        max_length: keep so many items, 1 to 10,000, the newest first; None for a plain list of any length.

    Raises:
        ModelException: for another type, an unknown option, or a `max_length` out of range.
    """

    types = (list,)

    def __init__(self, *, null: bool = True, max_length: int | None = None, **options: Any) -> None:
        capped = max_length is not None
        if capped and (isinstance(max_length, bool) or not isinstance(max_length, int) or not 1 <= max_length <= MOST):
            raise ModelException(f"{self._title()}: max_length={max_length!r} must be an int from 1 to {MOST}, or None")
        if capped and (options.get("indexed") or options.get("unique")):
            raise ModelException(f"{self._title()}: a capped list cannot be indexed: leave out max_length")
        super().__init__(options.pop("type", list), null, max_length=max_length, **options)
        self.most = max_length or 0
        self.apart = capped
        if capped:
            self.encode = lambda value: joined(map(item_bytes, value or ()))
            self.decode = lambda raw: [item(one) for one in parted(raw)]
            self.settled_type = None

    # -- attribute access

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: Any) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: Any) -> Any: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...

    else:

        def __get__(self, instance, owner):
            """The list; a capped one can push."""
            if instance is None:
                return self
            state = instance.__dict__
            value = state[self.name] if self.name in state else instance._stored_value(self)
            if self.apart and not isinstance(value, CappedList):
                value = CappedList(value or (), instance, self)
            state[self.name] = value
            return value

        def __set__(self, instance, value):
            instance.__dict__[self.name] = value

    # -- values

    def initial(self) -> Any:
        value = super().initial()
        return [] if value is None and self.apart else value

    def convert(self, value: Any) -> Any:
        """The value as a list; a capped one is cut to its length."""
        if not self.apart:
            return super().convert(value)
        if not isinstance(value, CappedList):
            return super().convert(value)[: self.most]
        del value[self.most :]
        return value

    def companions(self, model_name: str) -> Sequence[Companion]:
        if not self.apart:
            return ()
        store = Store("L", "", f"::{self.name}")
        return [Companion(CAPPED, self.name, (store,), follows=(self.name,), said=self._said)]

    def _said(self, instance: Any, change: Any) -> Sequence[bytes] | None:
        raw = change.apart.get(self.name)
        return None if raw is None else parted(raw)
