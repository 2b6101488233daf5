"""Defects of popoto 1.x that we do not have: relationships, expiry, indexes and queries (D21 to D41)."""

from __future__ import annotations

import asyncio
import random
import threading
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from stored import keyspace, stray_entries
from traps import Customer, Order, Part, names, part

from popoto import (
    DateField,
    Field,
    GeoField,
    IndexedField,
    IntField,
    KeyField,
    Model,
    ModelException,
    Q,
    QueryException,
    Relationship,
    SortedField,
    StaleObjectError,
    UniqueField,
    round_trips,
    using,
)
from popoto.storage import Connection


def test_d21_a_refused_relationship_changes_nothing_for_others(store: Any):
    Order.create(oid="1", customer=Customer.create(username="al"))
    with pytest.raises(ModelException):
        Order(oid="2", customer=5)
    assert Order.query.get(oid="1").customer.username == "al"


def test_d22_related_rows_load_alike_on_every_path(store: Any):
    al = Customer.create(username="al")
    first = Order.create(oid="1", customer=al)
    Order.create(oid="2", parent=first, customer=al)
    for row in (Order.query.get(oid="2"), Order.query.filter(oid="2")[0], Order.query.get_many(["Order:2"])[0]):
        assert row.parent.customer == al
        assert sorted(one.oid for one in Order.query.filter(customer=row.customer)) == ["1", "2"]


def test_d23_a_dangling_reference_is_not_erased(store: Any, plain: Any):
    al = Customer.create(username="al")
    Order.create(oid="1", customer=al)
    al.delete()
    row = Order.query.get(oid="1")
    row.note = "x"
    row.save()
    assert plain.hget("Order:1", "customer") == msgpack.packb("Customer:al")
    with pytest.raises(ModelException, match="not stored"):
        _ = row.customer


def test_d24_a_time_to_live_survives_loading_and_can_be_cleared(store: Any, plain: Any):
    class Session(Model):
        k = KeyField()
        c = Field()

        class Meta:
            ttl = 100

    Session.create(k="own", _ttl=9)
    permanent = Session(k="ever")
    permanent._ttl = None
    permanent.save()
    for k in ("own", "ever"):
        row = Session.load(f"Session:{k}")
        row.c = "x"
        row.save()
    assert (plain.ttl("Session:own"), plain.ttl("Session:ever")) == (9, -1)
    row = Session.load("Session:own")
    row._ttl = None
    row.save()
    assert plain.ttl("Session:own") == -1


def test_d25_expired_rows_are_not_counted(store: Any, plain: Any):
    row = part("a")
    row._ttl = 50
    row.save()
    part("b")
    plain.delete("Part:a")
    plain.zadd("$Exp:Part", {"Part:a": 1.0})
    assert (Part.query.count(), len(Part.query.all())) == (1, 1)
    assert (Part.query.count(st="x"), len(Part.query.filter(st="x"))) == (1, 1)
    part("c")
    assert stray_entries(plain, Part) == []


def test_d26_every_family_of_indexes_is_looked_after_once(store: Any, plain: Any):
    class Item(Model):
        k = KeyField()
        price = SortedField(type=int, default=0)
        price_old = SortedField(type=int, default=0)
        st = IndexedField()
        e = UniqueField()
        r = Relationship(model=Customer)

    Item.create(k="a", e="e")
    plain.zadd("$SortF:Item:price", {"Item:x": 1})
    plain.zadd("$SortF:Item:price_old", {"Item:x": 1})
    for key in ("$IndexF:Item:st:s", "$UniquF:Item:e:u", "$RelationshipF:Item:r:Customer:c"):
        plain.sadd(key, "Item:x")
    report = Item.check_indexes()
    assert report["sorted_fields"] == {"price": 1, "price_old": 1}
    assert report["indexed_fields"] == {"st": 1, "e": 1, "r": 1}
    assert (report["total"], Item.clean_indexes(), Item.check_indexes()["total"]) == (5, 5, 0)


def test_d27_indexed_and_unique_work_on_every_field(store: Any, plain: Any):
    class Tag(Model):
        k = KeyField()
        a = Field(indexed=True)
        b = IntField(unique=True)
        c = Field(unique=True)

    Tag.create(k="1", a="x", b=1, c="c")
    assert {b"$IndexF:Tag:a:x", b"$UniquF:Tag:b:1", b"$UniquF:Tag:c:c"} <= set(keyspace(plain))
    for wrong in ({"b": 1, "c": "d"}, {"b": 2, "c": "c"}):
        with pytest.raises(ModelException, match="is taken"):
            Tag.create(k="2", **wrong)
    assert names(Tag.query.filter(a="x")) == ["1"]


def test_d28_what_the_server_would_refuse_is_refused_before_anything_is_written(store: Any, plain: Any):
    class Both(Model):
        k = KeyField()
        g = GeoField()
        s = SortedField(type=float, default=0.0)

    for wrong in ({"g": (95, 10)}, {"s": float("nan")}, {"g": (1, 181)}):
        with pytest.raises(ModelException):
            Both.create(k="a", **wrong)
    assert keyspace(plain) == {}


def test_d29_a_query_runs_once_and_loads_what_it_returns(store: Any):
    Part.bulk_create([Part(k=f"{n:03}", e=str(n), st="x", n=n) for n in range(60)])
    for work in (
        lambda q: (list(q), len(q), q[0], bool(q)),
        lambda q: q.first(),
        lambda q: q.limit(10).all(),
        lambda q: q.order_by("-n").limit(3).all(),
        lambda q: q.get(e="7"),
    ):
        with round_trips() as trips:
            work(Part.query.filter(st="x"))
        assert trips == 1


def test_d30_writers_of_different_fields_keep_each_others_work(store: Any):
    part()
    one, other = Part.load("Part:a"), Part.load("Part:a")
    one.c = "one"
    one.save()
    other.i = 1
    other.save()
    found = Part.load("Part:a")
    assert (found.c, found.i) == ("one", 1)
    found.delete()
    other.i = 2
    with pytest.raises(StaleObjectError):
        other.save()
    assert Part.query.count() == 0


def test_d31_plain_fields_in_conditions(store: Any):
    for k, c, state in (("1", "x", "t"), ("2", "y", "t"), ("3", "y", "u"), ("4", None, "u")):
        part(k, c=c, st=state)
    assert names(Part.query.filter(Q(c="x") | Q(c="y"))) == ["1", "2", "3"]
    assert names(Part.query.filter(~Q(c="x"))) == ["2", "3", "4"]
    assert names(Part.query.filter(Q(c="y") | Q(st="t"))) == ["1", "2", "3"]
    assert len(Part.query.filter(Q())) == 4
    assert names(Part.query.filter(c="x")) == ["1"]
    assert len(Part.query.filter(Q())) == 4


def test_d32_asyncio(store: Any):
    part("a")
    Part.bulk_create([Part(k=str(n), e=str(n), st=f"s{n % 4}") for n in range(20)])

    async def work() -> list[int]:
        assert (await Part.async_load(db_key="Part:a")).k == "a"
        assert len(await Part.query.async_filter(Q(st="s1") | Q(st="s2"))) == 10
        found = await asyncio.gather(*[Part.query.async_filter(st=f"s{n % 4}") for n in range(40)])
        return [sum(row.st != f"s{n % 4}" for row in rows) for n, rows in enumerate(found)]

    for _ in range(3):
        assert asyncio.run(work()) == [0] * 40


def test_d33_queries_of_many_threads_do_not_mix_and_a_failed_bulk_leaves_objects_unsaved(store: Connection):
    Part.bulk_create([Part(k=str(n), e=str(n), st=f"s{n % 4}") for n in range(20)])
    wrong: list[Any] = []

    def ask(seed: int) -> None:
        dice = random.Random(seed)
        with using(store):
            for _ in range(20):
                state = f"s{dice.randrange(4)}"
                wrong.extend(row for row in Part.query.filter(st=state) if row.st != state)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    bad = [Part(k="bad", e="bad"), Part(k="worse", e=None)]
    with pytest.raises(ModelException):
        Part.bulk_create(bad)
    bad[0].k = "renamed"
    bad[0].save()
    assert Part.query.get(k="renamed") == bad[0]


def test_d34_none_is_not_the_text_none(store: Any):
    class Maybe(Model):
        k = KeyField()
        st = IndexedField()

    Maybe.create(k="None", st="None")
    Maybe.create(k=None, st=None)
    assert Maybe.query.count() == 2
    assert [row.k for row in Maybe.query.filter(st__isnull=True)] == [None]
    assert [row.k for row in Maybe.query.filter(k="None")] == ["None"]
    assert [row.st for row in Maybe.query.filter(st="None")] == ["None"]


def test_d35_keys_are_injective(store: Any, plain: Any):
    texts = ["a:b", "a{&#58;}b", "a{/&#58;}b", "a/b", "a//b", "a/:b", "a", "", "None", "/None", "a*b"]
    for text in texts:
        part(text)
    assert len([key for key in keyspace(plain) if key.startswith(b"Part:")]) == len(texts)
    assert names(Part.query.all()) == sorted(texts)


def test_d36_sorted_filters_know_their_fields(store: Any):
    class Page(Model):
        k = KeyField()
        age = SortedField(type=int, default=0)
        page = SortedField(type=int, default=0)
        created = SortedField(type=datetime, default=datetime(2024, 1, 1))
        created_by = Field()
        d = DateField()
        pd = SortedField(type=Decimal, default=Decimal(1))
        pd_note = Field()

    Page.create(k="a", age=10, page=100, created_by="bob", d=date(2024, 1, 1), pd_note="abc")
    Page.create(k="b", age=1, page=1, d=date(2024, 1, 2))
    assert names(Page.query.filter(age__gte=1, page__gte=100)) == ["a"]
    assert names(Page.query.filter(created_by="bob")) == ["a"]
    assert names(Page.query.filter(pd_note="abc")) == ["a"]
    assert [row.k for row in Page.query.all(order_by="-d")] == ["b", "a"]
    assert names(Page.query.filter(age__gte=1, age__gt=1)) == ["a"]


def test_d37_limit(store: Any, plain: Any):
    for n in range(6):
        part(str(n), c="y" if n > 3 else "x", n=n)
    assert Part.query.filter(limit=0).all() == []
    assert [row.k for row in Part.query.filter(c="y", order_by="k", limit=1)] == ["4"]
    with pytest.raises(QueryException):
        Part.query.filter(limit=-1)
    plain.delete("Part:0")
    assert [row.k for row in Part.query.filter(order_by="k", limit=2)] == ["1", "2"]


def test_d38_keys_are_ordered_by_value(store: Any):
    class Count(Model):
        k = KeyField(type=int)

    Count.bulk_create([Count(k=n) for n in range(1, 13)])
    assert [row.k for row in Count.query.all(order_by="k", limit=3)] == [1, 2, 3]
    assert [row.k for row in Count.query.all(order_by="-k", limit=3)] == [12, 11, 10]


def test_d39_none_has_a_place_in_every_order(store: Any):
    class Day(Model):
        k = KeyField()
        d = DateField()
        i = IntField()

    for k, d, i in (("a", None, None), ("b", date(2024, 1, 2), -5), ("c", date(2024, 1, 1), 0)):
        Day.create(k=k, d=d, i=i)
    assert [row.k for row in Day.query.all(order_by="d")] == ["a", "c", "b"]
    assert [row.k for row in Day.query.all(order_by="-i")] == ["c", "b", "a"]
    assert [row["i"] for row in Day.query.all(order_by="i", values=("i",))] == [None, -5, 0]


def test_d40_values_of_keys_have_their_types(store: Any, plain: Any):
    class Mix(Model):
        b = KeyField(type=bool)
        d = KeyField(type=date)
        i = KeyField(type=int)
        s = KeyField()
        c = Field(default="c")

        class Meta:
            order_by = "s"

    Mix.create(b=False, d=date(2024, 1, 2), i=None, s=None)
    wanted = {"b": False, "d": date(2024, 1, 2), "i": None, "s": None}
    assert Mix.query.all(values=("b", "d", "i", "s")) == [wanted]
    assert Mix.query.all(values=("c",)) == [{"c": "c"}]
    plain.hdel(Mix.query.keys()[0], "c")
    assert Mix.query.all(values=("c",)) == [{"c": "c"}]
    with pytest.raises(QueryException, match="nope"):
        Mix.query.all(values=("nope",))


def test_d41_get_honours_every_keyword(store: Any):
    part("a", st="x")
    assert Part.query.get(k="a", st="WRONG") is None
    assert Part.query.get(k="a", st="x", c=None).k == "a"
