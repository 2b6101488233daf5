"""Strings: bytes as they were given, conditions that are kept, whole-number sums."""

from __future__ import annotations

import pytest

from popoto.exceptions import ReplyError
from popoto.storage import ask, ask_all
from popoto.storage.commands.hashes import hset
from popoto.storage.commands.keys import delete
from popoto.storage.commands.lists import rpush
from popoto.storage.commands.sets import sadd
from popoto.storage.commands.sorted_sets import zadd
from popoto.storage.commands.strings import append, get, incrby, mget, set_, strlen
from popoto_conformance.cases import Keys, case, exactly

EVERY_BYTE = bytes(range(256))


@case()
async def test_what_was_set_is_what_one_gets(k: Keys) -> None:
    for value in (b"", b"1", b"1.0", EVERY_BYTE, "é\n".encode(), b"\xff\xfe\x00", b"None", EVERY_BYTE * 4096):
        exactly(await ask(set_(k(), value)), True)
        exactly(await ask(get(k())), value)
        exactly(await ask(strlen(k())), len(value))


@case()
async def test_texts_and_numbers_are_sent_as_their_plain_spelling(k: Keys) -> None:
    for value, stored in (("é", "é".encode()), (7, b"7"), (-0.1, b"-0.1"), (1e22, b"1e+22"), (2**70, b"%d" % 2**70)):
        await ask(set_(k(), value))
        exactly(await ask(get(k())), stored)


@case()
async def test_missing_is_none_and_empty_is_not(k: Keys) -> None:
    await ask(set_(k("empty"), b""))
    exactly(await ask(get(k("none"))), None)
    exactly(await ask(mget(k("none"), k("empty"), k("none"))), [None, b"", None])
    exactly(await ask(strlen(k("none"))), 0)


@case()
async def test_mget_answers_in_the_order_asked(k: Keys) -> None:
    for name in "abc":
        await ask(set_(k(name), name))
    exactly(await ask(mget(k("c"), k("a"), k("b"), k("a"))), [b"c", b"a", b"b", b"a"])


@case()
async def test_nx_sets_only_what_is_missing_and_xx_only_what_is_there(k: Keys) -> None:
    exactly(await ask(set_(k(), "1", only="XX")), False)
    exactly(await ask(get(k())), None)
    exactly(await ask(set_(k(), "2", only="NX")), True)
    exactly(await ask(set_(k(), "3", only="NX")), False)
    exactly(await ask(get(k())), b"2")
    exactly(await ask(set_(k(), "4", only="XX")), True)
    exactly(await ask(get(k())), b"4")


@case()
async def test_incrby_gives_the_sum(k: Keys) -> None:
    exactly([await ask(incrby(k(), amount)) for amount in (1, 41, -50)], [1, 42, -8])
    exactly(await ask(get(k())), b"-8")
    await ask(set_(k(), "text"))
    with pytest.raises(ReplyError):
        await ask(incrby(k(), 1))
    exactly(await ask(get(k())), b"text")


@case()
async def test_a_sum_that_does_not_fit_is_an_error_and_changes_nothing(k: Keys) -> None:
    for limit, step in ((2**63 - 1, 1), (-(2**63), -1)):
        await ask(set_(k(), limit))
        with pytest.raises(ReplyError):
            await ask(incrby(k(), step))
        exactly(await ask(get(k())), b"%d" % limit)
        exactly(await ask(incrby(k(), -step)), limit - step)


@case()
async def test_a_string_replaces_whatever_the_key_held(k: Keys) -> None:
    for held in (hset(k(), {"f": "1"}), rpush(k(), "a"), sadd(k(), "a"), zadd(k(), {"a": 1.0})):
        await ask_all([delete(k()), held])
        exactly(await ask(set_(k(), "text")), True)
        exactly(await ask(get(k())), b"text")


@case()
async def test_append_gives_the_new_length(k: Keys) -> None:
    exactly(await ask(append(k(), b"ab")), 2)
    exactly(await ask(append(k(), b"\x00c")), 4)
    exactly(await ask(get(k())), b"ab\x00c")
