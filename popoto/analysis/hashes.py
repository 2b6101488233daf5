"""Where a word's bits and counters lie. Stored data depends on every number here: they never change.

1.x hashed in doubles, whose low bits are rounded away; its filters said "might exist" of nearly everything, and the
rows of its sketches collided together. Its stored filters can't be read with these hashes.
"""

from __future__ import annotations

from hashlib import blake2b
from math import log
from struct import unpack
from typing import Final

from popoto.exceptions import ModelException

# SETBIT takes offsets below 2^32.
MOST_BITS: Final = 2**32 - 1
# A byte: fewer bits save nothing.
FEWEST_BITS: Final = 8
_WORD_OF_BITS: Final = 2**64 - 1
_ROWS_OF_A_DIGEST: Final = 8


def bloom_shape(capacity: int, error_rate: float) -> tuple[int, int]:
    """Give the bits m and hashes k of a Bloom filter: m = n ln(1/p) / ln(2)^2, k = m/n ln 2, rounded down.

    Bloom 1970, "Space/time trade-offs in hash coding with allowable errors"; the rounding is 1.x's.

    Args:
        capacity: words that it is to hold (n), at least 1.
        error_rate: the part of absent words that may seem present once it holds them (p), between 0 and 1.

    Raises:
        ModelException: an argument out of its range, or a filter of 2^32 bits (512 MB) or more.
    """
    if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 1:
        raise ModelException(f"capacity={capacity!r:.80} must be an int of at least 1")
    if not isinstance(error_rate, float) or not 0 < error_rate < 1:
        raise ModelException(f"error_rate={error_rate!r:.80} must be a float between 0 and 1, as .01")
    most = int(MOST_BITS * log(2) ** 2 / -log(error_rate))
    if capacity > most:
        raise ModelException(
            f"capacity={capacity} at error_rate={error_rate} needs more than 2^32 bits: "
            f"use a capacity of at most {most}, or a greater error_rate"
        )
    bits = max(FEWEST_BITS, int(-capacity * log(error_rate) / log(2) ** 2))
    return bits, max(1, int(bits / capacity * log(2)))


def bloom_positions(word: str, bits: int, hashes: int) -> list[int]:
    """Give a word's bits by enhanced double hashing over 64 bits: h1 + i h2 + (i^3 - i)/6 mod 2^64, mod m, i = 0..k-1.

    h1 and h2 are the halves of its BLAKE2b digest of 16 bytes, little-endian, h2 made odd. Dillinger and Manolios 2004,
    "Bloom filters in probabilistic verification"; without the last term a filter for 10 words errs 8 times too often.
    """
    first, second = unpack("<2Q", blake2b(_encoded(word), digest_size=16).digest())
    second |= 1
    return [((first + turn * second + (turn**3 - turn) // 6) & _WORD_OF_BITS) % bits for turn in range(hashes)]


def sketch_columns(word: str, width: int, depth: int) -> list[int]:
    """Give a word's column in each row of a Count-Min sketch: 64 bits of its BLAKE2b digest for each, mod the width.

    Cormode and Muthukrishnan 2005, "An improved data stream summary"; the rows are independent.
    """
    encoded = _encoded(word)
    columns: list[int] = []
    for block in range(-(-depth // _ROWS_OF_A_DIGEST)):
        digest = blake2b(encoded, digest_size=64, salt=block.to_bytes(16, "little")).digest()
        columns += [part % width for part in unpack("<8Q", digest)]
    return columns[:depth]


def _encoded(word: str) -> bytes:
    return word.encode("utf-8", "surrogatepass")
