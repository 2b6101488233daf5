"""Commands on the bits of strings; they need the capability `bits`."""

from __future__ import annotations

from popoto.storage import replies
from popoto.storage.steps import Arg, Command


def setbit(key: Arg, offset: int, bit: int) -> Command[int]:
    """Set one bit; the reply is what it was."""
    return Command("SETBIT", key, offset, bit, keys=(key,), shape=replies.integer, writes=True, needs="bits")


def getbit(key: Arg, offset: int) -> Command[int]:
    """One bit, 0 beyond the end."""
    return Command("GETBIT", key, offset, keys=(key,), shape=replies.integer, needs="bits")


def bitcount(key: Arg) -> Command[int]:
    """How many bits are set."""
    return Command("BITCOUNT", key, keys=(key,), shape=replies.integer, needs="bits")
