"""The clock that popoto reads, so that tests can set it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_read: Callable[[], float] = time.time


def now() -> float:
    """Seconds since 1970 UTC."""
    return _read()


@contextmanager
def frozen(at: Callable[[], float]) -> Iterator[None]:
    """Read another clock inside the block, in every thread."""
    global _read
    before, _read = _read, at
    try:
        yield
    finally:
        _read = before
