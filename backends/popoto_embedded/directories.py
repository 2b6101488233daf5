"""Where an embedded server keeps its data and its socket, and what it notes about itself there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from popoto_embedded.binary import Version
from popoto_embedded.errors import EmbeddedError

START_LOCK = "start.lock"
DATA_LOCK = "data.lock"
USERS_LOCK = "users.lock"
RECORD_NAME = "server.json"
SOCKET_NAME = "server.sock"

# sun_path holds 104 bytes on macOS and 108 on Linux, the closing zero included.
LONGEST_SOCKET = 100
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smbfs", "smb3", "afs", "fuse.sshfs"})


def prepared(directory: Path) -> Path:
    """The real path of the directory, which is made with mode 0700 if it isn't there."""
    real = Path(os.path.realpath(directory))
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        real.mkdir(mode=0o700, exist_ok=True)
        _restrict(real)
    except FileExistsError as error:
        raise EmbeddedError(
            f"{error.filename or real} is a file", "give embedded: a directory for the server alone"
        ) from error
    except OSError as error:
        raise _unwritable(real, error.strerror) from error
    if not os.access(real, os.W_OK | os.X_OK):
        raise _unwritable(real, "permission denied")
    kind = file_system(real, _mounts())
    if kind in NETWORK_FILE_SYSTEMS:
        raise EmbeddedError(
            f"{real} is on a network file system ({kind}), where locks can't be trusted",
            "use a directory on a local disk",
        )
    return real


def _restrict(directory: Path) -> None:
    status = directory.stat()
    ours = status.st_uid == os.geteuid()
    if ours and stat.S_IMODE(status.st_mode) & 0o077:
        names = os.listdir(directory)
        # One with other contents may be shared on purpose; socket and files are private all the same.
        if not names or START_LOCK in names:
            directory.chmod(0o700)
            return
    if status.st_mode & stat.S_IWOTH:
        raise EmbeddedError(f"every user can write to {directory}", "give embedded: a directory for the server alone")


def _unwritable(directory: Path, reason: str | None) -> EmbeddedError:
    return EmbeddedError(f"the directory {directory} can't be used ({reason})", "make it writable, or give another one")


def _mounts() -> str:
    try:
        return Path("/proc/mounts").read_text(errors="surrogateescape")
    except OSError:
        return ""  # not Linux: nothing can be told cheaply


def file_system(path: Path, mounts: str) -> str | None:
    """The file system type of the path by a text like /proc/mounts, or None if it doesn't say."""
    best, kind = "", None
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[1])
        # The last of several mounts on one point covers the others.
        if len(point) >= len(best) and path.is_relative_to(point):
            best, kind = point, fields[2]
    return kind


@dataclass(frozen=True, slots=True)
class Record:
    """What the last server of a directory was, and where its socket is if it is not in the directory."""

    version: Version
    socket: Path | None

    def write(self, directory: Path) -> None:
        """Replaces the directory's record in one step."""
        content = {
            "product": self.version.product,
            "version": list(self.version.number),
            "socket": None if self.socket is None else os.fspath(self.socket),
        }
        unfinished = directory / f"{RECORD_NAME}.new"
        unfinished.write_text(json.dumps(content) + "\n", encoding="ascii")
        unfinished.replace(directory / RECORD_NAME)


def read_record(directory: Path) -> Record | None:
    """The directory's record, or None if no server has run there."""
    path = directory / RECORD_NAME
    try:
        content = json.loads(path.read_text(encoding="ascii"))
        major, minor, patch = map(int, content["version"])
        socket = content["socket"]
        version = Version(str(content["product"]), (major, minor, patch))
        return Record(version, Path(socket) if socket else None)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EmbeddedError(
            f"{path} can't be read ({error!r})",
            "remove it if the data was written by this version of the server or an older one",
        ) from error


def recorded_socket(directory: Path) -> Path:
    """Where the running server of the directory listens."""
    record = read_record(directory)
    return record.socket if record and record.socket else directory / SOCKET_NAME


def chosen_socket(directory: Path) -> Path:
    """Where a new server is to listen: in the directory, or in a private folder if that path is too long."""
    inside = directory / SOCKET_NAME
    if len(os.fsencode(inside)) <= LONGEST_SOCKET:
        return inside
    # Another environment may choose otherwise: the record says where a running server listens.
    name = hashlib.blake2b(os.fsencode(directory), digest_size=12).hexdigest() + ".sock"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folders = [Path(runtime, "popoto")] if runtime and os.access(runtime, os.W_OK | os.X_OK) else []
    folders += [Path(parent, f"popoto-{os.geteuid()}") for parent in (tempfile.gettempdir(), "/tmp")]
    for folder in folders:
        if len(os.fsencode(folder / name)) <= LONGEST_SOCKET:
            return _private(folder) / name
    raise EmbeddedError(f"no socket path for {directory} is short enough", "give embedded: a shorter path")


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise _unwritable(folder, error.strerror) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise EmbeddedError(
            f"{folder}, the place for sockets, is not a directory that only this user can enter",
            "remove it, or give embedded: a path of less than 90 bytes",
        )
    return folder


def _ephemeral_prefix() -> str:
    return f"popoto-memory-{os.geteuid()}-"


def new_ephemeral() -> Path:
    """A new temporary directory of mode 0700."""
    return Path(os.path.realpath(tempfile.mkdtemp(prefix=_ephemeral_prefix())))


def ephemerals() -> list[Path]:
    """This user's temporary directories, in use or left behind by a killed process."""
    with os.scandir(os.path.realpath(tempfile.gettempdir())) as entries:
        return [Path(entry.path) for entry in entries if _is_ephemeral(entry)]


def _is_ephemeral(entry: os.DirEntry[str]) -> bool:
    if not entry.name.startswith(_ephemeral_prefix()):
        return False
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False  # its last user has just removed it
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
