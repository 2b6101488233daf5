"""Client libraries of providers: imported when a provider is made, and one client for each process."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any


def package(name: str, extra: str) -> Any:
    """The package of a provider.

    Raises:
        ImportError: it is not installed; names the extra that brings it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        missing = error.name or name
        raise ImportError(f"{missing} is not installed: pip install 'popoto[{extra}]'", name=missing) from error


class PerProcess:
    """A client that a forked child makes anew, as its parent's sockets are not its own."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made = (os.getpid(), make())

    def __call__(self) -> Any:
        """The client of this process."""
        process, client = self._made
        if process != os.getpid():
            client = self._make()
            self._made = (os.getpid(), client)
        return client
