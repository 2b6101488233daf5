"""The verbs of a model that work on many rows, or find before they write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from popoto.models import bulk, creating, overwriting
from popoto.models.query import Query
from popoto.storage import Op


class Many:
    """What `Model` inherits for many rows."""

    @classmethod
    def _run(cls, plan: Op[Any], pipeline: Any = None) -> Any:
        raise NotImplementedError

    @classmethod
    async def _arun(cls, plan: Op[Any], pipeline: Any = None) -> Any:
        raise NotImplementedError

    @classmethod
    def bulk_create(cls, instances: Iterable[Self], batch_size: int = 1000) -> list[Self]:
        """Save new instances, one round trip a batch; every value is checked before the first batch is sent.

        Args:
            instances: unsaved instances of this model.
            batch_size: how many go together.

        Returns:
            The instances.

        Raises:
            ModelException: when a value may not be stored (nothing was written), or a unique one is taken: the message
                says which items were written, and its `failures` holds the error of each that was not.
        """
        return cls._run(bulk.create(cls, bulk.taken(cls, instances, batch_size), batch_size))  # type: ignore

    @classmethod
    async def async_bulk_create(cls, instances: Iterable[Self], batch_size: int = 1000) -> list[Self]:
        """`bulk_create` for asyncio."""
        return await cls._arun(bulk.create(cls, bulk.taken(cls, instances, batch_size), batch_size))  # type: ignore

    @classmethod
    def bulk_update(cls, queryset_or_instances: Iterable[Self], batch_size: int = 1000, **updates: Any) -> int:
        """Give rows new values, one round trip a batch.

        Args:
            queryset_or_instances: a query or instances.
            batch_size: how many go together.
            **updates: new values by field name.

        Returns:
            How many rows were updated.

        Raises:
            ModelException: as `bulk_create`.
        """
        rows = bulk.taken(cls, _read(queryset_or_instances), batch_size)  # type: ignore
        return int(cls._run(bulk.update(cls, rows, updates, batch_size)))

    @classmethod
    async def async_bulk_update(
        cls, queryset_or_instances: Iterable[Self], batch_size: int = 1000, **updates: Any
    ) -> int:
        """`bulk_update` for asyncio."""
        rows = bulk.taken(cls, await _async_read(queryset_or_instances), batch_size)  # type: ignore
        return int(await cls._arun(bulk.update(cls, rows, updates, batch_size)))

    @classmethod
    def raw_update(cls, keys: Iterable[Any], batch_size: int = 1000, **values: Any) -> int:
        """Write values into rows by their keys, one round trip a batch, two where a partition changes; indexes follow.

        Values are checked and converted; `auto_now` fields, times to live and hooks are left alone. Each row is one
        atomic step; a row that is not there is not made, and a version field counts up.

        Args:
            keys: of rows, as `obj.pk` or `query.keys()` gives them; one that comes twice is one row.
            batch_size: how many rows go together.
            **values: new values by field name; key fields are refused.

        Returns:
            How many rows were written.

        Raises:
            ModelException: when a name is no field, a value may not be stored or a key is of another model (nothing was
                written), or a unique value is taken: the error's `failures` says in which rows.
        """
        return int(cls._run(overwriting.overwrite(cls, keys, batch_size, values)))  # type: ignore

    @classmethod
    async def async_raw_update(cls, keys: Iterable[Any], batch_size: int = 1000, **values: Any) -> int:
        """`raw_update` for asyncio."""
        return int(await cls._arun(overwriting.overwrite(cls, keys, batch_size, values)))  # type: ignore

    @classmethod
    def bulk_delete(cls, queryset_or_instances: Iterable[Self], batch_size: int = 1000) -> int:
        """Delete rows with their index entries, one round trip a batch; the count is of those that were stored."""
        rows = bulk.taken(cls, _read(queryset_or_instances), batch_size)  # type: ignore
        return int(cls._run(bulk.remove(cls, rows, batch_size)))

    @classmethod
    async def async_bulk_delete(cls, queryset_or_instances: Iterable[Self], batch_size: int = 1000) -> int:
        """`bulk_delete` for asyncio."""
        rows = bulk.taken(cls, await _async_read(queryset_or_instances), batch_size)  # type: ignore
        return int(await cls._arun(bulk.remove(cls, rows, batch_size)))

    @classmethod
    def delete_all(cls, batch_size: int = 1000) -> int:
        """Delete every row of the model with its index entries, in bounded batches; the count is of those stored."""
        bulk.taken(cls, (), batch_size)  # type: ignore
        return int(cls._run(bulk.remove_all(cls, batch_size)))  # type: ignore

    @classmethod
    async def async_delete_all(cls, batch_size: int = 1000) -> int:
        """`delete_all` for asyncio."""
        bulk.taken(cls, (), batch_size)  # type: ignore
        return int(await cls._arun(bulk.remove_all(cls, batch_size)))  # type: ignore

    @classmethod
    def get_or_create(cls, defaults: Mapping[str, Any] | None = None, **lookup: Any) -> tuple[Self, bool]:
        """The row that the lookup names, or a new one with `defaults` too; one atomic step for all key values.

        Returns:
            The row, and whether it is new.

        Raises:
            ModelException: when a value may not be stored, or a unique one is taken.
            QueryException: when several rows match.
        """
        return cls._run(creating.get_or_create(cls, defaults, lookup))  # type: ignore

    @classmethod
    async def async_get_or_create(cls, defaults: Mapping[str, Any] | None = None, **lookup: Any) -> tuple[Self, bool]:
        """`get_or_create` for asyncio."""
        return await cls._arun(creating.get_or_create(cls, defaults, lookup))  # type: ignore

    @classmethod
    def update_or_create(cls, defaults: Mapping[str, Any] | None = None, **lookup: Any) -> tuple[Self, bool]:
        """The row that the lookup names with `defaults` assigned and saved, or a new one.

        Returns:
            The row, and whether it is new.
        """
        return cls._run(creating.update_or_create(cls, defaults, lookup))  # type: ignore

    @classmethod
    async def async_update_or_create(
        cls, defaults: Mapping[str, Any] | None = None, **lookup: Any
    ) -> tuple[Self, bool]:
        """`update_or_create` for asyncio."""
        return await cls._arun(creating.update_or_create(cls, defaults, lookup))  # type: ignore

    async def async_fetch(self, field_name: str) -> Any:
        """Load the row that a relationship refers to.

        Returns:
            The related instance, or None where the relationship is None.

        Raises:
            ModelException: when the field is no relationship, or refers to a row that is not stored.
        """
        return await self._arun(creating.fetch(self, field_name))  # type: ignore

    def refresh(self) -> None:
        """Read the row anew and forget what was assigned since.

        Raises:
            StaleObjectError: when it is no longer stored.
        """
        self._run(creating.refresh(self))  # type: ignore

    async def async_refresh(self) -> None:
        """`refresh` for asyncio."""
        await self._arun(creating.refresh(self))  # type: ignore


def _read(given: Iterable[Any]) -> Iterable[Any]:
    """The rows of a query: they are loaded to be written, and no read is noted."""
    if isinstance(given, Query) and given._answer is None:
        given._answer = given.no_track().all()
    return given


async def _async_read(given: Iterable[Any]) -> Iterable[Any]:
    if isinstance(given, Query) and given._answer is None:
        given._answer = await given.no_track()
    return given
