"""Models, read: every lookup finds just its rows, in order, in one script call, packed or plain alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from popoto import (
    Connection,
    GeoField,
    IndexedField,
    KeyField,
    Model,
    QueryException,
    SortedField,
    round_trips,
    using,
)
from popoto import connection as current
from popoto.queries.fetch import select
from popoto.queries.related import nested
from popoto.storage import ask
from popoto_conformance.cases import Driver, exactly, not_applicable
from popoto_conformance.shelf import Shelf, shelved

pytestmark = pytest.mark.needs("lua")


@pytest.fixture
def shelf(driver: Driver, connection: Connection) -> Iterator[Shelf]:
    """A model of a name of its own."""
    with shelved(driver, connection) as made:
        yield made


COUNT = 12
LOOKUPS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, list(range(12))),
    ({"name": "3"}, [3]),
    ({"name__in": ["3", "4", "x"]}, [3, 4]),
    ({"name__startswith": "1"}, [1, 10, 11]),
    ({"name__endswith": "1"}, [1, 11]),
    ({"name__contains": "0"}, [0, 10]),
    ({"name__isnull": True}, []),
    ({"kind": "a"}, [0, 3, 6, 9]),
    ({"kind": None}, [2, 5, 8, 11]),
    ({"kind__in": ["a", None]}, [0, 2, 3, 5, 6, 8, 9, 11]),
    ({"kind__isnull": False}, [0, 1, 3, 4, 6, 7, 9, 10]),
    ({"kind__startswith": "*"}, []),
    ({"kind__contains": "a"}, [0, 3, 6, 9]),
    ({"kind__endswith": "", "number": 4}, [4]),
    ({"code__startswith": "1"}, [1, 10, 11]),
    ({"code__contains": "1", "price__lt": Decimal(1)}, [1]),
    ({"parent__code": "3"}, [4]),
    ({"parent__kind": "a", "price__gt": Decimal("0.5")}, [7, 10]),
    ({"parent__parent__name__endswith": "1"}, [3]),
    ({"parent__number": 3}, [4]),
    ({"code": "7"}, [7]),
    ({"code__in": ["7", "8"]}, [7, 8]),
    ({"price": Decimal("0.5")}, [5]),
    ({"price__gt": Decimal("0.8")}, [9, 10, 11]),
    ({"price__gte": Decimal("0.8")}, [8, 9, 10, 11]),
    ({"price__lt": Decimal("0.2")}, [0, 1]),
    ({"price__lte": Decimal("0.2")}, [0, 1, 2]),
    ({"price__between": (Decimal("0.2"), Decimal("0.4"))}, [2, 3, 4]),
    ({"price__in": [Decimal("0.2"), Decimal("0.4")]}, [2, 4]),
    ({"kind": "a", "rank__gt": 3.0}, [6, 9]),
    ({"kind": "a", "rank__lte": 3.0, "price__gt": Decimal(0)}, [3]),
    ({"number": 3}, [3]),
    ({"number__in": [3, 4]}, [3, 4]),
    ({"items": [5]}, [5]),
    ({"name": "3", "kind": "b"}, []),
]


@pytest.fixture
def filled(shelf: Shelf) -> Shelf:
    """The model with twelve rows."""
    pipe = current().pipeline()
    for at in range(COUNT):
        values: dict[str, Any] = {"kind": ("a", "b", None)[at % 3], "price": Decimal(at) / 10, "items": [at]}
        values["parent"] = f"{shelf.name}:{at - 1}" if at else None
        shelf.run(shelf.model, "create", name=str(at), code=str(at), rank=float(at), number=at, pipeline=pipe, **values)
    shelf.run(pipe, "execute")
    return shelf


def numbers(rows: Any) -> list[int]:
    """Which of the twelve these are."""
    return sorted(row.number for row in rows)


class Atlas(Shelf):
    """A model of places."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        body = {"name": KeyField(), "kind": IndexedField(), "place": GeoField(), "height": SortedField(default=0.0)}
        self.model = type(self.name, (Model,), body)


@pytest.fixture
def atlas(driver: Driver, connection: Connection) -> Iterator[Atlas]:
    """A model of a name of its own; what it has stored is deleted in the end."""
    with using(connection):
        made = Atlas(driver)
        yield made
        for row in made.model.query.all():
            row.delete()


@pytest.mark.needs("geo")
def test_rows_are_found_by_their_place(atlas: Atlas) -> None:
    places = {"Palermo": (38.115556, 13.361389), "Catania": (37.502669, 15.087269), "Nowhere": (None, None)}
    for name, place in places.items():
        atlas.run(atlas.model, "create", name=name, kind=name[0], place=place)
    near = {"place": (37.5, 15.0), "place_radius_unit": "km"}
    exactly(sorted(row.name for row in atlas.rows(place_radius=200, **near)), ["Catania", "Palermo"])
    exactly([row.name for row in atlas.rows(place_radius=100, **near)], ["Catania"])
    exactly([row.name for row in atlas.rows(place_radius=200, kind="P", **near)], ["Palermo"])
    exactly(atlas.run(atlas.model.query, "count", place_radius=200, **near), 2)


def test_ranges_without_an_end_reach_the_infinite(atlas: Atlas) -> None:
    heights = {"a": float("-inf"), "b": -1e300, "c": 0.0, "d": 1e300, "e": float("inf")}
    for name, height in heights.items():
        atlas.run(atlas.model, "create", name=name, height=height)
    for lookup, expected in {"gte": "cde", "gt": "de", "lte": "abc", "lt": "ab"}.items():
        exactly("".join(sorted(row.name for row in atlas.rows(**{f"height__{lookup}": 0.0}))), expected)
    exactly([row.name for row in atlas.rows(order_by="-height", height__gt=0.0)], ["e", "d"])
    exactly([row.name for row in atlas.rows(order_by="height", limit=2, height__lt=0.0)], ["a", "b"])


@pytest.mark.parametrize("at", range(len(LOOKUPS)))
def test_each_lookup_finds_and_counts_its_rows(filled: Shelf, at: int) -> None:
    keywords, expected = LOOKUPS[at]
    exactly(numbers(filled.rows(**keywords)), expected)
    exactly(filled.run(filled.model.query, "count", **keywords), len(expected))


def test_rows_come_in_order(filled: Shelf) -> None:
    exactly([row.number for row in filled.rows(order_by="-price", limit=3)], [11, 10, 9])
    exactly([row.number for row in filled.rows(order_by="price", limit=3, kind="a")], [0, 3, 6])
    exactly([row.number for row in filled.rows(kind="a", order_by="-rank", limit=2)], [9, 6])
    exactly([row.number for row in filled.rows(order_by="number")], list(range(COUNT)))
    exactly(len(filled.rows(limit=5)), 5)
    exactly(filled.rows(limit=0), [])


def test_get_finds_one_row(filled: Shelf) -> None:
    query = filled.model.query
    exactly(filled.run(query, "get", name="5").number, 5)
    exactly(filled.run(query, "get", code="5").number, 5)
    exactly(filled.run(query, "get", f"{filled.name}:5").number, 5)
    exactly(filled.run(query, "get", name="nope"), None)
    with pytest.raises(QueryException, match="more than one row"):
        filled.run(query, "get", kind="a")
    many = filled.run(query, "get_many", [f"{filled.name}:5", f"{filled.name}:x", f"{filled.name}:1"])
    exactly([row and row.number for row in many], [5, None, 1])


def test_values_of_every_kind_come_back(filled: Shelf) -> None:
    row = filled.run(filled.model.query, "get", name="7")
    exactly(
        [row.name, row.kind, row.code, row.rank, row.price, row.items],
        ["7", "b", "7", 7.0, Decimal("0.7"), [7]],
    )


@pytest.mark.parametrize("verb", ["get", "filter", "count", "get_many", "ordered", "texts", "related", "prefetch"])
def test_each_read_is_one_round_trip(filled: Shelf, verb: str) -> None:
    query = filled.model.query
    with round_trips() as trips:
        if verb == "get":
            filled.run(query, "get", code="5")
        elif verb == "filter":
            filled.rows(kind="a", price__gte=Decimal(0))
        elif verb == "count":
            filled.run(query, "count", kind="a", price__gte=Decimal(0))
        elif verb == "texts":
            filled.rows(kind__startswith="a", code__contains="3")
        elif verb == "related":
            filled.rows(parent__parent__kind="a")
        elif verb == "prefetch":
            query = query.filter(price__gt=Decimal(0)).prefetch("parent")
            exactly(all(row.parent.number == row.number - 1 for row in filled.run(query, "all")), True)
        elif verb == "ordered":
            filled.rows(kind="a", order_by="-price", limit=2)
        else:
            filled.run(query, "get_many", [f"{filled.name}:{at}" for at in range(COUNT)])
    exactly(int(trips), 1)


def test_an_index_entry_without_a_row_finds_nothing(filled: Shelf) -> None:
    key = f"{filled.name}:5"
    filled.forget(filled.key(key))
    exactly(numbers(filled.rows(kind=None)), [2, 8, 11])
    exactly(filled.run(filled.model.query, "count", kind=None), 3)
    exactly(filled.run(filled.model.query, "get", code="5"), None)
    # Back again, so that its entries are removed with it.
    values = {"name": "5", "code": "5", "rank": 5.0, "price": Decimal("0.5"), "items": [5]}
    filled.run(filled.model, "create", parent=f"{filled.name}:4", **values)


@pytest.fixture
def packing(connection: Connection) -> None:
    """Nothing; asked for first, so that no row is made in vain."""
    if "cmsgpack" not in connection.info.capabilities:
        raise not_applicable("its scripts cannot pack")


@pytest.mark.parametrize("at", range(len(LOOKUPS)))
def test_packed_and_plain_replies_are_alike(packing: None, filled: Shelf, at: int) -> None:
    meta = filled.model._meta
    here = replace(current().layout, packs=False)
    query = filled.model.query.filter(**LOOKUPS[at][0])
    planned = query._planned(nested(meta, query._wanted, here))
    plain = current().run(ask(select(meta, planned, here)))
    packed = current().run(ask(select(meta, planned, replace(here, packs=True))))
    exactly(packed, plain)
