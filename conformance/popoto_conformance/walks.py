"""What several cases do over and over: walk a scan to its end, wait, run a script given as text."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from popoto.storage import Command, Script, ask, effect

T = TypeVar("T")
MOST_TURNS = 5000


async def walked(step: Callable[[int], Command[tuple[int, T]]]) -> list[T]:
    """The pages of a scan, from its first step to its last.

    Raises:
        AssertionError: the scan does not come to an end.
    """
    pages: list[T] = []
    cursor = 0
    for _ in range(MOST_TURNS):
        cursor, page = await ask(step(cursor))
        pages.append(page)
        if cursor == 0:
            return pages
    raise AssertionError(f"the scan did not end within {MOST_TURNS} steps")


async def pause(seconds: float) -> None:
    """Wait, in a thread where an event loop runs."""
    await effect(lambda: time.sleep(seconds))


def lua(
    name: str,
    text: str,
    *,
    writes: bool = True,
    shape: Callable[[Any], Any] = lambda raw: raw,
    needs: str = "lua",
) -> Script[Any]:
    """A script of the suite, given as text."""
    return Script(f"conformance.{name}", "popoto_conformance", "", shape=shape, writes=writes, needs=needs, text=text)
