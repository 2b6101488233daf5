"""Wire protocols: every case gives the same under RESP3 as it does under the store's own default."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from popoto.exceptions import BadURL
from popoto.storage import Applied, Connection, Message, Step, Txn, ask, ask_all
from popoto.storage.commands.channels import publish
from popoto.storage.commands.hashes import hgetall, hscan, hset
from popoto.storage.commands.sets import sadd, smembers
from popoto.storage.commands.sorted_sets import zadd, zmscore, zpopmin, zrange, zscan, zscore
from popoto_conformance.cases import Driver, Keys, exactly, not_applicable, proved
from popoto_conformance.stores import Store
from popoto_conformance.suite import (
    test_batches,
    test_bitmaps,
    test_errors,
    test_geo,
    test_hashes,
    test_keys,
    test_lists,
    test_scripts,
    test_sets,
    test_sorted_sets,
    test_streams,
    test_strings,
    test_transactions,
)

MODULES = (
    test_batches, test_bitmaps, test_errors, test_geo, test_hashes, test_keys, test_lists, test_scripts, test_sets,
    test_sorted_sets, test_streams, test_strings, test_transactions,
)  # fmt: skip


def cases(module: ModuleType) -> Iterator[Any]:
    """A module's cases, with their marks, as parameters."""
    for name, test in vars(module).items():
        marks = getattr(test, "pytestmark", [])
        if name.startswith("test_") and any(mark.name == "case" for mark in marks) and hasattr(test, "__wrapped__"):
            home = module.__name__.rpartition(".")[2]
            yield pytest.param(test, marks=[*marks, pytest.mark.twin(f"{home}.py::{name}")], id=f"{home}-{name}")


def speaking(store: Store, protocol: str) -> Connection:
    """A connection that speaks a version of the protocol."""
    connection = Connection(store.with_options(protocol=protocol))
    try:
        _ = connection.info
    except BadURL:
        raise not_applicable("its URLs know no protocol") from None
    return connection


@pytest.fixture(scope="module")
def third(store: Store, runner: asyncio.Runner) -> Iterator[Connection]:
    """A connection that speaks RESP3."""
    connection = speaking(store, "3")
    yield connection
    runner.run(connection.aclose())


@pytest.mark.parametrize("test", [one for module in MODULES for one in cases(module)])
def test_resp3(test: Any, third: Connection, driver: Driver, k: Keys) -> None:
    needs = tuple(name for mark in test.pytestmark if mark.name == "needs" for name in mark.args)
    proved(driver, third, k, test.__wrapped__, needs)


@pytest.mark.parametrize("protocol", ["2", "3"])
def test_shapes_are_the_same(protocol: str, store: Store, driver: Driver, k: Keys) -> None:
    connection = speaking(store, protocol)
    batch: list[Step] = [
        hset(k("h"), {"f": "1"}),
        hgetall(k("h")),
        hscan(k("h"), 0),
        sadd(k("s"), "a"),
        smembers(k("s")),
        zadd(k("z"), {"m": 0.1}),
        zscore(k("z"), "m"),
        zmscore(k("z"), "m", "none"),
        zrange(k("z"), 0, -1),
        zscan(k("z"), 0),
        Txn([hgetall(k("h")), zrange(k("z"), 0, -1), zscore(k("z"), "none")]),
        zpopmin(k("z"), 1),
    ]
    pairs = [(b"m", 0.1)]
    expected = [1, {b"f": b"1"}, (0, {b"f": b"1"}), 1, {b"a"}, 1, 0.1, [0.1, None], pairs, (0, pairs)]
    exactly(driver.run(connection, ask_all(batch)), [*expected, Applied([{b"f": b"1"}, pairs, None]), pairs])
    driver.close(connection)
    connection.close()


@pytest.mark.needs("pubsub")
@pytest.mark.parametrize("protocol", ["2", "3"])
def test_messages_are_the_same(protocol: str, store: Store, driver: Driver, k: Keys) -> None:
    connection = speaking(store, protocol)
    pattern = k("a") + b"*"
    listener = driver.subscribe(connection, [k("b")], [pattern])
    driver.run(connection, ask(publish(k("abc"), b"\xff")))
    driver.run(connection, ask(publish(k("b"), b"")))
    exactly(listener.get(), Message(k("abc"), b"\xff", pattern))
    exactly(listener.get(), Message(k("b"), b"", None))
    exactly(listener.get(0.01), None)
    listener.close()
    driver.close(connection)
    connection.close()
