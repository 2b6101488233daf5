"""Drivers: blocking, asyncio, together and enlisted in a pipeline give one answer from one plan."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from popoto.exceptions import PlanError, ReplyError, WrongType
from popoto.storage import Connection, Op, Refused, Txn, ask, ask_all, effect, layout, round_trips, together
from popoto.storage.commands.hashes import hget, hgetall, hincrby, hset
from popoto.storage.commands.keys import delete, exists
from popoto.storage.commands.sorted_sets import zadd, zrange
from popoto.storage.commands.strings import get, incrby, set_
from popoto_conformance.cases import Driver, Keys, exactly


async def tour(key: bytes) -> list[Any]:
    """A plan of several turns, with reads that decide writes, an error that it catches, and a transaction."""
    seen: list[Any] = [await ask(exists(key))]
    seen += await ask_all([hset(key, {"a": "1", "b": ""}), hgetall(key), hget(key, "c")])
    if await ask(hget(key, "a")) == b"1":
        seen.append(await ask(hincrby(key, "a", 41)))
    try:
        await ask(get(key))
    except WrongType as error:
        seen.append(error.code)
    seen += await ask_all([zadd(key + b":z", {"x": 0.1}), incrby(key, 1), zrange(key + b":z", 0, -1)], errors="return")
    seen[-2] = type(seen[-2]).__name__
    replies = await ask(Txn([hget(key, "a"), hget(key, "none"), delete(key)]))
    assert not isinstance(replies, Refused)
    return [*seen, *replies, await ask(exists(key)), await ask(delete(key + b":z"))]


ANSWER = [False, 2, {b"a": b"1", b"b": b""}, None, 42, "WRONGTYPE", 1, "WrongType", [(b"x", 0.1)], b"42", None, 1]
ANSWER = [*ANSWER, False, 1]


def names(k: Keys, count: int) -> list[bytes]:
    """Keys for several tours."""
    for at in range(count):
        k(b"tour%d:z" % at)
    return [k(b"tour%d" % at) for at in range(count)]


def test_a_plan_gives_its_answer(driver: Driver, connection: Connection, k: Keys) -> None:
    exactly(driver.run(connection, tour(names(k, 1)[0])), ANSWER)


def test_plans_together_give_the_answers_that_each_gives_alone(driver: Driver, connection: Connection, k: Keys) -> None:
    exactly(driver.run(connection, together([tour(key) for key in names(k, 40)])), [ANSWER] * 40)


def test_plans_together_take_the_turns_of_one(driver: Driver, connection: Connection, k: Keys) -> None:
    (first, *others) = names(k, 31)
    with round_trips() as alone:
        driver.run(connection, tour(first))
    with round_trips() as many:
        driver.run(connection, together([tour(key) for key in others]))
    exactly(many.count, alone.count)


def test_tasks_side_by_side_give_the_answers_that_each_gives_alone(
    connection: Connection, runner: asyncio.Runner, k: Keys
) -> None:
    async def side_by_side() -> list[list[Any]]:
        return list(await asyncio.gather(*(connection.arun(tour(key)) for key in names(k, 40))))

    exactly(runner.run(side_by_side()), [ANSWER] * 40)


def test_one_plans_error_leaves_the_others_alone(driver: Driver, connection: Connection, k: Keys) -> None:
    driver.run(connection, ask(set_(k(), "text")))

    async def failing() -> Any:
        return await ask(hget(k(), "f"))

    async def own() -> Any:
        await ask(exists(k()))
        raise LookupError("of the plan itself")

    plans: list[Op[Any]] = [ask(exists(k())), failing(), own(), ask(get(k()))]
    one, error, lookup, text = driver.run(connection, together(plans, errors="return"))
    exactly([one, text], [True, b"text"])
    exactly([type(error), type(lookup)], [WrongType, LookupError])


def test_the_first_error_of_plans_together_is_raised_when_all_have_ended(
    driver: Driver, connection: Connection, k: Keys
) -> None:
    driver.run(connection, ask(set_(k(), "text")))
    plans: list[Op[Any]] = [ask(incrby(k(), 1)), ask(hget(k(), "f")), ask(incrby(k("n"), 1))]
    with pytest.raises(ReplyError) as caught:
        driver.run(connection, together(plans))
    exactly(caught.value.code, "ERR")
    exactly(driver.run(connection, ask(get(k("n")))), b"1")


def test_a_plan_may_only_await_steps(driver: Driver, connection: Connection) -> None:
    async def sleeps() -> None:
        await asyncio.sleep(0)

    with pytest.raises(PlanError, match="steps"):
        driver.run(connection, sleeps())


def test_an_effect_runs_and_its_error_reaches_the_plan(driver: Driver, connection: Connection, k: Keys) -> None:
    async def plan() -> list[Any]:
        caught = ""
        try:
            await effect(lambda: int("many"))
        except ValueError:
            caught = "ValueError"
        return [await effect(lambda: 40 + 2), caught, await ask(exists(k()))]

    exactly(driver.run(connection, plan()), [42, "ValueError", False])


def test_slow_work_does_not_block_the_event_loop(connection: Connection, runner: asyncio.Runner, k: Keys) -> None:
    finished: list[str] = []

    async def slow() -> None:
        await effect(lambda: time.sleep(0.08))
        finished.append("slow")

    async def quick() -> None:
        await ask(exists(k()))
        finished.append("quick")

    async def both() -> None:
        await asyncio.gather(connection.arun(slow()), connection.arun(quick()))

    runner.run(both())
    exactly(finished, ["quick", "slow"])


def test_a_plan_knows_the_layout_without_a_round_trip(driver: Driver, connection: Connection) -> None:
    async def plan() -> Any:
        return await layout()

    with round_trips() as trips:
        found = driver.run(connection, plan())
    exactly(trips.count, 0)
    exactly([found.namespace, found.cluster], [connection.layout.namespace, connection.layout.cluster])


def test_ten_event_loops_in_a_row(connect: Callable[..., Connection], k: Keys) -> None:
    connection = connect()
    sums = [asyncio.run(connection.arun(ask(hincrby(k(), "n", 1)))) for _ in range(10)]
    exactly(sums, list(range(1, 11)))
    exactly(connection.run(ask(hget(k(), "n"))), b"10")


def test_event_loops_in_several_threads_share_a_connection(connect: Callable[..., Connection], k: Keys) -> None:
    connection = connect()
    sums: list[int] = []

    async def work() -> None:
        for _ in range(20):
            sums.append(await connection.arun(ask(hincrby(k(), "n", 1))))

    threads = [threading.Thread(target=lambda: asyncio.run(work())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    exactly(sorted(sums), list(range(1, 81)))


def test_what_one_driver_writes_the_other_reads(connection: Connection, runner: asyncio.Runner, k: Keys) -> None:
    sync, other = Driver("sync", runner), Driver("async", runner)
    for turn in range(5):
        sync.run(connection, ask(set_(k(), b"sync%d" % turn)))
        # Whoever keeps what it read, and does not see what others write, shows at its next reading.
        exactly(sync.run(connection, ask(get(k()))), b"sync%d" % turn)
        exactly(other.run(connection, ask(get(k()))), b"sync%d" % turn)
        other.run(connection, ask(set_(k(), b"async%d" % turn)))
        exactly(other.run(connection, ask(get(k()))), b"async%d" % turn)
        exactly(sync.run(connection, ask(get(k()))), b"async%d" % turn)
