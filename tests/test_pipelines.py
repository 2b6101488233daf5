"""Operations wait in a caller's pipeline, and what becomes of them is known when it is executed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio
import valkey
import valkey.asyncio
from stored import keyspace, stray_entries

from popoto import (
    Field,
    IndexedField,
    KeyField,
    KeyMutationError,
    Model,
    ModelException,
    Pipeline,
    SortedField,
    StaleObjectError,
    UniqueField,
    round_trips,
)
from popoto.storage import Connection


class Item(Model):
    name = KeyField()
    kind = IndexedField()
    code = UniqueField()
    rank = SortedField(default=0.0)
    text = Field()


PIPES: dict[str, Callable[[Connection], Any]] = {
    "popoto": lambda store: store.pipeline(),
    "client": lambda store: store.native.pipeline(),
    "client-plain": lambda store: store.native.pipeline(transaction=False),
}


@pytest.fixture(params=PIPES)
def pipe(request: pytest.FixtureRequest, store: Connection) -> Any:
    """A pipeline of each kind."""
    made = PIPES[request.param](store)
    yield made
    made.reset()


def make(name: str, **more: Any) -> Item:
    return Item(**({"name": name, "kind": "k", "code": name} | more))


def test_nothing_happens_before_execute(store: Connection, plain: Any, pipe: Any):
    one = make("a")
    assert one.save(pipeline=pipe) is pipe
    assert Item.create(pipeline=pipe, name="b", code="b") is pipe
    assert keyspace(plain) == {}
    assert one._redis_key is None
    assert pipe.execute() == [5, 5]
    assert one._redis_key == "Item:a"
    assert Item.query.count() == 2
    assert stray_entries(plain, Item) == []


def test_saves_and_deletes_wait_in_order(store: Connection, plain: Any, pipe: Any):
    one = Item.create(name="a", code="a", kind="x")
    one.kind = "y"
    one.save(pipeline=pipe)
    one.delete(pipeline=pipe)
    Item.create(pipeline=pipe, name="c", code="a")
    assert pipe.execute() == [0, True, 5]
    assert {key for key in keyspace(plain) if key.startswith(b"Item:")} == {b"Item:c"}
    assert stray_entries(plain, Item) == []


def test_a_dropped_pipeline_does_no_harm(store: Connection, plain: Any, pipe: Any):
    stored, fresh = Item.create(name="a", code="a", kind="x"), make("b")
    before = keyspace(plain)
    stored.kind = "y"
    stored.save(pipeline=pipe)
    fresh.save(pipeline=pipe)
    pipe.reset()
    assert keyspace(plain) == before
    stored.save()
    fresh.save()
    assert plain.hget("Item:a", "kind") == b"\xa1y"
    assert stray_entries(plain, Item) == []


def test_a_dropped_delete_does_no_harm(store: Connection, plain: Any, pipe: Any):
    stored = Item.create(name="a", code="a")
    stored.delete(pipeline=pipe)
    pipe.reset()
    stored.kind = "y"
    assert stored.save() == 0
    assert stray_entries(plain, Item) == []


def test_a_dropped_rename_does_no_harm(store: Connection, plain: Any, pipe: Any):
    stored = Item.create(name="a", code="a")
    stored.name = "b"
    with pytest.raises(KeyMutationError):
        stored.save(pipeline=pipe)
    stored.save(pipeline=pipe, migrate_key=True)
    pipe.reset()
    assert stored.pk == "Item:a"
    stored.save(migrate_key=True)
    assert {key for key in keyspace(plain) if key.startswith(b"Item:")} == {b"Item:b"}
    assert stray_entries(plain, Item) == []


def test_bad_values_are_refused_at_once(store: Connection, plain: Any, pipe: Any):
    with pytest.raises(ModelException, match=r"Item\.rank"):
        make("a", rank=float("nan")).save(pipeline=pipe)
    assert make("b").save(pipeline=pipe) is pipe
    pipe.execute()
    assert {key for key in keyspace(plain) if key.startswith(b"Item:")} == {b"Item:b"}


def refusals(pipe: Any) -> tuple[type[Exception], ...]:
    """What a refusal is: the model's own error in our pipeline, the client's with the script's code in its own."""
    return (ModelException,) if isinstance(pipe, Pipeline) else (redis.ResponseError, valkey.ResponseError)


def test_a_refusal_in_a_pipeline_is_raised_after_all_has_run(store: Connection, plain: Any, pipe: Any):
    Item.create(name="a", code="x")
    make("b", code="x").save(pipeline=pipe)
    make("c").save(pipeline=pipe)
    with pytest.raises(refusals(pipe), match=r"Item\.code = 'x' is taken|UNIQ code"):
        pipe.execute()
    assert {key for key in keyspace(plain) if key.startswith(b"Item:")} == {b"Item:a", b"Item:c"}
    assert stray_entries(plain, Item) == []


def test_errors_can_be_returned_in_place(store: Connection, plain: Any, pipe: Any):
    Item.create(name="a", code="x")
    lost = Item.load("Item:a")
    assert lost is not None
    make("b", code="x").save(pipeline=pipe)
    lost.delete(pipeline=pipe)
    lost.text = "t"
    lost.save(pipeline=pipe)
    make("d").save(pipeline=pipe)
    taken, deleted, gone, made = pipe.execute(raise_on_error=False)
    assert (deleted, made) == (True, 5)
    assert isinstance(taken, refusals(pipe)) and isinstance(gone, refusals(pipe))
    assert isinstance(gone, StaleObjectError) or "GONE Item:a" in str(gone)
    assert {key for key in keyspace(plain) if key.startswith(b"Item:")} == {b"Item:d"}
    assert stray_entries(plain, Item) == []


def test_two_of_one_unique_value_in_one_pipeline(store: Connection, plain: Any, pipe: Any):
    make("a", code="x").save(pipeline=pipe)
    make("b", code="x").save(pipeline=pipe)
    first, second = pipe.execute(raise_on_error=False)
    assert first == 5 and isinstance(second, refusals(pipe))
    assert stray_entries(plain, Item) == []


def test_a_pipeline_may_be_used_again(store: Connection, plain: Any, pipe: Any):
    for round_number in range(3):
        for number in range(3):
            make(f"{round_number}{number}").save(pipeline=pipe)
        assert pipe.execute() == [5, 5, 5]
    assert Item.query.count() == 9


def test_partial_saves_wait_too(store: Connection, plain: Any, pipe: Any):
    made = Item.create(name="a", code="a", kind="x")
    made.kind, made.text = "y", "t"
    made.save(pipeline=pipe, update_fields=["kind"])
    assert made.save(pipeline=pipe, update_fields=[]) is pipe
    pipe.execute()
    assert plain.hmget("Item:a", "kind", "text") == [b"\xa1y", b"\xc0"]
    made.save()
    assert plain.hget("Item:a", "text") == b"\xa1t"


def test_a_clients_own_commands_keep_their_replies(store: Connection, plain: Any):
    pipe = store.native.pipeline()
    pipe.set("own", "1")
    make("a").save(pipeline=pipe)
    pipe.get("own")
    pipe.hgetall("Item:a")
    pipe.eval("return 7", 0)
    replies = pipe.execute()
    assert replies[:3] == [True, 5, b"1"] and replies[4] == 7
    assert replies[3][b"name"] == b"\xa1a"


def test_our_pipeline_takes_one_round_trip(store: Connection, plain: Any):
    with round_trips() as trips:
        pipe = store.pipeline()
        for number in range(50):
            Item.create(pipeline=pipe, name=str(number), code=str(number))
        assert trips == 0
        assert pipe.execute() == [5] * 50
    assert trips == 1


def test_an_instance_saved_after_a_failed_pipeline_is_still_new(store: Connection, plain: Any, pipe: Any):
    Item.create(name="a", code="x")
    bad = make("b", code="x")
    bad.save(pipeline=pipe)
    with pytest.raises(refusals(pipe)):
        pipe.execute()
    assert bad._redis_key is None
    bad.name, bad.code = "c", "y"
    assert bad.save() == 5
    assert stray_entries(plain, Item) == []


def test_a_script_flush_between_is_survived(store: Connection, plain: Any, pipe: Any):
    Item.create(name="z", code="z")
    make("a").save(pipeline=pipe)
    store.native.script_flush()
    make("b").save(pipeline=pipe)
    assert pipe.execute() == [5, 5]
    assert stray_entries(plain, Item) == []


ASYNC_CLIENTS: dict[str, Callable[[Connection], Any]] = {
    "redis": lambda store: redis.asyncio.Redis(host=store.url.hosts[0][0], port=store.url.hosts[0][1] or 6379),
    "valkey": lambda store: valkey.asyncio.Valkey(host=store.url.hosts[0][0], port=store.url.hosts[0][1] or 6379),
}
BLOCKING_CLIENTS: dict[str, Callable[[Connection], Any]] = {
    "redis": lambda store: redis.Redis(host=store.url.hosts[0][0], port=store.url.hosts[0][1] or 6379),
    "valkey": lambda store: valkey.Valkey(host=store.url.hosts[0][0], port=store.url.hosts[0][1] or 6379),
}


@pytest.mark.parametrize("client", BLOCKING_CLIENTS)
@pytest.mark.parametrize("transaction", [True, False])
def test_any_clients_pipeline_is_taken(server: Connection, plain: Any, client: str, transaction: bool):
    with BLOCKING_CLIENTS[client](server) as own:
        pipe = own.pipeline(transaction=transaction)
        made = make("a")
        made.save(pipeline=pipe)
        make("b", code="a").save(pipeline=pipe)
        pipe.get("x")
        first, second, third = pipe.execute(raise_on_error=False)
        assert (first, isinstance(second, refusals(pipe)), third) == (5, True, None)
        made.delete(pipeline=pipe)
        assert pipe.execute() == [True]
        pipe.reset()
    assert keyspace(plain) == {}


@pytest.mark.parametrize("client", ASYNC_CLIENTS)
@pytest.mark.parametrize("transaction", [True, False])
def test_any_clients_asyncio_pipeline_is_taken(server: Connection, plain: Any, client: str, transaction: bool):
    async def work() -> None:
        own = ASYNC_CLIENTS[client](server)
        try:
            pipe = own.pipeline(transaction=transaction)
            made = make("a")
            assert await made.async_save(pipeline=pipe) is pipe
            await Item.async_create(pipeline=pipe, name="b", code="a")
            assert made._redis_key is None
            first, second = await pipe.execute(raise_on_error=False)
            assert (first, isinstance(second, refusals(pipe)), made._redis_key) == (5, True, "Item:a")
            await made.async_delete(pipeline=pipe)
            assert await pipe.execute() == [True]
            await make("c").async_save(pipeline=pipe)
            await pipe.reset()
        finally:
            await own.aclose()

    asyncio.run(work())
    assert keyspace(plain) == {}


def test_our_pipeline_under_asyncio(store: Connection, plain: Any):
    async def work() -> list[Any]:
        pipe = store.pipeline()
        await Item.async_create(pipeline=pipe, name="a", code="x")
        await make("b", code="x").async_save(pipeline=pipe)
        await make("c").async_save(pipeline=pipe)
        return await pipe.async_execute(raise_on_error=False)

    first, second, third = asyncio.run(work())
    assert (first, type(second), third) == (5, ModelException, 5)
    assert stray_entries(plain, Item) == []
