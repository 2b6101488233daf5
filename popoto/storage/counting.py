"""Round trips, counted where they are made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_counters: ContextVar[tuple[RoundTrips, ...]] = ContextVar("popoto_round_trips", default=())


class RoundTrips:
    """A running count of round trips; compares with and converts to an int."""

    def __init__(self) -> None:
        self.count = 0

    def __int__(self) -> int:
        return self.count

    def __eq__(self, other: object) -> bool:
        return self.count == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<RoundTrips {self.count}>"


@contextmanager
def round_trips() -> Iterator[RoundTrips]:
    """Count the round trips made inside the block, by this thread or by this asyncio task and those it starts."""
    trips = RoundTrips()
    token = _counters.set((*_counters.get(), trips))
    try:
        yield trips
    finally:
        _counters.reset(token)


def count_round_trip() -> None:
    """Note that one exchange with a store took place."""
    for trips in _counters.get():
        trips.count += 1
