"""What others keep under the keys of indexes: it stops every save, so a rebuild puts the index in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from popoto.keys import VALUES
from popoto.models.companion_care import literal
from popoto.storage import ask, ask_all
from popoto.storage.commands.keys import delete, scan, type_of

if TYPE_CHECKING:
    from popoto.models.options import Keyspace, Options

_KINDS: Final = {"Z": b"zset", "G": b"zset", "C": b"hash", "c": b"hash"}


async def removed(meta: Options, keyspace: Keyspace) -> int:
    """Take away what lies under the key of an index and is no index; how many keys those were."""
    prefix = keyspace.prefix
    alone = {keyspace.class_set: b"set", keyspace.ledger: b"zset", keyspace.receipts: b"hash"}
    alone[f"{prefix}{VALUES}:{meta.model_name}".encode()] = b"hash"
    families: dict[bytes, bytes] = {}
    for index in meta.row_indexes:
        base, kind = (prefix + index.base(meta.model_name)).encode(), _KINDS.get(index.kind, b"set")
        if kind == b"set" or (index.partitions and kind == b"zset"):
            families[base + b":"] = kind
        else:
            alone[base] = kind
        if index.field in meta.listed:
            alone[(prefix + index.value_list(meta.model_name)).encode()] = b"zset"
    count = await _replaced(alone)
    cursor = 0
    while True:
        pattern = literal(prefix.encode()) + b"$*:" + literal(meta.model_name.encode()) + b":*"
        cursor, keys = await ask(scan(cursor, match=pattern))
        found = {key: _kind(key, families) for key in keys if key not in alone}
        count += await _replaced({key: kind for key, kind in found.items() if kind is not None})
        if cursor == 0:
            return count


def _kind(key: bytes, families: dict[bytes, bytes]) -> bytes | None:
    return next((kind for base, kind in families.items() if key.startswith(base)), None)


async def _replaced(wanted: dict[bytes, bytes]) -> int:
    types = await ask_all([type_of(key) for key in wanted])
    wrong = [key for (key, kind), found in zip(wanted.items(), types, strict=True) if found not in (kind, b"none")]
    if wrong:
        await ask_all([delete(key) for key in wrong])
    return len(wrong)
