"""The connection functions of 1.x: settings as redis-py takes them, and the client object itself.

They speak of the default connection, so every model follows them at once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from popoto.exceptions import BackendError
from popoto.storage import Connection, ask, connection, set_connection
from popoto.storage.commands.keys import exists, scan

if TYPE_CHECKING:
    import redis
    import redis.asyncio

ENCODING: Final = "utf-8"
BEGINNING_OF_TIME: Final = int(os.environ.get("BEGINNING_OF_TIME") or 0)
_POSITIONS: Final = ("host", "port", "db", "password", "socket_timeout", "socket_connect_timeout")
_PLACES: Final = frozenset({"host", "port", "db", "username", "password", "unix_socket_path", "ssl"})
_OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "socket_timeout": "timeout",
        "socket_connect_timeout": "connect_timeout",
        **{
            name: name
            for name in (
                "max_connections",
                "health_check_interval",
                "protocol",
                "client_name",
                "ssl_ca_certs",
                "ssl_certfile",
                "ssl_keyfile",
                "ssl_cert_reqs",
                "ssl_keyfile_password",
            )
        },
    }
)
# What popoto does in any case may be asked for.
_HARMLESS: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {"decode_responses": (False,), "encoding": ("utf-8", "utf8"), "retry_on_timeout": (False,)}
)

logger = logging.getLogger("POPOTO-REDIS_DB")
_level = os.environ.get("POPOTO_LOG_LEVEL", "WARNING").upper()
logger.setLevel(_level if _level in logging.getLevelNamesMapping() else logging.WARNING)


class PopotoException(Exception):
    """An error of the framework; its message is logged when it is made."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        logger.error(message)


def set_REDIS_DB_settings(env_partition_name: str = "", *args: Any, **kwargs: Any) -> None:
    """Use another Redis server from now on: every model follows at once, in every thread and event loop.

    Args:
        env_partition_name: the namespace that stands before every key and channel; the ENV variable unless given.
        args, kwargs: as `redis.Redis` takes them: host, port, db, username, password, unix_socket_path, ssl and what
            belongs to it, socket_timeout, socket_connect_timeout, max_connections, client_name, protocol.

    Raises:
        PopotoException: for an argument that a connection URL cannot carry, naming it. Nothing has changed then.
    """
    namespace = env_partition_name or os.environ.get("ENV", "")
    made = Connection(url_of(_named(args, kwargs), namespace), source="set_REDIS_DB_settings()")
    before = set_connection(made)
    if before is not None:
        before.close()


async def set_async_redis_db_settings(env_partition_name: str = "", *args: Any, **kwargs: Any) -> None:
    """`set_REDIS_DB_settings`: blocking and asyncio callers share one connection."""
    set_REDIS_DB_settings(env_partition_name, *args, **kwargs)


def _named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    if len(args) > len(_POSITIONS):
        raise PopotoException(
            f"set_REDIS_DB_settings takes {', '.join(_POSITIONS)} by position; name the others, as ssl=True"
        )
    words = dict(zip(_POSITIONS, args, strict=False))
    for name in words.keys() & kwargs.keys():
        raise PopotoException(f"set_REDIS_DB_settings got {name} twice, by position and by name")
    return {name: value for name, value in (words | kwargs).items() if value is not None}


def url_of(words: Mapping[str, Any], namespace: str = "") -> str:
    """The connection URL of settings as `redis.Redis` takes them.

    Raises:
        PopotoException: for an argument that a URL cannot carry.
    """
    for name, value in words.items():
        _check_word(name, value)
    options = {_OPTIONS[name]: _option(value) for name, value in words.items() if name in _OPTIONS}
    login = quote(str(words.get("username", "")), safe="")
    if "password" in words:
        login += ":" + quote(str(words["password"]), safe="")
    login += "@" if login else ""
    if "unix_socket_path" in words:
        if "db" in words:
            options["db"] = str(words["db"])
        place = f"redis+unix://{login}/{quote(str(words['unix_socket_path']).lstrip('/'))}"
    else:
        host = str(words.get("host", "localhost"))
        host = f"[{host}]" if ":" in host else host
        scheme = "rediss" if words.get("ssl") else "redis"
        place = f"{scheme}://{login}{host}:{words.get('port', 6379)}/{words.get('db', 0)}"
    if ":" in namespace:
        raise PopotoException(
            f"the namespace {namespace!r} has a colon, which would let it lie inside another: use a dash"
        )
    if namespace:
        options["namespace"] = namespace
    return f"{place}?{urlencode(options)}" if options else place


def _check_word(name: str, value: Any) -> None:
    if name == "decode_responses" and value:
        raise PopotoException("decode_responses=True would change stored bytes: leave it out, popoto decodes by itself")
    if name in _HARMLESS:
        if value not in _HARMLESS[name]:
            raise PopotoException(f"{name}={value!r} cannot be set: leave it out")
    elif name not in _PLACES and name not in _OPTIONS:
        raise PopotoException(
            f"{name}= cannot be set: a connection takes {', '.join(sorted(_PLACES | _OPTIONS.keys()))}; "
            "for anything else write a backend plug-in"
        )


def _option(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


# -- the client object


def get_REDIS_DB() -> redis.Redis:
    """The client object of the connection in force; what is done with it is neither counted nor checked.

    Raises:
        PopotoException: when the backend has none.
    """
    here = connection()
    client = here.native
    if client is None:
        raise PopotoException(f"the backend of {here.url} has no client object: use popoto.connection()")
    return client  # type: ignore[no-any-return]


get_redis = get_REDIS_DB


async def get_async_redis_db() -> redis.asyncio.Redis:
    """The asyncio client object of the running event loop's connections.

    Raises:
        PopotoException: when the backend has none.
    """
    here = connection()
    backend = (await here.lane()).backend
    # Only a connection that was used has its client.
    await backend.describe()
    wire = getattr(backend, "wire", None)
    if hasattr(wire, "client"):
        return wire.client  # type: ignore[union-attr, no-any-return]
    pool = getattr(wire, "pool", None)
    if pool is None:
        raise PopotoException(f"the backend of {here.url} has no asyncio client object: use popoto.connection()")
    library = next(
        one for kind in type(pool).__mro__ if (one := kind.__module__.partition(".")[0]) in ("redis", "valkey")
    )
    client = getattr(import_module(f"{library}.asyncio"), library.capitalize())
    return client(connection_pool=pool)  # type: ignore[no-any-return]


class _Current:
    """Stands for the client object of the connection in force, looked up at each use."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(get_REDIS_DB(), name)

    def __contains__(self, key: str | bytes) -> bool:
        return bool(get_REDIS_DB().exists(key))

    def __repr__(self) -> str:
        return f"<POPOTO_REDIS_DB: the client of {connection()!r}>"


_CURRENT: Final = _Current()


def __getattr__(name: str) -> Any:
    if name == "POPOTO_REDIS_DB":
        return _CURRENT
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# -- care


def check_connection() -> bool:
    """Whether the server answers."""
    try:
        connection().run(ask(exists("popoto:ping")))
    except BackendError as error:
        logger.warning("the server does not answer: %s", error)
        return False
    return True


async def async_check_connection() -> bool:
    """`check_connection` for asyncio."""
    try:
        await connection().arun(ask(exists("popoto:ping")))
    except BackendError as error:
        logger.warning("the server does not answer: %s", error)
        return False
    return True


def scan_keys(pattern: str, count: int = 1000) -> list[bytes]:
    """Every key of the connection's namespace that matches a glob pattern, each once, found by SCAN.

    The pattern is written without the namespace, as `User:*`; the keys come back as they are stored, with it. SCAN
    looks at the whole server: for maintenance, not for a path that a user waits for.

    Args:
        pattern: as SCAN's MATCH takes it.
        count: about how many keys each step looks at.
    """
    here = connection()
    if here.layout.cluster and here.native is not None:
        # Each node has its own cursor, which the client's own walk keeps.
        return list(dict.fromkeys(here.native.scan_iter(match=_match(here, pattern), count=count)))
    return here.run(_walk(_match(here, pattern), count))


async def async_scan_keys(pattern: str, count: int = 1000) -> list[bytes]:
    """`scan_keys` for asyncio."""
    here = connection()
    if here.layout.cluster:
        client = await get_async_redis_db()
        found = [key async for key in client.scan_iter(match=_match(here, pattern), count=count)]
        return list(dict.fromkeys(found))
    return await here.arun(_walk(_match(here, pattern), count))


def _match(here: Connection, pattern: str) -> str:
    namespace = here.layout.namespace
    space = "".join(f"\\{letter}" if letter in "*?[]^\\" else letter for letter in namespace)
    # A cluster's keys carry their model's hash tag.
    return (f"{space}:" if namespace else "") + ("{*}" if here.layout.cluster else "") + pattern


async def _walk(pattern: str, count: int) -> list[bytes]:
    keys: dict[bytes, None] = {}
    cursor = 0
    while True:
        cursor, some = await ask(scan(cursor, match=pattern, count=count))
        keys |= dict.fromkeys(some)
        if cursor == 0:
            return list(keys)


def print_redis_info() -> None:
    """Log the server's version and memory use at level INFO to the logger POPOTO-REDIS_DB."""
    here = connection()
    logger.info("%s: %s %s", here.url, here.info.server, here.info.version)
    client = here.native
    if client is None:
        return
    try:
        nodes: Any = client.info("memory")
    except Exception as error:
        logger.info("%s tells no more: %s", here.url, error)
        return
    if "used_memory" in nodes or not nodes:
        nodes = {str(here.url): nodes}
    for node, facts in nodes.items():
        facts = facts if isinstance(facts, dict) else {}
        logger.info(
            "%s: %s used, %s at most", node, facts.get("used_memory_human", "?"), facts.get("maxmemory_human", "?")
        )
