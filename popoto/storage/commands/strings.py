"""Commands on strings."""

from __future__ import annotations

from typing import Literal

from popoto.storage import replies
from popoto.storage.steps import Arg, Command


def get(key: Arg) -> Command[bytes | None]:
    """A string's bytes."""
    return Command("GET", key, keys=(key,), shape=replies.blob)


def mget(*keys: Arg) -> Command[list[bytes | None]]:
    """Several strings' bytes."""
    return Command("MGET", *keys, keys=keys, shape=replies.blobs)


def set_(
    key: Arg, value: Arg, *, only: Literal["NX", "XX"] | None = None, milliseconds: int | None = None
) -> Command[bool]:
    """Set a string, with an expiry if given; False when the condition refused it."""
    words: list[Arg] = [*(("PX", milliseconds) if milliseconds is not None else ()), *((only,) if only else ())]
    return Command("SET", key, value, *words, keys=(key,), shape=replies.done, writes=True)


def incrby(key: Arg, amount: int) -> Command[int]:
    """Add a whole number to a string; the reply is the sum."""
    return Command("INCRBY", key, amount, keys=(key,), shape=replies.integer, writes=True)


def append(key: Arg, value: Arg) -> Command[int]:
    """Append bytes; the reply is the new length."""
    return Command("APPEND", key, value, keys=(key,), shape=replies.integer, writes=True)


def strlen(key: Arg) -> Command[int]:
    """A string's length in bytes, 0 when missing."""
    return Command("STRLEN", key, keys=(key,), shape=replies.integer)
