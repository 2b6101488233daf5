"""The stored bytes that an instance was loaded from or last saved as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class RawValues:
    """An instance's stored bytes by field name.

    A loaded row keeps its values as they came, in the order of its model's fields. They are named when they are first
    wanted by name, as to save; to read a value its place is enough.
    """

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self
        state = instance.__dict__
        values = state.get("_raw_values")
        if values is not None:
            # Another thread may have come first.
            state.setdefault("_raw", named(instance._meta.field_names, values))
            state.pop("_raw_values", None)
        return state["_raw"]


def named(names: Sequence[str], values: Sequence[Any]) -> dict[str, bytes]:
    """A row's bytes by field name; a packed page has False for a field that the hash lacks."""
    return {name: value for name, value in zip(names, values, strict=True) if type(value) is bytes}
