"""The texts that generated keys are: random, or beginning with the time so that they sort by it.

Two ids of one moment have no order between them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import urandom
from typing import Final
from uuid import uuid4

from popoto import clock

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# KSUIDs count seconds from here, 13 May 2014, which spares 32 bits until 2150.
_KSUID_EPOCH: Final = 1_400_000_000


def uuid4_hex() -> str:
    """32 hex digits of a random UUID."""
    return uuid4().hex


def uuid7_hex() -> str:
    """32 hex digits of a UUID of version 7: 48 bits of Unix milliseconds, 74 random ones (RFC 9562, 5.7)."""
    random = int.from_bytes(urandom(10), "big")
    number = _milliseconds() << 80 | random
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return f"{number:032x}"


def ulid() -> str:
    """26 characters of Crockford's base 32: 48 bits of Unix milliseconds, 80 random ones (github.com/ulid/spec)."""
    return _spelled(_milliseconds() << 80 | int.from_bytes(urandom(10), "big"), _CROCKFORD, 26)


def ksuid() -> str:
    """27 characters of base 62: 32 bits of seconds since 2014, 128 random ones (github.com/segmentio/ksuid)."""
    seconds = max(0, int(clock.now()) - _KSUID_EPOCH) % 2**32
    return _spelled(seconds << 128 | int.from_bytes(urandom(16), "big"), _BASE62, 27)


def _milliseconds() -> int:
    return max(0, int(clock.now() * 1000)) % 2**48


def _spelled(number: int, alphabet: str, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(alphabet))
        digits.append(alphabet[digit])
    return "".join(reversed(digits))


GENERATORS: Final[Mapping[str, tuple[Callable[[], str], int]]] = {
    "uuid4": (uuid4_hex, 32),
    "ulid": (ulid, 26),
    "ksuid": (ksuid, 27),
    "uuid7": (uuid7_hex, 32),
}
"""By strategy: what makes a key, and its length in characters."""
