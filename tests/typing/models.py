"""What type checkers see of models: mypy runs over this file with the rest."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import assert_type

import popoto


class Restaurant(popoto.Model):
    """A model in the reference's style."""

    name = popoto.KeyField()
    cuisine = popoto.IndexedField()
    rating = popoto.SortedField(type=float, default=0.0)
    price = popoto.SortedField(type=Decimal, default=Decimal(1), partition_by="cuisine")
    stars = popoto.Field(type=int, default=0)
    seats = popoto.IntField()
    opened = popoto.Field(type=date)
    slug = popoto.UniqueField(type=str)
    place = popoto.GeoField()


class Memory(
    popoto.AccessTrackerMixin,
    popoto.PredictionLedgerMixin,
    popoto.WriteFilterMixin,
    popoto.EventStreamMixin,
    popoto.Model,
):
    """Every mixin stands before Model."""

    name = popoto.KeyField()


def types_of_attributes(restaurant: Restaurant) -> None:
    """Values have their fields' types."""
    assert_type(restaurant.name, str)
    assert_type(restaurant.rating, float)
    assert_type(restaurant.price, Decimal)
    assert_type(restaurant.stars, int)
    assert_type(restaurant.seats, int)
    assert_type(restaurant.opened, date)
    restaurant.stars = 3
    restaurant.stars = "bad"  # type: ignore[assignment]
    restaurant.place = (52.5, 13.4)
    restaurant.place = None
    assert_type(restaurant.place.latitude, float | None)
    restaurant.starz = 3  # type: ignore[attr-defined]


def types_of_queries() -> None:
    """Queries know their model."""
    assert_type(Restaurant.create(name="x"), Restaurant)
    assert_type(Restaurant.query.get(name="x"), Restaurant | None)
    assert_type(Restaurant.query.filter(name="x").first(), Restaurant | None)
    assert_type(Restaurant.query.filter(name="x")[0], Restaurant)
    assert_type(Restaurant.load("Restaurant:x"), Restaurant | None)
    assert_type(Restaurant.query.get_many(["Restaurant:x"]), list[Restaurant | None])
    assert_type(Restaurant.query.get_many(["Restaurant:x"], skip_none=True), list[Restaurant])


async def types_of_async_queries() -> None:
    """The asyncio twins too."""
    assert_type(await Restaurant.async_create(name="x"), Restaurant)
    assert_type(await Restaurant.query.async_get(name="x"), Restaurant | None)
    async for restaurant in Restaurant.query.filter(name="x"):
        assert_type(restaurant, Restaurant)
