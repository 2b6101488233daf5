"""Commands on sets."""

from __future__ import annotations

from popoto.storage import replies
from popoto.storage.steps import Arg, Command


def sadd(key: Arg, *members: Arg) -> Command[int]:
    """Add members; the reply counts the new ones."""
    return Command("SADD", key, *members, keys=(key,), shape=replies.integer, writes=True)


def srem(key: Arg, *members: Arg) -> Command[int]:
    """Remove members; the reply counts those that were there."""
    return Command("SREM", key, *members, keys=(key,), shape=replies.integer, writes=True)


def smembers(key: Arg) -> Command[set[bytes]]:
    """All members: for sets known to be small."""
    return Command("SMEMBERS", key, keys=(key,), shape=replies.member_set)


def scard(key: Arg) -> Command[int]:
    """How many members there are."""
    return Command("SCARD", key, keys=(key,), shape=replies.integer)


def sismember(key: Arg, member: Arg) -> Command[bool]:
    """Whether this is a member."""
    return Command("SISMEMBER", key, member, keys=(key,), shape=replies.flag)


def smismember(key: Arg, *members: Arg) -> Command[list[bool]]:
    """Whether each is a member."""
    return Command("SMISMEMBER", key, *members, keys=(key,), shape=replies.flags)


def srandmember(key: Arg, count: int) -> Command[list[bytes]]:
    """Up to `count` members, none twice."""
    return Command("SRANDMEMBER", key, count, keys=(key,), shape=replies.members)


def spop(key: Arg, count: int) -> Command[set[bytes]]:
    """Remove and return up to `count` members."""
    return Command("SPOP", key, count, keys=(key,), shape=replies.member_set, writes=True)


def sinter(*keys: Arg) -> Command[set[bytes]]:
    """Members of all sets."""
    return Command("SINTER", *keys, keys=keys, shape=replies.member_set)


def sunion(*keys: Arg) -> Command[set[bytes]]:
    """Members of any set."""
    return Command("SUNION", *keys, keys=keys, shape=replies.member_set)


def sdiff(*keys: Arg) -> Command[set[bytes]]:
    """Members of the first set that are in no other."""
    return Command("SDIFF", *keys, keys=keys, shape=replies.member_set)


def sintercard(*keys: Arg, limit: int = 0) -> Command[int]:
    """How many members all sets share, counting to `limit` unless 0. Needs `intercard`."""
    words = ("SINTERCARD", len(keys), *keys, "LIMIT", limit)
    return Command(*words, keys=keys, shape=replies.integer, needs="intercard")


def sscan(key: Arg, cursor: int, *, match: Arg | None = None, count: int = 100) -> Command[tuple[int, list[bytes]]]:
    """One step of a walk over a set: the next cursor (0 at the end) and some members."""
    words: tuple[Arg, ...] = () if match is None else ("MATCH", match)
    return Command("SSCAN", key, cursor, *words, "COUNT", count, keys=(key,), shape=replies.scanned(replies.members))
