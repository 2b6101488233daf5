"""An embedded server as it is seen from outside."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from popoto_embedded.exchange import ask
from popoto_embedded.locks import Flock
from popoto_embedded.supervisor import Server

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="the embedded server doesn't run on Windows")
# For what must come: a busy disk can hold up a server's start and its writes for seconds.
PATIENCE_SECONDS = 60


def say(server: Server, *arguments: str) -> str | None:
    """What the server answers to a command; None where there is no server."""
    answer = ask(server.socket_path, *(argument.encode() for argument in arguments))
    return None if answer is None else answer.decode()


def pid_of(directory: Path) -> int:
    """The process of the server that has the directory."""
    return int((directory / "server.pid").read_text())


def serving(directory: Path) -> bool:
    """Whether a server has the directory."""
    return locked(directory / "data.lock")


def locked(path: Path) -> bool:
    """Whether a living process holds the lock."""
    lock = Flock(path)
    free = lock.try_exclusive()
    lock.release()
    return not free


def alive(pid: int) -> bool:
    """False also for a zombie, which only waits for its parent."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)
