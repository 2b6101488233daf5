"""Streams: entries in order with their ids, groups that give each entry to one consumer."""

from __future__ import annotations

import pytest

from popoto.exceptions import ReplyError
from popoto.storage import ask, ask_all
from popoto.storage.commands.streams import xack, xadd, xclaim, xgroup_create, xlen, xpending, xrange, xreadgroup
from popoto_conformance.cases import Keys, case, exactly
from popoto_conformance.walks import pause

FIRST, SECOND, THIRD = b"1-0", b"2-0", b"3-0"


async def three(k: Keys) -> None:
    replies = await ask_all([xadd(k(), {"n": str(n)}, entry=f"{n}-0") for n in (1, 2, 3)])
    exactly(replies, [FIRST, SECOND, THIRD])


@case("streams")
async def test_entries_come_back_in_order(k: Keys) -> None:
    await three(k)
    exactly(await ask(xlen(k())), 3)
    expected = [(FIRST, {b"n": b"1"}), (SECOND, {b"n": b"2"}), (THIRD, {b"n": b"3"})]
    exactly(await ask(xrange(k(), count=10)), expected)
    exactly(await ask(xrange(k(), count=2)), expected[:2])
    exactly(await ask(xrange(k(), "2", "3", count=10)), expected[1:])
    exactly(await ask(xrange(k(), "2", "2", count=10)), expected[1:2])
    exactly(await ask(xrange(k("none"), count=10)), [])
    exactly(await ask(xlen(k("none"))), 0)


@case("streams")
async def test_fields_are_bytes_whatever_they_hold(k: Keys) -> None:
    fields = {b"": b"", bytes(range(256)): b"\xff\x00", b"x": b"y" * 10_000}
    entry = await ask(xadd(k(), fields))
    exactly(await ask(xrange(k(), count=1)), [(entry, fields)])


@case("streams")
async def test_ids_made_by_the_store_rise(k: Keys) -> None:
    made = await ask_all([xadd(k(), {"n": "1"}) for _ in range(20)])
    exactly({type(entry) for entry in made}, {bytes})
    numbers = [tuple(map(int, entry.split(b"-"))) for entry in made]
    exactly(numbers, sorted(set(numbers)))


@case("streams")
async def test_an_id_that_does_not_rise_is_an_error(k: Keys) -> None:
    await three(k)
    with pytest.raises(ReplyError):
        await ask(xadd(k(), {"n": "4"}, entry="3-0"))
    exactly(await ask(xlen(k())), 3)


@case("streams")
async def test_trimming_keeps_at_least_as_many_as_it_says(k: Keys) -> None:
    await ask_all([xadd(k(), {"n": "1"}, most=100) for _ in range(600)])
    # The store drops whole nodes only, of a hundred entries each as a rule.
    assert 100 <= await ask(xlen(k())) < 600


@case("streams")
async def test_a_group_gives_each_entry_to_one_consumer(k: Keys) -> None:
    exactly(await ask(xgroup_create(k(), "group")), True)
    exactly(await ask(xlen(k())), 0)
    exactly(await ask(xreadgroup(k(), "group", "one", count=2)), {})
    await three(k)
    exactly(
        await ask(xreadgroup(k(), "group", "one", count=2)),
        {k(): [(FIRST, {b"n": b"1"}), (SECOND, {b"n": b"2"})]},
    )
    exactly(await ask(xreadgroup(k(), "group", "two", count=2)), {k(): [(THIRD, {b"n": b"3"})]})
    exactly(await ask(xreadgroup(k(), "group", "one", count=2)), {})


@case("streams")
async def test_a_group_that_exists_is_an_error_with_a_code(k: Keys) -> None:
    await ask(xgroup_create(k(), "group"))
    with pytest.raises(ReplyError) as caught:
        await ask(xgroup_create(k(), "group"))
    exactly(caught.value.code, "BUSYGROUP")
    with pytest.raises(ReplyError) as caught:
        await ask(xreadgroup(k(), "none", "one", count=1))
    exactly(caught.value.code, "NOGROUP")


@case("streams")
async def test_entries_are_acknowledged_once(k: Keys) -> None:
    await ask(xgroup_create(k(), "group"))
    await three(k)
    await ask(xreadgroup(k(), "group", "one", count=2))
    exactly(await ask(xack(k(), "group", FIRST, THIRD)), 1)
    exactly(await ask(xack(k(), "group", FIRST, SECOND)), 1)
    exactly(await ask(xack(k(), "group", FIRST)), 0)


@case("streams")
async def test_idle_entries_can_be_taken_over(k: Keys) -> None:
    await ask(xgroup_create(k(), "group"))
    await three(k)
    await ask(xreadgroup(k(), "group", "one", count=2))
    exactly(await ask(xclaim(k(), "group", "two", 600_000, FIRST)), [])
    exactly(await ask(xclaim(k(), "group", "two", 0, FIRST)), [(FIRST, {b"n": b"1"})])
    exactly(await ask(xclaim(k(), "group", "two", 0, THIRD)), [])
    exactly(await ask(xack(k(), "group", FIRST)), 1)


@case("streams")
async def test_pending_entries_tell_how_often_they_were_delivered(k: Keys) -> None:
    await ask(xgroup_create(k(), "group"))
    await three(k)
    exactly(await ask(xpending(k(), "group", 0, count=10)), [])
    await ask(xreadgroup(k(), "group", "one", count=2))
    await ask(xclaim(k(), "group", "two", 0, FIRST))
    # fakeredis counts what has been idle for longer, not for as long: a zero within one millisecond finds nothing.
    await pause(0.005)
    found = await ask(xpending(k(), "group", 0, count=10))
    exactly(
        [(entry, consumer, times) for entry, consumer, _, times in found], [(FIRST, b"two", 2), (SECOND, b"one", 1)]
    )
    exactly(all(type(idle) is int and idle >= 0 for _, _, idle, _ in found), True)
    exactly(len(await ask(xpending(k(), "group", 0, count=1))), 1)
    exactly(await ask(xpending(k(), "group", 600_000, count=10)), [])
    await ask(xack(k(), "group", FIRST, SECOND))
    exactly(await ask(xpending(k(), "group", 0, count=10)), [])
