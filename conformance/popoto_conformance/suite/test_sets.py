"""Sets: replies are sets of bytes, questions are answered with truth values."""

from __future__ import annotations

from popoto.storage import ask
from popoto.storage.commands.keys import exists
from popoto.storage.commands.sets import (
    sadd,
    scard,
    sdiff,
    sinter,
    sintercard,
    sismember,
    smembers,
    smismember,
    spop,
    srandmember,
    srem,
    sscan,
    sunion,
)
from popoto_conformance.cases import Keys, case, exactly
from popoto_conformance.walks import walked

AWKWARD = [b"", b"\x00", b"\r\n", "é".encode(), b"\xff\xfe", b"a b", bytes(range(256))]


@case()
async def test_sadd_counts_new_members(k: Keys) -> None:
    exactly(await ask(sadd(k(), "a", "b", "a")), 2)
    exactly(await ask(sadd(k(), "b", "c")), 1)
    exactly(await ask(smembers(k())), {b"a", b"b", b"c"})
    exactly(await ask(scard(k())), 3)


@case()
async def test_members_are_bytes_whatever_they_hold(k: Keys) -> None:
    exactly(await ask(sadd(k(), *AWKWARD)), len(AWKWARD))
    exactly(await ask(smembers(k())), set(AWKWARD))
    exactly(await ask(smismember(k(), *AWKWARD, "none")), [True] * len(AWKWARD) + [False])


@case()
async def test_srem_counts_those_that_were_there_and_leaves_no_empty_set(k: Keys) -> None:
    await ask(sadd(k(), "a", "b"))
    exactly(await ask(srem(k(), "a", "none")), 1)
    exactly(await ask(smembers(k())), {b"b"})
    exactly(await ask(srem(k(), "b")), 1)
    exactly(await ask(srem(k(), "b")), 0)
    exactly(await ask(exists(k())), False)


@case()
async def test_membership_is_a_truth_value(k: Keys) -> None:
    await ask(sadd(k(), "a"))
    exactly(await ask(sismember(k(), "a")), True)
    exactly(await ask(sismember(k(), "A")), False)
    exactly(await ask(sismember(k("none"), "a")), False)
    exactly(await ask(smismember(k(), "b", "a", "b")), [False, True, False])
    exactly(await ask(smismember(k("none"), "b", "a")), [False, False])


@case()
async def test_what_is_missing_is_an_empty_set(k: Keys) -> None:
    exactly(await ask(smembers(k())), set())
    exactly(await ask(scard(k())), 0)
    exactly(await ask(sinter(k(), k("other"))), set())
    exactly(await ask(srandmember(k(), 3)), [])
    exactly(await ask(spop(k(), 3)), set())


@case()
async def test_intersection_union_and_difference(k: Keys) -> None:
    await ask(sadd(k("x"), "a", "b", "c", "d"))
    await ask(sadd(k("y"), "c", "d", "e"))
    await ask(sadd(k("z"), "d", "e", "f"))
    exactly(await ask(sinter(k("x"), k("y"))), {b"c", b"d"})
    exactly(await ask(sinter(k("x"), k("y"), k("z"))), {b"d"})
    exactly(await ask(sunion(k("x"), k("y"), k("none"))), {b"a", b"b", b"c", b"d", b"e"})
    exactly(await ask(sdiff(k("x"), k("y"))), {b"a", b"b"})
    exactly(await ask(sdiff(k("y"), k("x"))), {b"e"})
    exactly(await ask(sdiff(k("none"), k("x"))), set())


@case()
async def test_srandmember_gives_distinct_members_and_keeps_them(k: Keys) -> None:
    members = {b"%d" % n for n in range(20)}
    await ask(sadd(k(), *members))
    some = await ask(srandmember(k(), 7))
    exactly(type(some), list)
    exactly(len(set(some)), 7)
    assert set(some) <= members, some
    exactly(sorted(await ask(srandmember(k(), 50))), sorted(members))
    exactly(await ask(scard(k())), 20)


@case()
async def test_spop_takes_members_out(k: Keys) -> None:
    members = {b"%d" % n for n in range(10)}
    await ask(sadd(k(), *members))
    popped = await ask(spop(k(), 4))
    exactly(len(popped), 4)
    exactly(await ask(smembers(k())), members - popped)
    exactly(await ask(spop(k(), 40)), members - popped)
    exactly(await ask(exists(k())), False)


@case()
async def test_sscan_walks_over_every_member(k: Keys) -> None:
    members = {b"member:%d" % n for n in range(1500)}
    await ask(sadd(k(), *members))
    pages = await walked(lambda cursor: sscan(k(), cursor, count=100))
    exactly({type(page) for page in pages}, {list})
    exactly({member for page in pages for member in page}, members)
    pages = await walked(lambda cursor: sscan(k(), cursor, match="member:77*"))
    exactly({member for page in pages for member in page}, {m for m in members if m.startswith(b"member:77")})
    exactly(await ask(sscan(k("none"), 0)), (0, []))


@case("intercard")
async def test_sintercard_counts_to_a_limit(k: Keys) -> None:
    await ask(sadd(k("x"), *range(100)))
    await ask(sadd(k("y"), *range(50, 200)))
    exactly(await ask(sintercard(k("x"), k("y"))), 50)
    exactly(await ask(sintercard(k("x"), k("y"), limit=7)), 7)
    exactly(await ask(sintercard(k("x"), k("none"))), 0)
