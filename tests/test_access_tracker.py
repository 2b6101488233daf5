"""AccessTrackerMixin: reads are staged as rows are loaded, and counted when they are confirmed."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from stored import keyspace

from popoto import AccessTrackerMixin, Field, IntField, KeyField, Model, ModelException, clock, round_trips
from popoto import connection as current
from popoto.fields.access_tracker import mixin
from popoto.storage import Connection


class Memory(AccessTrackerMixin, Model):
    name = KeyField()
    group = Field(indexed=True)
    size = IntField(default=0)


class Few(AccessTrackerMixin, Model):
    _max_access_log = 3
    name = KeyField()


class Untracked(AccessTrackerMixin, Model):
    _track_reads = False
    name = KeyField()


def kept(plain: Any) -> dict[bytes, Any]:
    return {key: value for key, value in keyspace(plain).items() if key.startswith(b"$AT")}


def staged(plain: Any, name: str = "a") -> int:
    return int(plain.llen(f"$AT:Memory:staged:Memory:{name}"))


def test_reads_are_staged_and_confirmed_in_the_form_of_1x(store: Connection, plain: Any) -> None:
    memory = Memory.create(name="a")
    with clock.frozen(lambda: 1700000000.25):
        memory.on_read()
    with clock.frozen(lambda: 1700000001.5):
        memory.on_read()
    moments = [b"1700000000.25", b"1700000001.5"]
    assert kept(plain) == {b"$AT:Memory:staged:Memory:a": moments}
    assert memory.confirm_access() == 2
    assert kept(plain) == {
        b"$AT:Memory:access_log:Memory:a": moments,
        b"$AT:Memory:meta:Memory:a": {b"access_count": b"2", b"last_accessed": b"1700000001.5"},
        b"$AT:Memory:count": {b"Memory:a": 2.0},
    }
    assert (memory.access_count, memory.last_accessed) == (2, 1700000001.5)


def test_every_staged_read_counts_and_the_lists_stay_bounded(store: Connection, plain: Any) -> None:
    few = Few.create(name="a")
    assert (few.access_count, few.last_accessed, few.confirm_access()) == (0, None, 0)
    for _ in range(8):
        few.on_read()
    assert plain.llen("$AT:Few:staged:Few:a") == 3  # D24: the list had no bound
    assert (few.confirm_access(), few.access_count, few.confirm_access()) == (8, 8, 0)
    assert plain.llen("$AT:Few:access_log:Few:a") == 3
    few.on_read()
    assert (few.confirm_access(), few.access_count) == (1, 9)
    for _ in range(5):
        few.on_read()
    few.discard_staged_access()
    assert few.confirm_access() == 0
    few.on_read()
    assert (few.confirm_access(), few.access_count) == (1, 10)


def test_what_1x_has_staged_is_confirmed_whole(store: Connection, plain: Any) -> None:
    few = Few.create(name="a")
    plain.rpush("$AT:Few:staged:Few:a", *[str(number) for number in range(9000)])
    assert (few.confirm_access(), few.access_count, few.last_accessed) == (9000, 9000, 8999.0)
    assert plain.lrange("$AT:Few:access_log:Few:a", 0, -1) == [b"8997", b"8998", b"8999"]


READS: dict[str, Any] = {
    "get": lambda: Memory.query.get(name="a"),
    "get by a value": lambda: Memory.query.get(group="g", name__startswith="a"),
    "get by key": lambda: Memory.query.get(redis_key="Memory:a"),
    "load": lambda: Memory.load(name="a"),
    "get_many": lambda: Memory.query.get_many(["Memory:a", "Memory:none", "Memory:a"]),
    "filter and all": lambda: Memory.query.filter(group="g").all(),
    "all": lambda: Memory.query.all(),  # D24: 1.x did not stage these
    "first": lambda: Memory.query.filter(group="g").order_by("name").first(),
    "last": lambda: Memory.query.filter(name="a").last(),
    "len": lambda: len(Memory.query.filter(group="g")),
    "index": lambda: Memory.query.filter(name="a")[0],
    "iterator": lambda: list(Memory.query.iterator()),
    "iterator, ordered": lambda: list(Memory.query.order_by("name").iterator()),
    "async get": lambda: asyncio.run(once(Memory.query.async_get(name="a"))),
    "async get_many": lambda: asyncio.run(once(Memory.query.async_get_many(["Memory:a"]))),
    "async filter": lambda: asyncio.run(once(Memory.query.async_filter(group="g"))),
    "async load": lambda: asyncio.run(once(Memory.async_load(name="a"))),
}
NO_READS: dict[str, Any] = {
    "count": lambda: Memory.query.filter(group="g").count(),
    "keys": lambda: Memory.query.keys(),
    "values": lambda: list(Memory.query.filter(group="g").values("name")),
    "exists": lambda: Memory.query.exists(group="g"),
    "no_track": lambda: Memory.query.no_track().filter(group="g").all(),
    "no_track after filter": lambda: Memory.query.filter(group="g").no_track().limit(1).all(),
    "no_track get": lambda: Memory.query.no_track().get(name="a"),
    "no_track iterator": lambda: list(Memory.query.no_track().iterator()),
    "update": lambda: Memory.query.filter(name="a").update(size=3),
    "bulk_update": lambda: Memory.bulk_update(Memory.query.filter(name="a"), size=3),
    "async bulk_update": lambda: asyncio.run(once(Memory.async_bulk_update(Memory.query.filter(name="a"), size=3))),
    "get_or_create": lambda: Memory.get_or_create(name="a"),
    "refresh": lambda: Memory.query.no_track().get(name="a").refresh(),  # type: ignore[union-attr]
}


async def once(waiting: Any) -> Any:
    found = await waiting
    await current().aclose()
    return found


@pytest.mark.parametrize("verb", READS)
def test_a_read_is_staged_once(store: Connection, plain: Any, verb: str) -> None:
    Memory.create(name="a", group="g")
    READS[verb]()
    assert staged(plain) == 1


@pytest.mark.parametrize("verb", NO_READS)
def test_what_is_no_read_stages_nothing(store: Connection, plain: Any, verb: str) -> None:
    Memory.create(name="a", group="g")
    NO_READS[verb]()
    assert kept(plain) == {}


def test_an_answer_is_staged_when_it_is_fetched_in_one_further_round_trip(store: Connection, plain: Any) -> None:
    for number in range(100):
        Memory.create(name=str(number), group="g")
    query = Memory.query.filter(group="g")
    with round_trips() as trips:
        assert (len(query), len(list(query)), bool(query)) == (100, 100, True)
    assert trips == 2
    assert [staged(plain, str(number)) for number in range(100)] == [1] * 100
    with round_trips() as trips:
        Memory.query.filter(group="none").all()
        Memory.query.get(name="none")
    assert trips == 2
    assert len(list(Memory.query.limit(5).iterator())) == 5
    assert sum(staged(plain, str(number)) for number in range(100)) == 105


def test_a_class_may_leave_reads_alone(store: Connection, plain: Any) -> None:
    Untracked.create(name="a")
    Untracked.query.all()
    assert kept(plain) == {}
    row = Untracked.query.get(name="a")
    assert row is not None
    row.on_read()
    assert row.confirm_access() == 1


def test_a_row_that_is_not_stored_gets_nothing(store: Connection, plain: Any) -> None:
    memory = Memory(name="a")
    memory.on_read()
    memory.discard_staged_access()
    assert memory.access_count == 0
    with pytest.raises(TypeError, match="is not saved"):
        memory.confirm_access()
    memory.save()
    memory.delete()
    memory.on_read()
    # It was deleted between the answer and the note that it was read.
    noting = Memory._read([memory])
    assert noting is not None
    Memory._run(noting)
    assert keyspace(plain) == {}


def test_staged_reads_expire_with_their_row(store: Connection, plain: Any) -> None:
    Memory.create(name="a", group="g", _ttl=100)
    Memory.query.filter(group="g").all()
    assert 0 < plain.ttl("$AT:Memory:staged:Memory:a") <= 100


def test_reads_follow_a_rename_and_leave_with_the_row(store: Connection, plain: Any) -> None:
    memory = Memory.create(name="a")
    memory.on_read()
    memory.confirm_access()
    memory.on_read()
    memory.name = "b"
    memory.save(migrate_key=True)
    assert memory.access_count == 1  # D16: it restarted at 0
    assert set(kept(plain)) == {
        b"$AT:Memory:staged:Memory:b",
        b"$AT:Memory:access_log:Memory:b",
        b"$AT:Memory:meta:Memory:b",
        b"$AT:Memory:count",
    }
    Memory.create(name="b", group="again")
    assert (memory.confirm_access(), memory.access_count) == (1, 2)
    memory.delete()
    assert keyspace(plain) == {}


def test_reads_leave_with_a_row_that_expires(store: Connection, plain: Any) -> None:
    memory = Memory.create(name="a", _ttl=100)
    memory.on_read()
    memory.confirm_access()
    memory.on_read()
    plain.delete("Memory:a")
    with clock.frozen(lambda: 4e9):
        Memory.create(name="b", _ttl=100)
    assert kept(plain) == {}


def test_care_finds_what_no_row_has_and_brings_counts_of_1x_up_to_date(store: Connection, plain: Any) -> None:
    Memory.create(name="a")
    plain.hset("$AT:Memory:meta:Memory:a", mapping={"access_count": "7", "last_accessed": "1.5"})
    plain.hset("$AT:Memory:meta:Memory:gone", mapping={"access_count": "7"})
    plain.rpush("$AT:Memory:staged:Memory:gone", "1.5")
    assert Memory.check_indexes()["companions"]["AccessTrackerMixin"] == 1
    Memory.rebuild_indexes()
    assert kept(plain) == {
        b"$AT:Memory:meta:Memory:a": {b"access_count": b"7", b"last_accessed": b"1.5"},
        b"$AT:Memory:count": {b"Memory:a": 7.0},
    }


def test_all_of_it_waits_in_a_pipeline(store: Connection, plain: Any) -> None:
    memory = Memory.create(name="a")
    for pipe in (store.pipeline(), plain.pipeline()):
        memory.on_read(pipeline=pipe)
        memory.on_read(pipeline=pipe)
        assert memory.confirm_access(pipeline=pipe) is pipe
        memory.on_read(pipeline=pipe)
        memory.discard_staged_access(pipeline=pipe)
        before = memory.access_count
        assert pipe.execute()[2] == 2
        assert (memory.access_count, staged(plain)) == (before + 2, 0)


def test_a_hidden_read_inside_an_event_loop_says_what_to_write(store: Connection) -> None:
    async def work() -> tuple[int, float | None]:
        memory = await Memory.async_create(name="a")
        for name in ("access_count", "last_accessed"):
            with pytest.raises(ModelException, match=rf"write await obj.async_{name}\(\)"):
                getattr(memory, name)
        await memory.async_on_read()
        await memory.async_on_read()
        await memory.async_confirm_access()
        await memory.async_on_read()
        await memory.async_discard_staged_access()
        found = await memory.async_access_count(), await memory.async_last_accessed()
        await current().aclose()
        return found

    with clock.frozen(lambda: 5.5):
        assert asyncio.run(work()) == (2, 5.5)


@pytest.fixture
def unlogged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixin, "_refusals", set())


def test_a_full_server_does_not_fail_a_read(
    server: Connection, plain: Any, caplog: pytest.LogCaptureFixture, unlogged: None
) -> None:
    Memory.create(name="a", group="g")
    Memory.query.filter(group="g").all()
    plain.config_set("maxmemory", "1")
    try:
        with caplog.at_level(logging.WARNING):
            assert [row.name for row in Memory.query.filter(group="g")] == ["a"]
            assert Memory.load(name="a") == Memory(name="a")
    finally:
        plain.config_set("maxmemory", "0")
    assert [record.getMessage()[:19] for record in caplog.records] == ["reads are not noted"]
    assert staged(plain) == 1


def test_a_read_only_server_does_not_fail_a_read(
    server: Connection, plain: Any, caplog: pytest.LogCaptureFixture, unlogged: None
) -> None:
    Memory.create(name="a", group="g")
    # Its master cannot be reached, so that it keeps its data and refuses writes.
    plain.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                assert [row.name for row in Memory.query.filter(group="g")] == ["a"]  # D55
    finally:
        plain.execute_command("REPLICAOF", "NO", "ONE")
    assert [record.getMessage()[:19] for record in caplog.records] == ["reads are not noted"]
    assert staged(plain) == 0
