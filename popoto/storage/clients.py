"""Clients of redis-py's family opened from a URL: standalone, Unix socket, cluster, sentinel.

redis-py and valkey-py are forks of one code base; a backend hands in its modules and gets both kinds of backend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from popoto.exceptions import BadURL
from popoto.storage.clusters import AsyncClusterWire, ClusterWire
from popoto.storage.resp import AsyncRespBackend, RespBackend
from popoto.storage.urls import URL
from popoto.storage.wires import AsyncPoolWire, Family, PoolWire

DEFAULT_TIMEOUT_SECONDS: Final = 5.0
VARIANTS: Final = ("", "unix", "tls", "cluster", "sentinel")
_OWN_OPTIONS: Final = frozenset({"namespace", "hash_tags", "timeout", "connect_timeout"})
_INTEGERS: Final = frozenset({"db", "max_connections", "health_check_interval", "protocol"})
_TEXTS: Final = frozenset(
    {"client_name", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_keyfile_password"}
)
_TLS_SCHEMES: Final = frozenset({"rediss", "valkeys"})


@dataclass(frozen=True, slots=True)
class Client:
    """A client library of the family, handed in by its backend.

    Attributes:
        name: its name, as `redis`.
        blocking, aio: its module and its asyncio module.
        standalone: the name of its client class, as `Redis`.
        cluster: the name of its cluster class, as `RedisCluster`.
        family: its errors.
        retry, async_retry: make the object that forbids the client to repeat a command by itself.
    """

    name: str
    blocking: Any
    aio: Any
    standalone: str
    cluster: str
    family: Family
    retry: Callable[[], Any]
    async_retry: Callable[[], Any]

    def open(self, url: URL) -> RespBackend:
        """A blocking backend for a URL.

        Raises:
            BadURL: naming the part that is wrong.
        """
        if url.variant == "cluster":
            return RespBackend(ClusterWire(self, url), one_slot=True)
        if url.variant == "sentinel":
            return RespBackend(self._sentinel(self.blocking, url, self.retry(), PoolWire), one_slot=_one_slot(url))
        pool = _pool(self.blocking, url, self.words(url, self.retry()))
        return RespBackend(PoolWire(pool, self.family), one_slot=_one_slot(url))

    def aopen(self, url: URL) -> AsyncRespBackend:
        """An asyncio backend for a URL.

        Raises:
            BadURL: naming the part that is wrong.
        """
        if url.variant == "cluster":
            return AsyncRespBackend(AsyncClusterWire(self, url), one_slot=True)
        if url.variant == "sentinel":
            return AsyncRespBackend(
                self._sentinel(self.aio, url, self.async_retry(), AsyncPoolWire), one_slot=_one_slot(url)
            )
        pool = _pool(self.aio, url, self.words(url, self.async_retry()))
        return AsyncRespBackend(AsyncPoolWire(pool, self.family), one_slot=_one_slot(url))

    def words(self, url: URL, retry: Any) -> dict[str, Any]:
        """The keyword arguments of a connection to a URL's store.

        Raises:
            BadURL: for an option that is unknown or no number.
        """
        if url.variant not in VARIANTS:
            raise BadURL(f"{url}: the variant {url.variant!r} is unknown; use one of {', '.join(VARIANTS[1:])}")
        # RESP2 is quicker to parse with every parser of the family.
        words: dict[str, Any] = {"protocol": 2, "retry": retry}
        for name, text in url.options.items():
            if name in _INTEGERS:
                words[name] = _number(url, name, text, int)
            elif name in _TEXTS:
                words[name] = text
            elif name not in _OWN_OPTIONS:
                known = ", ".join(sorted(_INTEGERS | _TEXTS | _OWN_OPTIONS))
                raise BadURL(f"{url}: the option {name!r} is unknown; there are {known}")
        seconds = _number(url, "timeout", url.options.get("timeout", str(DEFAULT_TIMEOUT_SECONDS)), float)
        words["socket_timeout"] = seconds or None
        patience = url.options.get("connect_timeout", str(seconds))
        words["socket_connect_timeout"] = _number(url, "connect_timeout", patience, float) or None
        words["username"], words["password"] = url.username, url.password
        return words

    def native(self, backend: RespBackend) -> Any:
        """The client object over the same connections."""
        wire = backend.wire
        if isinstance(wire, ClusterWire):
            return wire.client
        return (
            getattr(self.blocking, self.standalone)(connection_pool=wire.pool) if isinstance(wire, PoolWire) else None
        )

    def _sentinel(self, module: Any, url: URL, retry: Any, wire: Any) -> Any:
        service, _, db = url.path.partition("/")
        if not service or not url.hosts:
            raise BadURL(f"{url}: write {url.scheme}+sentinel://host[,host]/service[/db]")
        words = self.words(url, retry)
        if db:
            words["db"] = _number(url, "db", db, int)
        if url.scheme in _TLS_SCHEMES:
            words["ssl"] = True
        quick = {name: words[name] for name in ("socket_timeout", "socket_connect_timeout", "protocol")}
        hosts = [(host, port or 26_379) for host, port in url.hosts]
        guard = module.sentinel.Sentinel(hosts, sentinel_kwargs=quick, **words)
        return wire(guard.master_for(service).connection_pool, self.family, guard.sentinels)


def _one_slot(url: URL) -> bool:
    return "hash_tags" in url.options


def _pool(module: Any, url: URL, words: dict[str, Any]) -> Any:
    connections = module.connection
    limit = {"max_connections": words.pop("max_connections")} if "max_connections" in words else {}
    if url.variant == "unix" or url.scheme == "unix":
        if not url.path:
            raise BadURL(f"{url}: name the socket, as {url.scheme}://" + "/run/server.sock")
        path = url.path if url.path.startswith("/") else f"/{url.path}"
        return connections.ConnectionPool(
            connection_class=connections.UnixDomainSocketConnection, path=path, **words, **limit
        )
    if len(url.hosts) > 1:
        raise BadURL(f"{url}: several hosts need +cluster or +sentinel")
    tls = url.variant == "tls" or url.scheme in _TLS_SCHEMES
    if not tls:
        for name in [name for name in words if name.startswith("ssl_")]:
            raise BadURL(f"{url}: the option {name!r} needs a TLS scheme, as rediss://")
    host, port = url.hosts[0] if url.hosts else ("127.0.0.1", None)
    if url.path:
        words["db"] = _number(url, "database", url.path, int)
    kind = connections.SSLConnection if tls else connections.Connection
    return connections.ConnectionPool(connection_class=kind, host=host, port=port or 6379, **words, **limit)


def _number(url: URL, name: str, text: str, kind: type[int] | type[float]) -> Any:
    try:
        number = kind(text)
    except ValueError:
        raise BadURL(f"{url}: the {name} is {text!r}; give a number") from None
    if number < 0:
        raise BadURL(f"{url}: the {name} is {text!r}; give a number that is not negative")
    return number
