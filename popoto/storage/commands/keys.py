"""Commands on keys and their expiry."""

from __future__ import annotations

from typing import Literal

from popoto.storage import replies
from popoto.storage.steps import Arg, Command, Raw


def exists(key: Arg) -> Command[bool]:
    """Whether the key is there."""
    return Command("EXISTS", key, keys=(key,), shape=replies.flag)


def delete(*keys: Arg) -> Command[int]:
    """Remove keys; the reply counts those that were there."""
    return Command("DEL", *keys, keys=keys, shape=replies.integer, writes=True)


def type_of(key: Arg) -> Command[bytes]:
    """The kind of value, as `hash`, or `none`."""
    return Command("TYPE", key, keys=(key,), shape=_word)


def rename(key: Arg, target: Arg) -> Command[bool]:
    """Rename a key, replacing the target; an error when it is missing."""
    return Command("RENAME", key, target, keys=(key, target), shape=replies.done, writes=True)


def renamenx(key: Arg, target: Arg) -> Command[bool]:
    """Rename a key unless the target is there."""
    return Command("RENAMENX", key, target, keys=(key, target), shape=replies.flag, writes=True)


def pexpire(key: Arg, milliseconds: int, *, only: Literal["NX", "XX", "GT", "LT"] | None = None) -> Command[bool]:
    """Let a key expire; False when it is missing. A condition needs `expire-flags`."""
    words: tuple[Arg, ...] = (only,) if only else ()
    needs = "expire-flags" if only else ""
    return Command("PEXPIRE", key, milliseconds, *words, keys=(key,), shape=replies.flag, writes=True, needs=needs)


def pexpireat(key: Arg, unix_milliseconds: int) -> Command[bool]:
    """Let a key expire at a moment; False when it is missing."""
    return Command("PEXPIREAT", key, unix_milliseconds, keys=(key,), shape=replies.flag, writes=True)


def persist(key: Arg) -> Command[bool]:
    """Take away a key's expiry; False when there was none."""
    return Command("PERSIST", key, keys=(key,), shape=replies.flag, writes=True)


def pttl(key: Arg) -> Command[int]:
    """Milliseconds left; -1 without expiry, -2 when the key is missing."""
    return Command("PTTL", key, keys=(key,), shape=replies.integer)


def scan(cursor: int, *, match: Arg | None = None, count: int = 1000) -> Command[tuple[int, list[bytes]]]:
    """One step of a walk over all keys: the next cursor (0 at the end) and some keys. For maintenance only."""
    words: tuple[Arg, ...] = () if match is None else ("MATCH", match)
    return Command("SCAN", cursor, *words, "COUNT", count, shape=replies.scanned(replies.members))


def _word(raw: Raw) -> bytes:
    return raw if isinstance(raw, bytes) else str(raw).encode()
