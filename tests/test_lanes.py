"""Awaits that are ready together travel together: few exchanges, few connections, and no one pays for another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from popoto import (
    CapabilityError,
    IndexedField,
    KeyField,
    Model,
    ModelException,
    Unavailable,
    UniqueField,
    round_trips,
)
from popoto.storage import Command, Connection, ask
from popoto.storage.commands.hashes import hset
from popoto.storage.commands.sets import sadd
from popoto.storage.drivers.aio import MOST_AT_ONCE, MOST_STEPS


class Bird(Model):
    name = KeyField()
    kind = IndexedField()
    ring = UniqueField()


async def watched(store: Connection) -> list[int]:
    """The sizes of the batches that the running loop's backend is given from now on."""
    lane = await store.lane()
    sizes: list[int] = []
    execute = lane.backend.execute

    async def noted(batch: Any) -> Any:
        sizes.append(len(batch))
        return await execute(batch)

    lane.backend.execute = noted  # type: ignore[method-assign]
    return sizes


def test_a_thousand_awaits_share_few_exchanges(store: Connection) -> None:
    async def work() -> tuple[list[int], list[Any], int]:
        sizes = await watched(store)
        for number in range(0, 100, 50):
            await asyncio.gather(
                *[
                    Bird.async_create(name=str(one), kind=str(one % 10), ring=str(one))
                    for one in range(number, number + 50)
                ]
            )
        sizes.clear()
        with round_trips() as trips:
            found = await asyncio.gather(*[Bird.query.async_get(name=str(number % 100)) for number in range(1000)])
        return sizes, found, int(trips)

    sizes, found, trips = asyncio.run(work())
    assert [bird.name for bird in found] == [str(number % 100) for number in range(1000)]
    assert (sum(sizes), max(sizes)) == (1000, MOST_STEPS)
    assert len(sizes) == 2
    assert trips == 1000  # each caller counts its own


def test_the_first_thousand_awaits_of_a_loop_ask_together_what_the_store_is(store: Connection, plain: Any) -> None:
    async def work() -> list[Any]:
        creates = [Bird.async_create(name=str(one), kind="x", ring=str(one)) for one in range(1000)]
        return await asyncio.gather(*creates, return_exceptions=True)

    found = asyncio.run(work())
    assert int(plain.scard("$Class:Bird")) == 1000
    assert {type(one) for one in found} == {Bird}


def test_a_failed_question_what_the_store_is_is_asked_again(fake: Connection) -> None:
    async def work() -> tuple[list[Any], int]:
        lane = await fake.lane()
        describe, asked = lane.backend.describe, []

        async def failing() -> Any:
            asked.append(None)
            await asyncio.sleep(0)
            if len(asked) == 1:
                raise Unavailable("the store cannot be reached: not yet")
            return await describe()

        lane.backend.describe = failing  # type: ignore[method-assign]
        first = await asyncio.gather(*[Bird.query.async_count() for _ in range(3)], return_exceptions=True)
        together = len(asked)
        return [*map(type, first), await Bird.query.async_count()], together

    assert asyncio.run(work()) == ([Unavailable, Unavailable, Unavailable, 0], 1)


def test_who_asked_first_what_the_store_is_may_be_cancelled(fake: Connection) -> None:
    async def work() -> list[Any]:
        asking = [asyncio.ensure_future(Bird.query.async_count()) for _ in range(3)]
        await asyncio.sleep(0)
        asking[0].cancel()
        return await asyncio.gather(*asking, return_exceptions=True)

    cancelled, *others = asyncio.run(work())
    assert others == [0, 0]
    assert isinstance(cancelled, asyncio.CancelledError)


def test_an_error_of_one_reaches_no_other(store: Connection, plain: Any) -> None:
    async def work() -> list[Any]:
        await Bird.async_create(name="0", kind="x", ring="taken")
        rings = ["taken" if number % 3 == 0 else f"r{number}" for number in range(1, 31)]
        creates = [Bird.async_create(name=str(number), kind="x", ring=ring) for number, ring in enumerate(rings, 1)]
        return await asyncio.gather(*creates, return_exceptions=True)

    results = asyncio.run(work())
    assert int(plain.scard("$Class:Bird")) == 1 + sum(isinstance(one, Bird) for one in results)
    assert [isinstance(one, ModelException) for one in results] == [number % 3 == 0 for number in range(1, 31)]


def test_what_is_refused_before_sending_holds_up_no_one(store: Connection) -> None:
    impossible = Command("PING", shape=bool, writes=True, needs="no-such-capability")

    async def work() -> list[Any]:
        plans = [store.arun(ask(sadd("lane:set", str(number)))) for number in range(5)]
        return await asyncio.gather(*plans[:2], store.arun(ask(impossible)), *plans[2:], return_exceptions=True)

    results = asyncio.run(work())
    assert [one for one in results if not isinstance(one, Exception)] == [1, 1, 1, 1, 1]
    assert isinstance(results[2], CapabilityError)


def test_no_more_than_a_few_exchanges_are_under_way(store: Connection) -> None:
    async def work() -> int:
        lane = await store.lane()
        now = most = 0
        execute = lane.backend.execute

        async def noted(batch: Any) -> Any:
            nonlocal now, most
            now += 1
            most = max(most, now)
            try:
                return await execute(batch)
            finally:
                now -= 1

        lane.backend.execute = noted  # type: ignore[method-assign]

        async def steps(number: int) -> None:
            for turn in range(3):
                await store.arun(ask(hset(f"lane:{number}", {"turn": turn})))
                await asyncio.sleep(0)

        await asyncio.gather(*[steps(number) for number in range(200)])
        return most

    assert asyncio.run(work()) <= MOST_AT_ONCE


def test_a_cancelled_caller_leaves_the_others_their_answers(store: Connection, plain: Any) -> None:
    async def work() -> list[Any]:
        tasks = [
            asyncio.create_task(Bird.async_create(name=str(number), kind="x", ring=str(number))) for number in range(20)
        ]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert await Bird.query.async_count(kind="x") >= 10
        return results

    results = asyncio.run(work())
    # A cancelled save has landed whole, or not at all.
    assert int(plain.scard("$Class:Bird")) == int(plain.scard("$IndexF:Bird:kind:x"))
    assert [isinstance(one, Bird) for one in results[1::2]] == [True] * 10


@pytest.mark.parametrize("turns", [10])
def test_loops_in_a_row_start_with_lanes_of_their_own(turns: int, store: Connection) -> None:
    for number in range(turns):
        assert asyncio.run(store.arun(ask(sadd("lane:loops", str(number))))) == 1
