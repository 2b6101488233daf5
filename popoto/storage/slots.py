"""Hash slots of a cluster's keys. Nothing here performs I/O."""

from __future__ import annotations

import binascii
from collections.abc import Iterable

from popoto.exceptions import CrossSlot
from popoto.storage.steps import Step

SLOTS = 16_384


def slot(key: bytes) -> int:
    """The hash slot of a key: CRC-16 (XMODEM) of its hash tag, or of the whole key, modulo 16,384."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return binascii.crc_hqx(key, 0) % SLOTS


def common_slot(keys: Iterable[bytes]) -> int | None:
    """The slot that all keys share, None for no keys.

    Raises:
        CrossSlot: when they lie in several.
    """
    by_slot: dict[int, bytes] = {}
    for key in keys:
        by_slot.setdefault(slot(key), key)
    if len(by_slot) > 1:
        one, other = list(by_slot.values())[:2]
        raise CrossSlot(
            f"the keys {_show(one)} and {_show(other)} of one step lie in different hash slots; "
            "give them one hash tag, as {User}"
        )
    return next(iter(by_slot), None)


def check(batch: Iterable[Step]) -> None:
    """Refuse a step over several slots before anything is sent.

    Raises:
        CrossSlot: naming two of its keys.
    """
    for step in batch:
        common_slot(step.keys)


def _show(key: bytes) -> str:
    return repr(key[:80].decode("utf-8", "backslashreplace"))
