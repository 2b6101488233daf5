"""Mutants that do not keep over a restart what they had acknowledged."""

from __future__ import annotations

import struct
from typing import Any

from mutants.mutant import Mutant


class RestartsEmpty(Mutant):
    """Has nothing after a restart."""

    killed_by = "test_persistence"

    def restart(self, client: Any) -> None:
        client.flushall()


class LosesLastWrite(Mutant):
    """Loses at a restart the last item that its lists were given, as one does that saves from time to time."""

    killed_by = "test_persistence"

    def restart(self, client: Any) -> None:
        for key in client.scan_iter():
            if client.type(key) == b"list" and client.llen(key) > 10:
                client.rpop(key)


class KeepsForEver(Mutant):
    """Forgets at a restart that a key was to expire."""

    killed_by = "test_persistence"

    def restart(self, client: Any) -> None:
        for key in client.scan_iter():
            client.persist(key)


class RoundsAtRestart(Mutant):
    """Writes scores to its file as 32-bit floats."""

    killed_by = "test_persistence"

    def restart(self, client: Any) -> None:
        for key in client.scan_iter():
            if client.type(key) == b"zset":
                client.zadd(key, {member: _single(score) for member, score in client.zscan_iter(key)})


def _single(score: float) -> float:
    return float(struct.unpack("f", struct.pack("f", score))[0])


class RestoresText(Mutant):
    """Replaces in strings what is not UTF-8 when it reads its file."""

    killed_by = "test_persistence"

    def restart(self, client: Any) -> None:
        for key in client.scan_iter():
            if client.type(key) == b"string":
                client.set(key, client.get(key).decode("utf-8", "replace"))
