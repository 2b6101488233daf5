"""Lookups through relationships and prefetch: one script where both models are at hand, level by level where not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from popoto import (
    Field,
    GeoField,
    IndexedField,
    KeyField,
    ListField,
    Model,
    Q,
    QueryException,
    Relationship,
    SortedField,
    round_trips,
    using,
)
from popoto.queries import related, run
from popoto.storage import Connection
from popoto.storage.layouts import PLAIN, Layout


class Town(Model):
    name = KeyField()
    land = IndexedField()


class Author(Model):
    name = KeyField()
    home = Relationship(model=Town)
    born = SortedField(type=int, default=1900)
    note = Field()
    prizes = ListField(max_length=20)


class Press(Model):
    name = KeyField()
    city = IndexedField()

    class Meta:
        hash_tag = "Book"


class Book(Model):
    title = KeyField()
    author = Relationship(model=Author)
    press = Relationship(model=Press)
    sequel = Relationship(model="self")
    year = SortedField(type=int, default=0)
    note = Field()


class Elsewhere(Model):
    name = KeyField()
    town = Relationship(model=Town)

    class Meta:
        connection = "elsewhere"


def library() -> None:
    towns = [Town.create(name=f"t{n}", land="it" if n < 3 else "fr") for n in range(6)]
    authors = [Author(name=f"a:{n}", home=towns[n % 6], born=1900 + n, note=f"n{n % 2}") for n in range(12)]
    Author.bulk_create(authors)
    presses = [Press.create(name=f"p{n}", city=f"c{n % 2}") for n in range(3)]
    books = [
        Book(title=f"b{n:02}", author=authors[n % 12], press=presses[n % 3], year=n, note=f"x{n % 3}")
        for n in range(36)
    ]
    for number, book in enumerate(books[:-1]):
        book.sequel = books[number + 1].pk
    Book.bulk_create(books)
    Book.create(title="alone")


def titles(*conditions: Any, **keywords: Any) -> list[str]:
    return sorted(row.title for row in Book.query.filter(*conditions, **keywords))


def wanted(holds: Callable[[int], bool]) -> list[str]:
    return [f"b{n:02}" for n in range(36) if holds(n)]


QUERIES: dict[str, tuple[tuple[Any, ...], dict[str, Any], Callable[[int], bool]]] = {
    "one level": ((), {"author__name": "a:3"}, lambda n: n % 12 == 3),
    "a range": ((), {"author__born__between": (1902, 1904)}, lambda n: 2 <= n % 12 <= 4),
    "two levels": ((), {"author__home__land": "it"}, lambda n: n % 6 < 3),
    "two relationships": ((), {"author__born__lt": 1906, "press__city": "c1"}, lambda n: n % 12 < 6 and n % 3 == 1),
    "the same model": ((), {"sequel__title": "b05"}, lambda n: n == 4),
    "a text": ((), {"author__name__startswith": "a:1"}, lambda n: n % 12 in (1, 10, 11)),
    "any": ((Q(author__name="a:2") | Q(year=7),), {}, lambda n: n % 12 == 2 or n == 7),
    "beside others": ((), {"author__home__name": "t1", "year__gte": 10}, lambda n: n % 6 == 1 and n >= 10),
    "and a plain field": ((), {"author__name": "a:3", "note": "x0"}, lambda n: n % 12 == 3 and n % 3 == 0),
    "nobody": ((), {"author__name": "nobody"}, lambda n: False),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_lookup_through_a_relationship_is_one_trip(store: Any, name: str):
    library()
    conditions, keywords, holds = QUERIES[name]
    with round_trips() as trips:
        assert titles(*conditions, **keywords) == wanted(holds)
    assert trips == 1
    with round_trips() as trips:
        assert Book.query.filter(*conditions).count(**keywords) == len(wanted(holds))
    assert trips == 1
    first = [row.title for row in Book.query.filter(*conditions, **keywords, order_by="-year", limit=2)]
    assert first == wanted(holds)[::-1][:2]

    async def same() -> list[str]:
        return sorted(row.title for row in await Book.query.filter(*conditions, **keywords))

    assert asyncio.run(same()) == wanted(holds)


def test_what_rows_must_decide_goes_level_by_level(store: Any):
    library()
    for conditions, keywords, holds in (
        ((), {"author__note": "n1"}, lambda n: n % 2 == 1),
        ((~Q(author__name="a:3"), Q(year__gte=0)), {"sequel__isnull": False}, lambda n: n % 12 != 3 and n < 35),
        ((Q(author__note="n1") | Q(year=2),), {}, lambda n: n % 2 == 1 or n == 2),
        ((Q(author__name="a:2") | Q(note="x1"),), {}, lambda n: n % 12 == 2 or n % 3 == 1),
    ):
        with round_trips() as trips:
            assert titles(*conditions, **keywords) == wanted(holds)
        assert trips == 2
        assert Book.query.filter(*conditions).count(**keywords) == len(wanted(holds))


def test_entries_that_lie_on_either_side_find_nothing(store: Any, plain: Any):
    library()
    plain.sadd("$KeyF:Author:name:a{&#58;}3", "Author:a{&#58;}4", "Author:gone")
    plain.sadd("$RelationshipF:Book:author:Author:a{&#58;}3", "Book:b00", "Book:gone")
    assert titles(author__name="a:3") == wanted(lambda n: n % 12 == 3)
    assert titles(author__name="a:3", note="x0") == wanted(lambda n: n % 12 == 3)
    assert Book.query.count(author__name="a:3") == 3
    plain.sadd("$IndexF:Press:city:c1", "Press:p0", "Press:gone")
    assert titles(press__city="c1") == wanted(lambda n: n % 3 == 1)
    assert Book.query.count(press__city="c1") == 12


def test_a_namespace_is_no_part_of_a_reference(fake: Any):
    for space in ("blue", "$Class{Book}"):
        with using(Connection(f"fake://spaces?namespace={space}")):
            library()
            with round_trips() as trips:
                rows = (
                    Book.query.filter(author__home__land="it", author__name__startswith="a:1").prefetch("author").all()
                )
                assert sorted(row.title for row in rows) == wanted(lambda n: n % 12 == 1)
                assert {row.author.name for row in rows} == {"a:1"}
            assert trips == 1
            assert Press.query.count(name__endswith="1", city__contains="c") == 1
            assert Author.query.count(born__gte=1905, name__startswith="a:1") == 2


def test_very_many_related_rows_are_found_first(server: Any):
    Town.bulk_create([Town(name=f"t{n}", land="it") for n in range(1_050)])
    Author.bulk_create([Author(name=str(n), home=f"Town:t{n}") for n in range(0, 1_050, 350)])
    with round_trips() as trips:
        assert sorted(row.name for row in Author.query.filter(home__land="it")) == ["0", "350", "700"]
    assert int(trips) > 1
    assert Author.query.count(home__land="it") == 3
    assert "in the same script" in str(Author.query.filter(home__land="it").explain())
    analyzed = Author.query.filter(home__land="it").explain(analyze=True)
    assert analyzed.rows == 3


def test_pages_go_on_though_other_related_rows_come_and_go(store: Any):
    library()
    found: list[str] = []
    query = Book.query.filter(author__born__gte=1900)
    meta = Book._meta
    planned = query._planned(related.nested(meta, query._wanted, PLAIN))
    gathering = run.Gathering(meta, planned, Book._from_row, PLAIN, 5)
    while not gathering.ended:
        found += [row.title for row in store.run(gathering.page())]
        if len(found) == 5:
            Author.load("Author:a{&#58;}0").delete()  # type: ignore[union-attr]
            Author.create(name="a:00", born=1950)
    assert len(found) == len(set(found))
    assert set(found) >= set(wanted(lambda n: n % 12 != 0))


def test_models_with_another_connection_namespace_or_slot_are_not_mixed():
    cluster = Layout(cluster=True)
    assert related.beside(Book._meta, Author._meta, PLAIN)
    assert related.beside(Book._meta, Author._meta, Layout("space"))
    assert not related.beside(Book._meta, Author._meta, cluster)
    assert related.beside(Book._meta, Press._meta, cluster)
    assert not related.beside(Elsewhere._meta, Town._meta, PLAIN)
    wanted = Book.query.filter(author__name="a", press__name="p")._wanted
    nested = related.nested(Book._meta, wanted, cluster).where.branches
    assert [branch.nested for branch in nested] == [False, True]  # type: ignore[union-attr]
    assert related.loadable(Book._meta, ("author", "press"), cluster) == ("press",)


def test_prefetch_brings_each_related_row_once(store: Any, sent: list[int]):
    library()
    with round_trips() as trips:
        rows = Book.query.filter(author__home__land="it", order_by="title").prefetch("author", "press").all()
        assert [row.author.name for row in rows] == [f"a:{n % 12}" for n in range(36) if n % 6 < 3]
        assert rows[0].press is rows[6].press
    assert (int(trips), sent) == (1, [18, 6, 3])


def test_prefetch_keeps_what_dangles_and_reads_lists_beside_the_row(store: Any):
    ann = Author.create(name="ann", prizes=["x", "y"])
    Book.create(title="1", author=ann)
    Book.create(title="2", author="Author:gone")
    Book.create(title="3")
    with round_trips() as trips:
        one, two, three = Book.query.order_by("title").prefetch("author")
        assert one.author.prizes == ["x", "y"] and three.author is None
        assert Book.author.key_of(two) == "Author:gone"
    assert trips == 1
    with round_trips() as trips:
        found = Book.query.prefetch("author").get(title="1")
        assert found is not None and found.author.name == "ann"
    assert trips == 1

    async def same() -> list[Any]:
        return [
            row.author and Book.author.key_of(row) async for row in Book.query.prefetch("author") if row.title != "2"
        ]

    assert sorted(asyncio.run(same()), key=str) == ["Author:ann", None]


def test_prefetch_with_a_limit_after_loading_loads_no_more_than_it_gives(store: Any):
    library()
    with round_trips() as trips:
        rows = Book.query.filter(order_by="note", limit=2).prefetch("author").all()
        assert [row.author.name for row in rows if row.author] == ["a:0"]
    assert trips == 2


def test_an_iterator_prefetches_page_by_page(store: Any):
    library()
    with round_trips() as trips:
        names = [
            row.author.name
            for row in Book.query.filter(year__gte=0, author__isnull=False).prefetch("author").iterator(10)
        ]
    assert len(names) == 36 and int(trips) <= 6


class Quay(Model):
    name = KeyField()
    harbour = IndexedField()
    place = GeoField()
    depth = SortedField(type=int, default=0, partition_by="harbour")


class Ship(Model):
    name = KeyField()
    quay = Relationship(model=Quay)
    former = Relationship(model=Quay)
    flagship = Relationship(model="self")


def test_keywords_through_one_relationship_speak_of_one_row_together(store: Any):
    quays = [Quay.create(name=f"q{n}", harbour="a" if n < 2 else "b", place=(0.0, n), depth=n) for n in range(4)]
    ships = [Ship.create(name=f"s{n}", quay=quay, former=quays[0]) for n, quay in enumerate(quays)]
    Ship.create(name="t", flagship=ships[1])

    def names(*conditions: Q, most: int = 1, **keywords: Any) -> list[str]:
        with round_trips() as trips:
            found = sorted(ship.name for ship in Ship.query.filter(*conditions, **keywords))
        assert int(trips) <= most
        return found

    # The grid of places is coarse: rows decide, so the quays are found first.
    assert names(quay__place=(0.0, 1.0), quay__place_radius=120, quay__place_radius_unit="km", most=2) == [
        "s0",
        "s1",
        "s2",
    ]
    assert names(quay__place_latitude=0.0, quay__place_longitude=3.0, most=2) == ["s3"]
    assert names(quay__harbour="a", quay__depth__gte=1) == ["s1"]
    assert names(quay__harbour="b", former__harbour="a", former__depth=0) == ["s2", "s3"]
    assert names(flagship__quay__harbour="a", flagship__quay__depth__lte=5) == ["t"]
    assert names(Q(quay__harbour="b", quay__depth__gt=2) | Q(name="s0")) == ["s0", "s3"]
    with pytest.raises(QueryException, match="harbour"):
        list(Ship.query.filter(quay__depth__gte=1))


@pytest.mark.parametrize("word", ["limit", "order_by", "values"])
def test_what_belongs_to_a_query_is_no_condition(fake: Any, word: str):
    operand: Any = {"limit": 1, "order_by": "name", "values": ("name",)}[word]
    for refused in (
        lambda: Ship.query.filter(**{f"quay__{word}": operand}),
        lambda: Ship.query.filter(Q(**{word: operand})),
        lambda: Ship.query.exclude(name="a", **{word: operand}),
    ):
        with pytest.raises(QueryException, match=f"no lookup '{word}'"):
            refused()
