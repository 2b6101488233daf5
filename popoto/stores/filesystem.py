"""The content store on files: `{base}/{Class}/{hh}/{sha256}{extension}`, where `hh` begins the digest.

A file is named after its bytes, so none is ever overwritten with others. What 1.x kept is read where it lies: the
live file `{base}/{Class}/{key}{extension}`, and what it held before in `{base}/.versions/{hh}/{sha256}{extension}`.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from popoto import clock
from popoto.exceptions import BadReference, DamagedContent, ModelException
from popoto.stores import files
from popoto.stores.abstract_store import AbstractContentStore
from popoto.stores.folder import content_folder
from popoto.stores.references import Reference, parse

# Where a file waits while it is decided whether it goes for good: {Class}/.discarded/{random}/{its name}.
DISCARDED: Final = ".discarded"
_CLASS_NAME: Final = re.compile(r"\w[\w.-]*")
_EXTENSION: Final = re.compile(r"[\w.-]{0,32}")
_NAMED_BY_CONTENT: Final = re.compile(r"([0-9a-f]{64})[\w.-]{0,32}")


class FilesystemStore(AbstractContentStore):
    """A content store in a folder, which processes and machines may share.

    The moment of a content is its file's time of change.
    """

    def __init__(self, base_path: str | os.PathLike[str] | None = None, extension: str = ".txt") -> None:
        """Name the folder; nothing is made or read before the first use.

        Args:
            base_path: the folder. None is the one of `popoto.configure(content_path=)`, else of POPOTO_CONTENT_PATH,
                else `~/.popoto/content`, looked up at each use.
            extension: how the files' names end; at most 32 letters, digits and `_ . -`.

        Raises:
            ModelException: the extension has other signs or is longer.
        """
        if not _EXTENSION.fullmatch(extension):
            raise ModelException(f"extension={extension!r} cannot end a file's name: write one like '.txt'")
        self._base = None if base_path is None else Path(base_path).expanduser()
        self.extension = extension

    def __repr__(self) -> str:
        return f"FilesystemStore({str(self.base_path)!r}, extension={self.extension!r})"

    @property
    def base_path(self) -> Path:
        """The folder in use now."""
        return self._base or content_folder()

    def save(self, content: bytes, key: str, model_class_name: str) -> str:
        """Write a content to the disk, unless it is there, and return its reference. The key is not used.

        A file that holds other bytes than its name says, as after a fault of the disk, is replaced.

        Raises:
            ModelException: the content is not bytes, or the class name cannot be a folder's.
            OSError: the file cannot be written.
        """
        if not isinstance(content, bytes):
            raise ModelException(f"a content is bytes, not {type(content).__name__}: encode a text first")
        folder, digest = _folder(model_class_name), sha256(content).hexdigest()
        reference = Reference(digest, f"{folder}/{digest[:2]}/{digest}{self.extension}")
        path = self._confined(reference.path)
        if files.digest(path) == digest and files.renew(path, clock.now()):
            files.sync_folder(path.parent)  # another process may have written it and not have come to this yet
        else:
            files.write(path, content, clock.now())
        return str(reference)

    def load(self, reference: str) -> bytes:
        """The content, whose digest has been compared with the reference's.

        Raises:
            FileNotFoundError: there is no file with this content.
            BadReference: the text is no reference, or leads out of the folder.
            DamagedContent: the file that is named after the content holds something else.
        """
        wanted = parse(reference)
        damaged = None
        for path in self._places(wanted):
            content = files.read(path)
            if content is not None and sha256(content).hexdigest() == wanted.sha256:
                return content
            if content is not None and path.name.startswith(wanted.sha256):
                damaged = path
        if damaged is not None:
            raise DamagedContent(
                f"{reference} is damaged: the SHA-256 of {damaged} is another; restore the file or save the text anew"
            )
        raise self._missing(reference)

    def delete(self, reference: str) -> None:
        """Remove the content's file, also that of 1.x.

        Raises:
            FileNotFoundError: there is no file with this content.
            BadReference: the text is no reference, or leads out of the folder.
        """
        found = set(self._kept(parse(reference)))
        for path in found:
            path.unlink(missing_ok=True)
        if not found:
            raise self._missing(reference)

    def exists(self, reference: str) -> bool:
        """Whether there is a file with this content; of files of 1.x, and only of these, the bytes are read.

        Raises:
            BadReference: the text is no reference, or leads out of the folder.
        """
        return any(True for _ in self._kept(parse(reference)))

    def sha256_of(self, reference: str) -> str | None:
        """The SHA-256 of the content in hex, which stands in the reference.

        Raises:
            BadReference: the text is no reference, or leads out of the folder.
        """
        return parse(reference).sha256

    def references(self, model_class_name: str) -> Iterator[tuple[str, float]]:
        """Every content of a model and its moment, folder by folder.

        Live files of 1.x are read for their digests. Its older versions do not tell whose they are and are left out.
        """
        top = self._confined(_folder(model_class_name))
        for path in _files(top):
            moment = files.moment_of(path)
            digest = files.digest(path) if path.parent == top else path.name[:64]
            if moment is not None and digest is not None:
                yield str(Reference(digest, path.relative_to(top.parent).as_posix())), moment

    def touch(self, reference: str) -> None:
        """Set the time of change of the content's file to now.

        Raises:
            FileNotFoundError: there is no file with this content.
            BadReference: the text is no reference, or leads out of the folder.
        """
        wanted = parse(reference)
        path = self._confined(wanted.path)
        if not (self._is(path, wanted) and files.renew(path, clock.now())):
            # It is being discarded, or it is another user's file, or only an older version of 1.x.
            content = self.load(reference)
            if self._is(path, wanted) or not path.exists():
                files.write(path, content, clock.now())

    def discard(self, reference: str, before: float) -> bool:
        """Remove the content's file if its time of change is earlier than `before`, and tell whether that was done.

        The file is first taken out of its place, then its time is looked at once more: one who renewed it before
        gets it back, one who comes after finds it gone and writes it anew.

        Raises:
            BadReference: the text is no reference, or leads out of the folder.
        """
        wanted = parse(reference)
        path = self._confined(wanted.path)
        moment = files.moment_of(path) if self._is(path, wanted) else None
        if moment is None or moment >= before:
            return False
        waiting = self._root() / wanted.folder / DISCARDED / secrets.token_hex(8)
        waiting.mkdir(parents=True)
        try:
            os.rename(path, waiting / path.name)
            if (waiting / path.name).stat().st_mtime < before:
                (waiting / path.name).unlink()
                return True
            _put_back(waiting / path.name, path)
        except FileNotFoundError:
            pass  # another took it away first
        finally:
            with suppress(OSError):
                waiting.rmdir()
        return False

    def sweep(self, model_class_name: str, before: float) -> int:
        """Remove the temporary files that a kill left earlier than `before`, and put back what it left half discarded.

        Returns:
            how many there were.
        """
        top = self._confined(_folder(model_class_name))
        temporary = [path for path in [*top.glob("*.tmp"), *top.glob("*/*.tmp")] if files.is_temporary(path.name)]
        leftovers = [path for path in [*temporary, *top.glob(f"{DISCARDED}/*")] if _is_older(path, before)]
        for path in leftovers:
            if files.is_temporary(path.name):
                path.unlink(missing_ok=True)
            else:
                _end(path, top)
        return len(leftovers)

    def _root(self) -> Path:
        return Path(os.path.realpath(self.base_path))

    def _confined(self, path: str) -> Path:
        """The place of a path below the base folder, wherever symbolic links lead."""
        root = self._root()
        if not Path(os.path.realpath(root / path)).is_relative_to(root):
            raise BadReference(f"{path!r} leads out of the content folder through a symbolic link: it is refused")
        return root / path

    def _places(self, wanted: Reference) -> Iterator[Path]:
        """Where a content may lie, in the order in which to look."""
        live = self._confined(wanted.path)
        yield live
        for extension in filter(_EXTENSION.fullmatch, dict.fromkeys([self.extension, live.suffix])):
            yield self._confined(f".versions/{wanted.sha256[:2]}/{wanted.sha256}{extension}")
        yield from (self._root() / wanted.folder).glob(f"{DISCARDED}/*/{_literal(wanted.name)}")
        yield live  # put back meanwhile

    def _kept(self, wanted: Reference) -> Iterator[Path]:
        return (path for path in self._places(wanted) if self._is(path, wanted))

    def _is(self, path: Path, wanted: Reference) -> bool:
        """Whether a file is there and holds the content; one that is named after it is taken at its word."""
        if path.name.startswith(wanted.sha256):
            return path.is_file()
        return files.digest(path) == wanted.sha256

    def _missing(self, reference: str) -> FileNotFoundError:
        return FileNotFoundError(f"no content {reference} is kept in {self.base_path}")


def _folder(model_class_name: str) -> str:
    # 200 bytes leave room for what a file system or a copy adds to a name.
    if _CLASS_NAME.fullmatch(model_class_name) and len(model_class_name.encode()) <= 200:
        return model_class_name
    raise ModelException(f"{model_class_name[:80]!r} cannot name a folder of contents: it takes a model's class name")


def _files(top: Path) -> Iterator[Path]:
    """The files of a model's folder: those of 1.x at its top, and below those that are named after their bytes."""
    for first in _entries(top):
        if first.is_file(follow_symlinks=False) and not files.is_temporary(first.name):
            yield Path(first.path)
        elif len(first.name) == 2 and first.is_dir(follow_symlinks=False):
            for second in _entries(first.path):
                if second.name.startswith(first.name) and _NAMED_BY_CONTENT.fullmatch(second.name):
                    yield Path(second.path)


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _literal(name: str) -> str:
    """A name as a pattern that matches it alone."""
    return re.sub(r"[*?\[]", r"[\g<0>]", name)


def _is_older(path: Path, before: float) -> bool:
    moment = files.moment_of(path)
    return moment is not None and moment < before


def _end(waiting: Path, top: Path) -> None:
    """End a discard that a kill has interrupted: what waits may have been renewed just before, so it is put back."""
    with suppress(FileNotFoundError):  # another ended it first
        for path in list(waiting.iterdir()):
            named = _NAMED_BY_CONTENT.fullmatch(path.name)
            _put_back(path, top / path.name[:2] / path.name if named else top / path.name)
        waiting.rmdir()


def _put_back(waiting: Path, place: Path) -> None:
    # Young again: a file that was written anew in this place is replaced by no older one.
    files.renew(waiting, clock.now())
    files.make_folder(place.parent)
    os.replace(waiting, place)
