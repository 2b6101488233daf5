"""Named server-side scripts, their text found through the package that owns them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha1
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Generic, TypeAlias, TypeVar

R_co = TypeVar("R_co", covariant=True)
Pieces: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]
"""Files by the name of the line that they replace, each as package and file."""
_INCLUDE = re.compile(r"^-- include: (\S+) (\S+)$", re.MULTILINE)
_PIECES = re.compile(r"^-- pieces: (\w+)$", re.MULTILINE)


class Script(Generic[R_co]):
    """A `.lua` file: its text, its digest, and what a caller gets back.

    A line `-- include: package file.lua` is replaced with that file, the first time that it is named, so that one
    prelude serves many scripts and fragments; a line `-- pieces: name` with the files that the script is made with
    under that name.

    Attributes:
        name: identifies the script to backends that bring an implementation of their own.
        text: the whole source, includes resolved; read at first use.
        sha: the SHA-1 digest under which a server caches it, 40 hex digits.
        shape: turns the raw reply into the canonical form.
        writes: whether it may change stored state.
        needs: the capability that it needs.
        pieces: the files that it is made with.
    """

    def __init__(
        self,
        name: str,
        package: str,
        file: str,
        *,
        shape: Callable[[Any], R_co],
        writes: bool,
        needs: str = "lua",
        text: str | None = None,
        pieces: Pieces = MappingProxyType({}),
    ) -> None:
        self.name = name
        self.package = package
        self.file = file
        self.shape = shape
        self.writes = writes
        self.needs = needs
        self.pieces = pieces
        self._text = text
        self._sha: bytes | None = None

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = _source(self.package, self.file, self.pieces, set())
        return self._text

    @property
    def sha(self) -> bytes:
        if self._sha is None:
            self._sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest().encode()
        return self._sha

    def __repr__(self) -> str:
        return f"<Script {self.name}>"


def _source(package: str, file: str, pieces: Pieces, known: set[tuple[str, str]]) -> str:
    """A file with what it includes; what is known was included before, and is not again."""
    if (package, file) in known:
        return ""
    known.add((package, file))
    text = (files(package) / file).read_text(encoding="utf-8")
    text = _PIECES.sub(
        lambda found: "\n".join(f"-- include: {owner} {name}" for owner, name in pieces.get(found[1], ())), text
    )
    return _INCLUDE.sub(lambda found: _source(found[1], found[2], pieces, known), text)
