"""Whole files: written so that a kill or a power cut at any moment leaves all of one or none of it."""

from __future__ import annotations

import errno
import os
import re
import secrets
from hashlib import file_digest
from pathlib import Path
from typing import Final

_TEMPORARY: Final = re.compile(r"\.[0-9a-f]{16}\.tmp")
# Windows can neither open nor sync a folder; its renames are in the journal.
_FOLDERS_SYNC: Final = hasattr(os, "O_DIRECTORY")


def write(path: Path, content: bytes, moment: float) -> None:
    """Put a file in its place, whole and safe on the disk.

    Args:
        path: where it goes; missing folders are made.
        content: the bytes.
        moment: its time of change in Unix seconds.
    """
    make_folder(path.parent)
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.utime(temporary, (moment, moment))
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one that `write` had not finished."""
    return _TEMPORARY.fullmatch(name) is not None


def make_folder(folder: Path) -> None:
    """Make a folder and what is missing above it, safe on the disk."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe on the disk."""
    if not _FOLDERS_SYNC:
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems have nothing to sync in a folder.
        if error.errno not in {errno.EINVAL, errno.EBADF}:
            raise
    finally:
        os.close(descriptor)


def read(path: Path) -> bytes | None:
    """The bytes of a file; None where there is none."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def digest(path: Path) -> str | None:
    """The SHA-256 of a file in hex; None where there is none."""
    try:
        with open(path, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def moment_of(path: Path) -> float | None:
    """A file's time of change in Unix seconds; None where there is no file."""
    try:
        return path.stat().st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return None


def renew(path: Path, moment: float) -> bool:
    """Set a file's time of change and tell whether that was done and the file is in its place, then and after.

    One who takes the file away looks at its time afterwards. So where it is still in its place after the time was
    set, that look comes later and sees it. Only the owner of a file may set its time.
    """
    try:
        os.utime(path, (moment, moment))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False
    return moment_of(path) is not None
