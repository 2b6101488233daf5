"""Looking after what companions keep: counting and removing what no row has, in bounded steps."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Container
from typing import TYPE_CHECKING, Any, Final

from popoto.storage import Call, ask, ask_all
from popoto.storage.commands.hashes import hscan
from popoto.storage.commands.keys import scan, type_of
from popoto.storage.commands.sets import sscan
from popoto.storage.commands.sorted_sets import zscan

if TYPE_CHECKING:
    from popoto.fields.companions import Companion, Store
    from popoto.models.options import Keyspace, Options

_GLOB: Final = re.compile(rb"([*?\[\]\\^])")
_TYPES: Final = {"H": b"hash", "Z": b"zset", "S": b"set"}


def literal(text: bytes) -> bytes:
    """A text as a pattern that matches it alone."""
    return _GLOB.sub(rb"\\\1", text)


async def examine(
    meta: Options, keyspace: Keyspace, size: int, *, removing: bool, expired: Container[bytes]
) -> dict[str, int]:
    """Count what companions keep for no row, or at a place that is not its row's, and remove it when asked."""
    script = keyspace.scripts.clean if removing else keyspace.scripts.check
    report = {}
    for one in meta.companions:
        if one.care is not None:
            report[one.name] = await one.care(keyspace.prefix, removing, expired)
            continue
        stores = [(number, store) for number, store in enumerate(one.stores, 1) if store.kind != "F"]
        if not stores:
            continue
        words = meta.companion_words(keyspace.prefix, {one.name})
        strays: set[bytes] = set()
        for number, store in stores:
            async for key, members in _members(meta, keyspace, one, store):
                for start in range(0, len(members), size):
                    some = members[start : start + size]
                    argv = [int(removing), len(some), *some, 0, *words, number]
                    strays.update(member for member in await ask(Call(script, [key], argv)) if member not in expired)
        # A row's companion is one thing, in however many stores.
        report[one.name] = len(strays)
    return report


async def _members(
    meta: Options, keyspace: Keyspace, one: Companion, store: Store
) -> AsyncIterator[tuple[bytes, list[bytes]]]:
    """Row keys for which a store keeps something, with the key where it is, some at a time."""
    before, after = (keyspace.prefix + store.before).encode(), store.after.encode()
    if store.kind == "L":
        rows = f"{keyspace.prefix}{meta.model_name}:".encode()
        async for keys in _found(literal(rows) + b"*" + literal(after), b"list"):
            yield keyspace.class_set, [key[: -len(after)] for key in keys]
    elif store.kind in ("K", "R"):
        async for keys in _found(literal(before) + b":*", None):
            yield keyspace.class_set, [key[len(before) + 1 :] for key in keys]
    elif not one.partitions:
        async for members in _walked(before + after, store):
            yield before + after, members
    else:
        async for keys in _found(literal(before) + b":*" + literal(after), _TYPES[store.kind]):
            for key in keys:
                async for members in _walked(key, store):
                    yield key, members


async def _found(pattern: bytes, wanted: bytes | None) -> AsyncIterator[list[bytes]]:
    cursor = 0
    while True:
        cursor, keys = await ask(scan(cursor, match=pattern))
        types = [None] * len(keys) if wanted is None else await ask_all([type_of(key) for key in keys])
        yield [key for key, kind in zip(keys, types, strict=True) if kind == wanted]
        if cursor == 0:
            return


async def _walked(key: bytes, store: Store) -> AsyncIterator[list[bytes]]:
    cursor = 0
    while True:
        step: Any = {"H": hscan, "Z": zscan, "S": sscan}[store.kind](key, cursor, count=500)
        cursor, found = await ask(step)
        yield [pair[0] for pair in found] if store.kind == "Z" else list(found)
        if cursor == 0:
            return
