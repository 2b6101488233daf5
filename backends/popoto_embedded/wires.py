"""Wires to an embedded server's socket, which is started at first use and again when it was killed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import redis
import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from popoto.exceptions import Unavailable
from popoto.storage import URL, AsyncPoolWire, AsyncSubscription, Family, PoolWire, Subscription
from popoto_embedded.configuration import MEMORY_NAME
from popoto_embedded.errors import EmbeddedError
from popoto_embedded.supervisor import Server, ensure_running

Argvs = Sequence[tuple[bytes, ...]]
Open = Callable[[URL], Server]
FAMILY: Final = Family(
    connection_errors=(redis.exceptions.ConnectionError,),
    timeout_errors=(redis.exceptions.TimeoutError,),
    response_error=redis.exceptions.ResponseError,
    auth_errors=(redis.exceptions.AuthenticationError,),
    cluster_error=redis.exceptions.RedisClusterException,
)


def _words(url: URL, path: Path, retry: Any) -> dict[str, Any]:
    return {
        "path": str(path),
        "protocol": int(url.options.get("protocol", "2")),
        "retry": retry,
        "socket_timeout": float(url.options.get("timeout", "5")) or None,
    }


class _Handle:
    """One backend's hold on the server of its URL."""

    def __init__(self, url: URL, open_: Open) -> None:
        self.url = url
        self._open = open_
        self._server: Server | None = None
        self._lock = threading.Lock()
        self._closed = False

    def path(self) -> Path:
        """The server's socket; the server is started at the first call."""
        with self._lock:
            if self._closed:
                raise Unavailable("this backend is closed: connect again")
            if self._server is None:
                try:
                    self._server = self._open(self.url)
                except EmbeddedError as error:
                    raise Unavailable(str(error)) from error
            return self._server.socket_path

    def revive(self) -> Path:
        """The server's socket, after it was started again if it had been killed."""
        self.path()
        server = self._server
        if server is not None:
            try:
                ensure_running(server)
            except EmbeddedError as error:
                raise Unavailable(str(error)) from error
        return self.path()

    def close(self) -> None:
        """Let go of the server; the last user of the directory stops it."""
        with self._lock:
            self._closed = True
            server, self._server = self._server, None
        if server is not None and self.url.path != MEMORY_NAME:
            server.close()


class EmbeddedWire:
    """A blocking wire to an embedded server."""

    def __init__(self, url: URL, open_: Open) -> None:
        self._handle = _Handle(url, open_)
        self._wire: PoolWire | None = None
        self._path: Path | None = None

    def _at(self, path: Path) -> PoolWire:
        wire = self._wire
        # Paths are compared at length, and it is nearly always the same object.
        if wire is None or (path is not self._path and path != self._path):
            words = _words(self._handle.url, path, Retry(NoBackoff(), 0))
            pool = redis.ConnectionPool(connection_class=redis.UnixDomainSocketConnection, **words)
            wire = self._wire = PoolWire(pool, FAMILY)
            self._path = path
        return wire

    def send(self, argvs: Argvs, keys: Sequence[bytes] = (), /) -> list[Any]:
        try:
            return self._at(self._handle.path()).send(argvs)
        except Unavailable:
            # Nothing was sent: a server that was killed is started again, and the batch goes to it.
            return self._at(self._handle.revive()).send(argvs)

    def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes], /) -> Subscription:
        return self._at(self._handle.revive()).subscribe(channels, patterns)

    def client(self) -> Any:
        """A redis-py client over the same connections."""
        return redis.Redis(connection_pool=self._at(self._handle.path()).pool)

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
        self._handle.close()


class AsyncEmbeddedWire:
    """An asyncio wire to an embedded server."""

    def __init__(self, url: URL, open_: Open) -> None:
        self._handle = _Handle(url, open_)
        self._wire: AsyncPoolWire | None = None
        self._path: Path | None = None

    def _at(self, path: Path) -> AsyncPoolWire:
        wire = self._wire
        if wire is None or path != self._path:
            words = _words(self._handle.url, path, AsyncRetry(NoBackoff(), 0))
            pool = redis.asyncio.ConnectionPool(connection_class=redis.asyncio.UnixDomainSocketConnection, **words)
            wire = self._wire = AsyncPoolWire(pool, FAMILY)
            self._path = path
        return wire

    @property
    def pool(self) -> Any:
        """The client's pool, once something was sent."""
        return None if self._wire is None else self._wire.pool

    async def _ready(self) -> AsyncPoolWire:
        if self._wire is None:
            return self._at(await asyncio.to_thread(self._handle.path))
        return self._wire

    async def send(self, argvs: Argvs, keys: Sequence[bytes] = (), /) -> list[Any]:
        try:
            return await (await self._ready()).send(argvs)
        except Unavailable:
            return await self._at(await asyncio.to_thread(self._handle.revive)).send(argvs)

    async def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes], /) -> AsyncSubscription:
        wire = self._at(await asyncio.to_thread(self._handle.revive))
        return await wire.subscribe(channels, patterns)

    async def close(self) -> None:
        if self._wire is not None:
            await self._wire.close()
        await asyncio.to_thread(self._handle.close)
