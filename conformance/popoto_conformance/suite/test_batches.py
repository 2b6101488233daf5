"""Batches: every step once, in order, each with its own reply; an error stops nothing and is never lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from popoto.exceptions import ReplyError, Unavailable, WrongType
from popoto.storage import Connection, ask, ask_all, round_trips
from popoto.storage.commands.hashes import hget, hgetall, hset
from popoto.storage.commands.keys import delete, exists
from popoto.storage.commands.lists import lrange, rpush
from popoto.storage.commands.sets import sadd, smembers
from popoto.storage.commands.sorted_sets import zadd, zrange
from popoto.storage.commands.strings import get, incrby, set_
from popoto_conformance.cases import Driver, Keys, case, exactly


@case()
async def test_replies_stand_in_the_order_of_their_steps(k: Keys) -> None:
    replies = await ask_all(
        [
            hset(k("h"), {"f": "1"}),
            get(k("none")),
            sadd(k("s"), "a", "b"),
            hgetall(k("h")),
            zadd(k("z"), {"m": 1.5}),
            smembers(k("s")),
            zrange(k("z"), 0, -1),
            exists(k("h")),
            hget(k("h"), "none"),
        ]
    )
    exactly(replies, [1, None, 2, {b"f": b"1"}, 1, {b"a", b"b"}, [(b"m", 1.5)], True, None])


@case()
async def test_steps_run_in_order_and_see_one_another(k: Keys) -> None:
    batch = [
        set_(k(), "1"),
        get(k()),
        set_(k(), "2"),
        get(k()),
        delete(k()),
        get(k()),
        set_(k(), "3", only="NX"),
        get(k()),
    ]
    exactly(await ask_all(batch), [True, b"1", True, b"2", 1, None, True, b"3"])


@case()
async def test_every_step_runs_once(k: Keys) -> None:
    step = rpush(k(), "same")
    exactly(await ask_all([step, step, rpush(k(), "same"), step]), [1, 2, 3, 4])
    exactly(await ask(lrange(k(), 0, -1)), [b"same"] * 4)


@case()
async def test_a_thousand_steps(k: Keys) -> None:
    exactly(await ask_all([incrby(k(), 1) for _ in range(1000)]), list(range(1, 1001)))
    batch = [rpush(k("list"), n) for n in range(1000)]
    exactly(await ask_all(batch), list(range(1, 1001)))
    exactly(await ask(lrange(k("list"), 0, -1)), [b"%d" % n for n in range(1000)])


@case()
async def test_a_batch_of_large_values(k: Keys) -> None:
    values = [bytes([n]) * 300_000 for n in range(20)]
    await ask_all([set_(k(f"v{n}"), value) for n, value in enumerate(values)])
    exactly(await ask_all([get(k(f"v{n}")) for n in range(20)]), values)


@case()
async def test_the_empty_batch_is_free(k: Keys) -> None:
    with round_trips() as trips:
        exactly(await ask_all([]), [])
    exactly(trips.count, 0)
    await ask(exists(k()))


@case()
async def test_an_error_in_the_middle_stands_in_its_place_and_stops_nothing(k: Keys) -> None:
    batch = [incrby(k(), 1), hget(k(), "f"), incrby(k(), 1), sadd(k(), "x"), incrby(k(), 1), get(k())]
    replies = await ask_all(batch, errors="return")
    exactly([type(replies[1]), type(replies[3])], [WrongType, WrongType])
    exactly(replies[:1] + replies[2:3] + replies[4:], [1, 2, 3, b"3"])


@case()
async def test_the_first_error_is_raised_after_all_steps_have_run(k: Keys) -> None:
    await ask(set_(k("text"), "x"))
    with pytest.raises(ReplyError) as caught:
        await ask_all([incrby(k(), 1), incrby(k("text"), 1), hget(k("text"), "f"), incrby(k(), 1)])
    exactly(caught.value.code, "ERR")
    exactly(await ask(get(k())), b"2")


@case()
async def test_an_error_at_either_end_of_a_batch_is_raised(k: Keys) -> None:
    await ask(set_(k("text"), "x"))
    for batch in ([hget(k("text"), "f"), incrby(k(), 1)], [incrby(k(), 1), hget(k("text"), "f")]):
        with pytest.raises(WrongType):
            await ask_all(batch)
    exactly(await ask(get(k())), b"2")


@case()
async def test_errors_of_one_batch_are_no_replies_of_the_next(k: Keys) -> None:
    await ask(set_(k(), "x"))
    for _ in range(5):
        with pytest.raises(WrongType):
            await ask(hget(k(), "f"))
        exactly(await ask(get(k())), b"x")


@case()
async def test_one_batch_is_one_round_trip(k: Keys) -> None:
    with round_trips() as trips:
        await ask_all([incrby(k(), 1) for _ in range(50)])
        await ask(get(k()))
    exactly(trips.count, 2)


def test_an_empty_batch_and_a_list_reply(connection: Connection) -> None:
    exactly(connection.backend.execute([]), [])


def test_closing_twice_is_fine_and_use_after_it_is_unavailable(
    driver: Driver, connect: Callable[..., Connection], k: Keys
) -> None:
    connection = connect()
    driver.run(connection, ask(set_(k(), "1")))
    if driver.name == "sync":
        backend = connection.backend
        backend.close()
        backend.close()
        for batch in ([get(k())], [set_(k(), "2")]):
            with pytest.raises(Unavailable):
                backend.execute(batch)
        return

    async def closed() -> None:
        backend = (await connection.lane()).backend
        await backend.close()
        await backend.close()
        for batch in ([get(k())], [set_(k(), "2")]):
            with pytest.raises(Unavailable):
                await backend.execute(batch)

    driver.runner.run(closed())


def test_a_closed_connection_opens_again_when_used(driver: Driver, connect: Callable[..., Connection], k: Keys) -> None:
    connection = connect()
    driver.run(connection, ask(exists(k())))
    driver.close(connection)
    driver.close(connection)
    exactly(driver.run(connection, ask(exists(k()))), False)
