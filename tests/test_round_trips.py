"""One table: what each verb costs in round trips, counted by the drivers and at the socket."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from proxy import Proxy
from stored import keyspace, stray_entries

from popoto import (
    BM25Field,
    ExistenceFilter,
    Field,
    FrequencySketch,
    IndexedField,
    KeyField,
    Model,
    ModelException,
    SortedField,
    UniqueField,
    connection,
    round_trips,
)
from popoto.storage import Connection, ask_all
from popoto.storage.commands.keys import exists


class Wine(Model):
    name = KeyField()
    grape = IndexedField()
    code = UniqueField()
    price = SortedField(type=int, default=0)
    stock = SortedField(type=int, default=0, partition_by="grape")


class Tasting(Model):
    name = KeyField()
    text = Field()
    words = BM25Field(source="text")
    bloom = ExistenceFilter(fingerprint_fn=lambda tasting: tasting.text)
    seen = FrequencySketch(fingerprint_fn=lambda tasting: tasting.text)


def tasted(verb: Callable[[], Any]) -> Any:
    """Two tastings, and the verb's script known to the server."""
    rows = [Tasting.create(name=name, text=f"red fruit {name}") for name in "ab"]
    verb()
    rows[0].text = "white"
    return rows[0]


def new(**more: Any) -> dict[str, Any]:
    return {"name": "new", "grape": "merlot", "code": "new"} | more


def loaded() -> Any:
    return Wine.load("Wine:1")


def changed(**values: Any) -> Any:
    found = loaded()
    for name, value in values.items():
        setattr(found, name, value)
    return found


def refused(save: Callable[[], Any]) -> Callable[[], Any]:
    def work() -> Any:
        if not inspect.iscoroutinefunction(save):
            with pytest.raises(ModelException, match="is taken"):
                save()
        return None

    return work


async def arefused(waiting: Any) -> None:
    with pytest.raises(ModelException, match="is taken"):
        await waiting


def piped(store: Connection) -> Any:
    pipe = store.pipeline()
    for number in range(20):
        Wine.create(pipeline=pipe, **new(name=f"p{number}", code=f"p{number}"))
    return pipe


# Of each verb: what is made ready first, the blocking form, the asyncio form, and the trips of either.
TABLE: dict[str, tuple[Callable[[Connection], Any], Callable[[Any], Any], Callable[[Any], Any], int]] = {
    "make": (lambda store: None, lambda it: Wine(**new()), lambda it: asyncio.sleep(0), 0),
    "create": (lambda store: None, lambda it: Wine.create(**new()), lambda it: Wine.async_create(**new()), 1),
    "replace": (
        lambda store: None,
        lambda it: Wine.create(**new(name="1", code="1")),
        lambda it: Wine.async_create(**new(name="1", code="1")),
        1,
    ),
    "save": (lambda store: Wine(**new()), lambda it: it.save(), lambda it: it.async_save(), 1),
    "save changes": (
        lambda store: changed(grape="syrah", price=5000, code="c"),
        lambda it: it.save(),
        lambda it: it.async_save(),
        1,
    ),
    "partial save": (
        lambda store: changed(grape="syrah", price=5000),
        lambda it: it.save(update_fields=["grape", "price"]),
        lambda it: it.async_save(update_fields=["grape", "price"]),
        1,
    ),
    "partial save of nothing": (
        lambda store: loaded(),
        lambda it: it.save(update_fields=[]),
        lambda it: it.async_save(update_fields=[]),
        0,
    ),
    "key migration": (
        lambda store: changed(name="moved"),
        lambda it: it.save(migrate_key=True),
        lambda it: it.async_save(migrate_key=True),
        1,
    ),
    "delete": (lambda store: loaded(), lambda it: it.delete(), lambda it: it.async_delete(), 1),
    "unique violation": (
        lambda store: Wine(**new(code="2")),
        lambda it: refused(it.save)(),
        lambda it: arefused(it.async_save()),
        1,
    ),
    "get by key": (
        lambda store: None,
        lambda it: Wine.query.get(name="7"),
        lambda it: Wine.query.async_get(name="7"),
        1,
    ),
    "get by stored key": (lambda store: None, lambda it: Wine.load("Wine:7"), lambda it: Wine.async_load("Wine:7"), 1),
    "get by unique value": (
        lambda store: None,
        lambda it: Wine.query.get(code="7"),
        lambda it: Wine.query.async_get(code="7"),
        1,
    ),
    "get what is missing": (
        lambda store: None,
        lambda it: Wine.query.get(name="x"),
        lambda it: Wine.query.async_get(name="x"),
        1,
    ),
    "get_many of 100": (
        lambda store: [f"Wine:{number}" for number in range(100)],
        lambda it: Wine.query.get_many(it),
        lambda it: Wine.query.async_get_many(it),
        1,
    ),
    "filter on one field": (
        lambda store: None,
        lambda it: Wine.query.filter(grape="merlot").all(),
        lambda it: Wine.query.async_filter(grape="merlot"),
        1,
    ),
    "filter on two fields, 100 matches": (
        lambda store: None,
        lambda it: assert_hundred(Wine.query.filter(grape="merlot", price__gte=0).all()),
        lambda it: hundred(Wine.query.async_filter(grape="merlot", price__gte=0)),
        1,
    ),
    "filter on a partition": (
        lambda store: None,
        lambda it: Wine.query.filter(grape="merlot", stock__gt=3).all(),
        lambda it: Wine.query.async_filter(grape="merlot", stock__gt=3),
        1,
    ),
    "order and limit": (
        lambda store: None,
        lambda it: Wine.query.filter(grape="merlot", order_by="-price", limit=10).all(),
        lambda it: Wine.query.async_filter(grape="merlot", order_by="-price", limit=10),
        1,
    ),
    "all": (lambda store: None, lambda it: Wine.query.all(), lambda it: Wine.query.async_all(), 1),
    "first": (lambda store: None, lambda it: Wine.query.first(), lambda it: Wine.query.async_first(), 1),
    "count": (lambda store: None, lambda it: Wine.query.count(), lambda it: Wine.query.async_count(), 1),
    "count on two fields": (
        lambda store: None,
        lambda it: Wine.query.count(grape="merlot", price__gte=0),
        lambda it: Wine.query.async_count(grape="merlot", price__gte=0),
        1,
    ),
    "exists": (
        lambda store: None,
        lambda it: Wine.query.exists(grape="merlot"),
        lambda it: Wine.query.async_exists(grape="merlot"),
        1,
    ),
    "keys": (lambda store: None, lambda it: Wine.query.keys(), lambda it: Wine.query.async_keys(), 1),
    "a pipeline of 20": (piped, lambda it: it.execute(), lambda it: it.async_execute(), 1),
    "len, index and list of one query": (
        lambda store: Wine.query.filter(grape="merlot"),
        lambda it: (len(it), it[0], list(it), bool(it)),
        lambda it: it._awaited(),
        1,
    ),
    "save of an indexed text": (
        lambda store: tasted(lambda: None),
        lambda it: it.save(),
        lambda it: it.async_save(),
        1,
    ),
    "keyword search": (
        lambda store: tasted(lambda: Tasting.query.keyword_search("fruit")),
        lambda it: Tasting.query.filter(name__in=["a"]).keyword_search("fruit"),
        lambda it: Tasting.query.filter(name__in=["a"]).async_keyword_search("fruit"),
        1,
    ),
    "search": (
        lambda store: tasted(lambda: BM25Field.search(Tasting, "words", "fruit")),
        lambda it: BM25Field.search(Tasting, "words", "fruit"),
        lambda it: BM25Field.async_search(Tasting, "words", "fruit"),
        1,
    ),
    "idf of two words": (
        lambda store: tasted(lambda: None),
        lambda it: BM25Field.get_idf(Tasting, "words", ["red", "x"]),
        lambda it: BM25Field.async_get_idf(Tasting, "words", ["red", "x"]),
        1,
    ),
    "fuse": (
        lambda store: tasted(lambda: None),
        lambda it: Tasting.query.fuse(words=["Tasting:a"], others=["Tasting:b"]),
        lambda it: Tasting.query.async_fuse(words=["Tasting:a"], others=["Tasting:b"]),
        1,
    ),
    "might_exist_batch": (
        lambda store: tasted(lambda: Tasting.bloom.might_exist(Tasting, "x")),
        lambda it: Tasting.bloom.might_exist_batch(Tasting, ["red", "x"]),
        lambda it: Tasting.bloom.async_might_exist_batch(Tasting, ["red", "x"]),
        1,
    ),
    "get_frequency": (
        lambda store: tasted(lambda: None),
        lambda it: Tasting.seen.get_frequency(Tasting, "red fruit"),
        lambda it: Tasting.seen.async_get_frequency(Tasting, "red fruit"),
        1,
    ),
}


def assert_hundred(rows: list[Any]) -> None:
    assert len(rows) == 100


async def hundred(waiting: Any) -> None:
    assert_hundred(await waiting)


def stock() -> None:
    """A hundred wines, and every script known to the server."""
    pipe = connection().pipeline()
    for number in range(100):
        Wine.create(pipeline=pipe, name=str(number), grape="merlot", code=str(number), price=number, stock=number)
    pipe.execute()


@pytest.mark.parametrize("verb", TABLE)
def test_each_verb_takes_its_round_trips(store: Connection, plain: Any, verb: str):
    ready, blocking, _, trips = TABLE[verb]
    stock()
    it = ready(store)
    with round_trips() as counted:
        blocking(it)
    assert counted == trips
    assert stray_entries(plain, Wine) == []


@pytest.mark.parametrize("verb", TABLE)
def test_each_async_verb_takes_the_same(store: Connection, plain: Any, verb: str):
    ready, _, waiting, trips = TABLE[verb]
    stock()
    it = ready(store)

    async def work() -> int:
        with round_trips() as counted:
            await waiting(it)
        return int(counted)

    assert asyncio.run(work()) == trips
    assert stray_entries(plain, Wine) == []


@pytest.mark.parametrize("verb", TABLE)
def test_each_verb_takes_them_at_the_socket_too(proxied: Connection, proxy: Proxy, plain: Any, verb: str):
    ready, blocking, waiting, trips = TABLE[verb]
    stock()
    it = ready(proxied)
    before = proxy.turns
    blocking(it)
    assert proxy.turns - before == trips
    plain.flushall()
    stock()
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
