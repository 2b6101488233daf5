"""What becomes of a query's answer when it is there: sorting by a function, and whether reading it counts as access."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from popoto.exceptions import QueryException
from popoto.queries.where import Wanted


class Arrangement:
    """What `Query` inherits for its answer."""

    if TYPE_CHECKING:
        _model: Any
        _wanted: Wanted

        def _with(self, wanted: Wanted) -> Self: ...

    def computed_sort(self, fn: Callable[[Any], Any], reverse: bool = False) -> Self:
        """The rows sorted by a function of each, computed here; all matching rows are loaded, and the limit comes last.

        Args:
            fn: takes a row and gives what to sort by; rows that it gives the same stay in the query's order.
            reverse: the largest first.

        Raises:
            QueryException: when `fn` cannot be called.
        """
        if not callable(fn):
            raise QueryException(
                f"{self._model.__name__}: computed_sort({fn!r}) needs a function of a row, as lambda row: row.name"
            )
        return self._with(replace(self._wanted, computed=(fn, bool(reverse))))

    def no_track(self) -> Self:
        """The rows, without noting on models that track access that they were read."""
        return self._with(replace(self._wanted, tracks=False))

    def _unsorted(self) -> Self:
        return self if self._wanted.computed is None else self._with(replace(self._wanted, computed=None))


def arranged(rows: list[Any], wanted: Wanted) -> list[Any]:
    """Rows as a query wants them after loading: sorted by its function, then cut."""
    if wanted.computed is None:
        return rows
    fn, reverse = wanted.computed
    return sorted(rows, key=fn, reverse=reverse)[: wanted.limit]
