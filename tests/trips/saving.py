"""Rows that are made, saved, renamed and deleted, alone and many at once."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from popoto import ModelException
from popoto.storage import Connection
from trips.verb import Verb
from trips.wines import Wine, loaded, new


def changed(**values: Any) -> Any:
    found = loaded()
    for name, value in values.items():
        setattr(found, name, value)
    return found


def refused(save: Callable[[], Any]) -> Callable[[], Any]:
    def work() -> Any:
        if not inspect.iscoroutinefunction(save):
            with pytest.raises(ModelException, match="is taken"):
                save()
        return None

    return work


async def arefused(waiting: Any) -> None:
    with pytest.raises(ModelException, match="is taken"):
        await waiting


def piped(store: Connection) -> Any:
    pipe = store.pipeline()
    for number in range(20):
        Wine.create(pipeline=pipe, **new(name=f"p{number}", code=f"p{number}"))
    return pipe


TABLE: dict[str, Verb] = {
    "make": Verb(lambda store: None, lambda it: Wine(**new()), lambda it: asyncio.sleep(0), 0),
    "create": Verb(lambda store: None, lambda it: Wine.create(**new()), lambda it: Wine.async_create(**new()), 1),
    "replace": Verb(
        lambda store: None,
        lambda it: Wine.create(**new(name="1", code="1")),
        lambda it: Wine.async_create(**new(name="1", code="1")),
        1,
    ),
    "save": Verb(lambda store: Wine(**new()), lambda it: it.save(), lambda it: it.async_save(), 1),
    "save changes": Verb(
        lambda store: changed(grape="syrah", price=5000, code="c"),
        lambda it: it.save(),
        lambda it: it.async_save(),
        1,
    ),
    "partial save": Verb(
        lambda store: changed(grape="syrah", price=5000),
        lambda it: it.save(update_fields=["grape", "price"]),
        lambda it: it.async_save(update_fields=["grape", "price"]),
        1,
    ),
    "partial save of nothing": Verb(
        lambda store: loaded(),
        lambda it: it.save(update_fields=[]),
        lambda it: it.async_save(update_fields=[]),
        0,
    ),
    "key migration": Verb(
        lambda store: changed(name="moved"),
        lambda it: it.save(migrate_key=True),
        lambda it: it.async_save(migrate_key=True),
        1,
    ),
    "delete": Verb(lambda store: loaded(), lambda it: it.delete(), lambda it: it.async_delete(), 1),
    "unique violation": Verb(
        lambda store: Wine(**new(code="2")),
        lambda it: refused(it.save)(),
        lambda it: arefused(it.async_save()),
        1,
    ),
    "raw update of 20": Verb(
        lambda store: [f"Wine:{number}" for number in range(20)],
        lambda it: Wine.raw_update(it, grape="syrah", stock=3, price=7),
        lambda it: Wine.async_raw_update(it, grape="syrah", stock=3, price=7),
        1,
    ),
    "raw update of a partition of 20": Verb(
        lambda store: [f"Wine:{number}" for number in range(20)],
        lambda it: Wine.raw_update(it, grape="syrah"),
        lambda it: Wine.async_raw_update(it, grape="syrah"),
        2,
    ),
    "a pipeline of 20": Verb(piped, lambda it: it.execute(), lambda it: it.async_execute(), 1),
}
