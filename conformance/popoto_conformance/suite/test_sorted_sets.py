"""Sorted sets: scores are doubles to the last bit, bounds mean what they say, ties go by bytes."""

from __future__ import annotations

import math

import pytest

from popoto.exceptions import ReplyError
from popoto.storage import ask
from popoto.storage.commands.keys import exists
from popoto.storage.commands.sorted_sets import (
    bound,
    zadd,
    zcard,
    zcount,
    zincrby,
    zmscore,
    zpopmin,
    zrange,
    zrangebylex,
    zrangebyscore,
    zrank,
    zrem,
    zremrangebyrank,
    zremrangebyscore,
    zscan,
    zscore,
    zunionstore,
)
from popoto_conformance.cases import Keys, case, exactly
from popoto_conformance.walks import walked

ALL = (bound(-math.inf), bound(math.inf))
FIVE = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 5.0}
PRECISE = {
    "tenth": 0.1,
    "third": 1 / 3,
    "time": 1_700_000_000.123456,
    "micro": 1e-7,
    "large": 1e17,
    "odd": float(2**53 - 1),
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "minus": -123456.78901234567,
    "inf": math.inf,
    "-inf": -math.inf,
}


@case()
async def test_zadd_counts_new_members_or_changed_ones(k: Keys) -> None:
    exactly(await ask(zadd(k(), {"a": 1, "b": 2})), 2)
    exactly(await ask(zadd(k(), {"a": 1, "b": 3, "c": 4})), 1)
    exactly(await ask(zadd(k(), {"a": 9, "b": 3, "d": 4}, changed=True)), 2)
    exactly(await ask(zrange(k(), 0, -1)), [(b"b", 3.0), (b"c", 4.0), (b"d", 4.0), (b"a", 9.0)])


@case()
async def test_scores_are_floats_to_the_last_bit(k: Keys) -> None:
    await ask(zadd(k(), PRECISE))
    exactly(await ask(zmscore(k(), *PRECISE)), list(PRECISE.values()))
    for member, score in PRECISE.items():
        exactly(await ask(zscore(k(), member)), score)
    expected = sorted(((name.encode(), score) for name, score in PRECISE.items()), key=lambda row: row[1])
    exactly(await ask(zrange(k(), 0, -1)), expected)


@case()
async def test_scores_serve_as_bounds_to_the_last_bit(k: Keys) -> None:
    below, above = math.nextafter(0.3, 0), math.nextafter(0.3, 1)
    await ask(zadd(k(), {"below": below, "at": 0.3, "above": above}))
    exactly(await ask(zrangebyscore(k(), bound(0.3), bound(0.3))), [(b"at", 0.3)])
    exactly(await ask(zcount(k(), bound(0.3, exclusive=True), ALL[1])), 1)
    exactly(await ask(zcount(k(), ALL[0], bound(0.3, exclusive=True))), 1)


@case()
async def test_missing_scores_are_none(k: Keys) -> None:
    await ask(zadd(k(), {"a": 0}))
    exactly(await ask(zscore(k(), "a")), 0.0)
    exactly(await ask(zscore(k(), "none")), None)
    exactly(await ask(zscore(k("none"), "a")), None)
    exactly(await ask(zmscore(k(), "none", "a", "none")), [None, 0.0, None])
    exactly(await ask(zmscore(k("none"), "a", "b")), [None, None])
    exactly(await ask(zrank(k(), "none")), None)
    exactly(await ask(zcard(k("none"))), 0)
    exactly(await ask(zrange(k("none"), 0, -1)), [])
    exactly(await ask(zrangebyscore(k("none"), *ALL)), [])


@case()
async def test_nx_adds_only(k: Keys) -> None:
    await ask(zadd(k(), {"a": 1}))
    exactly(await ask(zadd(k(), {"a": 9, "b": 2}, only="NX")), 1)
    exactly(await ask(zrange(k(), 0, -1)), [(b"a", 1.0), (b"b", 2.0)])


@case()
async def test_xx_changes_only(k: Keys) -> None:
    await ask(zadd(k(), {"a": 1}))
    exactly(await ask(zadd(k(), {"a": 9, "b": 2}, only="XX", changed=True)), 1)
    exactly(await ask(zrange(k(), 0, -1)), [(b"a", 9.0)])


@case()
async def test_gt_only_raises_and_lt_only_lowers_and_both_add(k: Keys) -> None:
    await ask(zadd(k(), {"a": 5, "b": 5}))
    exactly(await ask(zadd(k(), {"a": 4, "b": 6, "c": 1}, only="GT", changed=True)), 2)
    exactly(await ask(zrange(k(), 0, -1)), [(b"c", 1.0), (b"a", 5.0), (b"b", 6.0)])
    exactly(await ask(zadd(k(), {"a": 4, "b": 7, "d": 2}, only="LT", changed=True)), 2)
    exactly(await ask(zrange(k(), 0, -1)), [(b"c", 1.0), (b"d", 2.0), (b"a", 4.0), (b"b", 6.0)])


@case()
async def test_zincrby_gives_the_sum(k: Keys) -> None:
    exactly(await ask(zincrby(k(), 2.5, "a")), 2.5)
    exactly(await ask(zincrby(k(), -4, "a")), -1.5)
    exactly(await ask(zscore(k(), "a")), -1.5)


@case()
async def test_ranks_and_ranges_by_place(k: Keys) -> None:
    await ask(zadd(k(), FIVE))
    exactly([await ask(zrank(k(), member)) for member in FIVE], [0, 1, 2, 3, 4])
    exactly(await ask(zrange(k(), 1, 2)), [(b"b", 2.0), (b"c", 3.0)])
    exactly(await ask(zrange(k(), -2, -1)), [(b"d", 4.0), (b"e", 5.0)])
    exactly(await ask(zrange(k(), 1, -3)), [(b"b", 2.0), (b"c", 3.0)])
    exactly(await ask(zrange(k(), 2, -3, reverse=True)), [(b"c", 3.0)])
    exactly(await ask(zrange(k(), 3, 100)), [(b"d", 4.0), (b"e", 5.0)])
    exactly(await ask(zrange(k(), 4, 2)), [])
    exactly(await ask(zrange(k(), 0, 1, reverse=True)), [(b"e", 5.0), (b"d", 4.0)])
    exactly(await ask(zrange(k(), -1, -1, reverse=True)), [(b"a", 1.0)])


@case()
async def test_ties_go_by_bytes(k: Keys) -> None:
    members = [b"", b"\x00", b"10", b"9", b"B", b"a", b"ab", "é".encode(), b"\xff"]
    await ask(zadd(k(), dict.fromkeys(reversed(members), 1.0)))
    exactly(await ask(zrange(k(), 0, -1)), [(member, 1.0) for member in sorted(members)])
    exactly(await ask(zrange(k(), 0, -1, reverse=True)), [(member, 1.0) for member in sorted(members)[::-1]])
    exactly(await ask(zrangebyscore(k(), bound(1), bound(1), count=3)), [(m, 1.0) for m in sorted(members)[:3]])


@case()
async def test_bounds_are_inclusive_unless_they_say_otherwise(k: Keys) -> None:
    await ask(zadd(k(), FIVE))
    inside, after, before = bound(2), bound(2, exclusive=True), bound(4, exclusive=True)
    exactly(await ask(zrangebyscore(k(), inside, bound(4))), [(b"b", 2.0), (b"c", 3.0), (b"d", 4.0)])
    exactly(await ask(zrangebyscore(k(), after, bound(4))), [(b"c", 3.0), (b"d", 4.0)])
    exactly(await ask(zrangebyscore(k(), inside, before)), [(b"b", 2.0), (b"c", 3.0)])
    exactly(await ask(zrangebyscore(k(), after, before)), [(b"c", 3.0)])
    exactly([await ask(zcount(k(), low, before)) for low in (inside, after)], [2, 1])
    exactly([await ask(zcount(k(), low, bound(4))) for low in (inside, after)], [3, 2])
    exactly(await ask(zrangebyscore(k(), bound(4), bound(2))), [])


@case()
async def test_infinite_bounds_take_everything_in(k: Keys) -> None:
    rows = [(b"-inf", -math.inf), (b"a", 1.0), (b"inf", math.inf)]
    await ask(zadd(k(), dict(rows)))
    exactly(await ask(zrangebyscore(k(), *ALL)), rows)
    exactly(await ask(zcount(k(), *ALL)), 3)
    exactly(await ask(zcount(k(), bound(-math.inf, exclusive=True), ALL[1])), 2)
    exactly(await ask(zcount(k(), ALL[0], bound(math.inf, exclusive=True))), 2)


@case()
async def test_ranges_by_score_have_a_direction_an_offset_and_a_count(k: Keys) -> None:
    await ask(zadd(k(), FIVE))
    down = [(b"e", 5.0), (b"d", 4.0), (b"c", 3.0), (b"b", 2.0), (b"a", 1.0)]
    exactly(await ask(zrangebyscore(k(), *ALL, reverse=True)), down)
    exactly(await ask(zrangebyscore(k(), bound(2), bound(4), reverse=True)), down[1:4])
    exactly(await ask(zrangebyscore(k(), bound(2, exclusive=True), bound(4), reverse=True)), down[1:3])
    exactly(await ask(zrangebyscore(k(), *ALL, offset=1, count=2)), [(b"b", 2.0), (b"c", 3.0)])
    exactly(await ask(zrangebyscore(k(), *ALL, offset=3)), [(b"d", 4.0), (b"e", 5.0)])
    exactly(await ask(zrangebyscore(k(), *ALL, reverse=True, offset=1, count=2)), down[1:3])
    exactly(await ask(zrangebyscore(k(), *ALL, offset=5, count=2)), [])
    exactly(await ask(zrangebyscore(k(), *ALL, count=0)), [])


@case()
async def test_ranges_by_text(k: Keys) -> None:
    await ask(zadd(k(), dict.fromkeys(["a", "ab", "b", "ba", "c"], 0.0)))
    exactly(await ask(zrangebylex(k(), "-", "+")), [b"a", b"ab", b"b", b"ba", b"c"])
    exactly(await ask(zrangebylex(k(), "[ab", "[b")), [b"ab", b"b"])
    exactly(await ask(zrangebylex(k(), "(ab", "(c")), [b"b", b"ba"])
    exactly(await ask(zrangebylex(k(), "-", "+", offset=1, count=2)), [b"ab", b"b"])


@case()
async def test_zrem_removes_every_member_it_names(k: Keys) -> None:
    await ask(zadd(k(), FIVE))
    exactly(await ask(zrem(k(), "e", "none", "a", "c", "a")), 3)
    exactly(await ask(zrange(k(), 0, -1)), [(b"b", 2.0), (b"d", 4.0)])


@case()
async def test_removal_by_name_score_and_place(k: Keys) -> None:
    await ask(zadd(k(), {**FIVE, "f": 6.0}))
    exactly(await ask(zrem(k(), "a", "none")), 1)
    exactly(await ask(zremrangebyscore(k(), bound(2, exclusive=True), bound(3))), 1)
    exactly(await ask(zrange(k(), 0, -1)), [(b"b", 2.0), (b"d", 4.0), (b"e", 5.0), (b"f", 6.0)])
    exactly(await ask(zremrangebyrank(k(), 0, 1)), 2)
    exactly(await ask(zrange(k(), 0, -1)), [(b"e", 5.0), (b"f", 6.0)])
    exactly(await ask(zremrangebyrank(k(), -1, -1)), 1)
    exactly(await ask(zremrangebyscore(k(), *ALL)), 1)
    exactly(await ask(zremrangebyscore(k(), *ALL)), 0)
    exactly(await ask(exists(k())), False)


@case()
async def test_zpopmin_takes_the_lowest(k: Keys) -> None:
    await ask(zadd(k(), FIVE))
    exactly(await ask(zpopmin(k(), 2)), [(b"a", 1.0), (b"b", 2.0)])
    exactly(await ask(zpopmin(k(), 9)), [(b"c", 3.0), (b"d", 4.0), (b"e", 5.0)])
    exactly(await ask(zpopmin(k(), 1)), [])
    exactly(await ask(exists(k())), False)


@case()
async def test_zscan_walks_over_every_member(k: Keys) -> None:
    scores = {b"m%d" % n: n / 8 for n in range(900)}
    await ask(zadd(k(), scores))
    pages = await walked(lambda cursor: zscan(k(), cursor, count=50))
    rows = [row for page in pages for row in page]
    exactly({type(row) for row in rows}, {tuple})
    exactly(dict(rows), scores)
    pages = await walked(lambda cursor: zscan(k(), cursor, match="m89?"))
    exactly({member for page in pages for member, _ in page}, {b"m89%d" % n for n in range(10)})
    exactly(await ask(zscan(k("none"), 0)), (0, []))


@case()
async def test_zunionstore_weighs_and_aggregates(k: Keys) -> None:
    await ask(zadd(k("x"), {"a": 1, "b": 2}))
    await ask(zadd(k("y"), {"b": 10, "c": 20}))
    exactly(await ask(zunionstore(k(), [k("x"), k("y")])), 3)
    exactly(await ask(zrange(k(), 0, -1)), [(b"a", 1.0), (b"b", 12.0), (b"c", 20.0)])
    exactly(await ask(zunionstore(k(), [k("x"), k("y"), k("none")], weights=[2, 0.5, 1], aggregate="MAX")), 3)
    exactly(await ask(zrange(k(), 0, -1)), [(b"a", 2.0), (b"b", 5.0), (b"c", 10.0)])
    exactly(await ask(zunionstore(k(), [k("x"), k("y")], aggregate="MIN")), 3)
    exactly(await ask(zscore(k(), "b")), 2.0)
    exactly(await ask(zunionstore(k(), [k("none")])), 0)
    exactly(await ask(exists(k())), False)


@case()
async def test_nan_is_refused_before_anything_is_sent(k: Keys) -> None:
    for made in (
        lambda: zadd(k(), {"a": math.nan}),
        lambda: zincrby(k(), math.nan, "a"),
        lambda: zcount(k(), bound(math.nan), "+inf"),
    ):
        with pytest.raises(ValueError, match="NaN"):
            made()
    exactly(await ask(exists(k())), False)


@case()
async def test_a_sum_that_is_no_number_is_an_error(k: Keys) -> None:
    await ask(zadd(k(), {"a": math.inf}))
    with pytest.raises(ReplyError):
        await ask(zincrby(k(), -math.inf, "a"))
    exactly(await ask(zscore(k(), "a")), math.inf)
