"""The verbs of a model that look after its indexes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from popoto.models import care
from popoto.storage import Op

Progress = Callable[[int], None]


class Upkeep:
    """What `Model` inherits for its indexes."""

    @classmethod
    def _run(cls, plan: Op[Any], pipeline: Any = None) -> Any:
        raise NotImplementedError

    @classmethod
    async def _arun(cls, plan: Op[Any], pipeline: Any = None) -> Any:
        raise NotImplementedError

    @classmethod
    def check_indexes(cls, batch_size: int = 1000, progress: Progress | None = None) -> dict[str, Any]:
        """Count index entries that no row has: its key is gone, or its stored value is another. Writes nothing.

        Args:
            batch_size: how many entries to look at in one step, 500 at most.
            progress: called with the number of entries looked at so far.

        Returns:
            `class_set`, a count; `key_fields`, `indexed_fields`, `sorted_fields`, `geo_fields`, `composite_indexes` and
            `companions`, counts by name; `total`.
        """
        return cls._run(care.examine(cls, batch_size, removing=False, progress=progress))  # type: ignore

    @classmethod
    async def async_check_indexes(cls, batch_size: int = 1000, progress: Progress | None = None) -> dict[str, Any]:
        """`check_indexes` for asyncio."""
        return await cls._arun(care.examine(cls, batch_size, removing=False, progress=progress))  # type: ignore

    @classmethod
    def clean_indexes(cls, batch_size: int = 1000, progress: Progress | None = None) -> int:
        """Remove index entries that no row has; entries that a row has are not touched. Safe in production.

        Returns:
            How many were removed.
        """
        return int(cls._run(care.examine(cls, batch_size, removing=True, progress=progress))["total"])  # type: ignore

    @classmethod
    async def async_clean_indexes(cls, batch_size: int = 1000, progress: Progress | None = None) -> int:
        """`clean_indexes` for asyncio."""
        report = await cls._arun(care.examine(cls, batch_size, removing=True, progress=progress))  # type: ignore
        return int(report["total"])

    @classmethod
    def rebuild_indexes(cls, batch_size: int = 1000, progress: Progress | None = None) -> int:
        """Write every row's index entries anew and remove those that no row has; queries answer fully meanwhile.

        Rows are found by a walk over the keys of the model, so rows that the class set has lost come back, and data of
        popoto 1.x is brought up to date: a row whose key 1.x spelled in another way is put under its key in one atomic
        step, references to it from models that this process knows follow, and an indexed field that a row lacks gets
        its default.

        Returns:
            How many rows were indexed.

        Raises:
            ModelException: when two rows hold one unique value, or the key of one is taken by another; nothing is lost,
                and the message names a row.
        """
        return int(cls._run(care.rebuild(cls, batch_size, progress)))  # type: ignore

    @classmethod
    async def async_rebuild_indexes(cls, batch_size: int = 1000, progress: Progress | None = None) -> int:
        """`rebuild_indexes` for asyncio."""
        return int(await cls._arun(care.rebuild(cls, batch_size, progress)))  # type: ignore
