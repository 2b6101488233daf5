"""Many processes, threads and tasks at once: one winner each time, right answers only, nothing left behind."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from stored import keyspace, stray_entries

from popoto import Field, IndexedField, IntField, KeyField, Model, ModelException, SortedField, UniqueField, using
from popoto.storage import Connection

PROCESSES, ROUNDS = 8, 200
THREADS, TASKS = 8, 100


class Claim(Model):
    owner = KeyField()
    code = UniqueField(type=int)
    kind = IndexedField()


class Shared(Model):
    name = KeyField()
    left = IndexedField()
    right = IndexedField()
    place = SortedField(type=int, default=0, partition_by="left")
    one = IntField(default=0)
    two = IntField(default=0)
    text = Field()


def at_once(work: Callable[..., Any], url: str, count: int) -> list[Any]:
    """Run a function in several processes, released together, and give what they returned."""
    context = multiprocessing.get_context("spawn")
    barrier, replies = context.Barrier(count), context.Queue()
    workers = [context.Process(target=work, args=(url, number, barrier, replies)) for number in range(count)]
    for worker in workers:
        worker.start()
    results = [replies.get(timeout=100) for _ in workers]
    for worker in workers:
        worker.join(30)
    return results


def claim(url: str, number: int, barrier: Any, replies: Any) -> None:
    won: list[int] = []
    connection = Connection(url)
    with using(connection):
        Claim.query.count()
        for code in range(ROUNDS):
            if code % 10 == 0:
                barrier.wait(60)
            try:
                Claim.create(owner=f"{code}-{number}", code=code, kind=str(number))
            except ModelException:
                continue
            won.append(code)
    connection.close()
    replies.put(won)


def test_of_eight_processes_one_wins_each_unique_value(server: Connection, plain: Any):
    won = at_once(claim, server.url.raw, PROCESSES)
    assert sorted(code for some in won for code in some) == list(range(ROUNDS))
    assert stray_entries(plain, Claim) == []
    assert len([key for key in keyspace(plain) if key.startswith(b"Claim:")]) == ROUNDS


def churn(url: str, number: int, barrier: Any, replies: Any) -> None:
    dice = random.Random(number)
    connection = Connection(url)
    with using(connection):
        barrier.wait(60)
        for _ in range(150):
            name = str(dice.randrange(5))
            try:
                if dice.random() < 0.4:
                    Shared.create(name=name, left=str(dice.randrange(3)), place=dice.randrange(9))
                    continue
                row = Shared.query.get(name=name)
                if row is None:
                    continue
                if dice.random() < 0.3:
                    row.delete()
                    continue
                row.left, row.place = str(dice.randrange(3)), dice.randrange(9)
                if dice.random() < 0.3:
                    row.name = str(dice.randrange(5))
                row.save(migrate_key=True)
            except ModelException:
                continue
    connection.close()
    replies.put(True)


def test_blind_overwrites_by_other_processes_leave_no_stale_entry(server: Connection, plain: Any):
    assert at_once(churn, server.url.raw, 4) == [True] * 4
    assert stray_entries(plain, Shared) == []
    assert sorted(row.name for row in Shared.query.all()) == sorted(
        row.name for left in "012" for row in Shared.query.filter(left=left)
    )


def write_one_field(url: str, number: int, barrier: Any, replies: Any) -> None:
    name = ("one", "two")[number % 2]
    connection = Connection(url)
    with using(connection):
        barrier.wait(60)
        for value in range(1, 101):
            row = Shared.query.get(name="a")
            assert row is not None
            setattr(row, name, value)
            row.save()
    connection.close()
    replies.put(True)


def test_writers_of_different_fields_both_keep_their_work(server: Connection, plain: Any):
    Shared.create(name="a")
    assert at_once(write_one_field, server.url.raw, 2) == [True, True]
    assert plain.hmget("Shared:a", "one", "two") == [b"\x64", b"\x64"]


def fill() -> None:
    for number in range(40):
        Shared.create(name=str(number), left=str(number % 4), right=str(number % 5), place=number, one=number)


def wrong_answers(number: int) -> list[Any]:
    """What is wrong with the answers to the n-th question."""
    left, right = str(number % 4), str(number % 5)
    expected = sorted(str(n) for n in range(40) if n % 4 == number % 4 and n % 5 == number % 5)
    found = sorted(row.name for row in Shared.query.filter(left=left, right=right))
    one = Shared.query.get(name=str(number % 40))
    counted = Shared.query.count(left=left)
    good = found == expected and one is not None and one.one == number % 40 and counted == 10
    return [] if good else [number, found, expected, one, counted]


async def async_wrong_answers(number: int) -> list[Any]:
    left, right = str(number % 4), str(number % 5)
    expected = sorted(str(n) for n in range(40) if n % 4 == number % 4 and n % 5 == number % 5)
    found = sorted(row.name for row in await Shared.query.async_filter(left=left, right=right))
    one = await Shared.query.async_get(name=str(number % 40))
    counted = await Shared.query.async_count(left=left)
    good = found == expected and one is not None and one.one == number % 40 and counted == 10
    return [] if good else [number, found, expected, one, counted]


def test_eight_threads_get_only_right_answers(store: Connection):
    fill()
    wrong: list[Any] = []

    def work(number: int) -> None:
        try:
            for at in range(40):
                wrong.extend(wrong_answers(number * 40 + at))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_a_hundred_tasks_get_only_right_answers(store: Connection):
    fill()

    async def work() -> list[list[Any]]:
        return await asyncio.gather(*(async_wrong_answers(number) for number in range(TASKS)))

    for _ in range(2):
        assert [one for one in asyncio.run(work()) if one] == []


def test_threads_and_tasks_write_at_once(store: Connection, plain: Any):
    failures: list[BaseException] = []

    def guarded(work: Callable[[], Any]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    def blocking(number: int) -> None:
        for at in range(20):
            Shared.create(name=f"{number}-{at}", left=str(at % 3), place=at)
            Shared.create(name="common", left=str(number), place=number)

    async def one(number: int) -> None:
        row = await Shared.async_create(name=f"t{number}", left="x")
        row.left = "y"
        await row.async_save()
        await Shared.async_create(name="common", left=f"t{number}")

    async def tasks() -> None:
        await asyncio.gather(*(one(number) for number in range(50)))

    threads = [threading.Thread(target=guarded, args=(lambda n=n: blocking(n),)) for n in range(4)]
    threads.append(threading.Thread(target=guarded, args=(lambda: asyncio.run(tasks()),)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert Shared.query.count() == 4 * 20 + 50 + 1
    assert stray_entries(plain, Shared) == []


@pytest.mark.parametrize("count", [1000])
def test_generated_keys_of_many_threads_differ(fake: Connection, count: int):
    class Row(Model):
        number = IntField()

    made: list[str] = []

    def work() -> None:
        made.extend(Row(number=1).pk for _ in range(count))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(made)) == len(made) == THREADS * count
