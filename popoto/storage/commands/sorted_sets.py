"""Commands on sorted sets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from popoto.storage import replies
from popoto.storage.steps import Arg, Command

Scored = list[tuple[bytes, float]]


def bound(value: float, *, exclusive: bool = False) -> str:
    """The spelling of a score bound.

    Raises:
        ValueError: for NaN, which no server can compare.
    """
    if math.isnan(value):
        raise ValueError("NaN is no score: give a number")
    text = "+inf" if value == math.inf else "-inf" if value == -math.inf else repr(float(value))
    return f"({text}" if exclusive else text


def zadd(
    key: Arg,
    scores: Mapping[bytes, float] | Mapping[str, float],
    *,
    only: Literal["NX", "XX", "GT", "LT"] | None = None,
    changed: bool = False,
) -> Command[int]:
    """Set scores; the reply counts new members, or with `changed` also those whose score changed."""
    words: list[Arg] = [word for word in (only, "CH" if changed else None) if word]
    for member, value in scores.items():
        words += (bound(value), member)
    return Command("ZADD", key, *words, keys=(key,), shape=replies.integer, writes=True)


def zincrby(key: Arg, amount: float, member: Arg) -> Command[float]:
    """Add to a member's score; the reply is the sum."""
    return Command("ZINCRBY", key, bound(amount), member, keys=(key,), shape=replies.number, writes=True)


def zrem(key: Arg, *members: Arg) -> Command[int]:
    """Remove members; the reply counts those that were there."""
    return Command("ZREM", key, *members, keys=(key,), shape=replies.integer, writes=True)


def zcard(key: Arg) -> Command[int]:
    """How many members there are."""
    return Command("ZCARD", key, keys=(key,), shape=replies.integer)


def zscore(key: Arg, member: Arg) -> Command[float | None]:
    """A member's score."""
    return Command("ZSCORE", key, member, keys=(key,), shape=replies.score)


def zmscore(key: Arg, *members: Arg) -> Command[list[float | None]]:
    """Each member's score."""
    return Command("ZMSCORE", key, *members, keys=(key,), shape=replies.scores)


def zrank(key: Arg, member: Arg) -> Command[int | None]:
    """A member's place, 0 for the lowest score."""
    return Command("ZRANK", key, member, keys=(key,), shape=lambda raw: raw)


def zcount(key: Arg, low: str, high: str) -> Command[int]:
    """How many members lie between two bounds, each made by `bound`."""
    return Command("ZCOUNT", key, low, high, keys=(key,), shape=replies.integer)


def zrange(key: Arg, start: int, stop: int, *, reverse: bool = False) -> Command[Scored]:
    """Members and scores by place, both ends included; equal scores in the order of their bytes."""
    words: tuple[Arg, ...] = ("REV",) if reverse else ()
    return Command("ZRANGE", key, start, stop, *words, "WITHSCORES", keys=(key,), shape=replies.pairs)


def zrangebyscore(
    key: Arg, low: str, high: str, *, reverse: bool = False, offset: int = 0, count: int = -1
) -> Command[Scored]:
    """Members and scores between two bounds made by `bound`; `reverse` starts from the high one."""
    words: tuple[Arg, ...] = (high, low, "BYSCORE", "REV") if reverse else (low, high, "BYSCORE")
    limits: tuple[Arg, ...] = ("LIMIT", offset, count, "WITHSCORES")
    return Command("ZRANGE", key, *words, *limits, keys=(key,), shape=replies.pairs)


def zremrangebyscore(key: Arg, low: str, high: str) -> Command[int]:
    """Remove the members between two bounds made by `bound`."""
    return Command("ZREMRANGEBYSCORE", key, low, high, keys=(key,), shape=replies.integer, writes=True)


def zremrangebyrank(key: Arg, start: int, stop: int) -> Command[int]:
    """Remove the members between two places, both ends included."""
    return Command("ZREMRANGEBYRANK", key, start, stop, keys=(key,), shape=replies.integer, writes=True)


def zrangebylex(key: Arg, low: Arg, high: Arg, *, offset: int = 0, count: int = -1) -> Command[list[bytes]]:
    """Members of equal score between two texts, as `[a` or `(b` or `-` and `+`."""
    words = ("ZRANGE", key, low, high, "BYLEX", "LIMIT", offset, count)
    return Command(*words, keys=(key,), shape=replies.members)


def zpopmin(key: Arg, count: int) -> Command[Scored]:
    """Remove and return the members of the lowest scores."""
    return Command("ZPOPMIN", key, count, keys=(key,), shape=replies.pairs, writes=True)


def zscan(key: Arg, cursor: int, *, match: Arg | None = None, count: int = 100) -> Command[tuple[int, Scored]]:
    """One step of a walk over a sorted set: the next cursor (0 at the end) and some members."""
    words: tuple[Arg, ...] = () if match is None else ("MATCH", match)
    return Command("ZSCAN", key, cursor, *words, "COUNT", count, keys=(key,), shape=replies.scanned(replies.pairs))


def zmembers(key: Arg, start: int, stop: int) -> Command[list[bytes]]:
    """Members by place without their scores, both ends included."""
    return Command("ZRANGE", key, start, stop, keys=(key,), shape=replies.members)


def zunionstore(
    target: Arg,
    keys: Sequence[Arg],
    *,
    weights: Sequence[float] = (),
    aggregate: Literal["SUM", "MIN", "MAX"] = "SUM",
) -> Command[int]:
    """Store the union of sorted sets; the reply counts its members."""
    weighed: list[Arg] = ["WEIGHTS", *map(bound, weights)] if weights else []
    words = ("ZUNIONSTORE", target, len(keys), *keys, *weighed, "AGGREGATE", aggregate)
    return Command(*words, keys=(target, *keys), shape=replies.integer, writes=True)
