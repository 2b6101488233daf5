"""A content on its way: a draft before it is kept, a reference after. Values only; nothing here performs I/O."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import msgpack

from popoto.encoding import decoder
from popoto.stores.references import PREFIX

_TEXT: Final = decoder(str)
_BYTES: Final = decoder(bytes)
# msgpack's three headers of bytes.
_BIN: Final = frozenset(b"\xc4\xc5\xc6")


class Digest(str):
    """The SHA-256 of a content in hex: what contents are compared by."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<content {self[:12]}>"


class Draft:
    """A content that a save is about to keep. It is no argument that a step takes, so it never gets to a server."""

    __slots__ = ("_sha256", "content")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._sha256: str | None = None

    @property
    def sha256(self) -> str:
        """Its digest in hex."""
        if self._sha256 is None:
            self._sha256 = sha256(self.content).hexdigest()
        return self._sha256


@dataclass(frozen=True, slots=True)
class Stored:
    """A content that is kept and was not loaded."""

    reference: str


def encoded(value: str | bytes | None) -> bytes | Draft:
    """What a row holds of a value: nothing and an empty value as they are, else what is to be kept first.

    Raises:
        ValueError: the text is no Unicode.
    """
    if not value:
        return bytes(msgpack.packb(value))
    if isinstance(value, bytes):
        return Draft(value)
    try:
        return Draft(value.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"the text holds half a surrogate pair, which no file can: {error.reason}") from error


def decoded(raw: bytes, kind: type) -> Any:
    """What a row's bytes say: None, an empty value, a `Stored` content, or what was in the row itself.

    Raises:
        DecodingError: they are neither.
    """
    value: Any = _BYTES(raw) if raw[:1] and raw[0] in _BIN else _TEXT(raw)
    if isinstance(value, str) and value.startswith(PREFIX):
        # No value is written into a row as it is but an empty one, so this is no text of a user's.
        return Stored(value)
    if value is None or isinstance(value, kind):
        return value
    return value.encode() if kind is bytes else value.decode()


def reference_bytes(reference: str) -> bytes:
    """A reference as a row holds it."""
    return bytes(msgpack.packb(reference))


def folder_name(namespace: str, model_name: str) -> str:
    """The name under which a store keeps a model's contents: the namespace tells databases apart that share a store.

    A class name has no dot, so that no two have one name.
    """
    if not namespace:
        return model_name
    spelled = "".join(one if one.isascii() and one.isalnum() else f"_{ord(one):x}_" for one in namespace)
    return f"{spelled}.{model_name}"
