"""Lists: order is kept, both ends of a range are included, an empty list is no key."""

from __future__ import annotations

import pytest

from popoto.exceptions import ReplyError
from popoto.storage import ask
from popoto.storage.commands.keys import exists
from popoto.storage.commands.lists import llen, lpop, lpush, lrange, lrem, lset, ltrim, rpop, rpush
from popoto_conformance.cases import Keys, case, exactly


@case()
async def test_pushing_at_either_end(k: Keys) -> None:
    exactly(await ask(rpush(k(), "a", "b")), 2)
    exactly(await ask(lpush(k(), "x", "y")), 4)
    exactly(await ask(lrange(k(), 0, -1)), [b"y", b"x", b"a", b"b"])
    exactly(await ask(llen(k())), 4)


@case()
async def test_popping_at_either_end_leaves_no_empty_list(k: Keys) -> None:
    await ask(rpush(k(), "a", "", "c"))
    exactly(await ask(lpop(k())), b"a")
    exactly(await ask(rpop(k())), b"c")
    exactly(await ask(lpop(k())), b"")
    exactly(await ask(lpop(k())), None)
    exactly(await ask(rpop(k())), None)
    exactly(await ask(exists(k())), False)


@case()
async def test_ranges_include_both_ends(k: Keys) -> None:
    items = [b"%d" % n for n in range(6)]
    await ask(rpush(k(), *items))
    for start, stop in ((0, 0), (1, 3), (-2, -1), (0, -1), (2, 100), (-100, 1), (4, 2), (9, 12)):
        end = stop + 1 if stop >= 0 else len(items) + stop + 1
        begin = start if start >= 0 else max(0, len(items) + start)
        exactly(await ask(lrange(k(), start, stop)), items[begin:end])
    exactly(await ask(lrange(k("none"), 0, -1)), [])
    exactly(await ask(llen(k("none"))), 0)


@case()
async def test_ltrim_keeps_what_is_between(k: Keys) -> None:
    await ask(rpush(k(), *range(6)))
    exactly(await ask(ltrim(k(), 1, -2)), True)
    exactly(await ask(lrange(k(), 0, -1)), [b"1", b"2", b"3", b"4"])
    exactly(await ask(ltrim(k(), 5, 9)), True)
    exactly(await ask(exists(k())), False)


@case()
async def test_lset_replaces_and_refuses_what_is_not_there(k: Keys) -> None:
    await ask(rpush(k(), "a", "b", "c"))
    exactly(await ask(lset(k(), 1, b"\x00")), True)
    exactly(await ask(lset(k(), -1, "z")), True)
    exactly(await ask(lrange(k(), 0, -1)), [b"a", b"\x00", b"z"])
    with pytest.raises(ReplyError):
        await ask(lset(k(), 3, "no"))
    with pytest.raises(ReplyError):
        await ask(lset(k("none"), 0, "no"))
    exactly(await ask(llen(k())), 3)


@case()
async def test_lrem_takes_from_the_front_or_all(k: Keys) -> None:
    await ask(rpush(k(), *"abacada"))
    exactly(await ask(lrem(k(), 2, "a")), 2)
    exactly(await ask(lrange(k(), 0, -1)), [b"b", b"c", b"a", b"d", b"a"])
    exactly(await ask(lrem(k(), 0, "a")), 2)
    exactly(await ask(lrem(k(), 0, "none")), 0)
    exactly(await ask(lrange(k(), 0, -1)), [b"b", b"c", b"d"])
