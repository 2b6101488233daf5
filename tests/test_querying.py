"""A filter returns just the rows whose own values satisfy it; a query runs once."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from popoto import (
    AutoKeyField,
    BooleanField,
    Field,
    IndexedField,
    IntField,
    KeyField,
    ListField,
    Model,
    ModelException,
    Query,
    QueryException,
    SortedField,
    UniqueField,
    UniqueKeyField,
    round_trips,
)


class Book(Model):
    isbn = KeyField()
    genre = IndexedField()
    code = UniqueField()
    price = SortedField(type=Decimal, default=Decimal(0))
    pages = SortedField(type=int, default=0)
    rank = SortedField(default=0.0, partition_by=("genre", "used"))
    printed = SortedField(type=date, default=date(2000, 1, 1))
    used = BooleanField(default=False)
    title = Field()
    year = IntField()
    tags = ListField(default=list)


class Pair(Model):
    one = KeyField()
    two = KeyField(type=int)


class Token(Model):
    auto = AutoKeyField()
    text = IndexedField()


class Twice(Model):
    number = UniqueKeyField(type=int)
    serial = AutoKeyField()


def shelve() -> list[Any]:
    """Ten books, their fields in different orders."""
    return [
        Book.create(
            isbn=f"b{number}",
            genre=("sf", "crime", None)[number % 3],
            code=f"c{number}",
            price=Decimal(number) / 10,
            pages=100 * (number % 5),
            rank=float(-number),
            printed=date(2000, 1, 1) + timedelta(days=number),
            used=number % 2 == 0,
            title=f"Title {number}",
            year=2000 + number % 2,
            tags=[number],
        )
        for number in range(10)
    ]


def isbns(rows: Any) -> list[str]:
    return sorted(row.isbn for row in rows)


def named(*numbers: int) -> list[str]:
    return [f"b{number}" for number in numbers]


CASES: list[tuple[dict[str, Any], list[int]]] = [
    ({}, list(range(10))),
    ({"isbn": "b3"}, [3]),
    ({"isbn": "nope"}, []),
    ({"isbn__in": ["b3", "b4", "x"]}, [3, 4]),
    ({"isbn__in": []}, []),
    ({"isbn__startswith": "b"}, list(range(10))),
    ({"isbn__endswith": "7"}, [7]),
    ({"isbn__contains": "8"}, [8]),
    ({"isbn__isnull": True}, []),
    ({"isbn__isnull": False}, list(range(10))),
    ({"genre": "sf"}, [0, 3, 6, 9]),
    ({"genre": None}, [2, 5, 8]),
    ({"genre": "None"}, []),
    ({"genre__in": ("sf", None)}, [0, 2, 3, 5, 6, 8, 9]),
    ({"genre__in": {"sf"}}, [0, 3, 6, 9]),
    ({"genre__isnull": True}, [2, 5, 8]),
    ({"genre__isnull": False}, [0, 1, 3, 4, 6, 7, 9]),
    ({"genre__startswith": "cr"}, [1, 4, 7]),
    ({"genre__startswith": "*"}, []),
    ({"genre__contains": "[^None]"}, []),
    ({"code": "c5"}, [5]),
    ({"code__in": ["c5", "c6"]}, [5, 6]),
    ({"price": Decimal("0.3")}, [3]),
    ({"price": 0.3}, [3]),
    ({"price__gt": Decimal("0.7")}, [8, 9]),
    ({"price__gte": "0.7"}, [7, 8, 9]),
    ({"price__lt": 0.2}, [0, 1]),
    ({"price__lte": Decimal("0.2")}, [0, 1, 2]),
    ({"price__between": (Decimal("0.2"), Decimal("0.4"))}, [2, 3, 4]),
    ({"price__in": [Decimal("0.1"), Decimal("0.9")]}, [1, 9]),
    ({"pages": 300}, [3, 8]),
    ({"pages__gt": 250.5}, [3, 4, 8, 9]),
    ({"pages__gte": 100, "pages__lt": 300}, [1, 2, 6, 7]),
    ({"pages__gte": 10, "pages__gt": 1}, [1, 2, 3, 4, 6, 7, 8, 9]),
    ({"pages__gte": float("inf")}, []),
    ({"pages__gte": float("-inf")}, list(range(10))),
    ({"printed": date(2000, 1, 4)}, [3]),
    ({"printed__lte": date(2000, 1, 2)}, [0, 1]),
    ({"rank__lt": -3, "genre": "sf", "used": True}, [6]),
    ({"rank__gte": -3, "genre": None, "used": True}, [2]),
    ({"title": "Title 3"}, [3]),
    ({"title__in": ["Title 3", "Title 4"]}, [3, 4]),
    ({"title__isnull": False}, list(range(10))),
    ({"year": 2001}, [1, 3, 5, 7, 9]),
    ({"tags": [4]}, [4]),
    ({"used": True, "genre": "sf"}, [0, 6]),
    ({"genre": "sf", "pages__gte": 100, "price__lt": Decimal("0.7")}, [3, 6]),
    ({"genre": "sf", "code": "c3", "isbn": "b3", "title": "Title 3"}, [3]),
    ({"isbn": "b3", "genre": "crime"}, []),
]


def test_every_lookup_finds_just_its_rows(store: Any):
    shelve()
    found = {str(keywords): isbns(Book.query.filter(**keywords)) for keywords, _ in CASES}
    assert found == {str(keywords): named(*numbers) for keywords, numbers in CASES}


def test_every_lookup_counts_its_rows(store: Any):
    shelve()
    found = {str(keywords): Book.query.count(**keywords) for keywords, _ in CASES}
    assert found == {str(keywords): len(numbers) for keywords, numbers in CASES}


def test_async_twins_find_the_same(store: Any):
    shelve()

    async def work() -> tuple[dict[str, Any], dict[str, Any]]:
        rows = {str(keywords): isbns(await Book.query.async_filter(**keywords)) for keywords, _ in CASES}
        return rows, {str(keywords): await Book.query.async_count(**keywords) for keywords, _ in CASES}

    rows, counts = asyncio.run(work())
    assert rows == {str(keywords): named(*numbers) for keywords, numbers in CASES}
    assert counts == {str(keywords): len(numbers) for keywords, numbers in CASES}


def test_async_methods_of_a_query(store: Any):
    shelve()

    async def work() -> None:
        query = Book.query.filter(genre="sf").order_by("pages")
        assert isbns(await query) == named(0, 3, 6, 9)
        assert [row.isbn async for row in query] == [row.isbn for row in await query]
        assert (await query.async_first()).isbn == "b0"
        assert (await query.async_last()).isbn == "b9"
        assert await query.async_exists() is True
        assert await Book.query.async_exists(genre="x") is False
        assert isbns(await Book.query.async_all()) == named(*range(10))
        assert (await Book.query.async_get(isbn="b1")).isbn == "b1"
        assert await Book.query.async_get(isbn="x") is None
        many = await Book.query.async_get_many(["Book:b1", "Book:x"])
        assert [row and row.isbn for row in many] == ["b1", None]
        assert sorted(await Book.query.async_keys()) == [f"Book:b{number}".encode() for number in range(10)]

    asyncio.run(work())


def test_a_query_runs_once(store: Any):
    shelve()
    query = Book.query.filter(genre="sf", price__gte=0)
    with round_trips() as trips:
        assert len(query) == 4
        assert query[0] in list(query)
        assert bool(query) and query == list(query)
        assert len(query[1:]) == 3
        assert query.first() in query and query.last() in query
    assert trips == 1


def test_a_query_is_immutable(store: Any):
    shelve()
    query = Book.query.filter(genre="sf")
    narrower = query.filter(used=True)
    assert query.limit(1) is not query
    assert (len(query), len(narrower), len(query.limit(1))) == (4, 2, 1)
    assert isbns(query.filter(genre="crime")) == named(1, 4, 7)


def test_get(store: Any):
    shelve()
    assert Book.query.get(isbn="b1").isbn == "b1"
    assert Book.query.get(code="c1").isbn == "b1"
    assert Book.query.get("Book:b1").isbn == "b1"
    assert Book.query.get(db_key=Book(isbn="b1", code="x").db_key).isbn == "b1"
    assert Book.query.get(redis_key=b"Book:b1").isbn == "b1"
    assert Book.query.get(isbn="b1", genre="WRONG") is None
    assert Book.query.get(redis_key="Book:b1", genre="WRONG") is None
    assert Book.query.get(isbn="zzz") is None
    assert Book.load(isbn="b1") == Book.load("Book:b1") == Book.objects.get(isbn="b1")
    with pytest.raises(QueryException, match=r"Book: get\(genre\) found more than one row"):
        Book.query.get(genre="sf")


def test_get_never_reads_another_models_row(store: Any, plain: Any):
    Token.create(text="x")
    shelve()
    key = Token.query.keys()[0]
    assert Book.query.get(redis_key=key) is None
    assert Book.query.get(redis_key="$Class:Book") is None
    assert Book.query.get_many([key, "Book:b1", b"Book:zzz"], skip_none=True) == [Book.query.get(isbn="b1")]


def test_get_many_keeps_the_order(store: Any):
    shelve()
    rows = Book.query.get_many([b"Book:b3", "Book:nope", "Book:b1", "Book:b3"])
    assert [row and row.isbn for row in rows] == ["b3", None, "b1", "b3"]
    assert Book.query.get_many([]) == []


def test_composite_keys(store: Any):
    for one in ("a", "b"):
        for two in (1, 2):
            Pair.create(one=one, two=two)
    assert Pair.query.get(one="a", two=2).pk == "Pair:a:2"
    assert Pair.query.get(one="a", two="2").pk == "Pair:a:2"
    assert len(Pair.query.filter(one="a")) == 2
    assert len(Pair.query.filter(one__in=["a", "b"], two=1)) == 2
    assert Pair.query.count(one="a", two=1) == 1
    assert Pair.query.count(one="c", two=1) == 0
    assert Pair.query.count(one__in=["a", "b"]) == 4


def test_generated_keys(store: Any):
    one, other = Token.create(text="x"), Token.create(text="x")
    assert Token.query.filter(auto=one.auto).all() == [one]
    assert len(Token.query.filter(auto__in=[one.auto, other.auto])) == 2
    assert len(Token.query.filter(auto__startswith=one.auto[:31])) == 1
    assert Token.query.count(auto__in=[one.auto, "0" * 32]) == 1
    assert Token.query.filter(auto="*").all() == []
    assert Token.query.count(auto__isnull=True) == 0


def test_a_generated_key_beside_another(store: Any):
    one, other = Twice.create(number=1), Twice.create(number=2)
    assert Twice.query.filter(serial=one.serial).all() == [one]
    assert Twice.query.count(serial__in=[one.serial, other.serial]) == 2
    assert Twice.query.filter(number=2, serial=other.serial).all() == [other]
    assert Twice.query.filter(number=2, serial=one.serial).all() == []
    assert Twice.query.count(number=2, serial=one.serial) == 0


def test_values_gives_dictionaries(store: Any):
    shelve()
    assert Book.query.filter(isbn="b3", values=("isbn", "used")).all() == [{"isbn": "b3", "used": False}]
    assert Book.query.filter(isbn="b3").values("price")[0] == {"price": Decimal("0.3")}


def test_limit(store: Any):
    shelve()
    assert len(Book.query.filter(limit=3)) == 3
    assert len(Book.query.filter(genre="sf", limit=3)) == 3
    assert len(Book.query.filter(year=2001, limit=2)) == 2
    assert len(Book.query.all(limit=100)) == 10
    assert Book.query.filter(limit=0).all() == []
    assert Book.query.filter(genre="sf", limit=2).count() == 2
    assert Book.query.filter(title="Title 7", limit=1)[0].isbn == "b7"


def test_ghosts_take_no_place_in_a_limit(store: Any, plain: Any):
    for number in range(30):
        Token.create(auto=f"{number:032x}", text="x")
    for number in range(29):
        plain.delete(f"Token:{number:032x}")
    assert len(Token.query.filter(text="x", limit=1)) == 1
    assert len(Token.query.filter(limit=1)) == 1
    assert Token.query.count(text="x") == 1
    assert Token.query.first() is not None


def test_an_index_entry_that_lies_finds_nothing(store: Any, plain: Any):
    shelve()
    plain.sadd("$IndexF:Book:genre:sf", "Book:b1", "Token:x", "Book:none", "$Class:Book2")
    plain.zadd("$SortF:Book:pages", {"Book:b0": 1000, "Book:none": 1000})
    assert isbns(Book.query.filter(genre="sf")) == named(0, 3, 6, 9)
    assert Book.query.count(genre="sf") == 4
    assert isbns(Book.query.filter(pages__gte=1000)) == []
    assert Book.query.count(pages__gte=1000) == 0


def test_large_results_come_in_pages(store: Any):
    pipe = store.pipeline()
    for number in range(2500):
        Token.create(pipeline=pipe, auto=f"{number:032x}", text="even" if number % 2 == 0 else "odd")
    pipe.execute()
    with round_trips() as trips:
        rows = Token.query.filter(text="even").all()
    assert len({row.auto for row in rows}) == len(rows) == 1250
    assert trips.count <= 3
    assert len(Token.query.all()) == 2500
    assert Token.query.count(text="odd") == 1250
    assert Token.query.count(text__in=["odd", "even"]) == 2500
    assert len(Token.query.filter(text__in=["odd", "even"])) == 2500
    assert len(Token.query.keys()) == 2500


def test_scores_beyond_doubles_are_told_apart(store: Any):
    class Big(Model):
        k = KeyField()
        number = SortedField(type=int)
        money = SortedField(type=Decimal)

    for number in range(4):
        Big.create(k=str(number), number=2**53 + number, money=Decimal(1) + Decimal(number) / 10**25)
    assert [row.k for row in Big.query.filter(number=2**53 + 1)] == ["1"]
    assert sorted(row.k for row in Big.query.filter(number__gt=2**53 + 1)) == ["2", "3"]
    assert Big.query.count(number__lte=2**53) == 1
    assert sorted(row.k for row in Big.query.filter(money__gt=Decimal(1) + Decimal(1) / 10**25)) == ["2", "3"]
    assert Big.query.count(money__lt=Decimal(1) + Decimal(2) / 10**25) == 2


def test_moments_with_zones_compare_as_instants(store: Any):
    class Event(Model):
        k = KeyField()
        at = SortedField(type=datetime)
        place = IndexedField(type=datetime)

    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    there = noon.astimezone(timezone(timedelta(hours=5)))
    Event.create(k="a", at=noon, place=noon)
    Event.create(k="b", at=there + timedelta(hours=1), place=there)
    assert [row.k for row in Event.query.filter(at__gt=noon)] == ["b"]
    assert [row.k for row in Event.query.filter(at=there)] == ["a"]
    assert Event.query.count(at__between=(noon, noon + timedelta(hours=1))) == 2


def test_similar_names_do_not_interfere(store: Any):
    class Near(Model):
        k = KeyField()
        age = SortedField(type=int)
        page = SortedField(type=int)
        created = SortedField(type=date)
        created_by = IndexedField()

    Near.create(k="a", age=1, page=100, created=date(2024, 1, 1), created_by="bob")
    assert Near.query.count(age__gte=1, page__gte=100) == 1
    assert Near.query.count(created_by="bob") == 1
    assert Near.query.count(created=date(2024, 1, 1), created_by="bob") == 1


def test_hidden_fields_can_be_asked(store: Any):
    class Secret(Model):
        k = KeyField()
        _part = IndexedField()

    Secret.create(k="a", _part="x")
    assert Secret.query.count(_part="x") == 1
    assert Secret.query.count(_part__in=["x", "y"]) == 1
    assert Secret.query.count(_part="y") == 0


def test_a_row_that_cannot_be_read_names_itself_and_hides_no_other(store: Any, plain: Any):
    shelve()
    plain.hset("Book:b3", "tags", b"\xc1")
    rows = {row.isbn: row for row in Book.query.filter(genre="sf")}
    assert sorted(rows) == named(0, 3, 6, 9)
    assert rows["b0"].tags == [0]
    with pytest.raises(ModelException, match=r"Book 'Book:b3': the stored value of 'tags' cannot be read"):
        _ = rows["b3"].tags
    assert rows["b3"].delete() is True


def test_contains_in_a_query(store: Any):
    made = shelve()
    query: Query[Book] = Book.query.filter(genre="sf")
    assert made[0] in query and made[1] not in query
    assert "not run" in repr(Book.query.filter(genre="sf"))
    assert "4 rows" in repr(query)
