"""The store under test, and how further connections to it are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from popoto.storage import Connection, Info
from popoto.storage.plugins import conformance_facts, plugin
from popoto.storage.urls import masked, parse
from popoto_conformance.faults import Address

NO_PLAIN_SOCKET: Final = frozenset({"cluster", "sentinel", "tls"})
TLS_SCHEMES: Final = frozenset({"rediss", "valkeys"})
DEFAULT_PORTS: Final = {"redis": 6379, "valkey": 6379}


class Store:
    """A URL, what its plug-in tells of itself, and the connection that most cases share.

    The plug-in's facts, all optional: `deviations` (case: reason), `restart` (a callable that stops the store and
    starts it again on its data), `in_process` (whether other processes cannot reach it), `url` (the URL under which
    several connections see one store, where the given one is private to each).
    """

    def __init__(self, url: str) -> None:
        """Look the plug-in up and connect.

        Raises:
            BadURL: the URL is malformed, or no plug-in answers to it.
            BackendError: the store cannot be reached.
        """
        self.given = parse(url)
        plugin(self.given.scheme)
        self.facts: dict[str, Any] = conformance_facts(self.given)
        self.url = str(self.facts.get("url", url))
        self.parsed = parse(self.url)
        self.connection = Connection(self.url)

    @property
    def info(self) -> Info:
        """What the store's backend says of itself."""
        return self.connection.info

    @property
    def masked(self) -> str:
        """The URL without its password."""
        return masked(self.given.raw)

    @property
    def deviations(self) -> dict[str, str]:
        """The cases in which the plug-in owns to differ, with its reasons."""
        return dict(self.facts.get("deviations", {}))

    @property
    def restart(self) -> Callable[[], None] | None:
        """Stops the store and starts it again on its data; None where the plug-in cannot."""
        found: Callable[[], None] | None = self.facts.get("restart")
        return found

    @property
    def in_process(self) -> bool:
        """Whether no other process can reach the store."""
        return bool(self.facts.get("in_process", False))

    def with_options(self, **options: str) -> str:
        """The URL with further options."""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        if not query:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}{query}"

    @property
    def address(self) -> Address | None:
        """Where a proxy can reach the store; None where there is no plain socket of one server."""
        url = self.parsed
        if self.in_process or url.variant in NO_PLAIN_SOCKET or url.scheme in TLS_SCHEMES or len(url.hosts) > 1:
            return None
        if url.variant == "unix" or (url.scheme == "unix" and url.path):
            return url.path
        host, port = url.hosts[0] if url.hosts else ("127.0.0.1", None)
        port = port or DEFAULT_PORTS.get(url.scheme)
        return (host, port) if port and (url.hosts or url.scheme in DEFAULT_PORTS) else None

    def through(self, port: int) -> str:
        """The URL of the same store behind a proxy on this port of the loopback address."""
        rest = self.url.partition(":")[2].removeprefix("//")
        authority, _, tail = rest.partition("/")
        if self.parsed.variant == "unix" or self.parsed.scheme == "unix":
            scheme = "redis" if self.parsed.scheme == "unix" else self.parsed.scheme
            query = rest.partition("?")[2]
            login = f"{authority.rpartition('@')[0]}@" if "@" in authority else ""
            return f"{scheme}://{login}127.0.0.1:{port}{'?' if query else ''}{query}"
        hosts, mark, query = authority.partition("?")
        login = f"{hosts.rpartition('@')[0]}@" if "@" in hosts else ""
        path = f"/{tail}" if tail else ""
        head = self.url.partition(":")[0]
        return f"{head}://{login}127.0.0.1:{port}{path}{mark}{query}"
