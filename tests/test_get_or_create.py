"""get_or_create, update_or_create and refresh: one atomic step where the key is known."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from stored import keyspace, stray_entries
from test_concurrency import at_once

from popoto import (
    DatetimeField,
    Field,
    IndexedField,
    IntField,
    KeyField,
    Model,
    ModelException,
    QueryException,
    SortedField,
    StaleObjectError,
    UniqueField,
    round_trips,
    using,
)
from popoto.storage import Connection


class Seat(Model):
    row = KeyField()
    number = KeyField(type=int)
    code = UniqueField()
    kind = IndexedField(default="plain")
    price = SortedField(type=int, default=1)
    made = DatetimeField(auto_now_add=True)


class Loose(Model):
    text = IndexedField()
    note = IntField()


class Amount(Model):
    value = KeyField(type=Decimal)
    note = Field()


def code(value: str) -> dict[str, Any]:
    return {"code": value}


def test_a_missing_row_is_created_with_its_defaults_in_one_round_trip(store: Any, plain: Any):
    with round_trips() as trips:
        row, created = Seat.get_or_create(row="a", number=1, defaults={"code": "c", "price": 7})
    assert msgpack.unpackb(plain.hget("Seat:1:a", "price")) == 7
    assert stray_entries(plain, Seat) == []
    assert (created, row.code, row.kind, row.made is not None) == (True, "c", "plain", True)
    assert trips == 1
    row.price = 8
    row.save()
    assert Seat.query.count(price=8) == 1


def test_a_stored_row_is_returned_as_it_is_in_one_round_trip(store: Any, plain: Any):
    Seat.create(row="a", number=1, code="c", price=7)
    before = keyspace(plain)
    with round_trips() as trips:
        row, created = Seat.get_or_create(row="a", number="1", defaults={"code": "other", "price": 9})
        assert (created, row.code, row.price) == (False, "c", 7)
    assert keyspace(plain) == before
    assert trips == 1


def test_a_lookup_without_all_key_values_searches_first(store: Any, plain: Any):
    Seat.create(row="a", number=1, code="c")
    with round_trips() as trips:
        row, created = Seat.get_or_create(code="c", defaults={"row": "z", "number": 9})
    assert (row.pk, created) == ("Seat:1:a", False)
    assert trips == 1
    with round_trips() as trips:
        row, created = Seat.get_or_create(code="d", defaults={"row": "z", "number": 9})
    assert (row.pk, created) == ("Seat:9:z", True)
    assert trips == 2
    assert stray_entries(plain, Seat) == []


def test_generated_keys(store: Any, plain: Any):
    one, created = Loose.get_or_create(text="x", defaults={"note": 1})
    again, created_again = Loose.get_or_create(text="x", defaults={"note": 2})
    assert (created, created_again, one == again, again.note) == (True, False, True, 1)
    Loose.create(text="x")
    with pytest.raises(QueryException, match="more than one"):
        Loose.get_or_create(text="x")


def test_a_taken_unique_value_is_refused_and_nothing_written(store: Any, plain: Any):
    Seat.create(row="a", number=1, code="c")
    before = keyspace(plain)
    with pytest.raises(ModelException, match="is taken"):
        Seat.get_or_create(row="b", number=1, defaults=code("c"))
    assert keyspace(plain) == before


def test_a_row_with_another_value_is_not_what_was_looked_up(store: Any, plain: Any):
    Seat.create(row="a", number=1, code="c", kind="x")
    before = keyspace(plain)
    with pytest.raises(ModelException, match="stored with another kind"):
        Seat.get_or_create(row="a", number=1, kind="y", defaults=code("d"))
    assert Seat.get_or_create(row="a", number=1, kind="x", defaults=code("d"))[1] is False
    assert keyspace(plain) == before


def test_wrong_names_and_values_are_refused(fake: Any, plain: Any):
    for keywords in ({"row": "a", "number": 1, "nope": 1}, {"row": "a", "number": "x"}):
        with pytest.raises((ModelException, QueryException)):
            Seat.get_or_create(defaults=code("c"), **keywords)
    with pytest.raises(ModelException, match="nope"):
        Seat.get_or_create(row="a", number=1, defaults={"nope": 1})
    with pytest.raises(ModelException, match="code"):
        Seat.get_or_create(row="a", number=1)
    assert keyspace(plain) == {}


def test_a_row_of_1x_under_its_old_spelling_is_found(store: Any, plain: Any):
    plain.hset("Amount:1.50", "value", msgpack.packb({"__Decimal__": True, "as_encodable": "1.50"}))
    plain.sadd("$Class:Amount", "Amount:1.50")
    plain.sadd("$KeyF:Amount:value:1.50", "Amount:1.50")
    row, created = Amount.get_or_create(value=Decimal("1.50"))
    assert [key for key in keyspace(plain) if key.startswith(b"Amount:")] == [b"Amount:1.50"]
    assert (row.pk, created) == ("Amount:1.50", False)


def test_an_expired_or_deleted_row_is_created_anew(store: Any, plain: Any):
    Seat.create(row="a", number=1, code="c", kind="old")
    plain.delete("Seat:1:a")
    row, created = Seat.get_or_create(row="a", number=1, defaults=code("c"))
    assert (created, row.kind) == (True, "plain")
    assert Seat.query.count(kind="plain") == 1
    assert Seat.query.count(kind="old") == 0


def test_update_or_create(store: Any, plain: Any):
    row, created = Seat.update_or_create(row="a", number=1, defaults={"code": "c", "price": 3})
    assert msgpack.unpackb(plain.hget("Seat:1:a", "price")) == 3
    assert created
    with round_trips() as trips:
        row, created = Seat.update_or_create(row="a", number=1, defaults={"price": 5, "kind": "soft"})
    assert msgpack.unpackb(plain.hget("Seat:1:a", "price")) == 5
    assert trips == 2
    assert (created, row.price, row.code) == (False, 5, "c")
    assert stray_entries(plain, Seat) == []
    row, created = Seat.update_or_create(code="c", defaults={"price": 6})
    assert (created, Seat.query.get(price=6).pk) == (False, "Seat:1:a")
    with pytest.raises(ModelException, match="nope"):
        Seat.update_or_create(row="a", number=1, defaults={"nope": 6})


def test_refresh_reads_anew_and_forgets_assignments(store: Any, plain: Any):
    row = Seat.create(row="a", number=1, code="c")
    other = Seat.load("Seat:1:a")
    other.kind = "x"
    other.save()
    row.price = 99
    with round_trips() as trips:
        row.refresh()
    assert trips == 1
    assert (row.kind, row.price) == ("x", 1)
    row.price = 2
    row.save()
    assert msgpack.unpackb(plain.hget("Seat:1:a", "kind")) == "x"
    plain.delete("Seat:1:a")
    with pytest.raises(StaleObjectError, match="no longer stored"):
        row.refresh()
    with pytest.raises(ModelException, match="not saved"):
        Seat(row="b", number=1, code="d").refresh()


def test_refresh_makes_an_unreadable_row_readable_once_it_was_mended(store: Any, plain: Any):
    row = Seat.create(row="a", number=1, code="c")
    plain.hset("Seat:1:a", "price", b"\xc1")
    row.refresh()
    with pytest.raises(ModelException, match="price"):
        _ = row.price
    plain.hset("Seat:1:a", "price", b"\x05")
    row.refresh()
    assert row.price == 5


def test_async_twins(store: Any, plain: Any):
    async def work() -> None:
        some = await asyncio.gather(
            *[Seat.async_get_or_create(row="a", number=1, defaults=code("c")) for _ in range(6)]
        )
        assert sum(created for _, created in some) == 1
        some = await asyncio.gather(
            *[Seat.async_get_or_create(code="d", defaults={"row": "b", "number": 2}) for _ in range(6)]
        )
        assert {row.pk for row, _ in some} == {"Seat:2:b"}
        row, created = await Seat.async_update_or_create(row="a", number=1, defaults={"price": 4})
        assert (created, row.price) == (False, 4)
        await Seat.async_update_or_create(row="a", number=1, defaults={"price": 5})
        await row.async_refresh()
        assert row.price == 5

    asyncio.run(work())
    assert stray_entries(plain, Seat) == []


def gather(url: str, number: int, barrier: Any, replies: Any) -> None:
    connection = Connection(url)
    made = [0, 0]
    with using(connection):
        Seat.query.count()
        for turn in range(60):
            if turn % 10 == 0:
                barrier.wait(60)
            _, created = Seat.get_or_create(row="k", number=turn, defaults=code(f"k{turn}"))
            made[0] += created
            row, created = Seat.get_or_create(code=f"u{turn}", defaults={"row": f"u{number}", "number": turn})
            made[1] += created
            assert row.code == f"u{turn}"
    connection.close()
    replies.put(made)


def test_of_four_processes_one_creates_each_row(server: Connection, plain: Any):
    made = at_once(gather, server.url.raw, 4)
    assert [sum(one[place] for one in made) for place in (0, 1)] == [60, 60]
    assert len([key for key in keyspace(plain) if key.startswith(b"Seat:")]) == 120
    assert stray_entries(plain, Seat) == []
