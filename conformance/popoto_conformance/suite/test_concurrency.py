"""Concurrency: no reply meets the wrong caller, no transaction or script is seen half done."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from popoto.storage import Applied, Connection, Guard, Refused, Txn, ask, ask_all
from popoto.storage.commands.hashes import hget, hgetall, hincrby, hset
from popoto.storage.commands.keys import delete
from popoto.storage.commands.scripting import call
from popoto.storage.commands.strings import get, incrby, mget, set_
from popoto_conformance.cases import Driver, Keys, exactly, not_applicable
from popoto_conformance.stores import Store
from popoto_conformance.walks import lua

BUMP = lua(
    "bump",
    "local n = tonumber(redis.call('GET', KEYS[1]) or '0') "
    "redis.call('SET', KEYS[1], string.format('%d', n + 1)) "
    "redis.call('SET', KEYS[2], string.format('%d', n + 1)) return n + 1",
)
WORKERS = 6
TURNS = 40


@pytest.fixture
def switching() -> Iterator[None]:
    """Makes threads take turns often, so that what is not atomic shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def in_threads(work: Callable[[int], None], count: int = WORKERS) -> None:
    """Run work in threads and raise the first error of one."""
    errors: list[BaseException] = []

    def guarded(index: int) -> None:
        try:
            work(index)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("shared", [True, False], ids=["one connection", "one each"])
def test_threads_get_their_own_replies(
    shared: bool, connect: Callable[..., Connection], k: Keys, switching: None
) -> None:
    connections = [connect()] * WORKERS if shared else [connect() for _ in range(WORKERS)]
    sums: list[int] = []

    def work(index: int) -> None:
        own = k(b"own%d" % index)
        for turn in range(TURNS):
            sums.append(connections[index].run(ask(hincrby(k(), "n", 1))))
            value = b"%d:%d" % (index, turn)
            exactly(connections[index].run(ask_all([set_(own, value), get(own)])), [True, value])

    in_threads(work)
    exactly(sorted(sums), list(range(1, WORKERS * TURNS + 1)))


def test_tasks_get_their_own_replies(connection: Connection, runner: asyncio.Runner, k: Keys) -> None:
    sums: list[int] = []

    async def work(index: int) -> None:
        own = k(b"own%d" % index)
        for turn in range(10):
            sums.append(await connection.arun(ask(hincrby(k(), "n", 1))))
            value = b"%d:%d" % (index, turn)
            exactly(await connection.arun(ask_all([set_(own, value), get(own)])), [True, value])

    async def everyone() -> None:
        await asyncio.gather(*(work(index) for index in range(60)))

    runner.run(everyone())
    exactly(sorted(sums), list(range(1, 601)))


def test_a_cancelled_caller_leaves_no_reply_behind(connection: Connection, runner: asyncio.Runner, k: Keys) -> None:
    async def cancelled(turn: int) -> None:
        task = asyncio.create_task(connection.arun(ask_all([set_(k("v"), b"x" * 50_000), get(k("v"))])))
        for _ in range(1 + turn % 7):
            await asyncio.sleep(0)
        if turn % 3 == 0:
            await asyncio.sleep(0.0005)
        task.cancel()
        neighbour = connection.arun(ask(hincrby(k(), "n", 1)))
        reply, _ = await asyncio.gather(neighbour, task, return_exceptions=True)
        exactly(reply, turn + 1)
        exactly(await connection.arun(ask(hget(k(), "n"))), b"%d" % (turn + 1))

    async def everyone() -> None:
        for turn in range(40):
            await cancelled(turn)

    runner.run(everyone())


def test_a_timeout_in_the_middle_leaves_no_reply_behind(
    connection: Connection, runner: asyncio.Runner, k: Keys
) -> None:
    async def everyone() -> None:
        for turn in range(20):
            try:
                async with asyncio.timeout(0.0002 * (turn % 4)):
                    await connection.arun(ask_all([incrby(k("other"), 1) for _ in range(200)]))
            except TimeoutError:
                pass
            exactly(await connection.arun(ask(hincrby(k(), "n", 1))), turn + 1)

    runner.run(everyone())


def seen_whole(
    driver: Driver, connect: Callable[..., Connection], k: Keys, write: Callable[[Connection, int], None]
) -> None:
    """Assert that two keys which are changed together are never seen apart, from other connections."""
    writer, reader = connect(), connect()
    driver.run(reader, ask_all([set_(k("a"), 0), set_(k("b"), 0)]))
    done = threading.Event()
    torn: list[object] = []

    def work() -> None:
        try:
            for turn in range(60):
                write(writer, turn)
        finally:
            done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.is_set():
        one, other = driver.run(reader, ask(mget(k("a"), k("b"))))
        torn += [(one, other)] if one != other else []
    thread.join()
    exactly(torn, [])
    exactly(driver.run(reader, ask(get(k("a")))), driver.run(reader, ask(get(k("b")))))


def bulky(k: Keys) -> Txn:
    """Two sums far apart: a store that takes the commands one by one lets others in between."""
    filler = [set_(k("filler"), b"x" * 20_000) for _ in range(8)]
    return Txn([incrby(k("a"), 1), *filler, incrby(k("b"), 1)])


def test_a_transaction_is_seen_whole(
    driver: Driver, connect: Callable[..., Connection], k: Keys, switching: None
) -> None:
    seen_whole(driver, connect, k, lambda connection, _: _forget(connection.run(ask(bulky(k)))))


@pytest.mark.needs("lua")
def test_a_guarded_transaction_is_seen_whole(
    driver: Driver, connect: Callable[..., Connection], k: Keys, switching: None
) -> None:
    txn = Txn(bulky(k).commands, [Guard("present", k("a"))])
    seen_whole(driver, connect, k, lambda connection, _: _forget(connection.run(ask(txn))))


@pytest.mark.needs("lua")
def test_a_script_is_seen_whole(driver: Driver, connect: Callable[..., Connection], k: Keys, switching: None) -> None:
    seen_whole(driver, connect, k, lambda connection, _: _forget(connection.run(ask(call(BUMP, [k("a"), k("b")])))))


def _forget(_: object) -> None:
    """Take a reply that does not matter."""


def test_transactions_of_several_threads_do_not_mix(
    connect: Callable[..., Connection], k: Keys, switching: None
) -> None:
    connections = [connect() for _ in range(WORKERS)]
    pairs: list[list[int]] = []

    def work(index: int) -> None:
        for _ in range(TURNS):
            replies = connections[index].run(ask(Txn([hincrby(k(), "n", 1), hincrby(k(), "n", 1)])))
            pairs.append(replies if isinstance(replies, list) else [])

    in_threads(work)
    exactly(sorted(pairs), [[n, n + 1] for n in range(1, 2 * WORKERS * TURNS, 2)])


@pytest.mark.needs("lua")
def test_scripts_of_several_threads_do_not_mix(connect: Callable[..., Connection], k: Keys, switching: None) -> None:
    connections = [connect() for _ in range(WORKERS)]
    sums: list[int] = []

    def work(index: int) -> None:
        for _ in range(20):
            sums.append(connections[index].run(ask(call(BUMP, [k("a"), k("b")]))))

    in_threads(work)
    exactly(sorted(sums), list(range(1, 20 * WORKERS + 1)))


@pytest.mark.needs("lua")
def test_one_of_many_claimants_wins(connect: Callable[..., Connection], k: Keys, switching: None) -> None:
    connections = [connect() for _ in range(WORKERS)]
    rounds = 15
    barrier = threading.Barrier(WORKERS)
    won: list[tuple[int, int]] = []

    def work(index: int) -> None:
        for turn in range(rounds):
            claim = k(b"claim%d" % turn)
            barrier.wait(timeout=60)
            txn = Txn([hset(claim, {"owner": str(index)})], [Guard("absent", claim)])
            (reply,) = connections[index].run(ask_all([txn]))
            assert isinstance(reply, Applied | Refused), reply
            won.extend([(turn, index)] if isinstance(reply, Applied) else [])

    in_threads(work)
    exactly(sorted(turn for turn, _ in won), list(range(rounds)))
    owners = connections[0].run(ask_all([hget(k(b"claim%d" % turn), "owner") for turn in range(rounds)]))
    exactly(owners, [b"%d" % index for _, index in sorted(won)])


def spawned(store: Store, jobs: list[dict[str, str]]) -> list[list[int]]:
    """Run jobs in processes of their own, at the same time, and return what each has printed."""
    command = [sys.executable, "-m", "popoto_conformance.workers"]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in jobs
    ]
    for process, job in zip(processes, jobs, strict=True):
        assert process.stdin is not None
        # The URL may hold a password, so it does not stand on the command line.
        process.stdin.write(json.dumps({"url": store.url, **job}))
        process.stdin.close()
        process.stdin = None
    results = []
    for process in processes:
        output, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors[-2000:]
        results.append(json.loads(output))
    return results


def test_processes_share_the_store(store: Store, connection: Connection, k: Keys) -> None:
    if store.in_process:
        raise not_applicable("no other process can reach the store")
    connection.run(ask(hset(k("from here"), {"f": "seen"})))
    key, claim, here = (one.decode() for one in (k(), k("claim"), k("from here")))
    guarded = "guarded" if "lua" in store.info.capabilities else "plain"
    results = spawned(store, [{"key": key, "claim": claim, "here": here, "claiming": guarded}] * 3)
    exactly(sorted(n for result in results for n in result[1:]), list(range(1, 151)))
    exactly(connection.run(ask(hget(k(), "n"))), b"150")
    if guarded == "guarded":
        exactly(sum(result[0] for result in results), 20)
        exactly(len(connection.run(ask(hgetall(k("claim"))))), 20)
    connection.run(ask(delete(k("claim"))))
