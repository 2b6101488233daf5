"""References to contents, `$CF:{sha256 in hex}:{path}`: their grammar. Nothing here performs I/O."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from popoto.exceptions import BadReference

PREFIX: Final = "$CF:"
# What Linux, macOS and Windows allow for one name.
MOST_NAME_BYTES: Final = 255
# Linux allows 4096 bytes for a path; the base folder needs its share.
MOST_PATH_LETTERS: Final = 800
_REFERENCE: Final = re.compile(r"\$CF:([0-9a-f]{64}):(.+)", re.DOTALL)
# None of these is in a name that this release or 1.x made; to some system each of them is more than a letter.
_FOREIGN: Final = re.compile(r"[\0\\:]")


class Reference(NamedTuple):
    """A reference taken apart.

    Attributes:
        sha256: the content's digest in hex.
        path: where the content lies under the base folder, with `/` between its names.
    """

    sha256: str
    path: str

    def __str__(self) -> str:
        return f"{PREFIX}{self.sha256}:{self.path}"

    @property
    def folder(self) -> str:
        """The first name of the path: the model class."""
        return self.path.partition("/")[0]

    @property
    def name(self) -> str:
        """The last name of the path: the file."""
        return self.path.rpartition("/")[2]


def parse(text: str) -> Reference:
    """Take a reference apart.

    Raises:
        BadReference: the text is no reference, or its path could lead out of the base folder.
    """
    match = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise BadReference(f"{_short(text)} is no reference to a content: one is '$CF:{{sha256 in hex}}:{{path}}'")
    path, names = match[2], match[2].split("/")
    if len(path) > MOST_PATH_LETTERS or len(names) < 2 or not all(map(_is_name, names)):
        raise BadReference(f"the path in {_short(text)} is not one of a model's folder: it is refused")
    return Reference(match[1], path)


def _is_name(part: str) -> bool:
    if part in {"", ".", ".."} or _FOREIGN.search(part):
        return False
    try:
        return len(part.encode()) <= MOST_NAME_BYTES
    except UnicodeEncodeError:
        return False


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]}...{text[-1]}"
