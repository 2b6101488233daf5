"""raw_update: values into rows by key, nothing loaded, and every index follows."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import msgpack
import pytest
from stored import keyspace, stray_entries

from popoto import (
    DatetimeField,
    EventStreamMixin,
    Field,
    GeoField,
    IndexedField,
    IntField,
    KeyField,
    Model,
    ModelException,
    Relationship,
    SortedField,
    StaleObjectError,
    UniqueField,
    round_trips,
)
from popoto.models import overwriting


class Lamp(Model):
    name = KeyField()
    room = IndexedField(default="hall")
    watts = SortedField(type=int, default=5)
    rank = SortedField(type=float, default=1.5, partition_by="room")
    code = UniqueField()
    note = Field(max_length=5)
    seen = DatetimeField(auto_now=True)


class Pin(Model):
    name = KeyField()
    place = GeoField()
    lamp = Relationship(model=Lamp)
    words = IndexedField(type=list)

    class Meta:
        indexes = ((("lamp", "name"), False),)


class Counted(Model):
    name = KeyField()
    value = IntField(default=0)
    version = IntField(default=0)

    class Meta:
        version_field = "version"


class Room(Model):
    name = KeyField()
    floor = IntField(default=1)
    door = IntField(default=1)

    class Meta:
        indexes = ((("floor", "door"), True),)


class Told(EventStreamMixin, Model):
    name = KeyField()
    value = IntField()


def lamps(count: int) -> list[str]:
    return [lamp.pk for lamp in Lamp.bulk_create([Lamp(name=f"l{n}", code=f"c{n}") for n in range(count)])]


def stored(plain: Any, key: str, field: str) -> Any:
    return msgpack.unpackb(plain.hget(key, field))


def test_values_are_written_into_the_named_rows_with_their_indexes(store: Any, plain: Any):
    keys = lamps(4)
    seen = plain.hget(keys[0], "seen")
    with round_trips() as trips:
        assert Lamp.raw_update(keys[:3], batch_size=2, room="attic", watts="40", rank=2.5) == 3
    assert [stored(plain, key, "room") for key in keys] == ["attic", "attic", "attic", "hall"]
    assert stray_entries(plain, Lamp) == []
    assert trips == 2
    assert plain.hget(keys[0], "seen") == seen
    assert Lamp.query.count(room="attic", watts=40) == 3
    assert Lamp.query.count(room="hall", rank__gte=1) == 1
    assert Lamp.query.count(room="attic", rank__gte=1) == 3


def test_rows_that_change_their_partition_keep_their_places(store: Any, plain: Any):
    keys = lamps(3)
    # A row of before the partition field was there has no place yet; another lost its entry.
    plain.hdel(keys[0], "room")
    plain.zrem("$SortF:Lamp:rank:hall", *keys[:2])
    with round_trips() as trips:
        assert Lamp.raw_update([*keys, "Lamp:none"], room="attic") == 3
    assert dict(plain.zrange("$SortF:Lamp:rank:attic", 0, -1, withscores=True)) == dict.fromkeys(
        [key.encode() for key in keys], 1.5
    )
    assert (Lamp.query.count(room="attic", rank__gte=1), trips) == (3, 2)


def test_a_place_that_changes_meanwhile_is_read_again(store: Any, plain: Any, monkeypatch: Any):
    (key,) = lamps(1)
    placed = overwriting._placed

    async def late(*args: Any) -> Any:
        changes = await placed(*args)
        lamp = Lamp.load(key)
        if lamp is not None and lamp.rank == 1.5:
            lamp.rank = 7.5
            lamp.save()
        return changes

    monkeypatch.setattr(overwriting, "_placed", late)
    assert Lamp.raw_update([key], room="attic") == 1
    assert plain.zscore("$SortF:Lamp:rank:attic", key) == 7.5
    assert stray_entries(plain, Lamp) == []


def test_keys_are_texts_bytes_or_key_lists_and_count_once(store: Any, plain: Any):
    keys = lamps(3)
    lamp = Lamp.load(keys[2])
    assert lamp is not None
    assert Lamp.raw_update([keys[0], keys[1].encode(), keys[0], lamp.db_key], note="x") == 3
    assert [stored(plain, key, "note") for key in keys] == ["x", "x", "x"]
    assert Lamp.raw_update(Lamp.query.keys(), note="y") == 3
    assert Lamp.raw_update([], note="z") == Lamp.raw_update(keys) == 0
    assert [stored(plain, key, "note") for key in keys] == ["y", "y", "y"]


def test_a_missing_row_is_not_made(store: Any, plain: Any):
    (key,) = lamps(1)
    before = set(keyspace(plain))
    assert Lamp.raw_update(["Lamp:none", key], note="x") == 1
    assert set(keyspace(plain)) == before


@pytest.mark.parametrize(
    ("keys", "values", "message"),
    [
        (["Lamp:l0"], {"rom": "x"}, r"Lamp has no field 'rom'; did you mean 'room'"),
        (["Lamp:l0"], {"name": "x"}, r"Lamp.name is part of the key"),
        (["Lamp:l0"], {"note": "too long"}, r"Lamp.note = 'too long' has 8 characters"),
        (["Lamp:l0"], {"watts": 1.5}, r"Lamp.watts = 1.5: "),
        (["Lamp:l0"], {"code": None}, r"Lamp.code = None is None"),
        (["Lamp:l0", "Lamp:l1"], {"code": "x"}, r"Lamp.code = 'x' is to be unique, and there are 2 rows"),
        (["Lamp:l0", "Pin:a"], {"note": "x"}, r"'Pin:a' is no key of Lamp"),
        ("Lamp:l0", {"note": "x"}, r"must be a list of keys: write \['Lamp:l0'\]"),
        (["Lamp:l0"], {"note": "x", "batch_size": 0}, r"batch_size=0 must be a positive int"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    store: Any, plain: Any, keys: Any, values: dict[str, Any], message: str
):
    lamps(2)
    before = keyspace(plain)
    with pytest.raises(ModelException, match=message):
        Lamp.raw_update(keys, **values)
    assert keyspace(plain) == before


def test_a_taken_unique_value_is_refused(store: Any, plain: Any):
    first, second = lamps(2)
    with pytest.raises(ModelException, match="'Lamp:l1' cannot have code='c0'") as failure:
        Lamp.raw_update([second], code="c0")
    assert list(failure.value.failures) == [second]  # type: ignore[attr-defined]
    assert stored(plain, second, "code") == "c1"
    assert Lamp.raw_update([first], code="new") == 1
    assert stray_entries(plain, Lamp) == []


def test_a_refusal_says_which_rows_were_written(store: Any, plain: Any):
    Room.bulk_create([Room(name=str(n), door=n) for n in range(3)])
    with pytest.raises(ModelException, match=r"floor and door must be unique.*1 rows were written, 2 refused"):
        Room.raw_update(["Room:0", "Room:1", "Room:2"], floor=2, door=9)
    assert [stored(plain, f"Room:{n}", "door") for n in range(3)] == [9, 1, 2]
    assert Room.check_indexes()["total"] == 0


def test_places_relationships_and_lists_find_their_indexes(store: Any, plain: Any):
    (lamp,) = lamps(1)
    Pin.create(name="a", place=(1.0, 2.0), words=["old"])
    assert Pin.raw_update(["Pin:a"], place=(50.0, 3.0), lamp=Lamp.load(lamp), words=["new"]) == 1
    assert stored(plain, "Pin:a", "lamp") == lamp
    assert [len(found) for found in (Pin.query.filter(lamp=lamp), Pin.query.filter(words=["new"]))] == [1, 1]
    assert Pin.query.count(place=(50.0, 3.0), place_radius=10) == 1
    assert Pin.query.count(words=["old"]) == 0
    assert Pin.raw_update(["Pin:a"], place=None, lamp=None) == 1
    assert Pin.query.count(place=(50.0, 3.0), place_radius=10) == 0
    assert Pin.query.count(lamp__isnull=True) == 1
    assert Pin.check_indexes()["total"] == 0


def test_the_version_counts_up_so_that_a_stale_save_is_refused(store: Any, plain: Any):
    row = Counted.create(name="a")
    assert Counted.raw_update([row.pk], value=7) == 1
    assert (stored(plain, row.pk, "value"), stored(plain, row.pk, "version")) == (7, 2)
    row.value = 1
    with pytest.raises(StaleObjectError):
        row.save()
    with pytest.raises(ModelException, match="counts the row's writes"):
        Counted.raw_update([row.pk], version=9)


def test_a_time_to_live_and_streams_are_left_alone(store: Any, plain: Any):
    Told.create(name="a", _ttl=100)
    plain.expire("Told:a", 40)
    assert Told.raw_update(["Told:a"], value=3) == 1
    assert 0 < plain.ttl("Told:a") <= 40
    assert plain.xlen("stream:mutations") == 1


def test_a_value_of_1x_spelling_is_found_again(store: Any, plain: Any):
    plain.hset("Lamp:old", mapping={"name": b"\xa3old", "room": b"\xa1x", "watts": b"\x05", "code": b"\xa1q"})
    plain.sadd("$Class:Lamp", "Lamp:old")
    plain.sadd("$IndexF:Lamp:room:x", "Lamp:old")
    assert Lamp.raw_update(["Lamp:old"], room="y", seen=datetime(2024, 1, 2)) == 1
    assert not plain.exists("$IndexF:Lamp:room:x")
    assert Lamp.query.count(room="y") == 1


def test_the_async_twin_does_the_same(store: Any, plain: Any):
    keys = lamps(2)
    assert asyncio.run(Lamp.async_raw_update(keys, room="den")) == 2
    assert [stored(plain, key, "room") for key in keys] == ["den", "den"]
    assert stray_entries(plain, Lamp) == []
