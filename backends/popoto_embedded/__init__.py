"""A real Valkey server in a directory of the user's, as a backend of popoto.

`embedded:` keeps its data in the user's data folder, `embedded:./data` and `embedded:///abs/data` where they say, and
`embedded::memory:` in a temporary directory that goes with its last user. Processes that name one directory share one
server.
"""

from __future__ import annotations

import os
import signal
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from popoto.exceptions import BadURL
from popoto.storage import CAPABILITIES, URL, AsyncBackend, AsyncRespBackend, Backend, RespBackend, hookimpl
from popoto_embedded.configuration import MEMORY_NAME, PID_NAME, Settings
from popoto_embedded.errors import EmbeddedError
from popoto_embedded.exchange import ask
from popoto_embedded.supervisor import Server, ensure_running, open_server
from popoto_embedded.wires import AsyncEmbeddedWire, EmbeddedWire

__all__ = ["EmbeddedError", "Server", "Settings", "ensure_running", "open_server"]

CLAIMS: Final = frozenset({"persistent"})
_OPTIONS: Final = frozenset({"fsync", "maxmemory", "namespace", "hash_tags", "protocol", "timeout"})
_ephemeral: weakref.WeakKeyDictionary[URL, Server] = weakref.WeakKeyDictionary()


def default_directory() -> Path:
    """Where `embedded:` keeps its data: POPOTO_HOME, else the user's data folder."""
    home = os.environ.get("POPOTO_HOME")
    if home:
        return Path(home).expanduser()
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "popoto"


def settings(url: URL) -> Settings:
    """What a URL asks of its server.

    Raises:
        BadURL: naming the part that is wrong.
    """
    unknown = url.options.keys() - _OPTIONS
    if unknown or url.variant or url.hosts:
        raise BadURL(
            f"{url}: write embedded:, embedded:./directory, embedded:///directory or embedded::memory:, "
            f"with the options {', '.join(sorted(_OPTIONS))}"
        )
    ephemeral = url.path == MEMORY_NAME
    directory = Path(url.path).expanduser() if url.path and not ephemeral else default_directory()
    fsync = url.options.get("fsync", "everysec")
    if fsync not in ("everysec", "always"):
        raise BadURL(f"{url}: fsync={fsync} is not known; use fsync=everysec or fsync=always")
    try:
        return Settings(
            directory,
            fsync="always" if fsync == "always" else "everysec",
            max_memory=url.options.get("maxmemory"),
            ephemeral=ephemeral,
        )
    except EmbeddedError as error:
        raise BadURL(f"{url}: {error}") from error


def opened(url: URL) -> Server:
    """The server of a URL; a throw-away one belongs to the connection that keeps the URL.

    Raises:
        EmbeddedError: when it cannot be started.
    """
    wanted = settings(url)
    if not wanted.ephemeral:
        return open_server(wanted)
    server = _ephemeral.get(url)
    if server is None:
        server = _ephemeral[url] = open_server(wanted)
        weakref.finalize(url, server.close)
    return server


def restart(url: URL) -> None:
    """Kill the server of a URL, as a crash would, and start it again. For the conformance suite."""
    server = opened(url)
    # Only so is the log written before a server answers, however busy the disk.
    ask(server.socket_path, b"CONFIG", b"SET", b"appendfsync", b"always")
    pid = int((server.directory / PID_NAME).read_text(encoding="ascii"))
    os.kill(pid, signal.SIGKILL)
    ensure_running(server)
    if not settings(url).ephemeral:
        server.close()


@hookimpl
def popoto_connect(url: URL) -> Backend:
    """Open an embedded store for blocking callers."""
    settings(url)
    return RespBackend(EmbeddedWire(url, opened), claims=CLAIMS, one_slot="hash_tags" in url.options)


@hookimpl
def popoto_aconnect(url: URL) -> AsyncBackend:
    """Open an embedded store for the running event loop."""
    settings(url)
    return AsyncRespBackend(AsyncEmbeddedWire(url, opened), claims=CLAIMS, one_slot="hash_tags" in url.options)


@hookimpl
def popoto_backend() -> Mapping[str, Any]:
    """What the embedded server has."""
    return {"capabilities": CAPABILITIES.keys()}


@hookimpl
def popoto_conformance(url: URL) -> Mapping[str, Any]:
    """How the conformance suite crashes and restarts the server; several connections share a throw-away one."""
    if settings(url).ephemeral:
        shared = f"embedded://{opened(url).directory}"
        return {"url": shared, "restart": lambda: restart(url)}
    return {"restart": lambda: restart(url)}


@hookimpl
def popoto_native(backend: Backend) -> Any:
    """The client object behind a backend."""
    if isinstance(backend, RespBackend) and isinstance(backend.wire, EmbeddedWire):
        return backend.wire.client()
    return None
