"""Commands on lists."""

from __future__ import annotations

from popoto.storage import replies
from popoto.storage.steps import Arg, Command


def lpush(key: Arg, *values: Arg) -> Command[int]:
    """Put values in front, the last one first; the reply is the new length."""
    return Command("LPUSH", key, *values, keys=(key,), shape=replies.integer, writes=True)


def rpush(key: Arg, *values: Arg) -> Command[int]:
    """Append values; the reply is the new length."""
    return Command("RPUSH", key, *values, keys=(key,), shape=replies.integer, writes=True)


def lpop(key: Arg) -> Command[bytes | None]:
    """Remove and return the first item."""
    return Command("LPOP", key, keys=(key,), shape=replies.blob, writes=True)


def rpop(key: Arg) -> Command[bytes | None]:
    """Remove and return the last item."""
    return Command("RPOP", key, keys=(key,), shape=replies.blob, writes=True)


def lrange(key: Arg, start: int, stop: int) -> Command[list[bytes]]:
    """Items by place, both ends included."""
    return Command("LRANGE", key, start, stop, keys=(key,), shape=replies.members)


def llen(key: Arg) -> Command[int]:
    """How many items there are."""
    return Command("LLEN", key, keys=(key,), shape=replies.integer)


def ltrim(key: Arg, start: int, stop: int) -> Command[bool]:
    """Keep only the items between two places, both ends included."""
    return Command("LTRIM", key, start, stop, keys=(key,), shape=replies.done, writes=True)


def lset(key: Arg, index: int, value: Arg) -> Command[bool]:
    """Replace one item; an error when there is none."""
    return Command("LSET", key, index, value, keys=(key,), shape=replies.done, writes=True)


def lrem(key: Arg, count: int, value: Arg) -> Command[int]:
    """Remove up to `count` equal items from the front, all with 0; the reply counts them."""
    return Command("LREM", key, count, value, keys=(key,), shape=replies.integer, writes=True)
