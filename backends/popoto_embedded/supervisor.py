"""Opens, shares, revives and stops the one server of a directory.

Three flocks in the directory hold the whole state, so any death clears it: `start.lock` is held while
somebody opens or closes, `data.lock` is inherited by the server and says that one is alive, `users.lock` is
shared by every process that uses it. Who can turn its share into an exclusive lock is the last one out and
stops the server.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import shutil
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

from popoto_embedded.binary import VARIABLE, Version, find_binary
from popoto_embedded.configuration import LOG_NAME, Settings, configuration_text
from popoto_embedded.directories import (
    DATA_LOCK,
    START_LOCK,
    USERS_LOCK,
    Record,
    chosen_socket,
    ephemerals,
    new_ephemeral,
    prepared,
    read_record,
    recorded_socket,
)
from popoto_embedded.errors import EmbeddedError
from popoto_embedded.exchange import State, ask, state
from popoto_embedded.locks import POLL_SECONDS, Flock, LockedError, held_exclusively

__all__ = ["EmbeddedError", "Server", "Settings", "ensure_running", "open_server"]

CLOSE_SECONDS = 10.0
REVIVE_SECONDS = 10.0
SWEEP_SECONDS = 1.0
# One that is killed while it starts, as by a lack of memory, gets another chance.
MOST_STARTS = 3
LARGEST_LOG = 1_000_000

_logger = logging.getLogger("popoto.embedded")

# What the server sees of our environment: no secrets, and a LC_ALL, as a locale that isn't installed ends it.
_PASSED_ON = ("PATH", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class _Tenancy:
    """This process's share in the server of one directory."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self.directory = directory
        self.settings = settings
        self.references = 0
        self.socket_path = directory
        self.users: Flock | None = None
        self.users_of_child: Flock | None = None

    def enter(self, deadline: float) -> None:
        """Counts this process as a user and reaches the server; starts it if none is alive."""
        try:
            with held_exclusively(self.directory / START_LOCK, deadline):
                self._count_in()
                self._reach(deadline)
        except OSError as error:
            raise EmbeddedError(
                f"the server of {self.directory} can't be opened ({error})",
                "check that the directory is there and writable",
            ) from error

    def leave(self, deadline: float) -> None:
        """Counts this process out and stops the server if it was the last user."""
        users, self.users = self.users, None
        if users is None:
            return
        try:
            with held_exclusively(self.directory / START_LOCK, deadline):
                if users.try_exclusive():
                    self.stop(deadline)
                    if self.settings.ephemeral:
                        shutil.rmtree(self.directory, ignore_errors=True)
        except LockedError:
            pass  # whoever opens there counts itself in, so the server is theirs now
        except FileNotFoundError:
            _logger.warning("the directory %s was removed while its server was in use", self.directory)
        finally:
            users.release()

    def stop(self, deadline: float) -> None:
        """Sends SHUTDOWN and waits until the server has gone; the caller holds start.lock and users.lock."""
        socket_path = recorded_socket(self.directory)
        data = Flock(self.directory / DATA_LOCK)
        try:
            while not data.try_exclusive():
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"the server of {self.directory} did not stop",
                        f"look into {self.directory / LOG_NAME}",
                    )
                # NOSAVE is about snapshots: the append-only file is flushed all the same, and a script that a
                # killed client left running can't refuse it.
                ask(socket_path, b"SHUTDOWN", b"NOSAVE")
                time.sleep(POLL_SECONDS)
        finally:
            data.release()
        with contextlib.suppress(FileNotFoundError):
            socket_path.unlink()  # left behind by a server that was killed

    def _count_in(self) -> None:
        if self.users is not None:
            return
        users = Flock(self.directory / USERS_LOCK)
        # Exclusive locks are only taken under start.lock, which we hold.
        if not users.try_shared():
            users.close()
            raise EmbeddedError(f"{users.path} is locked by a stranger", "end the program that locks it")
        self.users = users

    def _reach(self, deadline: float) -> None:
        starts, log_start = 0, 0
        while True:
            data = Flock(self.directory / DATA_LOCK)
            try:
                if data.try_exclusive():
                    if starts == MOST_STARTS:
                        raise self._died(log_start)
                    log_start = self._start(data, deadline)
                    starts += 1
            finally:
                data.close()
            self.socket_path = recorded_socket(self.directory)
            answer = state(self.socket_path)
            if answer is State.READY:
                break
            if time.monotonic() > deadline:
                raise self._late(answer)
            time.sleep(POLL_SECONDS)
        if starts == 0 and self.settings.fsync == "always":
            # Whoever started it may have been content with less.
            ask(self.socket_path, b"CONFIG", b"SET", b"appendfsync", b"always")

    def _start(self, data: Flock, deadline: float) -> int:
        """Starts the server, which inherits the locked descriptor; gives the size of its log before."""
        binary = find_binary(self.directory)
        socket_path = self._recorded(binary.version, binary.path)
        log_start = _rotated_size(self.directory / LOG_NAME)
        text = configuration_text(self.settings, self.directory, socket_path)
        # The pipe holds the whole text before the server exists: were we killed while it reads, a half
        # configuration would open a TCP port.
        reading, writing = os.pipe()
        try:
            with open(writing, "wb") as pipe:
                pipe.write(text.encode("ascii"))
            process = subprocess.Popen(
                [binary.path, "-"],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=self.directory,
                env={"LC_ALL": "C"} | {name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                pass_fds=(data.descriptor,),
                start_new_session=True,
                umask=0o077,
            )
        finally:
            os.close(reading)
        with process:
            try:
                _, complaint = process.communicate(timeout=max(1.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                complaint = b"it did not go to the background"
        if process.returncode != 0:
            raise self._failed(complaint.decode(errors="replace"))
        return log_start

    def _recorded(self, version: Version, path: Path) -> Path:
        """Refuses data of a newer server, and notes which one writes from now on and where it listens."""
        record = read_record(self.directory)
        if record and not version.can_open(record.version):
            raise EmbeddedError(
                f"the data in {self.directory} is in the format of {record.version}, and {path} is {version}",
                f"pip install --upgrade popoto[embedded], or let {VARIABLE} name that server or a newer one",
            )
        socket_path = chosen_socket(self.directory)
        outside = None if socket_path.parent == self.directory else socket_path
        Record(version, outside).write(self.directory)
        return socket_path

    def _died(self, log_start: int) -> EmbeddedError:
        with contextlib.suppress(OSError), open(self.directory / LOG_NAME, "rb") as log:
            log.seek(log_start)
            return self._failed(log.read().decode(errors="replace"))
        return self._failed("it wrote no log")

    def _failed(self, text: str) -> EmbeddedError:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return EmbeddedError(
            f"the server of {self.directory} did not start, its last words: {' / '.join(lines[-5:])}",
            f"look into {self.directory / LOG_NAME}",
        )

    def _late(self, answer: State) -> EmbeddedError:
        if answer is State.LOADING:
            return EmbeddedError(
                f"the server of {self.directory} is still loading its data",
                "open again, or with a longer timeout",
            )
        return EmbeddedError(
            f"a server holds the data in {self.directory} and doesn't answer at {self.socket_path}",
            f"look into {self.directory / LOG_NAME}, or end that process, which may lose the last two seconds unless "
            "it runs with fsync=always",
        )


class Server:
    """One reference to the server of a directory; the others in this process share it."""

    def __init__(self, tenancy: _Tenancy) -> None:
        self._tenancy = tenancy
        self._closed = False

    @property
    def directory(self) -> Path:
        """The real path of the directory."""
        return self._tenancy.directory

    @property
    def socket_path(self) -> Path:
        """Where the server listens; ensure_running may change it."""
        return self._tenancy.socket_path

    def close(self) -> None:
        """Drops this reference; the last one of the last process stops the server and waits for its end."""
        with _lock:
            if self._closed:
                return
            self._closed = True
            tenancy = self._tenancy
            tenancy.references -= 1
            if tenancy.references == 0:
                _tenancies.pop(tenancy.directory, None)
                tenancy.leave(time.monotonic() + CLOSE_SECONDS)


_lock = threading.RLock()
_tenancies: dict[Path, _Tenancy] = {}


def open_server(settings: Settings, *, timeout_seconds: float = 10.0) -> Server:
    """Starts the server of the directory, or attaches to the one that runs, and waits until it answers."""
    deadline = time.monotonic() + timeout_seconds
    with _lock:
        if settings.ephemeral:
            _sweep()
        directory = new_ephemeral() if settings.ephemeral else prepared(settings.directory)
        tenancy = _tenancies.get(directory)
        if tenancy is None:
            tenancy = _Tenancy(directory, settings)
        elif settings.fsync == "always":
            tenancy.settings = replace(tenancy.settings, fsync="always")
        try:
            tenancy.enter(deadline)
        except BaseException:
            _abandon(tenancy)
            raise
        tenancy.references += 1
        _tenancies[directory] = tenancy
        return Server(tenancy)


def ensure_running(server: Server) -> None:
    """Starts the server again if it was killed, and does nothing if it answers."""
    with _lock:
        if server._closed:
            raise EmbeddedError(f"this handle of the server of {server.directory} is closed", "open it again")
        if state(server.socket_path) is not State.READY:
            server._tenancy.enter(time.monotonic() + REVIVE_SECONDS)


def _abandon(tenancy: _Tenancy) -> None:
    """Undoes a failed opening."""
    if tenancy.references == 0:
        if tenancy.users is not None:
            tenancy.users.release()
        if tenancy.settings.ephemeral:
            shutil.rmtree(tenancy.directory, ignore_errors=True)


def _rotated_size(log: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        size = log.stat().st_size
        if size <= LARGEST_LOG:
            return size
        log.replace(log.with_suffix(".log.1"))
    return 0


def _sweep() -> None:
    """Removes what killed processes left of their ephemeral servers; the next one tries again."""
    for directory in ephemerals():
        with contextlib.suppress(OSError, EmbeddedError), contextlib.ExitStack() as held:
            # A directory that is just being made has no users.lock before its maker holds start.lock.
            for name in (START_LOCK, USERS_LOCK):
                lock = Flock(directory / name, create=False)
                held.callback(lock.release)
                if not lock.try_exclusive():
                    break
            else:
                _Tenancy(directory, Settings(directory, ephemeral=True)).stop(time.monotonic() + SWEEP_SECONDS)
                shutil.rmtree(directory, ignore_errors=True)


def _close_all() -> None:
    """Closes what the program left open; a process that is killed leaves its server to the next opener."""
    with _lock:
        while _tenancies:
            _, tenancy = _tenancies.popitem()
            try:
                tenancy.leave(time.monotonic() + CLOSE_SECONDS)
            except (EmbeddedError, OSError) as error:
                _logger.warning("%s", error)


def _before_fork() -> None:
    """Counts the child in before it exists, so that the parent never takes itself for the last one."""
    _lock.acquire()
    for tenancy in _tenancies.values():
        with contextlib.suppress(OSError, EmbeddedError):
            lock = Flock(tenancy.directory / USERS_LOCK, create=False)
            if lock.try_shared():
                tenancy.users_of_child = lock
            else:
                lock.close()


def _after_fork_in_parent() -> None:
    for tenancy in _tenancies.values():
        lock, tenancy.users_of_child = tenancy.users_of_child, None
        if lock is not None:
            lock.close()
    _lock.release()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()
    for tenancy in _tenancies.values():
        inherited, tenancy.users = tenancy.users, tenancy.users_of_child
        tenancy.users_of_child = None
        if inherited is not None:
            inherited.close()  # not released: the parent's lock hangs on the same open file description


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
