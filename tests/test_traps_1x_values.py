"""Defects of popoto 1.x that we do not have: keys, values, typos and maintenance (D42 to D57)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from stored import keyspace, stray_entries
from traps import Bare, Part, names, part

from popoto import (
    BooleanField,
    BytesField,
    DateField,
    DatetimeField,
    DecimalField,
    DictField,
    EventStreamMixin,
    Field,
    IndexedField,
    IntField,
    KeyField,
    ListField,
    Model,
    ModelException,
    QueryException,
    SetField,
    SortedField,
    round_trips,
)


def test_d42_a_key_of_another_model_is_no_row(store: Any, plain: Any):
    part("a")
    Bare.create(x="1")
    for key in (Bare.query.keys()[0], "$Class:Part", "Part", "Partition:a", b"$SortF:Part:n"):
        assert Part.query.get(redis_key=key) is None
        assert Part.query.get_many([key, "Part:a"])[0] is None


def test_d43_a_lossy_conversion_is_a_model_exception(store: Any, plain: Any):
    class Typed(Model):
        k = KeyField()
        i = IntField()
        d = DecimalField()
        b = BooleanField()
        y = BytesField()
        v = ListField()
        s = SetField()

    for wrong in ({"i": "abc"}, {"d": "x"}, {"b": "False"}, {"i": 3.7}, {"y": 10**10}, {"v": "abc"}, {"s": "ab"}):
        with pytest.raises(ModelException):
            Typed.create(k="a", **wrong)
        row = Typed(k="a")
        for name, value in wrong.items():
            setattr(row, name, value)
        assert row.is_valid() is False
    assert keyspace(plain) == {}
    assert Typed.create(k="a", i="12", d=1.1).to_dict(include=["i", "d"]) == {"i": 12, "d": Decimal("1.1")}


def test_d44_dates_keep_year_zone_and_instant(store: Any):
    class Moment(Model):
        k = KeyField()
        d = DateField()
        t = DatetimeField()
        s = SortedField(type=datetime, default=datetime(2024, 1, 1))

    zoned = datetime(2024, 1, 1, 12, tzinfo=UTC)
    Moment.create(k="a", d=date(999, 10, 1), t=zoned, s=zoned)
    found = Moment.load("Moment:a")
    assert (found.d, found.t, found.t.tzinfo is not None) == (date(999, 10, 1), zoned, True)
    assert Moment.query.count(s=zoned) == 1
    for wrong in ({"type": str}, {"type": list}, {"auto_now": True}):
        with pytest.raises(ModelException):
            SortedField(**wrong)


def test_d45_renaming_touches_nobody_elses_row(store: Any, plain: Any):
    part("a", c="mine")
    unsaved = Part(k="a", e="other")
    unsaved.k = "b"
    unsaved.save()
    assert names(Part.query.all()) == ["a", "b"]
    unsaved.k = "a"
    with pytest.raises(ModelException, match="stored already"):
        unsaved.save(migrate_key=True)
    assert Part.load("Part:a").c == "mine"
    assert stray_entries(plain, Part) == []


def test_d46_mutable_defaults_are_not_shared(fake: Any):
    class Basket(Model):
        k = KeyField()
        v = ListField(default=[])
        d = DictField(default={"a": []})

    one, other = Basket(k="1"), Basket(k="2")
    one.v.append(1)
    one.d["a"].append(1)
    assert (other.v, other.d, Basket(k="3").v) == ([], {"a": []}, [])


def test_d49_events_say_what_the_server_did(store: Any, plain: Any):
    class Event(EventStreamMixin, Model):
        k = KeyField()
        c = Field()

    Event.create(k="a")
    for number in range(2):
        row = Event.query.get(k="a")
        row.c = str(number)
        with round_trips() as trips:
            row.save()
        assert trips == 1
    row.delete()
    assert [entry[b"op"] for _, entry in plain.xrange("stream:mutations")] == [
        b"create",
        b"update",
        b"update",
        b"delete",
    ]


def test_d51_typos_are_refused(fake: Any):
    row = part()
    with pytest.raises(ModelException, match="nmae"):
        Part(nmae="x")
    with pytest.raises(AttributeError, match="stauts"):
        row.stauts = "x"
    with pytest.raises(ModelException, match="nope"):
        Part.bulk_update([row], nope=5)
    with pytest.raises(ModelException, match="delete"):
        Part(delete=None)
    with pytest.raises(QueryException):
        Part.query.filter("junk")  # type: ignore[arg-type]
    with pytest.raises(QueryException):
        Part.query.all(stt="t")
    assert Part.query.all(st="nothing") == []


def test_d52_instances_are_hashable(fake: Any):
    row = part()
    assert {row, Part.load("Part:a")} == {row}
    assert {row: 1}[Part.load("Part:a")] == 1


def test_d53_no_query_walks_the_keyspace(server: Any, plain: Any):
    Part.bulk_create([Part(k=f"k{n}", e=f"e{n % 5}{n}", st=f"s{n}") for n in range(300)])
    plain.config_resetstat()
    for keywords in ({"e__isnull": False}, {"e__startswith": "e1"}, {"k__endswith": "7"}, {"st__contains": "9"}):
        with round_trips() as trips:
            assert Part.query.filter(**keywords).all()
        assert trips == 1
    used = plain.info("commandstats")
    assert "cmdstat_keys" not in used and "cmdstat_scan" not in used
    with round_trips() as trips:
        Part.query.keys()
    assert trips == 1
    with round_trips() as trips:
        Part.check_indexes()
    assert trips.count < 100


def test_d54_bulk_create_is_one_round_trip_a_batch(store: Any):
    for rows in ([Bare(x=str(n)) for n in range(100)], [Part(k=str(n), e=str(n)) for n in range(100)]):
        with round_trips() as trips:
            type(rows[0]).bulk_create(rows)
        assert trips == 1


def test_d55_composite_values_do_not_run_together(store: Any, plain: Any):
    class Pair(Model):
        k = KeyField()
        a = IndexedField()
        b = Field()

        class Meta:
            indexes = ((("a", "b"), True),)

    Pair.create(k="1", a="x:y", b="z")
    Pair.create(k="2", a="x", b="y:z")
    with pytest.raises(ModelException):
        Pair.create(k="3", a="x", b="y:z")
    row = Pair.create(k="4")
    row.a = "v"
    row.save()
    assert names(Pair.query.filter(a__isnull=True)) == []
    assert names(Pair.query.filter(a__isnull=False)) == ["1", "2", "4"]
    row.delete()
    Pair.load("Pair:1").delete()
    Pair.create(k="5", a="x:y", b="z")
    assert Pair.check_indexes()["total"] == 0


def test_d56_one_bad_row_breaks_nothing(store: Any, plain: Any):
    for k in "abc":
        part(k, n=1)
    plain.hset("Part:b", "n", b"\xc1")
    plain.hset("Part:b", "c", b"\xc1")
    assert Part.rebuild_indexes() == 3
    assert names(Part.query.filter(st="x")) == ["a", "b", "c"]
    bad = Part.load("Part:b")
    with pytest.raises(ModelException, match=r"Part:b.*'n'"):
        _ = bad.n
    assert bad.e == "eb"
    bad.n = 5
    bad.save()
    assert names(Part.query.filter(n=5)) == ["b"]
    assert bad.delete()
    assert Part.check_indexes()["total"] == 0


def test_d57_a_made_up_instance_deletes_what_is_stored(store: Any, plain: Any):
    part("1", st="real", n=4)
    assert Part(k="1", st="ZZZ", e="other").delete()
    assert keyspace(plain) == {}
