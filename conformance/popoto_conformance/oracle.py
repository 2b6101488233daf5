"""The base commands in plain Python: what a store must answer, for model-based tests."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from popoto.storage import Applied, Guard, Refused, Step, Txn

T = TypeVar("T")
WRONGTYPE: Final = "WRONGTYPE"
ERR: Final = "ERR"
_WHOLE: Final = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_KINDS: Final[dict[type, bytes]] = {bytes: b"string", dict: b"hash", set: b"set", list: b"list"}


class Failure(Exception):
    """An error reply, by its code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Failure) and other.code == self.code

    __hash__ = Exception.__hash__

    def __repr__(self) -> str:
        return f"<Failure {self.code}>"


class Scores(dict[bytes, float]):
    """A sorted set, apart from a hash."""

    def rows(self) -> list[tuple[bytes, float]]:
        """Members and scores in order."""
        return sorted(self.items(), key=lambda row: (row[1], row[0]))


class Oracle:
    """A store of dictionaries; time stands still in it.

    Attributes:
        data: the value of each key: bytes, dict, set, list or `Scores`.
        expiring: the keys that have an expiry.
    """

    def __init__(self) -> None:
        self.data: dict[bytes, Any] = {}
        self.expiring: set[bytes] = set()

    def execute(self, batch: Sequence[Step]) -> list[Any]:
        """The canonical replies to a batch, with a `Failure` for each error."""
        return [self._step(step) for step in batch]

    def _step(self, step: Step) -> Any:
        if isinstance(step, Txn):
            try:
                # The first guard that does not hold ends the matter, though a later one is an error.
                for index, guard in enumerate(step.guards):
                    if not self._holds(guard):
                        return Refused(index)
            except Failure as failure:
                return failure
            return Applied([self._command(command.argv) for command in step.commands])
        return self._command(step.argv)  # type: ignore[union-attr]

    def _holds(self, guard: Guard) -> bool:
        if guard.kind in ("absent", "present"):
            return (guard.key in self.data) == (guard.kind == "present")
        row = self._look(guard.key, dict, {})
        return row.get(guard.field) == guard.value if guard.kind == "field" else guard.field not in row

    def _command(self, argv: tuple[bytes, ...]) -> Any:
        name, *words = argv
        method: Callable[..., Any] = getattr(self, name.decode().lower())
        try:
            return method(*words)
        except Failure as failure:
            return failure

    # Access

    def _look(self, key: bytes, kind: type[T], default: T) -> T:
        value = self.data.get(key)
        if value is None:
            return default
        if type(value) is not kind:
            raise Failure(WRONGTYPE)
        return value

    def _make(self, key: bytes, kind: type[T]) -> T:
        value = self._look(key, kind, kind())
        self.data[key] = value
        return value

    def _tidy(self, key: bytes) -> None:
        value = self.data.get(key)
        if not isinstance(value, bytes) and not value:
            self._drop(key)

    def _drop(self, key: bytes) -> bool:
        self.expiring.discard(key)
        return self.data.pop(key, None) is not None

    # Keys

    def exists(self, key: bytes) -> bool:
        return key in self.data

    def delete(self, *keys: bytes) -> int:
        return sum(self._drop(key) for key in keys)

    def type(self, key: bytes) -> bytes:
        value = self.data.get(key)
        return b"none" if value is None else _KINDS.get(type(value), b"zset")

    def rename(self, key: bytes, target: bytes) -> bool:
        if key not in self.data:
            raise Failure(ERR)
        if key != target:
            expires = key in self.expiring
            value = self.data[key]
            self._drop(key), self._drop(target)
            self.data[target] = value
            self.expiring |= {target} if expires else set()
        return True

    def renamenx(self, key: bytes, target: bytes) -> bool:
        if key not in self.data:
            raise Failure(ERR)
        return target not in self.data and self.rename(key, target)

    def pexpire(self, key: bytes, milliseconds: bytes) -> bool:
        if key not in self.data:
            return False
        if int(milliseconds) <= 0:
            return self._drop(key)
        self.expiring.add(key)
        return True

    def persist(self, key: bytes) -> bool:
        expired = key in self.expiring
        self.expiring.discard(key)
        return expired

    # Strings

    def get(self, key: bytes) -> bytes | None:
        return self._look(key, bytes, b"") if key in self.data else None

    def mget(self, *keys: bytes) -> list[bytes | None]:
        values = map(self.data.get, keys)
        return [value if isinstance(value, bytes) else None for value in values]

    def set(self, key: bytes, value: bytes, *words: bytes) -> bool:
        if (b"NX" in words and key in self.data) or (b"XX" in words and key not in self.data):
            return False
        self._drop(key)
        self.data[key] = value
        self.expiring |= {key} if b"PX" in words else set()
        return True

    def append(self, key: bytes, value: bytes) -> int:
        self.data[key] = self._look(key, bytes, b"") + value
        return len(self.data[key])

    def strlen(self, key: bytes) -> int:
        return len(self._look(key, bytes, b""))

    def incrby(self, key: bytes, amount: bytes) -> int:
        total = _sum(self._look(key, bytes, b"0"), amount)
        self.data[key] = b"%d" % total
        return total

    # Hashes

    def hset(self, key: bytes, *pairs: bytes) -> int:
        row = self._make(key, dict)
        before = len(row)
        row.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(row) - before

    def hsetnx(self, key: bytes, field: bytes, value: bytes) -> bool:
        row = self._make(key, dict)
        missing = field not in row
        row.setdefault(field, value)
        return missing

    def hget(self, key: bytes, field: bytes) -> bytes | None:
        return self._look(key, dict, {}).get(field)

    def hmget(self, key: bytes, *fields: bytes) -> list[bytes | None]:
        return list(map(self._look(key, dict, {}).get, fields))

    def hgetall(self, key: bytes) -> dict[bytes, bytes]:
        return dict(self._look(key, dict, {}))

    def hlen(self, key: bytes) -> int:
        return len(self._look(key, dict, {}))

    def hexists(self, key: bytes, field: bytes) -> bool:
        return field in self._look(key, dict, {})

    def hdel(self, key: bytes, *fields: bytes) -> int:
        row = self._look(key, dict, {})
        count = sum(row.pop(field, None) is not None for field in fields)
        self._tidy(key)
        return count

    def hincrby(self, key: bytes, field: bytes, amount: bytes) -> int:
        total = _sum(self._look(key, dict, {}).get(field, b"0"), amount)
        self._make(key, dict)[field] = b"%d" % total
        return total

    # Sets

    def sadd(self, key: bytes, *members: bytes) -> int:
        found = self._make(key, set)
        before = len(found)
        found.update(members)
        return len(found) - before

    def srem(self, key: bytes, *members: bytes) -> int:
        found = self._look(key, set, set())
        gone = found & {*members}
        found -= gone
        self._tidy(key)
        return len(gone)

    def smembers(self, key: bytes) -> Any:
        return {*self._look(key, set, set())}

    def scard(self, key: bytes) -> int:
        return len(self._look(key, set, set()))

    def sismember(self, key: bytes, member: bytes) -> bool:
        return member in self._look(key, set, set())

    def smismember(self, key: bytes, *members: bytes) -> list[bool]:
        return [member in self._look(key, set, set()) for member in members]

    def _sets(self, keys: tuple[bytes, ...]) -> list[Any]:
        return [self._look(key, set, set()) for key in keys]

    def sunion(self, *keys: bytes) -> Any:
        return set[bytes]().union(*self._sets(keys))

    def sdiff(self, *keys: bytes) -> Any:
        first, *others = self._sets(keys)
        return first.difference(*others)

    # Lists

    def rpush(self, key: bytes, *values: bytes) -> int:
        self._make(key, list).extend(values)
        return len(self.data[key])

    def lpush(self, key: bytes, *values: bytes) -> int:
        found = self._make(key, list)
        found[:0] = reversed(values)
        return len(found)

    def lpop(self, key: bytes) -> bytes | None:
        return self._pop(key, 0)

    def rpop(self, key: bytes) -> bytes | None:
        return self._pop(key, -1)

    def _pop(self, key: bytes, index: int) -> bytes | None:
        found: list[bytes] = self._look(key, list, [])
        value = found.pop(index) if found else None
        self._tidy(key)
        return value

    def lrange(self, key: bytes, start: bytes, stop: bytes) -> list[bytes]:
        return _between(self._look(key, list, []), start, stop)

    def ltrim(self, key: bytes, start: bytes, stop: bytes) -> bool:
        found = self._look(key, list, [])
        found[:] = _between(found, start, stop)
        self._tidy(key)
        return True

    def llen(self, key: bytes) -> int:
        return len(self._look(key, list, []))

    # Sorted sets

    def zadd(self, key: bytes, *words: bytes) -> int:
        flags = [word for word in words[:2] if word in (b"NX", b"XX", b"GT", b"LT", b"CH")]
        pairs = words[len(flags) :]
        found = self._make(key, Scores)
        added = changed = 0
        for text, member in zip(pairs[::2], pairs[1::2], strict=True):
            new, old = float(text), found.get(member)
            if old is None:
                if b"XX" not in flags:
                    found[member], added = new, added + 1
            elif _replaces(old, new, flags):
                found[member], changed = new, changed + 1
        self._tidy(key)
        return added + changed if b"CH" in flags else added

    def zincrby(self, key: bytes, amount: bytes, member: bytes) -> float:
        total = self._look(key, Scores, Scores()).get(member, 0.0) + float(amount)
        if math.isnan(total):
            raise Failure(ERR)
        self._make(key, Scores)[member] = total
        return total

    def zrem(self, key: bytes, *members: bytes) -> int:
        return self._without(key, [member for member in dict.fromkeys(members) if member in self._scores(key)])

    def _scores(self, key: bytes) -> Scores:
        return self._look(key, Scores, Scores())

    def _without(self, key: bytes, members: list[bytes]) -> int:
        found = self._scores(key)
        for member in members:
            del found[member]
        self._tidy(key)
        return len(members)

    def zcard(self, key: bytes) -> int:
        return len(self._scores(key))

    def zscore(self, key: bytes, member: bytes) -> float | None:
        return self._scores(key).get(member)

    def zmscore(self, key: bytes, *members: bytes) -> list[float | None]:
        return list(map(self._scores(key).get, members))

    def zrank(self, key: bytes, member: bytes) -> int | None:
        members = [one for one, _ in self._scores(key).rows()]
        return members.index(member) if member in members else None

    def _inside(self, key: bytes, low: bytes, high: bytes) -> list[tuple[bytes, float]]:
        return [row for row in self._scores(key).rows() if _above(row[1], low) and _below(row[1], high)]

    def zcount(self, key: bytes, low: bytes, high: bytes) -> int:
        return len(self._inside(key, low, high))

    def zrange(self, key: bytes, start: bytes, stop: bytes, *words: bytes) -> list[tuple[bytes, float]]:
        reverse = b"REV" in words
        if b"BYSCORE" not in words:
            rows = self._scores(key).rows()
            return _between(rows[::-1] if reverse else rows, start, stop)
        rows = self._inside(key, *((stop, start) if reverse else (start, stop)))
        offset, count = map(int, words[words.index(b"LIMIT") + 1 :][:2])
        rows = (rows[::-1] if reverse else rows)[offset:]
        return rows if count < 0 else rows[:count]

    def zremrangebyscore(self, key: bytes, low: bytes, high: bytes) -> int:
        return self._without(key, [member for member, _ in self._inside(key, low, high)])

    def zremrangebyrank(self, key: bytes, start: bytes, stop: bytes) -> int:
        return self._without(key, [member for member, _ in _between(self._scores(key).rows(), start, stop)])

    def zpopmin(self, key: bytes, count: bytes) -> list[tuple[bytes, float]]:
        rows = self._scores(key).rows()[: int(count)]
        self._without(key, [member for member, _ in rows])
        return rows


# The wire's name for it is a word of Python's.
setattr(Oracle, "del", Oracle.delete)


def _sum(text: bytes, amount: bytes) -> int:
    if not _WHOLE.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise Failure(ERR)
    total = int(text) + int(amount)
    if not -(2**63) <= total < 2**63:
        raise Failure(ERR)
    return total


def _between(items: list[T], start: bytes, stop: bytes) -> list[T]:
    size = len(items)
    first, last = (index + size if index < 0 else index for index in (int(start), int(stop)))
    return items[max(0, first) : max(0, last + 1)]


def _replaces(old: float, new: float, flags: list[bytes]) -> bool:
    if b"NX" in flags or new == old:
        return False
    return not ((b"GT" in flags and new < old) or (b"LT" in flags and new > old))


def _above(score: float, low: bytes) -> bool:
    return score > float(low[1:]) if low[:1] == b"(" else score >= float(low)


def _below(score: float, high: bytes) -> bool:
    return score < float(high[1:]) if high[:1] == b"(" else score <= float(high)
