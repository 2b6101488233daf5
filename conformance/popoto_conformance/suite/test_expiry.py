"""Expiry: in milliseconds, kept by changes and renames, ended by persist and by replacement."""

from __future__ import annotations

import time

from popoto.storage import ask, ask_all
from popoto.storage.commands.hashes import hget, hset
from popoto.storage.commands.keys import exists, persist, pexpire, pexpireat, pttl, rename, renamenx
from popoto.storage.commands.lists import lrange, rpush
from popoto.storage.commands.sets import sadd, smembers
from popoto.storage.commands.sorted_sets import zadd, zrange
from popoto.storage.commands.strings import get, incrby, set_
from popoto_conformance.cases import Keys, case, exactly
from popoto_conformance.walks import pause


@case()
async def test_what_has_no_expiry_says_minus_one_and_what_is_missing_minus_two(k: Keys) -> None:
    await ask(set_(k(), 1))
    exactly(await ask(pttl(k())), -1)
    exactly(await ask(pttl(k("none"))), -2)


@case()
async def test_every_kind_expires_after_its_milliseconds(k: Keys) -> None:
    await ask_all([set_(k("s"), 1), hset(k("h"), {"f": 1}), sadd(k("m"), 1), zadd(k("z"), {"a": 1}), rpush(k("l"), 1)])
    # Short times are given and looked at in one batch, so that a slow machine is no broken store.
    replies = await ask_all([step for name in "shmzl" for step in (pexpire(k(name), 60), pttl(k(name)))])
    exactly(replies[::2], [True] * 5)
    left = replies[1::2]
    assert all(0 <= one <= 60 for one in left), left
    await pause(0.1)
    exactly(await ask_all([exists(k(name)) for name in "shmzl"]), [False] * 5)
    exactly(await ask_all([get(k("s")), hget(k("h"), "f"), smembers(k("m"))]), [None, None, set()])
    exactly(await ask_all([zrange(k("z"), 0, -1), lrange(k("l"), 0, -1), pttl(k("s"))]), [[], [], -2])


@case()
async def test_pexpire_of_a_missing_key_is_false(k: Keys) -> None:
    exactly(await ask(pexpire(k(), 1000)), False)
    exactly(await ask(exists(k())), False)


@case()
async def test_pexpire_replaces_an_earlier_expiry(k: Keys) -> None:
    await ask_all([set_(k(), 1), pexpire(k(), 50), pexpire(k(), 90_000)])
    assert 80_000 < await ask(pttl(k())) <= 90_000
    await pause(0.08)
    exactly(await ask(get(k())), b"1")


@case()
async def test_an_expiry_in_the_past_removes_at_once(k: Keys) -> None:
    await ask_all([set_(k("a"), 1), set_(k("b"), 1), set_(k("c"), 1)])
    exactly(await ask(pexpire(k("a"), 0)), True)
    exactly(await ask(pexpire(k("b"), -5)), True)
    exactly(await ask(pexpireat(k("c"), 1)), True)
    exactly(await ask_all([exists(k("a")), exists(k("b")), exists(k("c"))]), [False, False, False])


@case()
async def test_pexpireat_names_a_moment_in_milliseconds(k: Keys) -> None:
    await ask(set_(k(), 1))
    exactly(await ask(pexpireat(k(), int(time.time() * 1000) + 100_000)), True)
    # Wide, because the store's clock is its own.
    left = await ask(pttl(k()))
    assert 80_000 < left < 120_000, left
    exactly(await ask(pexpireat(k("none"), int(time.time() * 1000) + 100_000)), False)


@case()
async def test_persist_ends_an_expiry(k: Keys) -> None:
    exactly(await ask_all([set_(k(), 1), pexpire(k(), 60), persist(k())]), [True, True, True])
    exactly(await ask(pttl(k())), -1)
    exactly(await ask(persist(k())), False)
    exactly(await ask(persist(k("none"))), False)
    await pause(0.09)
    exactly(await ask(get(k())), b"1")


@case()
async def test_a_change_keeps_the_expiry_and_a_replacement_ends_it(k: Keys) -> None:
    await ask_all([set_(k("s"), 1), hset(k("h"), {"f": 1}), pexpire(k("s"), 90_000), pexpire(k("h"), 90_000)])
    await ask_all([incrby(k("s"), 1), hset(k("h"), {"f": 2})])
    left = await ask_all([pttl(k("s")), pttl(k("h"))])
    assert all(80_000 < one <= 90_000 for one in left), left
    await ask(set_(k("s"), 2))
    exactly(await ask(pttl(k("s"))), -1)


@case()
async def test_a_renamed_key_takes_its_expiry_along(k: Keys) -> None:
    await ask_all([hset(k("old"), {"f": 1}), pexpire(k("old"), 90_000), hset(k("new"), {"g": 1})])
    exactly(await ask(rename(k("old"), k("new"))), True)
    assert 80_000 < await ask(pttl(k("new"))) <= 90_000
    exactly(await ask(renamenx(k("new"), k("newer"))), True)
    assert 80_000 < await ask(pttl(k("newer"))) <= 90_000
    exactly(await ask(pttl(k("old"))), -2)


@case()
async def test_set_brings_its_expiry_along(k: Keys) -> None:
    sets = [set_(k("long"), "a", milliseconds=90_000), set_(k("short"), "b", milliseconds=40)]
    one, other, long, short = await ask_all([*sets, pttl(k("long")), pttl(k("short"))])
    exactly([one, other], [True, True])
    assert 80_000 < long <= 90_000, long
    assert 0 <= short <= 40, short
    await pause(0.08)
    exactly(await ask_all([get(k("long")), get(k("short"))]), [b"a", None])


@case()
async def test_what_has_expired_counts_as_absent_to_conditions(k: Keys) -> None:
    exactly(await ask_all([set_(k(), "old", milliseconds=20), set_(k(), "new", only="NX")]), [True, False])
    await pause(0.05)
    exactly(await ask(set_(k(), "new", only="XX")), False)
    exactly(await ask(set_(k(), "new", only="NX")), True)
    exactly(await ask(pttl(k())), -1)


@case("expire-flags")
async def test_expiry_nx_and_xx(k: Keys) -> None:
    await ask(set_(k(), 1))
    exactly(await ask(pexpire(k(), 90_000, only="XX")), False)
    exactly(await ask(pttl(k())), -1)
    exactly(await ask(pexpire(k(), 90_000, only="NX")), True)
    exactly(await ask(pexpire(k(), 10_000, only="NX")), False)
    exactly(await ask(pexpire(k(), 50_000, only="XX")), True)
    assert 40_000 < await ask(pttl(k())) <= 50_000


@case("expire-flags")
async def test_expiry_gt_and_lt(k: Keys) -> None:
    await ask(set_(k(), 1))
    # Without an expiry a key lives for ever, and nothing is longer.
    exactly(await ask(pexpire(k(), 90_000, only="GT")), False)
    exactly(await ask(pexpire(k(), 50_000, only="LT")), True)
    exactly(await ask(pexpire(k(), 40_000, only="GT")), False)
    exactly(await ask(pexpire(k(), 60_000, only="LT")), False)
    exactly(await ask(pexpire(k(), 80_000, only="GT")), True)
    assert 70_000 < await ask(pttl(k())) <= 80_000
