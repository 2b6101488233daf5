"""One table: what each verb costs in round trips, counted by the drivers and at the socket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from proxy import Proxy
from stored import keyspace, stray_entries
from trips import EVERY, stock
from trips.wines import Wine, new

from popoto import round_trips
from popoto.configuration import configuration
from popoto.storage import Connection, ask_all
from popoto.storage.commands.keys import exists


@pytest.fixture(autouse=True)
def contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "content_path", str(tmp_path))


@pytest.mark.parametrize("verb", EVERY)
def test_each_verb_takes_its_round_trips(store: Connection, plain: Any, verb: str):
    ready, blocking, _, trips = EVERY[verb]
    stock(verb)
    it = ready(store)
    with round_trips() as counted:
        blocking(it)
    assert counted == trips
    assert stray_entries(plain, Wine) == []


@pytest.mark.parametrize("verb", EVERY)
def test_each_async_verb_takes_the_same(store: Connection, plain: Any, verb: str):
    ready, _, waiting, trips = EVERY[verb]
    stock(verb)
    it = ready(store)

    async def work() -> int:
        with round_trips() as counted:
            await waiting(it)
        return int(counted)

    assert asyncio.run(work()) == trips
    assert stray_entries(plain, Wine) == []


@pytest.mark.parametrize("verb", EVERY)
def test_each_verb_takes_them_at_the_socket_too(proxied: Connection, proxy: Proxy, plain: Any, verb: str):
    ready, blocking, waiting, trips = EVERY[verb]
    stock(verb)
    it = ready(proxied)
    before = proxy.turns
    blocking(it)
    assert proxy.turns - before == trips
    plain.flushall()
    stock(verb)
    it = ready(proxied)

    async def work() -> int:
        await proxied.arun(ask_all([exists("warm")]))
        before = proxy.turns
        await waiting(it)
        return proxy.turns - before

    assert asyncio.run(work()) == trips


def test_reads_asked_at_once_travel_together(proxied: Connection, proxy: Proxy):
    stock()

    async def work() -> int:
        await Wine.query.async_count()
        before = proxy.turns
        rows = await asyncio.gather(*(Wine.query.async_get(name=str(number)) for number in range(100)))
        assert [row.name for row in rows] == [str(number) for number in range(100)]  # type: ignore[union-attr]
        return proxy.turns - before

    assert asyncio.run(work()) <= 2


def test_a_forgotten_script_costs_one_more_trip(proxied: Connection, proxy: Proxy, plain: Any):
    stock()
    plain.script_flush()
    before = proxy.turns
    Wine.create(**new())
    assert proxy.turns - before == 2
    assert b"Wine:new" in keyspace(plain)
