"""Plans over many rows, side by side: one round trip for each connection and each bounded number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from popoto.storage import Op, together

MOST_AT_ONCE: Final = 500


def batches(models: Iterable[tuple[Any, Callable[[], Op[Any]]]]) -> Iterator[tuple[Any, Op[list[Any]]]]:
    """Plans of models as fewer plans, each with a model to run it.

    Args:
        models: of each plan its model, and what makes it.
    """
    groups: dict[str | None, list[tuple[Any, Callable[[], Op[Any]]]]] = {}
    for model, make in models:
        groups.setdefault(model._meta.connection, []).append((model, make))
    for group in groups.values():
        for start in range(0, len(group), MOST_AT_ONCE):
            some = group[start : start + MOST_AT_ONCE]
            yield some[0][0], together([make() for _, make in some])
