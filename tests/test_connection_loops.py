"""Event loops and child processes have connections of their own, which end with them and stay sound."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import threading
from typing import Any

import pytest

from popoto import Field, KeyField, Model
from popoto.storage import Connection


class Here(Model):
    k = KeyField()
    text = Field()


def test_ten_runs_of_asyncio_in_a_row(store: Connection, plain: Any):
    async def work(number: int) -> int:
        await Here.async_create(k=str(number))
        return await Here.query.async_count()

    assert [asyncio.run(work(number)) for number in range(10)] == list(range(1, 11))
    gc.collect()


def test_a_loop_that_ends_closes_its_connections(server: Connection, plain: Any):
    before = int(plain.info("clients")["connected_clients"])

    async def work() -> None:
        await asyncio.gather(*(Here.async_create(k=str(number)) for number in range(50)))

    for _ in range(5):
        asyncio.run(work())
    gc.collect()
    assert int(plain.info("clients")["connected_clients"]) <= before + 1


def test_two_loops_in_two_threads_at_once(store: Connection):
    results: list[int] = []

    async def work(name: str) -> None:
        for number in range(20):
            await Here.async_create(k=f"{name}{number}", text=name)
            found = await Here.query.async_get(k=f"{name}{number}")
            assert found is not None and found.text == name
        results.append(1)

    threads = [threading.Thread(target=lambda name=name: asyncio.run(work(name))) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [1, 1, 1]
    assert Here.query.count() == 60


@pytest.mark.parametrize("round_number", range(3))
def test_a_loop_per_test_works(fake: Any, round_number: int):
    with asyncio.Runner() as runner:
        runner.run(Here.async_create(k="a"))
        assert runner.run(Here.query.async_count()) == 1


def test_a_cancelled_call_leaves_the_connection_sound(store: Connection):
    async def work() -> None:
        await Here.async_create(k="a", text="x")
        for _ in range(20):
            task = asyncio.create_task(Here.query.async_get(k="a"))
            await asyncio.sleep(0)
            task.cancel()
            found = await Here.query.async_get(k="a")
            assert found is not None and found.text == "x"

    asyncio.run(work())


def _in_child(number: int, replies: Any) -> None:
    try:
        for at in range(20):
            Here.create(k=f"{number}-{at}", text=str(number))
            found = Here.query.get(k=f"{number}-{at}")
            assert found is not None and found.text == str(number)
        replies.put("")
    except BaseException as error:
        replies.put(repr(error))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_children_have_connections_of_their_own(server: Connection):
    Here.create(k="parent", text="p")
    context = multiprocessing.get_context("fork")
    replies = context.Queue()
    children = [context.Process(target=_in_child, args=(number, replies)) for number in range(4)]
    for child in children:
        child.start()
    mine = [Here.query.get(k="parent") for _ in range(50)]
    for child in children:
        child.join(30)
    assert [replies.get(timeout=500) for _ in children] == [""] * 4
    assert all(row is not None and row.text == "p" for row in mine)
    assert Here.query.count() == 81
    assert os.getpid() > 0
