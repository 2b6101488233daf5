"""A proxy that counts what passes and cuts a connection after any byte, in either direction."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Literal

SETTLE_SECONDS = 0.004
Direction = Literal["request", "reply"]


class Proxy:
    """Stands between a client and a server.

    Attributes:
        port: where it listens.
        turns: how many requests were answered or cut; all that a client sends until the server answers is one.
        replied: how many bytes the server has sent.
        requested: how many bytes clients have sent.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.upstream = upstream
        self.turns = self.requested = self.replied = 0
        self._cut: tuple[Direction, int] | None = None
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def cut(self, direction: Direction, count: int) -> None:
        """Of what is sent next in this direction pass on so many bytes, then drop the connection."""
        self._cut = (direction, count)

    def close(self) -> None:
        """Stop."""
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)
        for one in (self._listener, *self._sockets):
            one.close()

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self.upstream)
            except OSError:
                return
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += (client, server)
            asked = threading.Event()
            self._start(self._pass, "request", client, server, asked)
            self._start(self._pass, "reply", server, client, asked)

    def _pass(self, direction: Direction, source: socket.socket, target: socket.socket, asked: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if direction == "request" and not asked.is_set():
                    # A client sends a long request in pieces: all that follow at once belong to it.
                    piece = data
                    while piece:
                        time.sleep(SETTLE_SECONDS)
                        piece = _at_hand(source)
                        data += piece
                with self._lock:
                    self._count(direction, len(data), asked)
                    limit = self._limit(direction, len(data))
                target.sendall(data[:limit])
                if limit is not None:
                    break
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _count(self, direction: Direction, size: int, asked: threading.Event) -> None:
        if direction == "request":
            self.requested += size
            if not asked.is_set():
                asked.set()
                self.turns += 1
        else:
            self.replied += size
            asked.clear()

    def _limit(self, direction: Direction, size: int) -> int | None:
        """How many bytes to pass on before the connection is dropped; None for all of them."""
        if self._cut is None or self._cut[0] != direction:
            return None
        count = self._cut[1]
        if count > size:
            self._cut = (direction, count - size)
            return None
        self._cut = None
        return count


def _at_hand(source: socket.socket) -> bytes:
    """What can be read without waiting."""
    data = b""
    source.setblocking(False)
    with suppress(BlockingIOError):
        while more := source.recv(1 << 16):
            data += more
    source.setblocking(True)
    return data
