"""Test databases: a switch to one, and its emptying. The pytest plug-in does both by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode

from popoto.redis_db import scan_keys
from popoto.storage import URL, Connection, ask_all, connection, set_connection, using
from popoto.storage.commands.keys import delete

_SERVERS: Final = frozenset({"redis", "rediss", "unix", "valkey", "valkeys"})
_AT_ONCE: Final = 1_000
_switched: Connection | None = None
_origin: Connection | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where tests keep their data.

    Attributes:
        url: the connection URL.
        whole: whether all of the database belongs to the tests, and not only the URL's namespace.
    """

    url: str
    whole: bool


def number(db: int | str, name: str = "db") -> int:
    """The number of a test database.

    Raises:
        ValueError: for 0, where production data lives, and for what is no number.
    """
    try:
        found = int(db)
    except (TypeError, ValueError):
        raise ValueError(f"{name}={db!r} must be an integer from 1 up") from None
    if found < 1:
        raise ValueError(f"{name}={db!r} is refused: database 0 is where production data lives; use 1 or higher")
    return found


def named_db(url: URL) -> str:
    """The database that a server's URL names, "" for none."""
    if url.variant == "sentinel":
        return url.path.partition("/")[2]
    return url.options.get("db", "") if url.variant == "unix" or url.scheme == "unix" else url.path


def has_databases(url: URL) -> bool:
    """Whether a URL's store has numbered databases; the others are told apart by a namespace."""
    return url.scheme in _SERVERS and url.variant != "cluster"


def place(url: URL, db: int, part: str = "") -> Place:
    """The same store with the same login, in another database; or in a namespace, where a store has one only.

    Args:
        url: the store.
        db: the database.
        part: the namespace of one of several test processes that share the database.
    """
    head, _, query = url.raw.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    names = [options.pop("namespace", "")]
    if has_databases(url):
        head = _with_db(url, head, db, options)
    else:
        names.append(f"popoto-test-{db}")
    names.append(part)
    space = "-".join(name for name in names if name)
    if space:
        options["namespace"] = space
    return Place(f"{head}?{urlencode(options)}" if options else head, whole=not space)


def _with_db(url: URL, head: str, db: int, options: dict[str, str]) -> str:
    options.pop("db", None)
    scheme, slashes, rest = head.partition("//")
    authority = rest.partition("/")[0]
    if url.variant == "unix" or url.scheme == "unix":
        options["db"] = str(db)
        return head
    service = f"/{url.path.partition('/')[0]}" if url.variant == "sentinel" else ""
    return f"{scheme}{slashes or '//'}{authority}{service}/{db}"


def empty(here: Connection, *, whole: bool) -> None:
    """Delete all that a connection sees: its database, or its namespace."""
    if whole:
        here.native.flushdb()
        return
    with using(here):
        keys = scan_keys("*")
    for start in range(0, len(keys), _AT_ONCE):
        # One command a key: in a cluster each may live in another slot.
        here.run(ask_all([delete(key) for key in keys[start : start + _AT_ONCE]]))


def use_test_db(db: int = 15) -> None:
    """Let every model use another database of the same server, with the same host and login, from now on.

    A store without numbered databases (a cluster, an embedded server, the fake) gets a namespace instead.

    Raises:
        ValueError: for 0, or what is no integer. Nothing has changed then.
    """
    global _origin, _switched
    chosen = number(db)
    before = connection()
    # A second switch starts where the first one did, so that namespaces do not pile up.
    _origin = _origin if _origin is not None and before is _switched else before
    _switched = Connection(place(_origin.url, chosen).url, source="use_test_db()")
    set_connection(_switched)


def flush_test_db() -> None:
    """Delete everything in the database that `use_test_db` has switched to.

    Raises:
        RuntimeError: when the connection in force is another one. Nothing is deleted then.
    """
    here = connection()
    if _switched is None or here is not _switched:
        raise RuntimeError(f"{here.url} is no test database: call use_test_db() first")
    empty(here, whole=not here.layout.namespace)
