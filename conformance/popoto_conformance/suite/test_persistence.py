"""Persistence, where it is claimed: what was acknowledged is there after a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from popoto.exceptions import BackendError
from popoto.storage import Call, Connection, ask, ask_all
from popoto.storage.commands.hashes import hgetall, hset
from popoto.storage.commands.keys import exists, pexpire, pttl
from popoto.storage.commands.lists import llen, lrange, rpush
from popoto.storage.commands.sets import sadd, smembers
from popoto.storage.commands.sorted_sets import zadd, zrange
from popoto.storage.commands.strings import get, set_
from popoto_conformance.cases import Driver, Keys, exactly, not_applicable
from popoto_conformance.stores import Store
from popoto_conformance.walks import lua

pytestmark = pytest.mark.needs("persistent")
PATIENCE_SECONDS = 60.0


@pytest.fixture
def restart(store: Store) -> Callable[[], None]:
    """Restarts the store."""
    if store.restart is None:
        raise not_applicable("the plug-in gives the suite no way to restart the store")
    return store.restart


def patiently(driver: Driver, connection: Connection, key: bytes) -> None:
    """Wait until the store answers again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            driver.run(connection, ask(exists(key)))
        except BackendError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def test_every_kind_survives_a_restart(
    restart: Callable[[], None], driver: Driver, connect: Callable[..., Connection], k: Keys
) -> None:
    connection = connect()
    odd = bytes(range(256))
    writes = [set_(k("s"), odd), hset(k("h"), {odd: b""}), sadd(k("m"), b"", odd), zadd(k("z"), {"a": 0.1, "b": 1e17})]
    driver.run(connection, ask_all([*writes, rpush(k("l"), "1", "2"), pexpire(k("l"), 600_000)]))
    restart()
    patiently(driver, connection, k("s"))
    replies = driver.run(
        connection,
        ask_all([get(k("s")), hgetall(k("h")), smembers(k("m")), zrange(k("z"), 0, -1), lrange(k("l"), 0, -1)]),
    )
    exactly(replies, [odd, {odd: b""}, {b"", odd}, [(b"a", 0.1), (b"b", 1e17)], [b"1", b"2"]])
    assert 0 < driver.run(connection, ask(pttl(k("l")))) <= 600_000


@pytest.mark.needs("lua")
def test_scripts_run_after_a_restart(
    restart: Callable[[], None], driver: Driver, connect: Callable[..., Connection], k: Keys
) -> None:
    connection = connect()
    note = lua("note", "return redis.call('RPUSH', KEYS[1], ARGV[1])")
    exactly(driver.run(connection, ask(Call(note, [k()], ["before"]))), 1)
    restart()
    patiently(driver, connection, k())
    exactly(driver.run(connection, ask(Call(note, [k()], ["after"]))), 2)


def test_what_was_acknowledged_survives_a_restart_in_the_middle(
    restart: Callable[[], None], driver: Driver, connect: Callable[..., Connection], k: Keys
) -> None:
    connection, acknowledged, done = connect(), [0], threading.Event()

    def work() -> None:
        writer = connect()
        while not done.is_set():
            try:
                acknowledged[0] = writer.run(ask(rpush(k(), "x" * 100)))
            except BackendError:
                return

    thread = threading.Thread(target=work)
    thread.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while acknowledged[0] < 50 and time.monotonic() < deadline:
        time.sleep(0.005)
    restart()
    done.set()
    thread.join()
    patiently(driver, connection, k())
    assert driver.run(connection, ask(llen(k()))) >= acknowledged[0] >= 50
