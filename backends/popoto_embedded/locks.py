"""The flocks that tell which processes are alive around one directory.

A flock belongs to an open file description: an inherited descriptor shares it, a second `open` of the same
file does not, and the kernel drops it with the last descriptor, however its processes end.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from popoto_embedded.errors import EmbeddedError

if sys.platform != "win32":
    import fcntl

POLL_SECONDS = 0.003


class Flock:
    """One open file description of a lock file."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        descriptor = os.open(path, flags, 0o600)
        if descriptor < 3:
            # A standard stream of this process is closed; the server's own would take the lock's place.
            low, descriptor = descriptor, fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
            os.close(low)
        self.path = path
        self.descriptor = descriptor

    def try_exclusive(self) -> bool:
        """True if no other open file description holds a lock; a shared lock held before is lost if not."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise self._unusable(error) from error
        return True

    def try_shared(self) -> bool:
        """True if no other open file description holds an exclusive lock."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise self._unusable(error) from error
        return True

    def close(self) -> None:
        """Closes this descriptor; a process that inherited a copy keeps the lock."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def release(self) -> None:
        """Gives the lock up for every copy of the descriptor, also in a child that is about to exec."""
        if self.descriptor >= 0:
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
            self.close()

    def _unusable(self, error: OSError) -> EmbeddedError:
        return EmbeddedError(
            f"{self.path} can't be locked ({error.strerror})", "use a directory on a local file system"
        )


class LockedError(EmbeddedError):
    """Another process holds the lock for longer than we wait."""


@contextmanager
def held_exclusively(path: Path, deadline: float) -> Iterator[None]:
    """Holds the lock exclusively; LockedError if another process keeps it until the monotonic `deadline`."""
    lock = Flock(path)
    try:
        while not lock.try_exclusive():
            if time.monotonic() > deadline:
                raise LockedError(
                    f"another process has been opening or closing the server of {path.parent} for too long",
                    "wait for it or end it, then open again",
                )
            time.sleep(POLL_SECONDS)
        yield
    finally:
        lock.release()
