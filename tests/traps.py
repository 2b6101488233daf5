"""The models on which the defects of 1.x are shown."""

from __future__ import annotations

from typing import Any

from popoto import (
    Field,
    GeoField,
    IndexedField,
    IntField,
    KeyField,
    Model,
    Relationship,
    SortedField,
    UniqueField,
)


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
