"""Pipelines: what is enlisted waits, goes out in one round trip, and is settled in its order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from popoto.exceptions import BackendError, ReplyError, WrongType
from popoto.storage import Call, Connection, Op, Pipeline, Txn, ask, ask_all, enlist, round_trips
from popoto.storage.commands.hashes import hget, hgetall, hincrby, hset
from popoto.storage.commands.keys import exists
from popoto.storage.commands.scripting import script_flush
from popoto.storage.commands.strings import get, incrby, set_
from popoto_conformance.cases import Driver, Keys, awaited, exactly, not_applicable
from popoto_conformance.walks import lua

ADD = lua("add", "return redis.call('HINCRBY', KEYS[1], 'n', ARGV[1])")


class Enlisting:
    """A pipeline of either driver."""

    def __init__(self, driver: Driver, connection: Connection) -> None:
        self.driver = driver
        self.pipeline: Pipeline = connection.pipeline()

    def enlist(self, plan: Op[Any]) -> None:
        if self.driver.name == "sync":
            self.pipeline.enlist(plan)
        else:
            awaited(self.driver.runner, self.pipeline.async_enlist(plan))

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        if self.driver.name == "sync":
            return self.pipeline.execute(raise_on_error)
        return awaited(self.driver.runner, self.pipeline.async_execute(raise_on_error))


@pytest.fixture
def enlisting(driver: Driver, connection: Connection) -> Enlisting:
    """A fresh pipeline."""
    return Enlisting(driver, connection)


async def counted(key: bytes, amount: int = 1) -> str:
    """A plan that reads nothing and writes once."""
    return f"sum {await ask(hincrby(key, 'n', amount))}"


async def doubled(key: bytes) -> int:
    """A plan whose read decides its write."""
    now = await ask(hget(key, "n"))
    return await ask(hincrby(key, "n", int(now or b"0")))


def test_what_is_enlisted_waits_for_execute(enlisting: Enlisting, connection: Connection, k: Keys) -> None:
    for _ in range(3):
        enlisting.enlist(counted(k()))
    exactly(connection.run(ask(exists(k()))), False)
    exactly(len(enlisting.pipeline), 3)
    exactly(enlisting.execute(), ["sum 1", "sum 2", "sum 3"])
    exactly(connection.run(ask(hget(k(), "n"))), b"3")


def test_a_pipeline_is_one_round_trip(enlisting: Enlisting, k: Keys) -> None:
    with round_trips() as trips:
        for n in range(40):
            enlisting.enlist(counted(k(), n))
    exactly(trips.count, 0)
    with round_trips() as trips:
        exactly(len(enlisting.execute()), 40)
    exactly(trips.count, 1)


def test_enlisted_plans_answer_as_they_do_alone(
    enlisting: Enlisting, driver: Driver, connection: Connection, k: Keys
) -> None:
    def plans(key: bytes) -> list[Op[Any]]:
        return [
            counted(key, 5),
            ask_all([hset(key, {"a": "1"}), hgetall(key), hget(key, "none")]),
            ask(Txn([hincrby(key, "n", 1), hget(key, "n")])),
            ask(set_(key + b":text", b"\xff")),
        ]

    k("alone:text"), k("enlisted:text")
    alone = [driver.run(connection, plan) for plan in plans(k("alone"))]
    for plan in plans(k("enlisted")):
        enlisting.enlist(plan)
    exactly(enlisting.execute(), alone)


def test_a_read_before_the_write_is_asked_when_enlisted(enlisting: Enlisting, connection: Connection, k: Keys) -> None:
    connection.run(ask(hset(k(), {"n": "21"})))
    enlisting.enlist(doubled(k()))
    connection.run(ask(hset(k(), {"n": "0"})))
    exactly(enlisting.execute(), [21])


def test_an_error_stands_in_its_place_or_is_raised_when_all_have_run(
    enlisting: Enlisting, connection: Connection, k: Keys
) -> None:
    connection.run(ask(set_(k("text"), "x")))
    for turn in (1, 2):
        enlisting.enlist(ask(incrby(k(), 1)))
        enlisting.enlist(ask(hset(k("text"), {"f": "1"})))
        enlisting.enlist(ask(incrby(k(), 1)))
        if turn == 1:
            one, error, two = enlisting.execute(raise_on_error=False)
            exactly([one, type(error), two], [1, WrongType, 2])
        else:
            with pytest.raises(WrongType):
                enlisting.execute()
    exactly(connection.run(ask(get(k()))), b"4")


def test_an_executed_pipeline_is_empty_and_serves_again(enlisting: Enlisting, k: Keys) -> None:
    enlisting.enlist(counted(k()))
    exactly(enlisting.execute(), ["sum 1"])
    exactly(len(enlisting.pipeline), 0)
    exactly(enlisting.execute(), [])
    enlisting.enlist(counted(k()))
    exactly(enlisting.execute(), ["sum 2"])


def test_what_is_dropped_never_runs(enlisting: Enlisting, connection: Connection, k: Keys) -> None:
    with enlisting.pipeline:
        enlisting.enlist(counted(k()))
    exactly(enlisting.execute(), [])
    exactly(connection.run(ask(exists(k()))), False)


def test_a_plan_that_fails_before_it_writes_is_not_enlisted(
    enlisting: Enlisting, connection: Connection, k: Keys
) -> None:
    connection.run(ask(set_(k(), "x")))
    with pytest.raises(WrongType):
        enlisting.enlist(doubled(k()))
    exactly(enlisting.execute(), [])


@pytest.mark.needs("lua")
def test_forgotten_scripts_in_a_pipeline_run_in_order(enlisting: Enlisting, connection: Connection, k: Keys) -> None:
    connection.run(ask(Call(ADD, [k()], [1])))
    connection.run(ask(script_flush()))
    for step in (Call(ADD, [k()], [1]), hincrby(k(), "n", 10), Call(ADD, [k()], [1])):
        enlisting.enlist(ask(step))
    exactly(enlisting.execute(), [2, 12, 13])


@pytest.fixture
def native(connection: Connection) -> Any:
    """The client object behind the connection."""
    client = connection.native
    if client is None or not hasattr(client, "pipeline"):
        raise not_applicable("no client with pipelines stands behind the backend")
    if connection.info.cluster:
        raise not_applicable("a client's cluster pipeline takes no scripts, so operations wait in popoto's own")
    return client


def test_a_clients_pipeline_takes_plans_among_its_own_commands(native: Any, connection: Connection, k: Keys) -> None:
    with native.pipeline() as pipeline:
        pipeline.set(k("own"), "1")
        enlist(counted(k()), pipeline, connection)
        pipeline.get(k("own"))
        enlist(counted(k(), 4), pipeline, connection)
        exactly(connection.run(ask(exists(k()))), False)
        exactly(pipeline.execute(), [True, "sum 1", b"1", "sum 5"])
    exactly(connection.run(ask(hget(k(), "n"))), b"5")


@pytest.mark.needs("lua")
def test_a_clients_pipeline_takes_scripts_that_were_forgotten(native: Any, connection: Connection, k: Keys) -> None:
    connection.run(ask(Call(ADD, [k()], [1])))
    connection.run(ask(script_flush()))
    with native.pipeline() as pipeline:
        for _ in range(3):
            enlist(ask(Call(ADD, [k()], [1])), pipeline, connection)
        exactly(pipeline.execute(), [2, 3, 4])


def test_what_is_no_pipeline_is_refused_before_anything_is_sent(connection: Connection, k: Keys) -> None:
    refused: list[Callable[[], Any]] = [lambda: object(), lambda: connection, lambda: None]
    for made in refused:
        with pytest.raises(BackendError) as caught:
            enlist(counted(k()), made(), connection)
        assert not isinstance(caught.value, ReplyError)
    exactly(connection.run(ask(exists(k()))), False)
