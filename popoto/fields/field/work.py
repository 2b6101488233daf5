"""What a field does beside a save or a read, when that is slow: files, models, services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar


class Work:
    """What `Field` inherits; a subclass defines those that it needs."""

    prepares: ClassVar[bool] = False
    """Whether a save awaits `preparing` before it writes."""
    elsewhere: ClassVar[bool] = False
    """Whether stored values lie elsewhere, and `bring` loads them."""

    async def preparing(self, model: Any, instance: Any, change: Any) -> None:
        """Do what must be done before a row is written; a plan, which awaits steps, effects and shared work.

        Args:
            model: the model class.
            instance: what is saved; None when rows are written by their keys.
            change: the change, whose `values` and `prepared` it may complete. What it raises keeps the row from being
                written.
        """

    def bring(self, instances: Sequence[Any]) -> list[Any]:
        """Load values that lie elsewhere, as slow local work: of each instance the value, or the error."""
        raise NotImplementedError

    def agrees(self, known: bytes | None, raw: Any) -> bool:
        """Whether stored bytes already say what a save would write, though their letters differ."""
        return False
