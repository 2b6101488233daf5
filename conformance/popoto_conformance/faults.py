"""A TCP proxy that loses requests and replies, cuts, delays and lies, and counts what passes."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final, TypeAlias

Address: TypeAlias = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""

CHUNK: Final = 1 << 16
CRLF: Final = b"\r\n"
_NESTED: Final = {b"*": 1, b"~": 1, b">": 1, b"%": 2}


def frame_end(data: bytes | bytearray, start: int = 0) -> int:
    """Where the RESP frame that begins at `start` ends, or -1 when it is not complete."""
    stop = data.find(CRLF, start)
    if stop < 0:
        return -1
    kind, text = bytes(data[start : start + 1]), bytes(data[start + 1 : stop])
    at = stop + 2
    if kind in (b"$", b"=") and text != b"-1":
        at += int(text) + 2
        return at if at <= len(data) else -1
    for _ in range(_NESTED.get(kind, 0) * max(0, int(text)) if kind in _NESTED else 0):
        at = frame_end(data, at)
        if at < 0:
            return -1
    return at


def frames(data: bytes | bytearray) -> tuple[list[bytes], bytes]:
    """The complete RESP frames at the head of the data, and the rest."""
    found, at = [], 0
    while at < len(data):
        end = frame_end(data, at)
        if end < 0:
            break
        found.append(bytes(data[at:end]))
        at = end
    return found, bytes(data[at:])


class Proxy:
    """Stands between a client and a server on a port of its own.

    Faults are armed for the next request, on whatever connection it comes. A request is all that a client sends
    until the server answers.

    Attributes:
        port: where it listens.
        turns: how many requests have passed; a batch in one flush is one.
        commands: how many commands they held.
        received: every byte that clients have sent.
        delay: seconds that each request is held back.
    """

    def __init__(self, upstream: Address) -> None:
        self.upstream = upstream
        self.turns = 0
        self.commands = 0
        self.received = bytearray()
        self.delay = 0.0
        self.lock = threading.Lock()
        self._eaten_requests = 0
        self._eaten_replies = 0
        self._cut: int | None = None
        self._answer: tuple[int, bytes] | None = None
        self._open: set[_Link] = set()
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def eat_request(self, times: int = 1) -> None:
        """Drop the connection instead of passing on the next request."""
        self._eaten_requests = times

    def eat_reply(self, times: int = 1) -> None:
        """Pass the next request on, wait for its reply, and drop the connection instead of giving it back."""
        self._eaten_replies = times

    def cut_after(self, count: int) -> None:
        """Pass on so many bytes of the next request and drop the connection."""
        self._cut = count

    def answer(self, index: int, reply: bytes) -> None:
        """Do not pass on the next request's command of this index, and answer it with these bytes."""
        self._answer = (index, reply)

    def refuse(self) -> None:
        """Stop listening and drop every connection: from now on nobody answers."""
        self.close()

    def close(self) -> None:
        """Stop; twice is fine."""
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in list(self._open):
            link.drop()
        for link in list(self._open):
            link.join()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = _dial(self.upstream)
            except OSError:
                client.close()
                continue
            link = _Link(self, client, server)
            self._open.add(link)
            link.start()

    def forget(self, link: _Link) -> None:
        """Take note that a connection has ended."""
        self._open.discard(link)

    def take_request(self, data: bytes) -> tuple[bytes, bool, bool]:
        """What to pass on of a request, whether to drop the connection then, and whether to eat the reply."""
        with self.lock:
            self.received += data
            self.commands += len(frames(data)[0])
            if self._eaten_requests:
                self._eaten_requests -= 1
                return b"", True, False
            if self._cut is not None:
                cut, self._cut = self._cut, None
                # Passed on whole, it is answered: that answer must not outrun the cut.
                return data[:cut], True, True
            if self._eaten_replies:
                self._eaten_replies -= 1
                return data, False, True
            return data, False, False

    def take_answer(self) -> tuple[int, bytes] | None:
        """The answer that is armed."""
        with self.lock:
            answer, self._answer = self._answer, None
            return answer


class _Link:
    """One client's connection through the proxy: a thread for each direction."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy = proxy
        self.client = client
        self.server = server
        self.asked = True
        self.eats = False
        self.injections: deque[tuple[int, bytes]] = deque()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._requests, self._replies)]
        for one in (client, server):
            if one.family != socket.AF_UNIX:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        # The one that listens to the client waits for the other when it ends, so the other has to run by then.
        for thread in reversed(self._threads):
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=2)

    def drop(self) -> None:
        for one in (self.client, self.server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _requests(self) -> None:
        try:
            while data := self.client.recv(CHUNK):
                if self.asked:
                    self.asked = False
                    with self.proxy.lock:
                        self.proxy.turns += 1
                    if self.proxy.delay:
                        time.sleep(self.proxy.delay)
                        data += _waiting(self.client)
                if not self._pass_on(data):
                    break
        except OSError:
            pass
        finally:
            self.drop()
            self._threads[1].join()
            self.client.close()
            self.server.close()
            self.proxy.forget(self)

    def _pass_on(self, data: bytes) -> bool:
        data, drops, eats = self.proxy.take_request(data)
        self.eats = self.eats or eats
        answer = self.proxy.take_answer()
        if answer is not None:
            commands, rest = frames(data)
            self.injections.append(answer)
            data = b"".join(one for at, one in enumerate(commands) if at != answer[0]) + rest
            if not data:
                self.client.sendall(self.injections.popleft()[1])
                self.asked = True
        self.server.sendall(data)
        return not drops

    def _replies(self) -> None:
        early = bytearray()
        try:
            while data := self.server.recv(CHUNK):
                if self.eats:
                    break
                self.asked = True
                if self.injections:
                    early += data
                    found, rest = frames(early)
                    index, reply = self.injections[0]
                    if len(found) < index or rest:
                        continue
                    self.injections.popleft()
                    data = b"".join([*found[:index], reply, *found[index:]])
                    early.clear()
                self.client.sendall(data)
        except OSError:
            pass
        finally:
            self.drop()


def _dial(upstream: Address) -> socket.socket:
    if isinstance(upstream, str):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(upstream)
        except OSError:
            connection.close()
            raise
        return connection
    return socket.create_connection(upstream, timeout=None)


def _waiting(client: socket.socket) -> bytes:
    """What has arrived and can be read at once."""
    client.setblocking(False)
    data = b""
    try:
        while chunk := client.recv(CHUNK):
            data += chunk
    except BlockingIOError:
        pass
    finally:
        client.setblocking(True)
    return data
