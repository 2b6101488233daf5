"""A row of the table: one verb in both its forms, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from popoto.storage import Connection


class Verb(NamedTuple):
    """What is made ready first, the blocking form, the asyncio form, and the trips of either.

    Both forms are given what was made ready.
    """

    ready: Callable[[Connection], Any]
    blocking: Callable[[Any], Any]
    waiting: Callable[[Any], Any]
    trips: int
