"""Event streams: an entry with each save and delete, in the same step; consumers that lose nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from decimal import Decimal
from typing import Any

import pytest

import popoto
from popoto import (
    DecimalField,
    EventStreamMixin,
    Field,
    FloatField,
    IndexedField,
    IntField,
    KeyField,
    Model,
    ModelException,
    StaleObjectError,
    StreamConsumer,
    StringField,
)
from popoto.exceptions import WrongType
from popoto.storage import Connection, round_trips

STREAM = "stream:mutations"


class Order(EventStreamMixin, Model):
    _stream_metadata_fields = ("total",)

    name = KeyField()
    total = IntField()
    code = IndexedField(unique=True, null=True)


class Visit(EventStreamMixin, Model):
    _stream_name = "visits"
    _stream_partition_field = "site"
    _stream_max_length = None

    name = KeyField()
    site = StringField()


def events(plain: Any, stream: str = STREAM) -> list[tuple[str, str]]:
    return [(fields[b"op"].decode(), fields[b"pk"].decode()) for _, fields in plain.xrange(stream)]


# The mixin


def test_an_entry_says_what_happened(store: Connection, plain: Any) -> None:
    before = time.time()
    Order.create(name="a", total=3)
    (_, fields), *more = plain.xrange(STREAM)
    at = float(fields.pop(b"ts"))
    assert (before <= at <= time.time(), more) == (True, [])
    assert fields == {
        b"model": b"Order", b"pk": b"Order:a", b"op": b"create", b"changed_fields": b"", b"total": b"3"
    }  # fmt: skip


def test_the_entry_takes_no_round_trip_of_its_own(store: Connection, plain: Any) -> None:
    assert store.info
    with round_trips() as trips:
        order = Order.create(name="a")
        order.total = 1
        order.save()
        order.delete()
    assert ([op for op, _ in events(plain)], trips) == (["create", "update", "delete"], 3)


def test_a_loaded_row_that_is_saved_is_an_update(store: Connection, plain: Any) -> None:
    # D49
    Order.create(name="a", total=1)
    for total in range(3):
        order = Order.load(name="a")
        assert order is not None
        order.total = total
        order.save(update_fields=["total"])
    Order.create(name="a", total=9)
    assert [op for op, _ in events(plain)] == ["create", "update", "update", "update", "update"]
    assert [fields[b"changed_fields"] for _, fields in plain.xrange(STREAM)] == [b"", b"total", b"total", b"total", b""]


def test_a_renamed_row_goes_by_its_new_key(store: Connection, plain: Any) -> None:
    order = Order.create(name="a")
    order.name = "b"
    order.save(migrate_key=True)
    assert events(plain) == [("create", "Order:a"), ("update", "Order:b")]


def test_a_refused_save_leaves_no_entry(store: Connection, plain: Any) -> None:
    Order.create(name="a", code="x")
    with pytest.raises(ModelException):
        Order.create(name="b", code="x")
    assert Order(name="none").delete() is False
    assert events(plain) == [("create", "Order:a")]


def test_a_failing_entry_leaves_no_save(store: Connection, plain: Any) -> None:
    # D49: the failure was swallowed, and the row was there without its entry.
    order = Order.create(name="a", total=1)
    plain.delete(STREAM)
    plain.set(STREAM, "no stream")
    order.total = 2
    for refused in (lambda: Order.create(name="b"), order.save, order.delete):
        with pytest.raises(WrongType):
            refused()
    assert (plain.exists("Order:a"), plain.exists("Order:b"), plain.hget("Order:a", "total")) == (1, 0, b"\x01")


def test_pipelines_bulk_work_and_get_or_create_write_entries(store: Connection, plain: Any) -> None:
    for name, pipeline in (("a", store.pipeline()), ("b", plain.pipeline())):
        Order.create(name=name, pipeline=pipeline)
        assert ("create", f"Order:{name}") not in events(plain)
        pipeline.execute()
    Order.bulk_create([Order(name="c"), Order(name="d")])
    Order.get_or_create(name="e")
    asyncio.run(Order.async_create(name="f"))
    assert events(plain) == [("create", f"Order:{name}") for name in "abcdef"]


def test_a_partition_has_a_stream_of_its_own(store: Connection, plain: Any) -> None:
    assert Visit(name="a", site="x:1").stream_key() == "stream:visits:x:1"
    Visit.create(name="a", site="x:1")
    Visit.create(name="b")
    assert events(plain, "stream:visits:x:1") == [("create", "Visit:a")]
    assert events(plain, "stream:visits") == [("create", "Visit:b")]


def test_a_stream_is_trimmed(store: Connection, plain: Any) -> None:
    class Short(EventStreamMixin, Model):
        _stream_max_length = 100
        name = KeyField()

    Short.bulk_create([Short(name=str(number)) for number in range(400)])
    assert 100 <= plain.xlen(STREAM) < 400


@pytest.mark.parametrize("wrong", [{"_stream_name": ""}, {"_stream_partition_field": "nmae"}])
def test_a_stream_without_name_or_field_is_refused(fake: Connection, wrong: dict[str, str]) -> None:
    made = type("Wrong", (EventStreamMixin, Model), {"name": KeyField(), **wrong})
    with pytest.raises(ModelException, match="Wrong"):
        made.create(name="a")
    assert made.query.count() == 0


def test_an_entry_lies_in_the_namespace(server: Connection, plain: Any) -> None:
    with popoto.using(f"{server.url.raw}?namespace=alpha"):
        Order.create(name="a")
        assert events(plain, f"alpha:{STREAM}") == [("create", "Order:a")]
        seen: list[Any] = []
        assert consumer(seen.append).process_batch_sync() == 1
        assert seen[0][0][1]["pk"] == "Order:a"


# The consumer


def consumer(handler: Any, **words: Any) -> StreamConsumer:
    return StreamConsumer(STREAM, "group", "one", handler, **{"block_ms": 0, **words})


def test_dead_letters_of_a_cluster_keep_the_slot_of_their_stream() -> None:
    keys = ("stream:mutations", "{Order}stream:mutations", "odd}stream")
    found = [StreamConsumer(key, "group", "one", print).dead_letter_key for key in keys]
    assert found == ["dead:stream:mutations", "{Order}dead:stream:mutations", "dead:odd}stream"]


def test_a_batch_is_handed_over_and_acknowledged(store: Connection, plain: Any) -> None:
    entry = plain.xadd(STREAM, {"n": "1"}).decode()
    seen: list[Any] = []
    one = consumer(seen.append)
    assert (one.process_batch_sync(), one.process_batch_sync()) == (1, 0)
    assert (seen, plain.xpending(STREAM, "group")["pending"]) == ([[(entry, {"n": "1"})]], 0)


def test_an_async_handler_and_a_plain_one_are_taken(store: Connection, plain: Any) -> None:
    seen: list[Any] = []

    async def handle(entries: Any) -> None:
        await asyncio.sleep(0)
        seen.append(len(entries))

    def plainly(entries: Any) -> None:
        # In a thread of its own: blocking calls of popoto are fine here.
        seen.append((len(entries), Order.query.count()))

    async def work() -> None:
        for handler in (handle, plainly):
            plain.xadd(STREAM, {"n": "1"})
            await consumer(handler).process_batch()

    asyncio.run(work())
    assert seen == [1, (1, 0)]


def test_bytes_that_are_no_text_are_handed_over(store: Connection, plain: Any) -> None:
    plain.xadd(STREAM, {b"\xff": b"\xfe\x00"})
    seen: list[Any] = []
    consumer(seen.append).process_batch_sync()
    assert {name.encode("utf-8", "surrogateescape") for name in seen[0][0][1]} == {b"\xff"}


def test_d50_a_failed_entry_is_tried_again_alone_and_then_given_up(store: Connection, plain: Any) -> None:
    # D50
    bad, good = plain.xadd(STREAM, {"n": "bad"}), plain.xadd(STREAM, {"n": "good"})
    seen: list[list[str]] = []

    def handle(entries: Any) -> None:
        seen.append([fields["n"] for _, fields in entries])
        if "bad" in seen[-1]:
            raise ValueError("no good")

    one = consumer(handle, claim_timeout_ms=0, max_retries=2)
    for _ in range(3):
        with pytest.raises(ValueError, match="no good"):
            one.process_batch_sync()
    assert (seen, plain.xlen(f"dead:{STREAM}")) == ([["bad", "good"], ["bad"], ["good"], ["bad"]], 0)
    assert one.process_batch_sync() == 1
    ((_, letter),) = plain.xrange(f"dead:{STREAM}")
    assert float(letter.pop(b"dead_letter_ts")) > 0
    assert letter == {
        b"n": b"bad",
        b"original_stream": STREAM.encode(),
        b"original_id": bad,
        b"failure_count": b"3",
        b"last_error": b"ValueError: no good",
    }
    assert (plain.xpending(STREAM, "group")["pending"], good in dict(plain.xrange(STREAM))) == (0, True)


def test_what_a_dead_consumer_left_is_taken_over(store: Connection, plain: Any) -> None:
    plain.xadd(STREAM, {"n": "1"})
    plain.xgroup_create(STREAM, "group", "0")
    plain.xreadgroup("group", "gone", {STREAM: ">"})
    seen: list[Any] = []
    assert consumer(seen.append, claim_timeout_ms=60_000).process_batch_sync() == 0
    assert consumer(seen.append, claim_timeout_ms=0).process_batch_sync() == 1
    assert [fields for _, fields in seen[0]] == [{"n": "1"}]


def test_a_pending_entry_that_was_trimmed_is_forgotten(store: Connection, plain: Any) -> None:
    entry = plain.xadd(STREAM, {"n": "1"})
    plain.xgroup_create(STREAM, "group", "0")
    plain.xreadgroup("group", "gone", {STREAM: ">"})
    plain.xdel(STREAM, entry)
    assert consumer(print, claim_timeout_ms=0).process_batch_sync() == 0
    assert plain.xpending(STREAM, "group")["pending"] == 0


def test_a_deleted_stream_and_its_group_are_made_anew(store: Connection, plain: Any) -> None:
    seen: list[Any] = []

    async def work() -> None:
        one = consumer(seen.append)
        await one.process_batch()
        plain.delete(STREAM)
        assert await one.process_batch() == 0
        plain.xadd(STREAM, {"n": "1"})
        assert await one.process_batch() == 1

    asyncio.run(work())
    assert len(seen) == 1


def test_d50_waiting_longer_than_the_socket_timeout_is_no_error(server: Connection, plain: Any) -> None:
    # D50: with block_ms equal to the timeout an idle consumer failed.
    with popoto.using(f"{server.url.raw}?timeout=0.5"):
        before = time.monotonic()
        assert consumer(print, block_ms=1000).process_batch_sync() == 0
        assert 1 <= time.monotonic() - before < 20


def test_a_waiting_consumer_holds_up_no_one(server: Connection) -> None:
    async def work() -> float:
        waiting = asyncio.create_task(consumer(print, block_ms=20_000).process_batch())
        await asyncio.sleep(0.05)
        before = time.monotonic()
        await Order.async_create(name="a")
        took = time.monotonic() - before
        assert await waiting == 1
        return took

    assert asyncio.run(work()) < 10


def test_run_goes_on_after_errors_until_it_is_stopped(
    store: Connection, plain: Any, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []

    async def no_wait(seconds: float) -> None:
        await asyncio.sleep(0)

    def handle(entries: Any) -> None:
        seen.append(entries)
        if len(seen) == 1:
            raise ValueError("once")
        one.stop()

    one = consumer(handle, claim_timeout_ms=0)
    one._wait = no_wait  # type: ignore[method-assign]
    plain.xadd(STREAM, {"n": "1"})
    thread = threading.Thread(target=one.run_sync)
    thread.start()
    thread.join(10)
    assert (thread.is_alive(), len(seen), len(caplog.messages)) == (False, 2, 1)


def test_a_blocking_call_in_an_event_loop_says_what_to_write(fake: Connection) -> None:
    async def work() -> None:
        for verb, twin in (("process_batch_sync", "process_batch"), ("run_sync", "run")):
            with pytest.raises(RuntimeError, match=rf"await {twin}\(\)"):
                getattr(consumer(print), verb)()

    asyncio.run(work())


# Increments


class Gauge(EventStreamMixin, Model):
    _stream_metadata_fields = ("level", "share", "money", "note")

    name = KeyField()
    level = IntField(default=0)
    share = FloatField(default=0.0)
    money = DecimalField(default=Decimal("1.10"))
    note = Field()
    version = IntField(default=0)

    class Meta:
        version_field = "version"


@pytest.mark.parametrize(
    ("field", "steps", "wanted"),
    [
        ("level", [5, -7], ["5", "-2"]),
        ("level", [2**60, 1], [str(2**60), str(2**60 + 1)]),
        ("share", [0.5, -3.75], ["0.5", "-3.25"]),
        ("share", [1e22], ["1e+22"]),
        ("money", [Decimal("0.20"), Decimal("-2")], ["1.3", "-0.7"]),
    ],
)
def test_an_increment_writes_an_entry_with_the_sum(
    store: Connection, plain: Any, field: str, steps: list[Any], wanted: list[str]
) -> None:
    row = Gauge.create(name="a", note="x")
    with round_trips() as trips:
        for step in steps:
            row.atomic_increment(field, step)
    entries = [fields for _, fields in plain.xrange(STREAM)][1:]
    assert [(entry[b"op"], entry[b"changed_fields"]) for entry in entries] == [(b"update", field.encode())] * len(steps)
    assert [entry[field.encode()].decode() for entry in entries] == wanted
    assert [entry[b"note"] for entry in entries] == [b"x"] * len(steps)
    assert trips == len(steps)


def test_increments_by_others_and_in_pipelines_tell_their_own_sums(store: Connection, plain: Any) -> None:
    mine = Gauge.create(name="a")
    theirs = Gauge.load(name="a")
    assert theirs is not None
    mine.atomic_increment("level", 2)
    asyncio.run(theirs.async_atomic_increment("level", 3))
    for pipeline in (store.pipeline(), plain.pipeline()):
        mine.atomic_increment("level", 10, pipeline=pipeline)
        theirs.atomic_increment("level", 10, pipeline=pipeline)
        pipeline.execute()
    # Decimals are computed here, and anew when another has come first.
    mine.atomic_increment("money", Decimal(1))
    theirs.atomic_increment("money", Decimal(1))
    entries = [fields for _, fields in plain.xrange(STREAM)][1:]
    assert [entry[b"level"] for entry in entries[:6]] == [b"2", b"5", b"15", b"25", b"35", b"45"]
    assert [entry[b"money"] for entry in entries[6:]] == [b"2.1", b"3.1"]


def test_a_refused_increment_leaves_no_entry(store: Connection, plain: Any) -> None:
    row = Gauge.create(name="a")
    Gauge.query.delete()
    before = plain.xlen(STREAM)
    with pytest.raises(StaleObjectError):
        row.atomic_increment("level", 1)
    plain.delete(STREAM)
    plain.set(STREAM, "no stream")
    assert before == 2
    plain.hset("Gauge:a", mapping={"name": b"\xa1a", "level": b"\x01"})
    with pytest.raises(WrongType):
        row.atomic_increment("level", 1)
    assert plain.hget("Gauge:a", "level") == b"\x01"
