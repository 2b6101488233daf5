"""Rows that are got, filtered, ordered and counted."""

from __future__ import annotations

from trips.verb import Verb
from trips.wines import Wine, assert_hundred, hundred

TABLE: dict[str, Verb] = {
    "get by key": Verb(
        lambda store: None,
        lambda it: Wine.query.get(name="7"),
        lambda it: Wine.query.async_get(name="7"),
        1,
    ),
    "get by stored key": Verb(
        lambda store: None, lambda it: Wine.load("Wine:7"), lambda it: Wine.async_load("Wine:7"), 1
    ),
    "get by unique value": Verb(
        lambda store: None,
        lambda it: Wine.query.get(code="7"),
        lambda it: Wine.query.async_get(code="7"),
        1,
    ),
    "get what is missing": Verb(
        lambda store: None,
        lambda it: Wine.query.get(name="x"),
        lambda it: Wine.query.async_get(name="x"),
        1,
    ),
    "get_many of 100": Verb(
        lambda store: [f"Wine:{number}" for number in range(100)],
        lambda it: Wine.query.get_many(it),
        lambda it: Wine.query.async_get_many(it),
        1,
    ),
    "filter on one field": Verb(
        lambda store: None,
        lambda it: Wine.query.filter(grape="merlot").all(),
        lambda it: Wine.query.async_filter(grape="merlot"),
        1,
    ),
    "filter on two fields, 100 matches": Verb(
        lambda store: None,
        lambda it: assert_hundred(Wine.query.filter(grape="merlot", price__gte=0).all()),
        lambda it: hundred(Wine.query.async_filter(grape="merlot", price__gte=0)),
        1,
    ),
    "filter on a partition": Verb(
        lambda store: None,
        lambda it: Wine.query.filter(grape="merlot", stock__gt=3).all(),
        lambda it: Wine.query.async_filter(grape="merlot", stock__gt=3),
        1,
    ),
    "order and limit": Verb(
        lambda store: None,
        lambda it: Wine.query.filter(grape="merlot", order_by="-price", limit=10).all(),
        lambda it: Wine.query.async_filter(grape="merlot", order_by="-price", limit=10),
        1,
    ),
    "all": Verb(lambda store: None, lambda it: Wine.query.all(), lambda it: Wine.query.async_all(), 1),
    "first": Verb(lambda store: None, lambda it: Wine.query.first(), lambda it: Wine.query.async_first(), 1),
    "count": Verb(lambda store: None, lambda it: Wine.query.count(), lambda it: Wine.query.async_count(), 1),
    "count on two fields": Verb(
        lambda store: None,
        lambda it: Wine.query.count(grape="merlot", price__gte=0),
        lambda it: Wine.query.async_count(grape="merlot", price__gte=0),
        1,
    ),
    "exists": Verb(
        lambda store: None,
        lambda it: Wine.query.exists(grape="merlot"),
        lambda it: Wine.query.async_exists(grape="merlot"),
        1,
    ),
    "prefix, suffix and part of a text": Verb(
        lambda store: None,
        lambda it: assert_hundred(Wine.query.filter(grape__startswith="mer", code__contains="").all()),
        lambda it: hundred(Wine.query.async_filter(grape__endswith="lot", name__contains="")),
        1,
    ),
    "count of a text": Verb(
        lambda store: None,
        lambda it: Wine.query.count(code__startswith="7"),
        lambda it: Wine.query.async_count(code__startswith="7"),
        1,
    ),
    "a slice": Verb(
        lambda store: None,
        lambda it: Wine.query.order_by("price")[20:30],
        lambda it: Wine.query.filter(order_by="price", limit=30)._awaited(),
        1,
    ),
    "last of an order": Verb(
        lambda store: None,
        lambda it: Wine.query.order_by("price").last(),
        lambda it: Wine.query.order_by("price").async_last(),
        1,
    ),
    "keys": Verb(lambda store: None, lambda it: Wine.query.keys(), lambda it: Wine.query.async_keys(), 1),
    "len, index and list of one query": Verb(
        lambda store: Wine.query.filter(grape="merlot"),
        lambda it: (len(it), it[0], list(it), bool(it)),
        lambda it: it._awaited(),
        1,
    ),
}
