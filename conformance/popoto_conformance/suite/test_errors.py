"""Errors: told by their code, each with its class, and bad input refused before anything is sent."""

from __future__ import annotations

import math

import pytest

from popoto.exceptions import BackendError, ReplyError, WrongType
from popoto.storage import Command, Step, Txn, ask, ask_all
from popoto.storage.commands.bitmaps import getbit
from popoto.storage.commands.geo import geoadd, georadius
from popoto.storage.commands.hashes import hdel, hget, hgetall, hincrby, hkeys, hlen, hmget, hpttl, hscan, hset
from popoto.storage.commands.keys import exists, rename
from popoto.storage.commands.lists import llen, lpop, lpush, lrange, lset
from popoto.storage.commands.sets import sadd, scard, sinter, sintercard, smembers, smismember, srem, sscan
from popoto.storage.commands.sorted_sets import zadd, zcard, zcount, zmscore, zrange, zrank, zscan, zscore
from popoto.storage.commands.streams import xadd, xlen, xrange
from popoto.storage.commands.strings import append, get, incrby, mget, set_, strlen
from popoto_conformance.cases import Keys, case, exactly


async def all_are_wrong(steps: list[Step]) -> None:
    """Assert that each step is answered with WRONGTYPE, alone and in one batch."""
    for step in steps:
        with pytest.raises(WrongType) as caught:
            await ask_all([step])
        exactly(caught.value.code, "WRONGTYPE")
        assert caught.value.text and "WRONGTYPE" in str(caught.value), str(caught.value)
    replies = await ask_all(steps, errors="return")
    exactly([type(reply) for reply in replies], [WrongType] * len(steps))


@case()
async def test_a_text_is_no_hash(k: Keys) -> None:
    await ask(set_(k(), "x"))
    reads: list[Step] = [hget(k(), "f"), hmget(k(), "f"), hgetall(k()), hkeys(k()), hlen(k()), hscan(k(), 0)]
    await all_are_wrong([*reads, hset(k(), {"f": 1}), hdel(k(), "f"), hincrby(k(), "f", 1)])
    exactly(await ask(get(k())), b"x")


@case()
async def test_a_hash_is_no_text(k: Keys) -> None:
    await ask(hset(k(), {"f": "1"}))
    await all_are_wrong([get(k()), incrby(k(), 1), append(k(), "x"), strlen(k())])
    exactly(await ask(mget(k())), [None])
    exactly(await ask(hgetall(k())), {b"f": b"1"})


@case()
async def test_a_hash_is_no_set(k: Keys) -> None:
    await ask_all([hset(k(), {"f": "1"}), sadd(k("s"), "a")])
    reads: list[Step] = [smembers(k()), scard(k()), smismember(k(), "a"), sinter(k("s"), k()), sscan(k(), 0)]
    await all_are_wrong([*reads, sadd(k(), "a"), srem(k(), "a")])


@case()
async def test_a_set_is_no_sorted_set(k: Keys) -> None:
    await ask(sadd(k(), "a"))
    reads: list[Step] = [zscore(k(), "a"), zmscore(k(), "a"), zrank(k(), "a"), zcard(k()), zcount(k(), "-inf", "+inf")]
    await all_are_wrong([*reads, zrange(k(), 0, -1), zscan(k(), 0), zadd(k(), {"a": 1})])
    exactly(await ask(smembers(k())), {b"a"})


@case()
async def test_a_text_is_no_list(k: Keys) -> None:
    await ask(set_(k(), "x"))
    await all_are_wrong([lrange(k(), 0, -1), llen(k()), lpop(k()), lpush(k(), "a"), lset(k(), 0, "a")])


@case("geo")
async def test_a_text_is_no_map(k: Keys) -> None:
    await ask(set_(k(), "x"))
    await all_are_wrong([geoadd(k(), 1, 1, "a"), georadius(k(), 1, 1, 1)])


@case("streams")
async def test_a_text_is_no_stream(k: Keys) -> None:
    await ask(set_(k(), "x"))
    await all_are_wrong([xadd(k(), {"f": 1}), xlen(k()), xrange(k(), count=1)])


@case("bits")
async def test_a_hash_has_no_bits(k: Keys) -> None:
    await ask(hset(k(), {"f": "1"}))
    await all_are_wrong([getbit(k(), 0)])


@case("field-ttl")
async def test_a_text_has_no_fields_that_expire(k: Keys) -> None:
    await ask(set_(k(), "x"))
    await all_are_wrong([hpttl(k(), "f")])


@case("intercard")
async def test_a_text_has_no_intersection(k: Keys) -> None:
    await ask_all([set_(k(), "x"), sadd(k("s"), "a")])
    await all_are_wrong([sintercard(k("s"), k())])


@case()
async def test_an_error_is_a_backend_error_with_code_and_text(k: Keys) -> None:
    await ask(set_(k(), "x"))
    with pytest.raises(BackendError) as caught:
        await ask(incrby(k(), 1))
    assert isinstance(caught.value, ReplyError) and not isinstance(caught.value, WrongType), caught.value
    exactly(caught.value.code, "ERR")
    exactly(caught.value.nothing_sent, False)
    exactly(type(caught.value.text), str)


@case()
async def test_a_command_that_no_store_knows_is_an_error(k: Keys) -> None:
    unknown: Command[object] = Command("NOSUCHCOMMAND", k(), keys=(k(),), shape=lambda raw: raw)
    malformed: Command[object] = Command("HGET", k(), keys=(k(),), shape=lambda raw: raw)
    for command in (unknown, malformed):
        with pytest.raises(ReplyError) as caught:
            await ask(command)
        exactly(caught.value.code, "ERR")
    exactly(await ask(exists(k())), False)


@case()
async def test_out_of_range_and_missing_are_errors(k: Keys) -> None:
    await ask(lpush(k(), "a"))
    for step in (lset(k(), 7, "x"), rename(k("none"), k("other"))):
        with pytest.raises(ReplyError):
            await ask(step)


@case()
async def test_errors_inside_a_transaction_have_their_class(k: Keys) -> None:
    await ask(set_(k(), "x"))
    replies = await ask(Txn([hget(k(), "f"), incrby(k(), 1), get(k())]))
    assert isinstance(replies, list), replies
    exactly([type(replies[0]), replies[0].code, replies[1].code], [WrongType, "WRONGTYPE", "ERR"])
    exactly(replies[2], b"x")


@case()
async def test_bad_arguments_are_refused_before_anything_is_sent(k: Keys) -> None:
    for bad in (True, None, [1], {"a": 1}, object()):
        with pytest.raises(TypeError):
            set_(k(), bad)  # type: ignore[arg-type]
    exactly(await ask(exists(k())), False)


@case("geo")
async def test_a_place_that_is_no_number_changes_nothing(k: Keys) -> None:
    with pytest.raises((ReplyError, ValueError)):
        await ask(geoadd(k(), math.nan, 1.0, "a"))
    with pytest.raises(ReplyError):
        await ask(georadius(k(), 1, 1, 1, "parsec"))  # type: ignore[arg-type]
    exactly(await ask(exists(k())), False)
