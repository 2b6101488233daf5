"""What is stored, read with a plain client: the whole keyspace, and whether index entries are just those of the rows.

Written from the description of 1.x's layout, apart from the code under test: the spelling of keys is done here anew.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgpack

from popoto import Model

READERS = {
    b"hash": lambda plain, key: plain.hgetall(key),
    b"set": lambda plain, key: set(plain.smembers(key)),
    b"zset": lambda plain, key: dict(plain.zrange(key, 0, -1, withscores=True)),
    b"list": lambda plain, key: plain.lrange(key, 0, -1),
    b"string": lambda plain, key: plain.get(key),
    b"stream": lambda plain, key: plain.xrange(key),
}
TAGS = {
    "KeyField": "$KeyF",
    "UniqueKeyField": "$UniqueKeyF",
    "IndexedField": "$IndexF",
    "UniqueField": "$UniquF",
    "SortedField": "$SortF",
    "SortedKeyField": "$SortedKeyF",
    "GeoField": "$GeoF",
    "Relationship": "$RelationshipF",
}


# Of rows with a time to live: when they end, and what to remove then.
LEDGER = ("$Exp", "$Rcpt")


def keyspace(plain: Any) -> dict[bytes, Any]:
    """Every key with its content; of places, whose scores are the server's affair, the members alone."""
    return {key: content_of(plain, key) for key in plain.scan_iter(count=1000)}


def let_expire(plain: Any) -> None:
    """Let the time come for every key that has a time to live."""
    waiting = [key for key in plain.scan_iter(count=1000) if plain.pttl(key) > 0]
    for key in waiting:
        plain.pexpire(key, 1)
    deadline = time.monotonic() + 60
    while waiting and plain.exists(*waiting) and time.monotonic() < deadline:
        time.sleep(0.002)


def content_of(plain: Any, key: bytes) -> Any:
    """What a key holds."""
    if b"$GeoF:" in key:
        return set(plain.zrange(key, 0, -1))
    return READERS[plain.type(key)](plain, key)


def escaped(text: str) -> str:
    """A key part: 1.x's escaping, and the two additions that make it injective."""
    for mark in "/'?*^[]-":
        text = text.replace(mark, f"/{mark}")
    return text.replace("{&#58;}", "{/&#58;}").replace(":", "{&#58;}")


def text_of(value: Any) -> str:
    """The text of a value."""
    if isinstance(value, Decimal) and value.is_finite():
        value = format(value.normalize(), "f") if value else "0"
    if isinstance(value, float) and value == 0:
        value = 0.0
    return str(value)


def spelled(value: Any) -> str:
    """The part of a value."""
    if value is None:
        return "None"
    return "/None" if value == "None" else escaped(text_of(value))


def score(value: Any) -> float:
    """The place of a value in a sorted set."""
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value.toordinal()) if isinstance(value, date) else float(value)


def value_of(field: Any, raw: bytes) -> Any:
    """The value of stored bytes; the plain kinds are read here, the others by the field."""
    if raw == b"\xc0":
        return None
    if field.type in (int, str, bool):
        return msgpack.unpackb(raw)
    return field.decode(raw)


def spelled_by_1x(value: Any) -> str:
    """The part that 1.x wrote for a value."""
    text = str(value)
    for mark in "/'?*^[]-":
        text = text.replace(mark, f"/{mark}")
    return text.replace(":", "{&#58;}")


def entries(
    model: type[Model], key: bytes, row: dict[bytes, bytes], spelled: Any = spelled
) -> set[tuple[bytes, bytes, float | None]]:
    """The index entries that a row should have: key, member, score."""
    name = model.__name__
    fields = model._meta.fields
    values = {one: value_of(fields[one], row[one.encode()]) for one in fields if one.encode() in row}
    found: set[tuple[bytes, bytes, float | None]] = {(f"$Class:{name}".encode(), key, None)}
    for field_name, value in values.items():
        field = fields[field_name]
        kind = type(field).__name__
        if kind not in TAGS:
            kind = "UniqueField" if field.unique else "IndexedField" if field.indexed else ""
        if kind == "" or field.auto:
            continue
        base = f"{TAGS[kind]}:{name}:{field_name}"
        if kind == "GeoField":
            if value is not None and value[0] is not None:
                found.add((base.encode(), key, None))
        elif kind == "Relationship":
            found.add((f"{base}:{value}".encode(), key, None))
        elif kind in ("SortedField", "SortedKeyField"):
            if value is not None and all(one in values for one in field.partition_by):
                parts = [spelled(values[one]) for one in field.partition_by]
                found.add((":".join([base, *parts]).encode(), key, score(value)))
        else:
            found.add((f"{base}:{spelled(value)}".encode(), key, None))
            if value is not None and field_name in model._meta.listed:
                found.add((f"$Vals:{name}:{field_name}".encode(), text_of(value).encode(), 0.0))
    return found | composites(model, key, values)


def composites(model: type[Model], key: bytes, values: dict[str, Any]) -> set[tuple[bytes, bytes, float | None]]:
    """The entries in hashes of digests: the row's key stands for a member, and the digest after the hash's key."""
    found: set[tuple[bytes, bytes, float | None]] = set()
    for names, _ in model._meta.indexes:
        texts = [values.get(name) for name in names]
        if None not in texts:
            digest = hashlib.sha256(":".join(map(str, texts)).encode()).hexdigest()[:16]
            found.add((f"$Index:{model.__name__}:{':'.join(names)}:{digest}".encode(), key, None))
    return found


def actual_entries(key: bytes, content: Any) -> set[tuple[bytes, bytes, float | None]]:
    """What an index key holds, in the same form."""
    if key.startswith(b"$Index:"):
        return {(key + b":" + digest, member, None) for digest, member in content.items()}
    members = content.items() if isinstance(content, dict) else ((member, None) for member in content)
    return {(key, member, place) for member, place in members}


def _family(key: bytes) -> bytes:
    """The part of an index key that names the field."""
    return b":".join(key.split(b":")[:3])


def stray_entries(plain: Any, model: type[Model], old: Collection[bytes] = ()) -> list[str]:
    """Index entries that no row should have, and those that are missing; empty when all is well.

    Rows of old keys may have theirs in 1.x's spelling. Those of expired rows wait in the ledger to be taken out.
    """
    name = model.__name__
    here = keyspace(plain)
    roster = f"$Vals:{name}".encode()
    expected: set[tuple[bytes, bytes, float | None]] = set()
    actual: set[tuple[bytes, bytes, float | None]] = set()
    before: set[tuple[bytes, bytes, float | None]] = set()
    for key, content in here.items():
        words = key.decode().split(":")
        if words[0] == name:
            expected |= entries(model, key, content)
            if key in old:
                before |= entries(model, key, content, spelled_by_1x)
        elif words[0].startswith("$") and words[0] not in LEDGER and words[1] == name and key != roster:
            actual |= actual_entries(key, content)
    expired = {key for key in here.get(f"$Exp:{name}".encode(), {}) if key not in here}
    actual = {one for one in actual if one[1] not in expired} - (_values_of(expired, actual) - expected)
    replaced = {(_family(key), member) for key, member, _ in actual & (before - expected)}
    expected = {one for one in expected if (_family(one[0]), one[1]) not in replaced} | (actual & before)
    missing = expected - actual
    if not listed(here, model):
        # Beside rows of 1.x the lists of values lack some, and are not believed.
        missing = {one for one in missing if not one[0].startswith(b"$Vals")}
    return sorted([f"stray {one}" for one in actual - expected] + [f"missing {one}" for one in missing])


def _values_of(
    expired: Collection[bytes], actual: set[tuple[bytes, bytes, float | None]]
) -> set[tuple[bytes, bytes, float | None]]:
    """The values in lists that only expired rows keep there."""
    waiting = {tuple(index.split(b":", 3)[2:]) for index, member, _ in actual if member in expired}
    return {
        one
        for one in actual
        if one[0].startswith(b"$Vals:") and (one[0].split(b":")[2], spelled(one[1].decode()).encode()) in waiting
    }


def listed(here: dict[bytes, Any], model: type[Model]) -> bool:
    """Whether the roster says that all rows' values are in the lists."""
    entered = here.get(f"$Vals:{model.__name__}".encode(), {}).get(",".join(model._meta.listed).encode())
    return entered is not None and int(entered) == len(here.get(f"$Class:{model.__name__}".encode(), ()))
