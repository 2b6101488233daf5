"""check, clean and rebuild: every family of entries, bounded steps, and nothing taken away that a row has."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from stored import stray_entries

from popoto import (
    Field,
    GeoField,
    IndexedField,
    KeyField,
    Model,
    ModelException,
    Relationship,
    SortedField,
    SortedKeyField,
    UniqueField,
    round_trips,
    using,
)
from popoto.storage import Call, Connection, steps


class Owner(Model):
    name = KeyField()


class Boat(Model):
    name = KeyField()
    code = UniqueField()
    kind = IndexedField()
    length = SortedField(type=int, default=1)
    length_old = SortedField(type=int, default=2)
    berth = SortedField(type=Decimal, default=Decimal("1.5"), partition_by="kind")
    at = GeoField()
    owner = Relationship(model=Owner)
    tags = IndexedField(type=list)
    note = Field()

    class Meta:
        indexes = ((("kind", "note"), False), (("name", "note"), True))


class Step(Model):
    place = SortedKeyField(type=int)
    kind = IndexedField()


FAMILIES = {
    "class_set": 0,
    "key_fields": {"name": 0},
    "indexed_fields": {"code": 0, "kind": 0, "owner": 0, "tags": 0},
    "sorted_fields": {"length": 0, "length_old": 0, "berth": 0},
    "geo_fields": {"at": 0},
    "composite_indexes": {"$Index:Boat:kind:note": 0, "$Index:Boat:name:note": 0},
    "companions": {},
    "total": 0,
}
STRAYS = (
    ("class_set", "", lambda plain: plain.sadd("$Class:Boat", "Boat:gone")),
    ("key_fields", "name", lambda plain: plain.sadd("$KeyF:Boat:name:gone", "Boat:gone")),
    ("key_fields", "name", lambda plain: plain.sadd("$KeyF:Boat:name:b1", "Boat:b2")),
    ("indexed_fields", "kind", lambda plain: plain.sadd("$IndexF:Boat:kind:k0", "Boat:gone")),
    ("indexed_fields", "kind", lambda plain: plain.sadd("$IndexF:Boat:kind:None", "Boat:b1")),
    ("indexed_fields", "kind", lambda plain: plain.sadd("$IndexF:Boat:kind:a*[b", "Boat:b1")),
    ("indexed_fields", "code", lambda plain: plain.sadd("$UniquF:Boat:code:free", "Boat:gone")),
    ("indexed_fields", "owner", lambda plain: plain.sadd("$RelationshipF:Boat:owner:Owner:x", "Boat:b1")),
    ("indexed_fields", "tags", lambda plain: plain.sadd("$IndexF:Boat:tags:/[/]", "Boat:b1")),
    ("sorted_fields", "length", lambda plain: plain.zadd("$SortF:Boat:length", {"Boat:gone": 5})),
    ("sorted_fields", "length_old", lambda plain: plain.zadd("$SortF:Boat:length_old", {"Boat:gone": 5})),
    ("sorted_fields", "berth", lambda plain: plain.zadd("$SortF:Boat:berth:k1", {"Boat:b2": 5})),
    ("geo_fields", "at", lambda plain: plain.geoadd("$GeoF:Boat:at", (1, 2, "Boat:gone"))),
    ("geo_fields", "at", lambda plain: plain.geoadd("$GeoF:Boat:at", (1, 2, "Boat:b0"))),
    (
        "composite_indexes",
        "$Index:Boat:kind:note",
        lambda plain: plain.hset("$Index:Boat:kind:note", "0" * 16, "Boat:gone"),
    ),
    ("indexed_fields", "kind", lambda plain: plain.zadd("$Vals:Boat:kind", {"a:gone": 0})),
)


def boats(count: int = 6) -> list[Boat]:
    owner = Owner.create(name="o")
    return Boat.bulk_create(
        [
            Boat(
                name=f"b{n}",
                code=f"c{n}",
                kind=f"k{n % 3}",
                length=n,
                at=(n % 80, n % 80) if n else None,
                owner=owner,
                tags=[n % 2],
                note=f"n{n}",
            )
            for n in range(count)
        ]
    )


def members(plain: Any) -> dict[bytes, Any]:
    """Every index key with its members; scores of places are the server's affair."""
    found = {}
    for key in plain.scan_iter(match="$*", count=1000):
        kind = plain.type(key)
        if kind == b"zset":
            found[key] = set(plain.zrange(key, 0, -1))
            if not key.startswith(b"$GeoF"):
                found[key] = {(member, plain.zscore(key, member)) for member in found[key]}
        else:
            found[key] = set(plain.smembers(key)) if kind == b"set" else plain.hgetall(key)
    return found


def entries(plain: Any) -> dict[bytes, Any]:
    """The same without the roster, which says no more once another program has written to the class set."""
    return {key: content for key, content in members(plain).items() if key != b"$Vals:Boat"}


def strip(plain: Any) -> None:
    """Take every index away."""
    for key in list(plain.scan_iter(match="$*", count=1000)):
        plain.delete(key)


def test_a_sound_model_has_no_strays_and_looking_writes_nothing(store: Any, plain: Any):
    boats()
    before = members(plain)
    assert Boat.check_indexes() == FAMILIES
    assert members(plain) == before
    assert Boat.clean_indexes() == 0
    assert members(plain) == before


@pytest.mark.parametrize("number", range(len(STRAYS)))
def test_each_stray_is_counted_once_in_its_family_and_removed(store: Any, plain: Any, number: int):
    boats()
    before = entries(plain)
    family, name, spoil = STRAYS[number]
    spoil(plain)
    spoiled = members(plain)
    report = Boat.check_indexes()
    assert members(plain) == spoiled
    assert report["total"] == 1
    assert (report[family] if name == "" else report[family][name]) == 1
    assert Boat.clean_indexes() == 1
    assert entries(plain) == before
    assert Boat.check_indexes() == FAMILIES


def test_all_strays_together(store: Any, plain: Any):
    boats()
    before = entries(plain)
    for _, _, spoil in STRAYS:
        spoil(plain)
    assert Boat.check_indexes()["total"] == len(STRAYS)
    assert Boat.clean_indexes() == len(STRAYS)
    assert entries(plain) == before


def test_a_row_deleted_behind_our_back_leaves_only_what_cleaning_takes(store: Any, plain: Any):
    boats(2)
    plain.delete("Boat:b1")
    report = Boat.check_indexes()
    assert report["total"] == 12 == Boat.clean_indexes()
    assert [key for key, content in members(plain).items() if b"Boat:b1" in repr(content).encode()] == []
    assert Boat.query.count() == 1


def test_sorted_keys_are_looked_after(store: Any, plain: Any):
    Step.bulk_create([Step(place=n, kind="k") for n in range(4)])
    before = members(plain)
    plain.zadd("$SortedKeyF:Step:place", {"Step:9": 9})
    report = Step.check_indexes()
    assert (report["sorted_fields"], report["key_fields"], report["total"]) == ({"place": 1}, {}, 1)
    assert Step.clean_indexes() == 1
    assert members(plain) == before
    strip(plain)
    assert Step.rebuild_indexes() == 4
    assert members(plain) == before


def test_rebuilding_writes_every_entry_anew(store: Any, plain: Any):
    boats()
    before = members(plain)
    strip(plain)
    assert Boat.query.count() == 0
    assert Boat.rebuild_indexes() == 6
    Owner.rebuild_indexes()
    assert members(plain) == before
    assert Boat.check_indexes() == FAMILIES


def test_rebuilding_mends_wrong_entries_and_scores(store: Any, plain: Any):
    boats()
    before = members(plain)
    for _, _, spoil in STRAYS:
        spoil(plain)
    plain.srem("$IndexF:Boat:kind:k0", "Boat:b0")
    plain.zadd("$SortF:Boat:length", {"Boat:b1": 99})
    plain.zrem("$SortF:Boat:berth:k1", "Boat:b1")
    assert Boat.rebuild_indexes() == 6
    assert members(plain) == before


def test_what_is_no_row_is_left_alone(store: Any, plain: Any):
    boats(2)
    plain.hset("Boat:statistics", "name", b"\xa1x")
    plain.set("Boat:lock", "1")
    plain.rpush("Boat:b1::log", "x")
    plain.hset("Boater:b1", "name", b"\xa2b1")
    assert Boat.rebuild_indexes() == 2
    assert set(plain.smembers("$Class:Boat")) == {b"Boat:b0", b"Boat:b1"}
    assert plain.get("Boat:lock") == b"1"


def test_a_damaged_row_does_not_stop_the_others(store: Any, plain: Any):
    boats(4)
    before = members(plain)
    plain.hset("Boat:b1", "length", b"\xc1")
    plain.hset("Boat:b2", "kind", b"\xc1")
    plain.hset("Boat:b3", "at", b"\xc1")
    strip(plain)
    assert Boat.rebuild_indexes() == 4
    here = members(plain)
    assert here[b"$Class:Boat"] == before[b"$Class:Boat"]
    assert {member for member, _ in here[b"$SortF:Boat:length"]} == {b"Boat:b0", b"Boat:b2", b"Boat:b3"}
    assert here[b"$KeyF:Boat:name:b1"] == {b"Boat:b1"}
    assert sorted(row.pk for row in Boat.query.filter(length__gte=0)) == ["Boat:b0", "Boat:b2", "Boat:b3"]
    assert Boat.check_indexes()["total"] == 0


def test_two_holders_of_one_value_are_named_and_nothing_is_lost(store: Any, plain: Any):
    boats(3)
    plain.hset("Boat:b1", "code", plain.hget("Boat:b0", "code"))
    strip(plain)
    with pytest.raises(ModelException, match=r"Boat:b[01]' cannot be indexed \(UNIQ code\).* 2 rows were indexed"):
        Boat.rebuild_indexes()
    assert set(plain.scan_iter(match="Boat:*")) == {b"Boat:b0", b"Boat:b1", b"Boat:b2"}
    assert Boat.query.filter(code="c2").count() == 1
    assert Boat.query.count(kind="k2") == 1


def test_rows_of_1x_are_taken_over(store: Any, plain: Any):
    boats(2)
    before = members(plain)
    plain.hdel("Boat:b0", "$idx")
    plain.hdel("Boat:b1", "$idx")
    plain.delete("$IndexF:Boat:tags:/[0/]", "$IndexF:Boat:tags:/[1/]")
    assert Boat.rebuild_indexes() == 2
    assert members(plain) == before


def test_queries_answer_fully_while_indexes_are_rebuilt(server: Connection, plain: Any):
    boats(300)
    wrong: list[Any] = []
    ended = threading.Event()

    def ask() -> None:
        with using(server):
            while not ended.is_set():
                counts = Boat.query.count(kind="k1"), Boat.query.count(), Boat.query.count(length__gte=0)
                if counts != (100, 300, 300):
                    wrong.append(counts)

    reader = threading.Thread(target=ask)
    reader.start()
    try:
        for _ in range(2):
            assert Boat.rebuild_indexes(batch_size=50) == 300
            assert Boat.clean_indexes(batch_size=50) == 0
    finally:
        ended.set()
        reader.join()
    assert wrong == []


def test_writers_meanwhile_keep_their_work(server: Connection, plain: Any):
    made = boats(200)
    ended = threading.Event()

    def write() -> None:
        with using(server):
            number = 0
            while not ended.is_set():
                one = made[number % len(made)]
                one.length, one.kind = number, f"w{number % 5}"
                one.save()
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            Boat.rebuild_indexes()
    finally:
        ended.set()
        writer.join()
    assert Boat.check_indexes()["total"] == 0
    for one in made:
        assert plain.zscore("$SortF:Boat:length", one.pk) == one.length


def test_steps_are_bounded_and_progress_is_told(server: Any, plain: Any, monkeypatch: pytest.MonkeyPatch):
    boats(700)
    sizes: list[int] = []
    make = steps.Call.__init__

    def noted(self: Any, script: Any, keys: Any, args: Any = ()) -> None:
        if script.name.startswith("popoto.care"):
            sizes.append(int(args[1]))
        make(self, script, keys, args)

    monkeypatch.setattr(Call, "__init__", noted)
    told: list[int] = []
    with round_trips() as trips:
        Boat.check_indexes(batch_size=100, progress=told.append)
    assert max(sizes) <= 100
    assert told == sorted(told)
    assert told[-1] == sum(sizes) >= 700 * 9
    assert trips.count < 500
    told.clear()
    assert Boat.rebuild_indexes(batch_size=100, progress=told.append) == 700
    assert told == sorted(told)
    assert told[-1] == 700


def test_large_sorted_sets_are_cleaned_whole(store: Any, plain: Any):
    boats(3)
    before = entries(plain)
    for first in range(0, 1200, 400):
        plain.zadd("$SortF:Boat:length", {f"Boat:ghost{n}": n % 7 for n in range(first, first + 400)})
        plain.sadd("$Class:Boat", *[f"Boat:ghost{n}" for n in range(first, first + 400)])
    assert Boat.check_indexes()["total"] == 2400
    assert Boat.clean_indexes() == 2400
    assert entries(plain) == before


def test_similar_model_and_field_names_do_not_interfere(store: Any, plain: Any):
    class Boa(Model):
        name = KeyField()
        a = SortedField(type=int, partition_by="name", default=0)
        a_b = SortedField(type=int, default=0)

    boats(2)
    Boa.create(name="x")
    plain.sadd("$Class:Boat", "Boat:gone")
    plain.zadd("$SortF:Boa:a_b", {"Boa:gone": 1})
    assert Boa.check_indexes()["sorted_fields"] == {"a": 0, "a_b": 1}
    assert Boa.clean_indexes() == 1
    assert plain.sismember("$Class:Boat", "Boat:gone")
    assert Boa.delete_all() == 1
    assert Boat.check_indexes()["total"] == 1


def test_async_twins(store: Any, plain: Any):
    boats(3)
    before = members(plain)
    plain.sadd("$Class:Boat", "Boat:gone")

    async def work() -> Iterator[Any]:
        told: list[int] = []
        report = await Boat.async_check_indexes(batch_size=2, progress=told.append)
        removed = await Boat.async_clean_indexes()
        strip(plain)
        return iter((report["class_set"], removed, await Boat.async_rebuild_indexes(), bool(told)))

    assert list(asyncio.run(work())) == [1, 1, 3, True]
    Owner.rebuild_indexes()
    assert members(plain) == before


def test_the_plain_reader_agrees(store: Any, plain: Any):
    class Plain(Model):
        name = KeyField()
        code = UniqueField()
        kind = IndexedField()
        place = SortedField(type=int, default=0, partition_by="kind")

    Plain.bulk_create([Plain(name=str(n), code=str(n), kind=f"k{n % 2}", place=n) for n in range(9)])
    strip(plain)
    Plain.rebuild_indexes()
    assert stray_entries(plain, Plain) == []
