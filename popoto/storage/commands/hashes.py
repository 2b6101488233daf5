"""Commands on hashes."""

from __future__ import annotations

from collections.abc import Mapping

from popoto.storage import replies
from popoto.storage.steps import Arg, Command


def hset(key: Arg, values: Mapping[str, Arg] | Mapping[bytes, Arg]) -> Command[int]:
    """Set fields; the reply counts the new ones."""
    pairs: list[Arg] = []
    for field, value in values.items():
        pairs += (field, value)
    return Command("HSET", key, *pairs, keys=(key,), shape=replies.integer, writes=True)


def hsetnx(key: Arg, field: Arg, value: Arg) -> Command[bool]:
    """Set a field that is missing."""
    return Command("HSETNX", key, field, value, keys=(key,), shape=replies.flag, writes=True)


def hget(key: Arg, field: Arg) -> Command[bytes | None]:
    """One field's value."""
    return Command("HGET", key, field, keys=(key,), shape=replies.blob)


def hmget(key: Arg, *fields: Arg) -> Command[list[bytes | None]]:
    """Several fields' values, in the order asked."""
    return Command("HMGET", key, *fields, keys=(key,), shape=replies.blobs)


def hgetall(key: Arg) -> Command[dict[bytes, bytes]]:
    """All fields and values; empty when the key is missing."""
    return Command("HGETALL", key, keys=(key,), shape=replies.mapping)


def hkeys(key: Arg) -> Command[list[bytes]]:
    """All field names."""
    return Command("HKEYS", key, keys=(key,), shape=replies.members)


def hlen(key: Arg) -> Command[int]:
    """How many fields there are."""
    return Command("HLEN", key, keys=(key,), shape=replies.integer)


def hexists(key: Arg, field: Arg) -> Command[bool]:
    """Whether a field is there."""
    return Command("HEXISTS", key, field, keys=(key,), shape=replies.flag)


def hdel(key: Arg, *fields: Arg) -> Command[int]:
    """Remove fields; the reply counts those that were there."""
    return Command("HDEL", key, *fields, keys=(key,), shape=replies.integer, writes=True)


def hincrby(key: Arg, field: Arg, amount: int) -> Command[int]:
    """Add a whole number to a field; the reply is the sum."""
    return Command("HINCRBY", key, field, amount, keys=(key,), shape=replies.integer, writes=True)


def hincrbyfloat(key: Arg, field: Arg, amount: float) -> Command[float]:
    """Add a number to a field; the reply is the sum, whose last digits differ between servers."""
    return Command("HINCRBYFLOAT", key, field, amount, keys=(key,), shape=replies.number, writes=True)


def hscan(
    key: Arg, cursor: int, *, match: Arg | None = None, count: int = 100
) -> Command[tuple[int, dict[bytes, bytes]]]:
    """One step of a walk over a hash: the next cursor (0 at the end) and some fields."""
    words: tuple[Arg, ...] = () if match is None else ("MATCH", match)
    return Command("HSCAN", key, cursor, *words, "COUNT", count, keys=(key,), shape=replies.scanned(replies.mapping))


def hpexpire(key: Arg, milliseconds: int, *fields: Arg) -> Command[list[int]]:
    """Let fields expire; 1 for each that will, -2 for each that is missing. Needs `field-ttl`."""
    words = ("HPEXPIRE", key, milliseconds, "FIELDS", len(fields), *fields)
    return Command(*words, keys=(key,), shape=list, writes=True, needs="field-ttl")


def hpttl(key: Arg, *fields: Arg) -> Command[list[int]]:
    """Milliseconds left of each field; -1 without expiry, -2 when missing. Needs `field-ttl`."""
    words = ("HPTTL", key, "FIELDS", len(fields), *fields)
    return Command(*words, keys=(key,), shape=list, needs="field-ttl")
