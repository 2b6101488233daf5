"""Defects of popoto 1.x that we do not have: what is written and deleted (D1 to D20)."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from decimal import Decimal
from typing import Any

import pytest
from stored import keyspace, stray_entries
from traps import Bare, Customer, Order, Part, Spot, names, part

import popoto
from popoto import (
    AutoKeyField,
    DecimalField,
    DictField,
    Field,
    IndexedField,
    IntField,
    KeyField,
    KeyMutationError,
    ListField,
    Model,
    ModelException,
    SortedKeyField,
    StaleObjectError,
    UniqueKeyField,
    round_trips,
    using,
)
from popoto.storage import Connection


def test_d01_a_row_from_a_filter_leaves_its_old_entries(store: Any, plain: Any):
    for k in "abc":
        part(k, st="pending")
    row = Part.query.filter(k="a").first()
    row.st, row.e = "active", "new"
    row.save()
    assert stray_entries(plain, Part) == []
    assert (names(Part.query.filter(st="pending")), names(Part.query.filter(st="active"))) == (["b", "c"], ["a"])
    part("d", e="ea")
    Part.bulk_update(Part.query.filter(st="pending"), st="active")
    assert (Part.query.count(st="pending"), Part.query.count(st="active")) == (0, 3)
    assert stray_entries(plain, Part) == []


def test_d02_a_second_create_replaces_the_row_with_its_entries(store: Any, plain: Any):
    part("a", st="x", e="e1")
    part("a", st="y", e="e2")
    assert stray_entries(plain, Part) == []
    assert names(Part.query.filter(st="x")) == []
    assert part("b", e="e1").e == "e1"


def test_d04_filters_go_through_a_relationship(store: Any):
    alice = Customer.create(username="alice", city="Rome", age=30)
    bob = Customer.create(username="bob", city="Oslo", age=20)
    for oid, customer in (("1", alice), ("2", bob), ("3", alice)):
        Order.create(oid=oid, customer=customer)
    for keywords in ({"customer__username": "alice"}, {"customer__city": "Rome"}, {"customer__age__gte": 25}):
        assert sorted(row.oid for row in Order.query.filter(**keywords)) == ["1", "3"]
        assert Order.query.count(**keywords) == 2


def test_d05_rebuilding_survives_places_and_missing_values(store: Any, plain: Any):
    for number in range(3):
        Spot.create(k=str(number), g=(number, number) if number else None)
    part("a")
    plain.hset("Part:a", "n", b"\xc0")
    assert (Spot.rebuild_indexes(), Part.rebuild_indexes()) == (3, 1)
    assert (Spot.query.count(), Spot.query.count(g=(1, 1)), Part.query.count()) == (3, 1, 1)
    assert Spot.check_indexes()["total"] == 0


def test_d06_a_fresh_process_knows_rows_without_key_fields(server: Connection, plain: Any):
    Bare.create(x="1")
    script = f"""
        import popoto
        class Bare(popoto.Model):
            x = popoto.Field()
        popoto.connect({server.url.raw!r})
        (row,) = Bare.query.all()
        assert len(row.pk) == len("Bare:") + 32
        row.x = "new"
        row.save()
        assert Bare.query.get(x="new") == row
        assert Bare.rebuild_indexes() == 1
        assert row.delete()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=500)
    assert keyspace(plain) == {}


def test_d07_the_equator_and_the_meridian_are_places(store: Any):
    for number, place in enumerate([(0.0, 10.0), (10.0, 0.0), (0.0, 0.0)]):
        Spot.create(k=str(number), g=place)
        assert names(Spot.query.filter(g=place)) == [str(number)]
    found = Spot.load("Spot:2")
    assert (found.g.latitude, found.g.longitude) == (0.0, 0.0)


def test_d08_uniqueness_is_decided_where_it_is_written(store: Connection, plain: Any):
    with pytest.raises(ModelException, match="is taken"):
        Part.bulk_create([Part(k="a", e="s"), Part(k="b", e="s")])
    assert [key for key in keyspace(plain) if key.startswith(b"Part:")] == [b"Part:a"]
    assert Part.load("Part:a").save() == 0
    won: list[str] = []

    def claim(name: str) -> None:
        with using(store):
            for number in range(10):
                try:
                    Part.create(k=f"{name}{number}", e=f"same{number}")
                    won.append(name)
                except ModelException:
                    continue

    threads = [threading.Thread(target=claim, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 10


def test_d09_delete_is_one_step(store: Any, plain: Any):
    row = part()
    with round_trips() as trips:
        assert row.delete()
    assert trips == 1
    assert keyspace(plain) == {}


def test_d10_an_increment_moves_the_score_in_one_step(store: Any, plain: Any):
    row = part()
    with round_trips() as trips:
        assert row.atomic_increment("n", 5) == 5
    assert plain.zscore("$SortF:Part:n", "Part:a") == 5
    assert trips == 1


def test_d11_increments_are_exact(store: Any, plain: Any):
    class Sum(Model):
        k = KeyField()
        i = IntField(default=2**60)
        j = IntField(default=10**15)
        d = DecimalField(default=Decimal("12345678901234567.89"))
        s = DecimalField(default=Decimal("1.10"))

    row = Sum.create(k="a")
    assert row.atomic_increment("i", 1) == 2**60 + 1
    assert row.atomic_increment("j", 1) == 10**15 + 1
    assert row.atomic_increment("d", Decimal("0.01")) == Decimal("12345678901234567.90")
    assert str(row.atomic_increment("s", Decimal("0.20"))) == "1.30"
    with pytest.raises(ModelException):
        row.atomic_increment("i", 0.5)
    found = Sum.load("Sum:a")
    assert (found.i, found.j, str(found.d), str(found.s)) == (
        2**60 + 1,
        10**15 + 1,
        "12345678901234567.90",
        "1.30",
    )


def test_d12_increments_keep_indexes_and_keys_and_make_no_ghosts(store: Any, plain: Any):
    class Level(Model):
        k = KeyField(type=int)
        i = IndexedField(type=int, default=1)

    row = Level.create(k=1)
    row.atomic_increment("i", 4)
    assert stray_entries(plain, Level) == []
    with pytest.raises(ModelException, match="part of the key"):
        row.atomic_increment("k", 1)
    other = Level.load("Level:1")
    row.delete()
    with pytest.raises(StaleObjectError):
        other.atomic_increment("i", 1)
    assert keyspace(plain) == {}


def test_d13_a_partial_save_is_checked_and_renames_whole(store: Any, plain: Any):
    row = part("a", c="kept", i=7)
    before = keyspace(plain)
    for name, value in (("i", "x"), ("e", None), ("c", "y" * 2000)):
        setattr(row, name, value)
        with pytest.raises(ModelException):
            row.save(update_fields=[name])
        assert keyspace(plain) == before
        row.refresh()
    row.k = "b"
    row.save(update_fields=["k"], migrate_key=True)
    assert stray_entries(plain, Part) == []
    assert (Part.load("Part:b").c, Part.load("Part:b").i, Part.load("Part:a")) == ("kept", 7, None)
    Part(k="n", e="n").save(update_fields=["c"])
    assert Part.query.count() == 2
    assert stray_entries(plain, Part) == []


def test_d14_stored_data_is_data(store: Any):
    class Note(Model):
        k = KeyField()
        d = DictField()
        v = ListField()

    poison: list[Any] = [
        {"as_encodable": "x", "__date__": 1},
        {"as_encodable": "7", "__Decimal__": True},
        {"__dataframe__": True, "as_encodable": "/nowhere/file.json"},
        {b"nd": True, b"kind": b"O", b"data": b"cos\nsystem\n"},
        {(1, 2): {3}},
    ]
    for number, value in enumerate(poison):
        Note.create(k=str(number), d=value, v=[value])
        found = Note.load(f"Note:{number}")
        assert (found.d, found.v) == (value, [value])


def test_d15_there_is_one_class_of_each_error(fake: Any):
    from popoto.exceptions import PublisherException, SubscriberException  # noqa: PLC0415
    from popoto.models.query import QueryException as raised_by_queries  # noqa: PLC0415

    assert raised_by_queries is popoto.QueryException
    assert (PublisherException, SubscriberException) == (popoto.PublisherException, popoto.SubscriberException)
    for keywords in ({"nope": 1}, {"st__isnull": 5}, {"k__isnull": 5}):
        with pytest.raises(popoto.QueryException):
            list(Part.query.filter(**keywords))


def test_d16_documented_lookups_do_what_they_say(store: Any):
    class Shelf(Model):
        k = KeyField()
        s = SortedKeyField(type=int)

    for number, k in enumerate(["b", "None", "Tacos", None, "e"]):
        Shelf.create(k=k, s=number)
    assert [row.k for row in Shelf.query.filter(k__contains="aco")] == ["Tacos"]
    assert [row.k for row in Shelf.query.filter(k__contains="aco", k__startswith="b")] == []
    assert sorted(row.k for row in Shelf.query.filter(k__isnull=False)) == ["None", "Tacos", "b", "e"]
    assert [row.s for row in Shelf.query.filter(s__in=[1, 2], order_by="s")] == [1, 2]
    assert [row.s for row in Shelf.query.filter(s__startswith="4")] == [4]
    assert Shelf.query.filter(s__isnull=True).all() == []


def test_d17_texts_are_no_patterns(store: Any):
    for k in ("a[b]c", "a?c", "axc", "a*c", "a-b", "a/b"):
        part(k)
    assert names(Part.query.filter(k__startswith="a[b")) == ["a[b]c"]
    assert names(Part.query.filter(k__startswith="a?")) == ["a?c"]
    assert names(Part.query.filter(k="a*c")) == ["a*c"]
    assert names(Part.query.filter(k__endswith="*c")) == ["a*c"]
    assert names(Part.query.filter(k__contains="/")) == ["a/b"]


def test_d18_generated_keys_are_found_exactly_and_not_changed_in_passing(store: Any, plain: Any):
    class Token(Model):
        oid = AutoKeyField()

    one, other = Token.create(), Token.create()
    assert Token.query.filter(oid="*").all() == []
    assert len(Token.query.filter(oid__in=[one.oid, other.oid])) == 2
    one.oid = "f" * 32
    with pytest.raises(KeyMutationError):
        one.save()
    assert len(keyspace(plain)[b"$Class:Token"]) == 2


def test_d19_fields_and_options_are_inherited_and_abstract_is_kept(fake: Any, plain: Any):
    class Base(Model):
        name = KeyField()
        note = Field(default="n")

        class Meta:
            abstract = True
            ttl = 50
            order_by = "-name"

    class Child(Base):
        extra = Field()

    with pytest.raises(ModelException, match="abstract"):
        Base(name="x")
    child = Child.create(name="x", extra="e")
    assert (child.note, child.pk, plain.ttl("Child:x")) == ("n", "Child:x", 50)
    Child.create(name="y")
    assert [row.name for row in Child.query.all()] == ["y", "x"]
    assert Child.query.get(name="x").extra == "e"


def test_d20_generated_keys_of_many_threads_differ(fake: Any):
    keys: list[str] = []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=lambda: keys.extend([Bare(x="1").pk for _ in range(300)])) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert len(set(keys)) == 2400


def test_a_sole_unique_key_is_replaced_and_not_doubled(store: Any, plain: Any):
    class Solo(Model):
        k = UniqueKeyField()
        c = Field()

    Solo.create(k="a", c="1")
    Solo.create(k="a", c="2")
    assert stray_entries(plain, Solo) == []
    assert [row.c for row in Solo.query.all()] == ["2"]
