"""The settings of an embedded server and the configuration text it is started with."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from popoto_embedded.errors import EmbeddedError

LOG_NAME = "server.log"
PID_NAME = "server.pid"
MEMORY_NAME = ":memory:"

_MEMORY = re.compile(r"\d+([kmg]b?|b)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a caller asks of the server of one directory.

    `fsync="everysec"` keeps every acknowledged write when a process is killed; a power cut, or a kill of the
    server while the disk is being synced, may take the last two seconds, as the log waits so long for the disk.
    `"always"` keeps these too, and holds for a server that already runs.
    `max_memory` is bytes, or with a unit ("256mb"), and is the starter's to say. `ephemeral` takes a new
    temporary directory in place of `directory` and removes it at the end.
    """

    directory: Path
    fsync: Literal["everysec", "always"] = "everysec"
    max_memory: str | None = None
    ephemeral: bool = False

    def __post_init__(self) -> None:
        if self.fsync not in ("everysec", "always"):
            raise EmbeddedError(f"fsync={self.fsync!r} is not known", "use fsync=everysec or fsync=always")
        if self.max_memory is not None and not _MEMORY.fullmatch(self.max_memory):
            raise EmbeddedError(f"max_memory={self.max_memory!r} is not a size", "use bytes, or 256mb")


def quoted(text: str) -> str:
    """The text as one argument of a configuration line, whatever bytes it holds."""
    return '"' + "".join(map(_quoted_byte, os.fsencode(text))) + '"'


def _quoted_byte(byte: int) -> str:
    return chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}"


def configuration_text(settings: Settings, directory: Path, socket_path: Path) -> str:
    """The server's whole configuration: a Unix socket of its owner, an append-only file, no port."""
    lines = [
        "port 0",
        f"unixsocket {quoted(str(socket_path))}",
        "unixsocketperm 700",
        # The server forks once and goes on without us: nobody has to reap it, and it outlives who started it.
        "daemonize yes",
        f"dir {quoted(str(directory))}",
        f"pidfile {quoted(str(directory / PID_NAME))}",
        f"logfile {quoted(str(directory / LOG_NAME))}",
        "always-show-logo no",
        "appendonly yes",
        f"appendfsync {settings.fsync}",
        "no-appendfsync-on-rewrite no",
        "aof-use-rdb-preamble yes",
        # A kill may cut the last record, which was never acknowledged.
        "aof-load-truncated yes",
        'save ""',
    ]
    if settings.max_memory is not None:
        lines += [f"maxmemory {settings.max_memory}", "maxmemory-policy noeviction"]
    return "\n".join(lines) + "\n"
