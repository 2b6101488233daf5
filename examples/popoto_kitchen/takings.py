"""The takings of an evening as a table of numbers. Only imported where pandas is installed."""

from __future__ import annotations

from datetime import date

import pandas

from popoto import DataFrameField, Model, SortedKeyField
from popoto_kitchen.orders import Evening, Order, dish_of


class Takings(Model):
    """What was sold on an evening, dish by dish."""

    day = SortedKeyField(type=date)
    sales = DataFrameField()


def note_takings(evening: Evening) -> Takings:
    """Add up an evening's orders and store the sums."""
    orders = Order.query.filter(day=evening.day, order_by="placed_at")
    rows = [(dish_of(order), float(order.price)) for order in orders]
    frame = pandas.DataFrame(rows, columns=["dish", "price"])
    sales = frame.groupby("dish")["price"].agg(["count", "sum"]).reset_index()
    return Takings.create(day=evening.day, sales=sales)
