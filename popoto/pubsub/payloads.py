"""The bytes of messages and the spelling of channels. Values only; nothing here performs I/O."""

from __future__ import annotations

from typing import Any, Final

from popoto.encoding import decode, encode
from popoto.storage import Layout

# A list of one value is this byte and the value: so a payload of any type has the bytes that it has inside a list.
_LIST_OF_ONE: Final = b"\x91"


def packed(value: Any) -> bytes:
    """The msgpack bytes of a payload, with popoto's extension types for dates, Decimals, sets and tuples.

    Raises:
        ValueError: when it holds something that has no bytes.
    """
    return encode([value], list)[len(_LIST_OF_ONE) :]


def unpacked(raw: bytes) -> Any:
    """The payload that the bytes hold.

    Raises:
        ValueError: when they hold none.
    """
    values: Any = decode(_LIST_OF_ONE + raw, list)
    return values[0]


def spelled(channel: str, layout: Layout) -> bytes:
    """A channel's name on the server, with the namespace before it."""
    return (f"{layout.namespace}:{channel}" if layout.namespace else channel).encode()


def plain(raw: bytes, layout: Layout) -> str:
    """A channel's name without the namespace."""
    text = raw.decode("utf-8", "replace")
    return text.removeprefix(f"{layout.namespace}:") if layout.namespace else text
