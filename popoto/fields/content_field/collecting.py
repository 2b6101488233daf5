"""Removing contents that no row refers to: what is kept, what rows hold, and what of the rest is old enough."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from popoto import clock
from popoto.exceptions import ModelException
from popoto.fields.content_field.contents import Stored, folder_name
from popoto.fields.rows import MOST_ROWS, row_keys
from popoto.storage import ask, ask_all, effect, layout
from popoto.storage.commands.hashes import hmget
from popoto.storage.commands.sets import sscan
from popoto.stores import AbstractContentStore

if TYPE_CHECKING:
    from popoto.fields.content_field.field import ContentField


async def collect(model: Any, fields: Sequence[ContentField], grace_seconds: float) -> int:
    """Remove what no row of the model refers to and is older than the grace; the count is of contents."""
    before = _moment(model, fields, grace_seconds)
    here = await layout()
    folder = folder_name(here.namespace, model._meta.model_name)
    removed = 0
    for store in dict.fromkeys(field.store for field in fields):
        await effect(partial(store.sweep, folder, before))
        left: set[str] = await effect(partial(_old, store, folder, before))
        # A row that is renamed during one walk is met in the other.
        for walk in (row_keys, _class_keys) if left else ():
            async for keys in walk(model):
                left -= await _held(keys, fields)
        if left:
            removed += await effect(partial(_discarded, store, sorted(left), before))
    return removed


def _moment(model: Any, fields: Sequence[ContentField], grace_seconds: float) -> float:
    name = model.__name__
    if not fields:
        raise ModelException(f"{name} has no ContentField, so it has no contents to collect")
    for field in fields:
        if not field.store.collects:
            raise ModelException(f"{name}.{field.name}: {field.store!r} keeps everything, so nothing can be collected")
    if isinstance(grace_seconds, bool) or not isinstance(grace_seconds, int | float) or not grace_seconds >= 0:
        raise ModelException(f"{name}: grace_seconds={grace_seconds!r} must be a number of seconds from 0")
    return clock.now() - grace_seconds


def _old(store: AbstractContentStore, folder: str, before: float) -> set[str]:
    return {reference for reference, moment in store.references(folder) if moment < before}


def _discarded(store: AbstractContentStore, references: Sequence[str], before: float) -> int:
    return sum(1 for reference in references if store.discard(reference, before))


async def _held(keys: Sequence[bytes], fields: Sequence[ContentField]) -> set[str]:
    """The references in some rows."""
    rows = await ask_all([hmget(key, *(field.name for field in fields)) for key in keys])
    held: set[str] = set()
    for row in rows:
        for field, raw in zip(fields, row, strict=True):
            try:
                value = None if raw is None else field.decode(raw)
            except ValueError:
                # A value that cannot be read is no reference.
                continue
            if isinstance(value, Stored):
                held.add(value.reference)
    return held


async def _class_keys(model: Any) -> AsyncIterator[list[bytes]]:
    class_set = model._meta.keyspace(await layout()).class_set
    cursor = 0
    while True:
        cursor, keys = await ask(sscan(class_set, cursor, count=MOST_ROWS))
        yield list(keys)
        if cursor == 0:
            return
