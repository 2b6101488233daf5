"""Arrays of values that are encoded already: put together, and taken apart without decoding."""

from __future__ import annotations

from collections.abc import Iterable

import msgpack


def joined(items: Iterable[bytes]) -> bytes:
    """The array of values that are encoded already."""
    parts = list(items)
    header: bytes = msgpack.Packer().pack_array_header(len(parts))
    return header + b"".join(parts)


def parted(raw: bytes) -> list[bytes]:
    """The values of an array, each in its bytes."""
    reader = msgpack.Unpacker(max_buffer_size=len(raw))
    reader.feed(raw)
    count, at, parts = reader.read_array_header(), reader.tell(), []
    for _ in range(count):
        reader.skip()
        parts.append(raw[at : reader.tell()])
        at = reader.tell()
    return parts
