"""Bitmaps: the first bit is the highest of the first byte, beyond the end there are zeros."""

from __future__ import annotations

import pytest

from popoto.exceptions import ReplyError
from popoto.storage import ask, ask_all
from popoto.storage.commands.bitmaps import bitcount, getbit, setbit
from popoto.storage.commands.keys import exists
from popoto.storage.commands.strings import get
from popoto_conformance.cases import Keys, case, exactly


@case("bits")
async def test_setbit_gives_what_was_there(k: Keys) -> None:
    exactly(await ask(setbit(k(), 7, 1)), 0)
    exactly(await ask(setbit(k(), 7, 0)), 1)
    exactly(await ask(setbit(k(), 7, 0)), 0)


@case("bits")
async def test_getbit_is_zero_beyond_the_end(k: Keys) -> None:
    exactly(await ask(getbit(k("none"), 5)), 0)
    await ask(setbit(k(), 5, 1))
    exactly(await ask_all([getbit(k(), n) for n in range(9)]), [0, 0, 0, 0, 0, 1, 0, 0, 0])
    exactly(await ask(getbit(k(), 4_000_000_000)), 0)


@case("bits")
async def test_bits_are_counted(k: Keys) -> None:
    exactly(await ask(bitcount(k("none"))), 0)
    places = [0, 1, 8, 100, 4095]
    await ask_all([setbit(k(), place, 1) for place in places])
    exactly(await ask(bitcount(k())), len(places))


@case("bits")
async def test_the_first_bit_is_the_highest(k: Keys) -> None:
    await ask_all([setbit(k(), 0, 1), setbit(k(), 15, 1)])
    exactly(await ask(get(k())), b"\x80\x01")


@case("bits")
async def test_a_bit_is_zero_or_one(k: Keys) -> None:
    with pytest.raises(ReplyError):
        await ask(setbit(k(), 0, 2))
    with pytest.raises(ReplyError):
        await ask(setbit(k(), -1, 1))
    exactly(await ask(exists(k())), False)
