"""A hundred plain rows, on which most verbs are counted."""

from __future__ import annotations

from typing import Any

from popoto import IndexedField, KeyField, Model, SortedField, UniqueField, connection


class Wine(Model):
    name = KeyField()
    grape = IndexedField()
    code = UniqueField()
    price = SortedField(type=int, default=0)
    stock = SortedField(type=int, default=0, partition_by="grape")


def new(**more: Any) -> dict[str, Any]:
    """The values of a wine that is not stored yet."""
    return {"name": "new", "grape": "merlot", "code": "new"} | more


def loaded() -> Any:
    """A stored wine."""
    return Wine.load("Wine:1")


def assert_hundred(rows: list[Any]) -> None:
    """The verb found every wine."""
    assert len(rows) == 100


async def hundred(waiting: Any) -> None:
    """The same of a verb that is awaited."""
    assert_hundred(await waiting)


def stock() -> None:
    """A hundred wines, and every script known to the server."""
    pipe = connection().pipeline()
    for number in range(100):
        Wine.create(pipeline=pipe, name=str(number), grape="merlot", code=str(number), price=number, stock=number)
    pipe.execute()
