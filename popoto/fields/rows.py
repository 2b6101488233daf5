"""All rows of a model, for fields that look after what they keep. For maintenance only: everything is walked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from popoto.storage import ask, ask_all, layout
from popoto.storage.commands.hashes import hmget
from popoto.storage.commands.keys import scan, type_of

MOST_ROWS: Final = 500


async def prefix_of(model: Any) -> str:
    """What stands before every key of a model."""
    prefix: str = model._meta.keyspace(await layout()).prefix
    return prefix


async def loaded(model: Any, keys: Sequence[bytes]) -> dict[bytes, Any]:
    """The rows with these keys that are stored."""
    meta = model._meta
    prefix = (await prefix_of(model)).encode()
    replies = await ask_all([hmget(key, *meta.name_bytes) for key in keys])
    return {
        key: model._from_row(key[len(prefix) :].decode("utf-8", "surrogateescape"), meta.field_names, values)
        for key, values in zip(keys, replies, strict=True)
        if any(value is not None for value in values)
    }


async def row_keys(model: Any) -> AsyncIterator[list[bytes]]:
    """The keys of all rows, also of those that the class set has lost; one that comes twice is met twice."""
    begin = f"{await prefix_of(model)}{model._meta.model_name}:".encode()
    pattern = b"".join(b"\\" + bytes([one]) if one in b"*?[]\\^" else bytes([one]) for one in begin) + b"*"
    cursor = 0
    while True:
        cursor, keys = await ask(scan(cursor, match=pattern, count=MOST_ROWS))
        kinds = await ask_all([type_of(key) for key in keys])
        yield [key for key, kind in zip(keys, kinds, strict=True) if kind == b"hash"]
        if cursor == 0:
            return
