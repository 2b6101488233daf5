"""An in-process store for tests, on fakeredis: nothing to install, start or clean up.

`fake://` is private to its connection; `fake://name` is shared by all that give this name in the process.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import fakeredis
import redis
import redis.asyncio
import redis.exceptions

from popoto.exceptions import BadURL
from popoto.storage import (
    URL,
    AsyncBackend,
    AsyncPoolWire,
    AsyncRespBackend,
    Backend,
    Family,
    PoolWire,
    RespBackend,
    hookimpl,
)

FAMILY = Family(
    connection_errors=(redis.exceptions.ConnectionError,),
    timeout_errors=(redis.exceptions.TimeoutError,),
    response_error=redis.exceptions.ResponseError,
    auth_errors=(redis.exceptions.AuthenticationError,),
    cluster_error=redis.exceptions.RedisClusterException,
)
CAPABILITIES = ("lua", "geo", "geo-box", "pubsub", "streams", "bits", "field-ttl", "expire-flags")
DEVIATIONS = {
    "test_transactions.py::test_an_expiry_in_the_past_removes_at_once_inside_too": (
        "fakeredis holds its clock still inside MULTI, so what expires now is there until EXEC has ended"
    ),
}
_OPTIONS = frozenset({"namespace", "hash_tags", "server", "version", "protocol"})
_named: dict[tuple[str, str, str], fakeredis.FakeServer] = {}
_private: WeakKeyDictionary[URL, fakeredis.FakeServer] = WeakKeyDictionary()
_lock = threading.Lock()


def server(url: URL) -> fakeredis.FakeServer:
    """The server of a URL: one per name, or one per connection for the URL without a name."""
    unknown = url.options.keys() - _OPTIONS
    if unknown or url.variant:
        raise BadURL(f"{url}: write fake://[name] with the options {', '.join(sorted(_OPTIONS))}")
    kind, version = url.options.get("server", "redis"), url.options.get("version", "7.0")
    name = url.hosts[0][0] if url.hosts else url.path.strip("/")
    if kind not in ("redis", "valkey") or not version.replace(".", "").isdigit():
        raise BadURL(f"{url}: server is redis or valkey, version a number as 7.0")
    with _lock:
        if name:
            known = _named.get((name, kind, version))
            return known or _named.setdefault((name, kind, version), _made(kind, version))
        # A connection keeps one URL object and hands it to both of its backends, blocking and asyncio.
        return _private.get(url) or _private.setdefault(url, _made(kind, version))


def _made(kind: str, version: str) -> fakeredis.FakeServer:
    parts = tuple(map(int, version.split(".")))
    return fakeredis.FakeServer(version=parts, server_type="valkey" if kind == "valkey" else "redis")


class AsyncConnection(fakeredis.FakeAsyncRedisConnection):
    """The fake's asyncio connection, which would go on to hear what it had subscribed to after it is closed."""

    async def disconnect(self, *args: Any, **kwargs: Any) -> None:
        if self._sock is not None:
            self._sock.close()
        await super().disconnect(*args, **kwargs)


def _words(url: URL) -> dict[str, Any]:
    return {"server": server(url), "protocol": int(url.options.get("protocol", "2")), "host": "fake", "port": 0}


@hookimpl
def popoto_connect(url: URL) -> Backend:
    """Open a fake store for blocking callers."""
    words = _words(url)
    pool = redis.ConnectionPool(connection_class=fakeredis.FakeRedisConnection, **words)
    return RespBackend(PoolWire(pool, FAMILY), server="fakeredis", one_slot="hash_tags" in url.options)


@hookimpl
def popoto_aconnect(url: URL) -> AsyncBackend:
    """Open a fake store for the running event loop."""
    words = _words(url)
    pool = redis.asyncio.ConnectionPool(connection_class=AsyncConnection, **words)
    return AsyncRespBackend(AsyncPoolWire(pool, FAMILY), server="fakeredis", one_slot="hash_tags" in url.options)


@hookimpl
def popoto_backend() -> Mapping[str, Any]:
    """What the fake can do."""
    return {"capabilities": CAPABILITIES}


@hookimpl
def popoto_conformance(url: URL) -> Mapping[str, Any]:
    """How the suite has to treat the fake: other processes cannot reach it, and several connections need a name."""
    named = url.hosts or url.path.strip("/")
    options = "&".join(f"{name}={value}" for name, value in url.options.items())
    shared = f"{url.scheme}://popoto-conformance{'?' if options else ''}{options}"
    return {"in_process": True, "deviations": DEVIATIONS, **({} if named else {"url": shared})}


@hookimpl
def popoto_native(backend: Backend) -> Any:
    """The client object behind a backend."""
    if isinstance(backend, RespBackend) and isinstance(backend.wire, PoolWire):
        return redis.Redis(connection_pool=backend.wire.pool)
    return None
