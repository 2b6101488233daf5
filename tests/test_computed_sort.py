"""computed_sort and no_track: what a query does with its answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from popoto import IndexedField, IntField, KeyField, Model, QueryException, Relationship, SortedField, round_trips


class Shop(Model):
    name = KeyField()
    city = IndexedField(default="rome")
    seats = IntField(default=0)
    price = SortedField(type=int, default=0)
    owner = Relationship(model="self")

    class Meta:
        order_by = "name"


SEATS = [3, 1, 2, 5, 4, 1]


def shops() -> None:
    Shop.bulk_create(
        [
            Shop(name=f"s{n}", seats=seats, price=10 - n, city="rome" if n < 4 else "oslo")
            for n, seats in enumerate(SEATS)
        ]
    )


def names(rows: Any) -> list[str]:
    return [row.name for row in rows]


def by_seats(row: Shop) -> int:
    return row.seats


def test_the_answer_is_sorted_by_a_function_and_ties_keep_the_querys_order(store: Any):
    shops()
    with round_trips() as trips:
        assert names(Shop.query.filter(price__gte=0).computed_sort(by_seats)) == ["s1", "s5", "s2", "s0", "s4", "s3"]
    assert trips == 1
    descending = Shop.query.computed_sort(by_seats, reverse=True)
    assert names(descending) == ["s3", "s4", "s0", "s2", "s1", "s5"]
    assert names(descending.order_by("price")) == ["s3", "s4", "s0", "s2", "s5", "s1"]
    assert names(asyncio.run(descending.async_all())) == names(descending)


def test_the_limit_comes_last(store: Any):
    shops()
    query = Shop.query.filter(city="rome", order_by="price", limit=2).computed_sort(by_seats)
    assert names(query) == ["s1", "s2"]
    assert names(Shop.query.computed_sort(by_seats).limit(2)) == ["s1", "s5"]
    assert Shop.query.computed_sort(by_seats).limit(0).all() == []
    first, last = Shop.query.computed_sort(by_seats).first(), Shop.query.computed_sort(by_seats).last()
    assert first is not None
    assert last is not None
    assert (first.name, last.name) == ("s1", "s3")
    assert (Shop.query.computed_sort(by_seats).limit(4).count(), query.count()) == (4, 2)
    assert Shop.query.computed_sort(by_seats).exists(city="oslo")
    assert names(Shop.query.computed_sort(by_seats).iterator(2)) == names(Shop.query.computed_sort(by_seats))


def test_it_goes_with_values_prefetch_and_verbs_that_write(store: Any):
    shops()
    Shop.bulk_update(Shop.query.all(), owner="Shop:s0")
    assert Shop.query.computed_sort(by_seats).filter(city="oslo").values("name").all() == [
        {"name": "s5"},
        {"name": "s4"},
    ]
    richest = Shop.query.prefetch("owner").computed_sort(lambda row: (row.owner.name, -row.seats)).limit(1)

    async def work() -> Any:
        return await richest

    assert names(asyncio.run(work())) == ["s3"]
    assert Shop.query.computed_sort(by_seats).limit(2).delete() == 2
    assert names(Shop.query.all()) == ["s0", "s2", "s3", "s4"]


def test_the_query_itself_is_not_changed(store: Any):
    shops()
    query = Shop.query.filter(city="rome")
    assert names(query.computed_sort(by_seats)) != names(query)
    assert "by a function of each row" in str(query.computed_sort(by_seats).explain())
    assert "by a function" not in str(query.explain())


@pytest.mark.parametrize("fn", [None, "seats", 3])
def test_what_cannot_be_called_is_refused(fake: Any, fn: Any):
    with pytest.raises(QueryException, match=r"computed_sort\(.*\) needs a function of a row"):
        Shop.query.computed_sort(fn)


def test_an_error_of_the_function_is_the_callers(fake: Any):
    shops()
    with pytest.raises(ZeroDivisionError):
        list(Shop.query.computed_sort(lambda row: 1 // 0))


def test_no_track_is_kept_by_what_is_narrowed_further(fake: Any):
    shops()
    query = Shop.query.no_track().filter(city="rome").order_by("price").computed_sort(by_seats).limit(3)
    assert (query._wanted.tracks, query._fresh()._wanted.tracks) == (False, False)
    assert Shop.query.filter(city="rome")._wanted.tracks
    assert names(query) == ["s1", "s2", "s0"]
