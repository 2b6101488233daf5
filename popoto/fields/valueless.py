"""The base of fields that keep something beside their rows and have no value of their own."""

from __future__ import annotations

from typing import Any

from popoto.exceptions import ModelException
from popoto.fields.field import Field
from popoto.fields.lookups import Lookup


class ValuelessField(Field[None]):
    """A field whose value is always None: what it knows lies beside the rows.

    Raises:
        ModelException: for any option of other fields.
    """

    def __init__(self, **options: Any) -> None:
        for name in options:
            raise ModelException(f"{self._title()} has no option {name!r}: it holds no value of its own")
        super().__init__(str)  # type: ignore[arg-type]
        # Any value goes through convert(), which refuses it.
        self.settled_type = None

    def convert(self, value: Any) -> Any:
        raise ValueError("the field holds no value of its own: leave it out")

    def make_lookups(self) -> dict[str, Lookup]:
        return {}
