"""One command and its answer over a Unix socket, without a client library."""

from __future__ import annotations

import socket
from enum import Enum
from pathlib import Path


class State(Enum):
    """What a server says to PING."""

    SILENT = "silent"
    LOADING = "loading"
    READY = "ready"


def ask(socket_path: Path, *arguments: bytes, timeout_seconds: float = 1.0) -> bytes | None:
    """The first line of the server's answer, or None if nobody answers."""
    request = b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in arguments)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_seconds)
            connection.connect(str(socket_path))
            connection.sendall(request)
            answer = b""
            while b"\r\n" not in answer:
                received = connection.recv(4096)
                if not received:
                    return None
                answer += received
    except OSError:
        # Absent, refused, reset, timed out, path too long: nobody answers, and the caller's deadline decides.
        return None
    return answer.partition(b"\r\n")[0]


def state(socket_path: Path) -> State:
    """Whether a server answers there, and whether it has loaded its data."""
    answer = ask(socket_path, b"PING")
    if answer is None:
        return State.SILENT
    if answer.startswith(b"-LOADING"):
        return State.LOADING
    # Any other error (BUSY, MISCONF) comes from a running server and is for the client to report.
    return State.READY
