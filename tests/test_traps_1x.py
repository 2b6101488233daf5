"""The defects that were found in popoto 1.x, each by its number, and that we do not have them.

Elsewhere: D0 test_redis_db and test_testing, D47 test_pytest_plugin, D48 test_pubsub, D50 test_streams.
Not built: capped lists (D3), data frames (the second half of D14).
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from stored import keyspace, stray_entries

import popoto
from popoto import (
    AutoKeyField,
    BooleanField,
    BytesField,
    DateField,
    DatetimeField,
    DecimalField,
    DictField,
    EventStreamMixin,
    Field,
    GeoField,
    IndexedField,
    IntField,
    KeyField,
    KeyMutationError,
    ListField,
    Model,
    ModelException,
    Q,
    QueryException,
    Relationship,
    SetField,
    SortedField,
    SortedKeyField,
    StaleObjectError,
    UniqueField,
    UniqueKeyField,
    round_trips,
    using,
)
from popoto.storage import Connection


class Part(Model):
    """The model that section 7 of the description abbreviates."""

    k = KeyField()
    st = IndexedField()
    e = UniqueField()
    n = SortedField(type=int, default=0)
    p = SortedField(type=int, default=0, partition_by="st")
    c = Field()
    i = IntField(default=0)


class Bare(Model):
    """No key of its own."""

    x = Field()


class Customer(Model):
    username = KeyField()
    city = IndexedField()
    age = SortedField(type=int, default=1)


class Order(Model):
    oid = KeyField()
    customer = Relationship(model=Customer)
    parent = Relationship(model="self")
    note = Field()


class Spot(Model):
    k = KeyField()
    g = GeoField()


def part(k: str = "a", **more: Any) -> Part:
    return Part.create(**({"k": k, "e": f"e{k}", "st": "x"} | more))


def names(query: Any) -> list[str]:
    return sorted(row.k for row in query)


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
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)
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


def test_a_sole_unique_key_is_replaced_and_not_doubled(store: Any, plain: Any):
    class Solo(Model):
        k = UniqueKeyField()
        c = Field()

    Solo.create(k="a", c="1")
    Solo.create(k="a", c="2")
    assert stray_entries(plain, Solo) == []
    assert [row.c for row in Solo.query.all()] == ["2"]
