"""The value of a capped list: a list that can push to the store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from popoto.arrays import joined
from popoto.exceptions import ModelException
from popoto.fields.companions import Action
from popoto.fields.list_field.items import item_bytes

if TYPE_CHECKING:
    from popoto.fields.list_field.field import ListField


class CappedList(list[Any]):
    """The newest items, the newest first. Changes in memory are stored by `save()`, a `push` at once."""

    def __init__(self, items: Iterable[Any], instance: Any, field: ListField) -> None:
        super().__init__(items)
        self._instance = instance
        self._field = field

    def push(self, value: Any, pipeline: Any = None) -> Any:
        """Put an item in front of the stored list and cut it to its length: one atomic round trip on a stored row.

        Args:
            value: anything that a list can hold.
            pipeline: a pipeline in which the push waits.

        Returns:
            How many items are stored; or the pipeline when one was given.

        Raises:
            ModelException: when the value cannot be stored.
            StaleObjectError: when the row is not stored.
        """
        return self._instance._run(self._pushing(self._checked(value), value), pipeline)

    async def async_push(self, value: Any, pipeline: Any = None) -> Any:
        """`push` for asyncio."""
        return await self._instance._arun(self._pushing(self._checked(value), value), pipeline)

    def _checked(self, value: Any) -> bytes:
        try:
            return item_bytes(value)
        except ValueError as error:
            owner, name = type(self._instance).__name__, self._field.name
            raise ModelException(f"{owner}.{name}: {value!r:.80} cannot be pushed: {error}") from error

    async def _pushing(self, raw: bytes, value: Any) -> int:
        field, known = self._field, self._instance._raw.get(self._field.name)
        action = Action(field.name, "push", (field.most, raw))
        (length,) = await self._instance._acting([action])
        unchanged = known == joined(map(item_bytes, self))
        self.insert(0, value)
        del self[field.most :]
        if unchanged:
            self._instance._raw[field.name] = joined(map(item_bytes, self))
        return int(length)

    def __reduce__(self) -> Any:
        return list, (list(self),)
