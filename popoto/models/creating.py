"""Finding a row or creating it, and reading one anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from popoto.exceptions import ModelException, ReplyError, StaleObjectError
from popoto.models import hooks
from popoto.models.change import prepared
from popoto.models.reading import by_keys, row_steps, row_values
from popoto.models.writing import key_bytes, made_ready, refused, save, save_call, settle, told
from popoto.queries.finish import attach
from popoto.storage import ask_all, effect, layout, shared

if TYPE_CHECKING:
    from popoto.models.model import Model

M = TypeVar("M", bound="Model")


async def get_or_create(
    model: type[M], defaults: Mapping[str, Any] | None, lookup: Mapping[str, Any]
) -> tuple[M, bool]:
    """The row that the lookup names, or a new one; with all key values given it is one round trip."""
    meta = model._meta
    if not all(name in lookup for name in meta.key_order):
        found = await model.query.filter(**lookup)._one()
        if found is not None:
            return found, False
    fresh = model(**{**lookup, **(defaults or {})})
    known = await _unwritten(model, fresh, lookup)
    if known is not None:
        return known, False
    keyspace = meta.keyspace(await layout())
    try:
        change = prepared(fresh, names=None, skip_auto_now=False, migrate_key=False, mode="insert")
    except ModelException:
        # It cannot be created; it may be there.
        (found,) = await by_keys(model, [fresh.pk], skip_none=False)
        if found is None:
            raise
        return _agreed(model, found, fresh, lookup), False
    await made_ready(model, fresh, change)
    told(fresh, change, keyspace)
    call = save_call(change, keyspace, hooks.saving(fresh, change, keyspace.prefix))
    reading = row_steps(meta, key_bytes(keyspace.prefix + change.key))
    written, *read = await ask_all([call, *reading], errors="return")
    if not isinstance(written, ReplyError):
        settle(fresh, change)
        return fresh, True
    if written.code == "UNIQ":
        # Another may have created just this row since we looked.
        found = await model.query.filter(**lookup)._one()
        if found is not None:
            return found, False
    if written.code != "TAKEN" or any(isinstance(reply, ReplyError) for reply in read):
        refused(written, fresh, change)
    existing = model._from_row(change.key, meta.field_names, row_values(meta, iter(read)))
    return _agreed(model, existing, fresh, lookup), False


async def _unwritten(model: type[M], fresh: M, lookup: Mapping[str, Any]) -> M | None:
    """The answer where nothing is to be written: a row whose key 1.x has spelled in another way; of an instance that a
    mixin keeps from being saved, the row that is there all the same, else the unsaved instance."""
    found = await _of_1x(fresh)
    if found is None and not fresh._admitted():
        (found,) = await by_keys(model, [fresh.pk], skip_none=False)
        if found is None:
            return fresh
    return None if found is None else _agreed(model, found, fresh, lookup)


async def _of_1x(fresh: M) -> M | None:
    """The row whose key 1.x has spelled in another way."""
    meta = fresh._meta
    spellings = meta.row_keys({name: getattr(fresh, name) for name in meta.key_order})
    if len(spellings) == 1:
        return None
    return next(iter(await by_keys(type(fresh), spellings, skip_none=True)), None)


def _agreed(model: type[M], existing: M, fresh: M, lookup: Mapping[str, Any]) -> M:
    """The stored row, if it has every value of the lookup.

    Raises:
        ModelException: naming the value that differs.
    """
    for name, value in lookup.items():
        field = model._meta.fields.get(name)
        if field is not None and field.compared(existing) != field.compared(fresh):
            raise ModelException(
                f"{model.__name__} {existing.pk!r} is stored with another {name}: look it up by its key values alone, "
                f"and give {name}={value!r} in defaults"
            )
    return existing


async def update_or_create(
    model: type[M], defaults: Mapping[str, Any] | None, lookup: Mapping[str, Any]
) -> tuple[M, bool]:
    """The row that the lookup names, with new values, or a new one."""
    row, created = await get_or_create(model, defaults, lookup)
    if not created and defaults:
        for name, value in defaults.items():
            setattr(row, name, value)
        await save(row)
    return row, created


async def refresh(instance: Model) -> None:
    """Read an instance's row anew and forget what was assigned to it."""
    key = instance._redis_key
    name = type(instance).__name__
    if key is None:
        raise ModelException(f"{name} was not saved, so it cannot be refreshed: save() it first")
    (found,) = await by_keys(type(instance), [key], skip_none=False)
    if found is None:
        raise StaleObjectError(f"{name} {key!r} is no longer stored: it was deleted, renamed or has expired")
    for field in instance._meta.field_names:
        instance.__dict__.pop(field, None)
    instance.__dict__["_raw"] = found._raw


async def fetch(instance: Model, name: str) -> Any:
    """Load a related row, or a value that lies elsewhere."""
    meta = instance._meta
    one = meta.fields.get(name)
    if one is not None and one.elsewhere:
        return await shared(one.bring, instance)
    if name not in meta.relationship_field_names:
        raise ModelException(
            f"{meta.model_name}.{name} is no relationship{meta.near(name, meta.relationship_field_names)}"
        )
    field: Any = meta.fields[name]
    value = field.stored(instance)
    if not isinstance(value, str):
        return value
    (related,) = await by_keys(field.model, [value], skip_none=False)
    return field.loaded(instance, value, related)


async def prefetch(model: type[Model], rows: Sequence[Any], names: Sequence[str]) -> None:
    """Load the related rows of many rows, each relationship in one batch; a dangling reference stays a key."""
    for name in names:
        field: Any = model._meta.fields[name]
        if field.elsewhere:
            # What cannot be loaded says so where it is read.
            await effect(partial(field.bring, rows))
            continue
        wanted = list(dict.fromkeys(key for row in rows if isinstance(key := field.stored(row), str)))
        attach(rows, name, dict(zip(wanted, await by_keys(field.model, wanted, skip_none=False), strict=True)))
