"""Commands on streams; they need the capability `streams`."""

from __future__ import annotations

from collections.abc import Mapping

from popoto.storage import replies
from popoto.storage.steps import Arg, Command

Entries = list[tuple[bytes, dict[bytes, bytes]]]


def xadd(
    key: Arg, fields: Mapping[str, Arg] | Mapping[bytes, Arg], *, entry: Arg = "*", most: int | None = None
) -> Command[bytes | None]:
    """Append an entry and trim the stream to about `most`; the reply is the entry's id."""
    words: list[Arg] = [] if most is None else ["MAXLEN", "~", most]
    words.append(entry)
    for field, value in fields.items():
        words += (field, value)
    return Command("XADD", key, *words, keys=(key,), shape=replies.blob, writes=True, needs="streams")


def xlen(key: Arg) -> Command[int]:
    """How many entries there are."""
    return Command("XLEN", key, keys=(key,), shape=replies.integer, needs="streams")


def xrange(key: Arg, low: Arg = "-", high: Arg = "+", *, count: int) -> Command[Entries]:
    """Entries between two ids, both included."""
    words = ("XRANGE", key, low, high, "COUNT", count)
    return Command(*words, keys=(key,), shape=replies.entries, needs="streams")


def xgroup_create(key: Arg, group: Arg, start: Arg = "0") -> Command[bool]:
    """Create a consumer group and, where missing, its stream; BUSYGROUP when it is there."""
    words = ("XGROUP", "CREATE", key, group, start, "MKSTREAM")
    return Command(*words, keys=(key,), shape=replies.done, writes=True, needs="streams")


def xreadgroup(key: Arg, group: Arg, consumer: Arg, *, count: int) -> Command[dict[bytes, Entries]]:
    """New entries for a consumer, without waiting."""
    words = ("XREADGROUP", "GROUP", group, consumer, "COUNT", count, "STREAMS", key, ">")
    return Command(*words, keys=(key,), shape=replies.streams, writes=True, needs="streams")


def xack(key: Arg, group: Arg, *entries: Arg) -> Command[int]:
    """Acknowledge entries; the reply counts those that were pending."""
    return Command("XACK", key, group, *entries, keys=(key,), shape=replies.integer, writes=True, needs="streams")


def xpending(key: Arg, group: Arg, idle_milliseconds: int, *, count: int) -> Command[replies.Pending]:
    """Entries delivered and not acknowledged for so long, oldest first: id, consumer, idle milliseconds, deliveries."""
    words = ("XPENDING", key, group, "IDLE", idle_milliseconds, "-", "+", count)
    return Command(*words, keys=(key,), shape=replies.pending, needs="streams")


def xclaim(key: Arg, group: Arg, consumer: Arg, idle_milliseconds: int, *entries: Arg) -> Command[Entries]:
    """Take over pending entries that have been idle so long."""
    words = ("XCLAIM", key, group, consumer, idle_milliseconds, *entries)
    return Command(*words, keys=(key,), shape=replies.entries, writes=True, needs="streams")
