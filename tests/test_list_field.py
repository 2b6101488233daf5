"""Capped lists: the newest items in a list of their own, which lives and dies with its row."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from data_of_1x import load
from hypothesis import given, settings
from hypothesis import strategies as some
from stored import keyspace

from popoto import IntField, KeyField, ListField, Model, ModelException, StaleObjectError, clock, round_trips
from popoto.fields.list_field.items import item, item_bytes
from popoto.storage import Connection


class Log(Model):
    name = KeyField()
    items = ListField(max_length=3)
    other = IntField(default=0)


def lists(plain: Any) -> dict[bytes, list[bytes]]:
    return {key: value for key, value in keyspace(plain).items() if isinstance(value, list)}


def test_items_are_kept_behind_the_rows_key_and_not_in_its_hash(store: Connection, plain: Any) -> None:
    with round_trips() as trips:
        Log.create(name="a", items=[1, "x", None])
    assert lists(plain) == {b"Log:a::items": [b"\x01", b"\xa1x", b"\xc0"]}
    assert (plain.hexists("Log:a", "items"), trips) == (False, 1)


def test_a_list_is_cut_to_its_length(store: Connection, plain: Any) -> None:
    log = Log.create(name="a", items=[1, 2, 3, 4, 5])
    assert lists(plain) == {b"Log:a::items": [b"\x01", b"\x02", b"\x03"]}
    assert log.items == [1, 2, 3]


@pytest.mark.parametrize(
    "load",
    [
        lambda: Log.load(name="a"),
        lambda: Log.query.filter(name="a").first(),
        lambda: Log.query.all()[0],
        lambda: Log.query.get_many(["Log:a"])[0],
        lambda: Log.get_or_create(name="a")[0],
        lambda: asyncio.run(Log.query.async_filter(name="a"))[0],
    ],
)
def test_d03_every_way_of_loading_brings_the_list_in_one_trip(store: Connection, plain: Any, load: Any) -> None:
    # A row from filter() had None, and its save deleted the list.
    Log.create(name="a", items=[1, 2])
    with round_trips() as trips:
        log = load()
        assert (log.items, trips) == ([1, 2], 1)
    log.other = 5
    log.save()
    assert lists(plain) == {b"Log:a::items": [b"\x01", b"\x02"]}


def test_a_push_is_one_step_and_keeps_the_newest(store: Connection, plain: Any) -> None:
    log = Log.create(name="a", items=[1, 2, 3])
    other = Log.load(name="a")
    assert other is not None
    with round_trips() as trips:
        assert log.items.push(4) == 3
    assert (lists(plain), trips) == ({b"Log:a::items": [b"\x04", b"\x01", b"\x02"]}, 1)
    other.items.push(5)
    assert lists(plain) == {b"Log:a::items": [b"\x05", b"\x04", b"\x01"]}
    assert log.items == [4, 1, 2]
    log.save()
    assert lists(plain) == {b"Log:a::items": [b"\x05", b"\x04", b"\x01"]}


def test_a_push_waits_in_a_pipeline_and_works_under_asyncio(store: Connection, plain: Any) -> None:
    log = Log.create(name="a")
    pipeline = store.pipeline()
    assert log.items.push(1, pipeline=pipeline) is pipeline
    assert lists(plain) == {}
    pipeline.execute()
    assert asyncio.run(log.items.async_push(2)) == 2
    assert (lists(plain), log.items) == ({b"Log:a::items": [b"\x02", b"\x01"]}, [2, 1])


def test_a_push_to_a_row_that_is_not_stored_is_refused(store: Connection, plain: Any) -> None:
    log = Log(name="a")
    with pytest.raises(StaleObjectError, match="is not stored"):
        log.items.push(1)
    with pytest.raises(ModelException, match=r"Log\.items: .* cannot be pushed"):
        Log.create(name="b").items.push(object())
    assert lists(plain) == {}


def test_an_assigned_or_changed_list_is_saved_whole(store: Connection, plain: Any) -> None:
    log = Log.create(name="a", items=[1])
    log.items.append(2)
    log.save()
    assert lists(plain) == {b"Log:a::items": [b"\x01", b"\x02"]}
    log.items = (7, 8)
    log.save(update_fields=["items"])
    assert lists(plain) == {b"Log:a::items": [b"\x07", b"\x08"]}
    log.items = None
    log.save()
    assert (lists(plain), log.items) == ({}, [])


def test_a_renamed_and_a_deleted_row_take_the_list_along(store: Connection, plain: Any) -> None:
    log = Log.create(name="a", items=[1])
    log.name = "b"
    log.save(migrate_key=True)
    assert lists(plain) == {b"Log:b::items": [b"\x01"]}
    assert Log.query.filter(name__startswith="b").all() == [log]
    log.delete()
    assert keyspace(plain) == {}


def test_a_list_expires_with_its_row(store: Connection, plain: Any) -> None:
    log = Log.create(name="a", items=[1], _ttl=100)
    assert 0 < plain.pttl("Log:a::items") <= 100_000
    log.items = []
    log.save()
    log.items.push(2)
    assert 0 < plain.pttl("Log:a::items") <= 100_000
    log._ttl = None
    log.save()
    assert plain.pttl("Log:a::items") == -1
    log._ttl = 100
    log.save()
    plain.delete("Log:a")
    with clock.frozen(lambda: 4e9):
        Log.create(name="b")
    assert lists(plain) == {}


def test_care_finds_a_list_whose_row_is_gone(store: Connection, plain: Any) -> None:
    Log.create(name="a", items=[1])
    plain.rpush("Log:gone::items", b"\x01")
    assert Log.check_indexes()["companions"] == {"items": 1}
    assert (Log.clean_indexes(), lists(plain)) == (1, {b"Log:a::items": [b"\x01"]})
    assert (Log.rebuild_indexes(), Log.check_indexes()["total"]) == (1, 0)


def test_bulk_work_and_replacement_keep_lists_right(store: Connection, plain: Any) -> None:
    Log.bulk_create([Log(name=str(number), items=[number]) for number in range(20)])
    assert lists(plain) == {f"Log:{number}::items".encode(): [bytes([number])] for number in range(20)}
    Log.create(name="1")
    assert b"Log:1::items" not in lists(plain)
    assert Log.delete_all() == 20
    assert keyspace(plain) == {}


def test_long_lists_are_read_whole(store: Connection, plain: Any) -> None:
    class Long(Model):
        name = KeyField()
        items = ListField(max_length=3000)

    for name, size in (("a", 15), ("b", 16), ("c", 3000)):
        Long.create(name=name, items=list(range(size)))
    assert [row.items for row in Long.query.filter(order_by="name")] == [list(range(n)) for n in (15, 16, 3000)]


def test_items_of_1x_are_read_by_their_tags_and_dictionaries_of_the_user_are_not(store: Connection, plain: Any) -> None:
    Log.create(name="a")
    tagged = b"\x82\xa8__date__\xc3\xacas_encodable\xa820240102"
    plain.rpush("Log:a::items", tagged, b"\x01")
    log = Log.load(name="a")
    assert log is not None and log.items == [date(2024, 1, 2), 1]
    mine = {"__date__": True, "as_encodable": "20240102"}
    log.items = [mine, date(2024, 1, 2)]
    log.save()
    assert plain.lindex("Log:a::items", 1) == tagged
    again = Log.load(name="a")
    assert again is not None and again.items == [mine, date(2024, 1, 2)]


def test_d03_a_list_of_1x_is_read_pushed_to_renamed_and_deleted(store: Connection, plain: Any) -> None:
    class XLay(Model):
        name = KeyField()
        day = KeyField(type=date)
        log = ListField(max_length=3)

    load(plain, "example")
    load(plain, "capped")
    row = XLay.query.get(redis_key="XLay:2024/-01/-02:Tac{&#58;}o /[T/]")
    assert row is not None and row.log == [1, "x"]
    row.log.push("new")
    row.save()
    assert lists(plain) == {f"{row.pk}::log".encode(): [b"\xa3new", b"\x01", b"\xa1x"]}
    row.name = "b"
    row.save(migrate_key=True)
    assert lists(plain) == {b"XLay:2024/-01/-02:b::log": [b"\xa3new", b"\x01", b"\xa1x"]}
    assert (XLay.rebuild_indexes() > 0, XLay.check_indexes()["companions"]) == (True, {"log": 0})
    row.delete()
    assert lists(plain) == {}


VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text() | some.binary()
    | some.decimals(allow_nan=False) | some.dates() | some.datetimes() | some.times(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner) | some.tuples(inner, inner),
    max_leaves=8,
)  # fmt: skip
LOOKALIKES = some.sampled_from(["__Decimal__", "__date__", "__set__", "__time__"]).flatmap(
    lambda tag: some.builds(lambda value: {tag: True, "as_encodable": value}, some.text() | some.integers())
)


@settings(max_examples=200, deadline=None)
@given(VALUES | LOOKALIKES)
def test_an_item_is_kept_exactly(value: Any) -> None:
    assert item(item_bytes(value)) == value
    assert type(item(item_bytes(value))) is type(value)


@pytest.mark.parametrize("most", [0, -1, True, 1.5, "3", 10_001])
def test_a_length_out_of_range_is_refused(most: Any) -> None:
    with pytest.raises(ModelException, match="max_length"):
        ListField(max_length=most)


def test_kinds_of_items_survive(store: Connection) -> None:
    values = [Decimal("1.10"), datetime(2024, 1, 2, 3), time(4)]
    Log.create(name="a", items=values)
    log = Log.query.filter(name="a").first()
    assert log is not None and log.items == values


def test_a_raw_update_of_a_capped_list_is_refused(store: Connection, plain: Any) -> None:
    log = Log.create(name="a", items=[1])
    with pytest.raises(ModelException, match=r"Log\.items is followed .* use bulk_update"):
        Log.raw_update([log.pk], items=[2])
    assert lists(plain) == {b"Log:a::items": [b"\x01"]}
