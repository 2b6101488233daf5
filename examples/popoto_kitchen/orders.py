"""What was ordered, and the evenings on which it was."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from popoto import (
    AutoKeyField,
    DatetimeField,
    DecimalField,
    EventStreamMixin,
    IndexedField,
    IntField,
    Model,
    Relationship,
    SortedField,
    SortedKeyField,
    clock,
)
from popoto_kitchen.guests import Guest
from popoto_kitchen.menu import Dish

FIRST_DAY = date(2026, 2, 13)


class Evening(Model):
    """One evening: its day is its key, and is kept in order."""

    day = SortedKeyField(type=date)
    number = IntField(default=1)
    plates = IntField(default=0)
    takings = DecimalField(default=Decimal("0.00"))
    closed_at = DatetimeField(auto_now=True)  # the moment of the last save


class Order(EventStreamMixin, Model):
    """One plate for one guest. Each save writes an entry to the stream `orders` in the same atomic step."""

    _stream_name = "orders"
    _stream_metadata_fields = ("status", "table")

    number = AutoKeyField(strategy="ulid")  # keys that sort by when they were made
    day = IndexedField(type=date)
    table = IndexedField(type=int)
    status = IndexedField(default="placed")  # placed, ready, served, paid
    guest = Relationship(model=Guest)
    dish = Relationship(model=Dish)
    price = DecimalField()
    placed_at = SortedField(type=datetime, partition_by="day")


def dish_of(order: Order) -> str:
    """Give the name of an order's dish. What is stored is the dish's key; `order.dish` would load the dish."""
    return str(Order.dish.key_of(order)).partition(":")[2]


def open_evening() -> Evening:
    """Begin the evening after the last one that is stored."""
    last = Evening.query.filter(order_by="-day", limit=1).first()
    if last is None:
        return Evening.create(day=FIRST_DAY)
    return Evening.create(day=last.day + timedelta(days=1), number=last.number + 1)


def now() -> datetime:
    """Give the present by popoto's clock, with its zone: such a moment is stored and printed alike everywhere."""
    return datetime.fromtimestamp(clock.now(), UTC)


def by_course(day: date) -> dict[str, int]:
    """Count an evening's plates. `dish__course` is a lookup through the relationship; no row is loaded."""
    return {course: Order.query.count(day=day, dish__course=course) for course in ("starter", "main", "dessert")}
