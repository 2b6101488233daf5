"""The type variables of fields: what a field holds when no type is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=str)
    N = TypeVar("N", default=float)
else:
    from typing import TypeVar

    T = TypeVar("T")
    N = TypeVar("N")
