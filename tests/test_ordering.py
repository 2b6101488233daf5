"""Rows come in the order that was asked for, ties by key, None first, whatever served the query."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Any

import pytest

from popoto import Field, IndexedField, IntField, KeyField, Model, SortedField, round_trips


class Run(Model):
    name = KeyField(type=int)
    team = IndexedField()
    points = SortedField(type=int, default=0)
    within = SortedField(default=0.0, partition_by="team")
    note = Field()
    day = Field(type=date)
    clock = Field(type=time)
    number = IntField()

    class Meta:
        order_by = "-points"


class Exact(Model):
    name = KeyField()
    kind = IndexedField()
    number = SortedField(type=int, default=0)
    amount = SortedField(type=Decimal, default=Decimal(0))


def fill(count: int = 12) -> None:
    for number in range(1, count + 1):
        Run.create(
            name=number,
            team="ab"[number % 2],
            points=number * 7 % 5,
            within=float(number * 3 % 7),
            note=f"n{number * 5 % 12:02}" if number % 4 else None,
            day=date(2024, 1, number % 28 + 1) if number % 3 else None,
            number=-number if number % 2 else None,
        )


def names(rows: Any) -> list[int]:
    return [row.name for row in rows]


def expected(field: str, descending: bool = False, **wanted: Any) -> list[int]:
    rows = [row for row in Run.query.filter(order_by="name") if all(getattr(row, n) == v for n, v in wanted.items())]
    key: Any = lambda row: (getattr(row, field) is not None, getattr(row, field) or 0, row.pk)  # noqa: E731
    if field in ("note", "day"):
        key = lambda row: (getattr(row, field) is not None, str(getattr(row, field) or ""), row.pk)  # noqa: E731
    return names(sorted(rows, key=key, reverse=descending))


@pytest.mark.parametrize("field", ["name", "points", "note", "day", "number"])
def test_any_field_orders(store: Any, field: str):
    fill()
    assert names(Run.query.filter(order_by=field)) == expected(field)
    assert names(Run.query.filter(order_by=f"-{field}")) == expected(field, descending=True)
    assert names(Run.query.filter(order_by=field, limit=5)) == expected(field)[:5]
    assert names(Run.query.filter(order_by=f"-{field}", limit=5)) == expected(field, descending=True)[:5]


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("limit", [1, 3, 6, 100, None])
def test_order_and_limit_with_a_filter(store: Any, sign: str, limit: int | None):
    fill()
    descending = sign == "-"
    assert (
        names(Run.query.filter(team="a", order_by=f"{sign}points", limit=limit))
        == (expected("points", descending, team="a")[:limit])
    )
    assert (
        names(Run.query.filter(team="a", order_by=f"{sign}within", limit=limit))
        == (expected("within", descending, team="a")[:limit])
    )
    assert (
        names(Run.query.filter(points__gte=2, order_by=f"{sign}points", limit=limit))
        == ([n for n in expected("points", descending) if n * 7 % 5 >= 2][:limit])
    )


def test_the_order_of_meta_holds_unless_another_is_given(store: Any):
    fill()
    assert names(Run.query.all()) == expected("points", descending=True)
    assert names(Run.query.filter(team="a")) == expected("points", descending=True, team="a")
    assert names(Run.query.filter(limit=3)) == expected("points", descending=True)[:3]
    assert names(Run.query.all(order_by="name")) == list(range(1, 13))
    first, last = Run.query.first(), Run.query.last()
    assert first is not None and last is not None
    assert [first.name, last.name] == [expected("points", True)[0], expected("points", True)[-1]]


def test_numbers_order_as_numbers(store: Any):
    fill()
    assert names(Run.query.filter(order_by="name", limit=3)) == [1, 2, 3]
    assert names(Run.query.filter(order_by="-name", limit=3)) == [12, 11, 10]


def test_ties_go_by_key(store: Any):
    class Tie(Model):
        k = KeyField()
        s = SortedField(default=1.0)

    for k in "dacb":
        Tie.create(k=k)
    assert [row.k for row in Tie.query.filter(order_by="s")] == ["a", "b", "c", "d"]
    assert [row.k for row in Tie.query.filter(order_by="-s")] == ["d", "c", "b", "a"]
    assert [row.k for row in Tie.query.filter(order_by="s", limit=2)] == ["a", "b"]
    assert [row.k for row in Tie.query.filter(order_by="-s", limit=2)] == ["d", "c"]
    assert [row.k for row in Tie.query.filter(order_by="s", k__in=["d", "b"], limit=1)] == ["b"]


def test_an_ordered_page_takes_one_trip_and_few_rows(store: Any, plain: Any):
    class Long(Model):
        k = KeyField(type=int)
        s = SortedField(type=int)

    pipe = store.pipeline()
    for number in range(1500):
        Long.create(pipeline=pipe, k=number, s=number)
    pipe.execute()
    with round_trips() as trips:
        assert [row.k for row in Long.query.filter(order_by="-s", limit=10)] == list(range(1499, 1489, -1))
        assert [row.k for row in Long.query.filter(s__gte=100, order_by="s", limit=3)] == [100, 101, 102]
    assert trips == 2


def test_an_ordered_limit_passes_over_ghosts(store: Any, plain: Any):
    fill()
    for number in expected("points")[:4]:
        plain.delete(f"Run:{number}")
    survivors = expected("points")
    assert names(Run.query.filter(order_by="points", limit=3)) == survivors[:3]
    assert names(Run.query.filter(team="a", order_by="points", limit=2)) == expected("points", team="a")[:2]


def test_order_with_a_filter_that_no_index_serves(store: Any):
    fill()
    wanted = [n for n in expected("points") if n % 4 == 1]
    notes = [f"n{n * 5 % 12:02}" for n in wanted]
    assert names(Run.query.filter(note__in=notes, order_by="points", limit=2)) == wanted[:2]


def test_scores_that_a_double_cannot_tell_order_exactly(store: Any):
    class Big(Model):
        k = KeyField()
        n = SortedField(type=int)

    for k, n in zip("abcd", (3, 1, 2, 0), strict=True):
        Big.create(k=k, n=2**60 + n)
    assert [row.k for row in Big.query.filter(order_by="n")] == ["d", "b", "c", "a"]
    assert [row.k for row in Big.query.filter(order_by="-n")] == ["a", "c", "b", "d"]
    assert [row.k for row in Big.query.filter(order_by="n", limit=4)] == ["d", "b", "c", "a"]


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("sign", ["", "-"])
def test_ties_of_one_double_order_exactly_up_to_any_limit(store: Any, sign: str, filtered: bool):
    whole = [2**53 + n // 2 for n in range(12)] + [2**70 + n for n in (3, 1, 2, 0, 0)]
    Exact.bulk_create([Exact(name=f"i{len(whole) - n:02}", number=number, kind="i") for n, number in enumerate(whole)])
    amounts = [Decimal("0.1") + Decimal(n * 7 % 5).scaleb(-30) for n in range(9)] + [Decimal(2)] * 3
    Exact.bulk_create([Exact(name=f"d{n:02}", amount=amount, number=0, kind="d") for n, amount in enumerate(amounts)])
    for kind, field in (("i", "number"), ("d", "amount")):
        given = {"kind": kind} if filtered else {f"{field}__gt": 0}
        rows = [row for row in Exact.query.all() if row.kind == kind]
        right = sorted(rows, key=lambda row: (getattr(row, field), row.pk), reverse=sign == "-")
        for limit in range(1, len(rows) + 1):
            query = Exact.query.filter(**given, order_by=f"{sign}{field}", limit=limit)
            assert [row.name for row in query] == [row.name for row in right[:limit]], limit
        assert Exact.query.filter(**given).order_by(f"{sign}{field}").last() == right[-1]


def test_equal_values_cost_no_more_trips_and_rows(store: Any, sent: list[int]):
    Exact.bulk_create([Exact(name=f"{n:03}", amount=Decimal("9.99"), number=2**60) for n in range(100)])
    for field in ("amount", "number"):
        with round_trips() as trips:
            assert [row.name for row in Exact.query.filter(order_by=field, limit=3)] == ["000", "001", "002"]
        assert trips == 1
    assert sent == [3, 3]


def test_many_ties_come_in_pages(store: Any):
    rows = [Exact(name=f"{n:04}", number=2**62 + n * 31 % 100) for n in range(400)]
    Exact.bulk_create(rows)
    right = sorted(rows, key=lambda row: (row.number, row.pk))
    assert [row.name for row in Exact.query.filter(order_by="number", limit=20)] == [row.name for row in right[:20]]


def test_a_moment_far_away_orders_exactly(store: Any):
    class Late(Model):
        k = KeyField()
        d = SortedField(type=date)

    for k, d in zip("abc", (date.max, date.min, date(2024, 1, 1)), strict=True):
        Late.create(k=k, d=d)
    assert [row.k for row in Late.query.filter(order_by="d", limit=2)] == ["b", "c"]
