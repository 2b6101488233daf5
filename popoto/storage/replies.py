"""The one canonical Python form of every reply, made from RESP2 or RESP3 shapes. Nothing here performs I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
Pending = list[tuple[bytes, bytes, int, int]]


def done(raw: Any) -> bool:
    """A status reply as True; nil, as from SET NX that was refused, as False."""
    return raw is not None


def integer(raw: Any) -> int:
    """A whole number."""
    return int(raw)


def flag(raw: Any) -> bool:
    """A reply of 0 or 1 as a truth value."""
    return bool(raw)


def flags(raw: Any) -> list[bool]:
    """A list of 0 and 1 as truth values."""
    return [bool(item) for item in raw]


def blob(raw: Any) -> bytes | None:
    """Bytes, or None for what is missing."""
    return None if raw is None else bytes(raw)


def blobs(raw: Any) -> list[bytes | None]:
    """A list of bytes, None in the place of what is missing."""
    return list(raw or ())


def members(raw: Any) -> list[bytes]:
    """A list of bytes, in the server's order."""
    return list(raw or ())


def member_set(raw: Any) -> set[bytes]:
    """A set of bytes."""
    return set(raw or ())


def number(raw: Any) -> float:
    """A double."""
    return float(raw)


def score(raw: Any) -> float | None:
    """A double, or None for what is missing; the servers spell doubles differently, so never text."""
    return None if raw is None else float(raw)


def scores(raw: Any) -> list[float | None]:
    """A list of doubles, None in the place of what is missing."""
    return [score(item) for item in raw]


def mapping(raw: Any) -> dict[bytes, bytes]:
    """A hash's fields and values."""
    if isinstance(raw, dict):
        return raw
    items = iter(raw or ())
    return dict(zip(items, items, strict=True))


def pairs(raw: Any) -> list[tuple[bytes, float]]:
    """Members with their scores, flat as in RESP2 or nested as in RESP3."""
    rows = list(raw or ())
    if rows and isinstance(rows[0], list | tuple):
        return [(member, float(value)) for member, value in rows]
    items = iter(rows)
    return [(member, float(value)) for member, value in zip(items, items, strict=True)]


def positions(raw: Any) -> list[tuple[float, float] | None]:
    """Longitude and latitude of each member, None in the place of what is missing."""
    return [None if item is None else (float(item[0]), float(item[1])) for item in raw]


def scanned(items: Callable[[Any], T]) -> Callable[[Any], tuple[int, T]]:
    """The shape of a scan: the next cursor, 0 at the end, and this step's items."""
    return lambda raw: (int(raw[0]), items(raw[1]))


def entries(raw: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """A stream's entries: id and fields."""
    return [(item[0], mapping(item[1])) for item in raw or () if item is not None]


def streams(raw: Any) -> dict[bytes, list[tuple[bytes, dict[bytes, bytes]]]]:
    """Entries by stream, from a list of pairs or a map."""
    rows: Iterable[Any] = raw.items() if isinstance(raw, dict) else (raw or ())
    return {name: entries(items) for name, items in rows}


def pending(raw: Any) -> Pending:
    """A stream's pending entries: id, consumer, idle milliseconds, how often it was delivered."""
    return [(item[0], item[1], int(item[2]), int(item[3])) for item in raw or ()]
