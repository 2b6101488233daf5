"""Hashes: fields and values are bytes, what is missing is None, an empty hash is no key."""

from __future__ import annotations

import pytest

from popoto.exceptions import ReplyError
from popoto.storage import ask, ask_all
from popoto.storage.commands.hashes import (
    hdel,
    hexists,
    hget,
    hgetall,
    hincrby,
    hincrbyfloat,
    hkeys,
    hlen,
    hmget,
    hpexpire,
    hpttl,
    hscan,
    hset,
    hsetnx,
)
from popoto.storage.commands.keys import exists, type_of
from popoto_conformance.cases import Keys, case, close_to, exactly
from popoto_conformance.walks import pause, walked

EVERY_BYTE = bytes(range(256))


@case()
async def test_hset_counts_new_fields_and_replaces_old_ones(k: Keys) -> None:
    exactly(await ask(hset(k(), {"a": "1", "b": "2"})), 2)
    exactly(await ask(hset(k(), {"b": "3", "c": "4"})), 1)
    exactly(await ask(hgetall(k())), {b"a": b"1", b"b": b"3", b"c": b"4"})


@case()
async def test_missing_and_empty_differ(k: Keys) -> None:
    await ask(hset(k(), {"empty": ""}))
    exactly(await ask(hget(k(), "empty")), b"")
    exactly(await ask(hget(k(), "none")), None)
    exactly(await ask(hget(k("none"), "empty")), None)
    exactly(await ask(hmget(k(), "none", "empty", "none")), [None, b"", None])
    exactly(await ask(hmget(k("none"), "a", "b")), [None, None])
    exactly(await ask(hgetall(k("none"))), {})
    exactly(await ask(hkeys(k("none"))), [])
    exactly(await ask(hlen(k("none"))), 0)


@case()
async def test_hmget_answers_in_the_order_asked(k: Keys) -> None:
    await ask(hset(k(), {"a": "1", "b": "2", "c": "3"}))
    exactly(await ask(hmget(k(), "c", "a", "b", "a")), [b"3", b"1", b"2", b"1"])


@case()
async def test_hgetall_is_a_mapping_of_bytes(k: Keys) -> None:
    values = {b"": b"", EVERY_BYTE: EVERY_BYTE, "é".encode(): b"\xff\x00\r\n", b"1": b"1.0"}
    await ask(hset(k(), values))
    exactly(await ask(hgetall(k())), values)
    exactly(sorted(await ask(hkeys(k()))), sorted(values))
    exactly(await ask(hget(k(), EVERY_BYTE)), EVERY_BYTE)


@case()
async def test_hexists_and_hlen(k: Keys) -> None:
    await ask(hset(k(), {"a": "", "b": "2"}))
    exactly(await ask(hexists(k(), "a")), True)
    exactly(await ask(hexists(k(), "c")), False)
    exactly(await ask(hexists(k("none"), "a")), False)
    exactly(await ask(hlen(k())), 2)


@case()
async def test_hsetnx_leaves_what_is_there(k: Keys) -> None:
    exactly(await ask(hsetnx(k(), "a", "1")), True)
    exactly(await ask(hsetnx(k(), "a", "2")), False)
    exactly(await ask(hget(k(), "a")), b"1")


@case()
async def test_a_hash_without_fields_is_no_key(k: Keys) -> None:
    await ask(hset(k(), {"a": "1", "b": "2"}))
    exactly(await ask(hdel(k(), "a", "none")), 1)
    exactly(await ask(hdel(k(), "b", "a")), 1)
    exactly(await ask(hdel(k(), "b")), 0)
    exactly(await ask(exists(k())), False)
    exactly(await ask(type_of(k())), b"none")


@case()
async def test_hdel_removes_every_field_it_names(k: Keys) -> None:
    await ask(hset(k(), {"a": "1", "b": "2", "c": "3"}))
    exactly(await ask(hdel(k(), "a", "none", "c", "a")), 2)
    exactly(await ask(hgetall(k())), {b"b": b"2"})


@case()
async def test_hincrby_adds_and_gives_the_sum(k: Keys) -> None:
    exactly(await ask(hincrby(k(), "n", 5)), 5)
    exactly(await ask(hincrby(k(), "n", -7)), -2)
    exactly(await ask(hincrby(k(), "n", 2**62)), 2**62 - 2)
    exactly(await ask(hget(k(), "n")), b"%d" % (2**62 - 2))


@case()
async def test_hincrby_of_a_text_is_an_error_and_changes_nothing(k: Keys) -> None:
    await ask(hset(k(), {"t": "many"}))
    with pytest.raises(ReplyError) as caught:
        await ask(hincrby(k(), "t", 1))
    exactly(caught.value.code, "ERR")
    exactly(await ask(hget(k(), "t")), b"many")


@case()
async def test_hincrby_does_not_wrap_around(k: Keys) -> None:
    await ask(hset(k(), {"n": 2**63 - 1}))
    with pytest.raises(ReplyError):
        await ask(hincrby(k(), "n", 1))
    exactly(await ask(hget(k(), "n")), b"%d" % (2**63 - 1))


@case()
async def test_hincrbyfloat_gives_a_float(k: Keys) -> None:
    close_to(await ask(hincrbyfloat(k(), "x", 0.1)), 0.1)
    close_to(await ask(hincrbyfloat(k(), "x", 0.2)), 0.3)
    close_to(await ask(hincrbyfloat(k(), "x", -1.0)), -0.7)
    stored = await ask(hget(k(), "x"))
    close_to(float(stored or b"nan"), -0.7)
    close_to(await ask(hincrbyfloat(k(), "whole", 3.0)), 3.0)


@case()
async def test_hscan_walks_over_every_field(k: Keys) -> None:
    values = {b"f%d" % n: b"v" * (n % 90) for n in range(700)}
    await ask(hset(k(), values))
    seen: dict[bytes, bytes] = {}
    for page in await walked(lambda cursor: hscan(k(), cursor, count=50)):
        exactly(type(page), dict)
        seen.update(page)
    exactly(seen, values)
    pages = await walked(lambda cursor: hscan(k(), cursor, match="f69?"))
    exactly({field for page in pages for field in page}, {b"f69%d" % n for n in range(10)})
    exactly(await ask(hscan(k("none"), 0)), (0, {}))


@case()
async def test_two_thousand_fields_in_one_command(k: Keys) -> None:
    values = {f"field{n}".encode(): b"%d" % n for n in range(2000)}
    exactly(await ask(hset(k(), values)), 2000)
    exactly(await ask(hlen(k())), 2000)
    exactly(await ask(hgetall(k())), values)
    exactly(await ask(hmget(k(), *values)), list(values.values()))


@case()
async def test_values_of_ten_kilobytes_and_a_megabyte(k: Keys) -> None:
    values = {b"ten": EVERY_BYTE * 40, b"mega": EVERY_BYTE * 4096}
    await ask_all([hset(k(), values), hset(k("other"), {"a": "1"})])
    exactly(await ask(hgetall(k())), values)
    exactly(await ask(hget(k(), "mega")), values[b"mega"])


@case("field-ttl")
async def test_fields_expire_by_milliseconds(k: Keys) -> None:
    await ask(hset(k(), {"a": "1", "b": "2", "c": "3"}))
    short, long, left = await ask_all(
        [hpexpire(k(), 40, "a", "none"), hpexpire(k(), 90_000, "b"), hpttl(k(), "a", "b", "c", "none")]
    )
    exactly([short, long], [[1, -2], [1]])
    a, b, c, none = left
    assert 0 <= a <= 40 and 85_000 < b <= 90_000, (a, b)
    exactly([c, none], [-1, -2])
    await pause(0.08)
    exactly(await ask(hmget(k(), "a", "b", "c")), [None, b"2", b"3"])


@case("field-ttl")
async def test_a_hash_whose_fields_have_expired_is_no_key(k: Keys) -> None:
    await ask(hset(k(), {"a": "1"}))
    exactly(await ask(hpexpire(k(), 30, "a")), [1])
    await pause(0.08)
    exactly(await ask(hgetall(k())), {})
    exactly(await ask(hexists(k(), "a")), False)
