"""Many rows at once: each batch is one round trip, each row in it one atomic step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from popoto.exceptions import BackendError, EmbeddingError, ModelException
from popoto.models.change import check_all, checked, encoded
from popoto.models.options import Keyspace, Options
from popoto.models.reading import by_keys
from popoto.models.writing import delete, delete_call, save
from popoto.storage import Op, ask, layout, together
from popoto.storage.commands.sets import sscan

if TYPE_CHECKING:
    from popoto.models.model import Model

M = TypeVar("M", bound="Model")
# A tuple may hold a list.
MUTABLE: Final = (list, dict, set, tuple)


def taken(model: type[Model], given: Iterable[Any], batch_size: int) -> list[Any]:
    """The instances as a list, after their class and the size of a batch were checked."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ModelException(f"batch_size={batch_size!r} must be a positive int")
    if isinstance(given, model | str | bytes) or not isinstance(given, Iterable):
        raise ModelException(f"{given!r:.80} is no list: give a query, or a list of instances of {model.__name__}")
    instances = list(given)
    for place, instance in enumerate(instances):
        if not isinstance(instance, model):
            raise ModelException(f"item {place} is {instance!r:.80}, and not an instance of {model.__name__}")
    return instances


async def create(model: type[M], instances: list[M], batch_size: int) -> list[M]:
    """Save new instances."""
    meta = model._meta
    for instance in instances:
        for one in meta.renewing:
            instance.__dict__[one.name] = one.format_value_pre_save(getattr(instance, one.name))
    _check(model, instances)
    twice = [key for key, times in Counter(instance.pk for instance in instances).items() if times > 1]
    if twice:
        raise ModelException(f"{model.__name__} {twice[0]!r} is in the batch twice: nothing was written")
    await _in_batches(model, "bulk_create", instances, batch_size, partial(save, is_checked=True))
    return instances


def _check(model: type[M], instances: Iterable[M]) -> None:
    """Find what may not be stored before anything is written."""
    meta = model._meta
    for instance in instances:
        check_all(instance, meta.field_names)
        for name in meta.fields.keys() & instance.__dict__.keys():
            encoded(model, meta.fields[name], instance.__dict__[name])


async def update(model: type[M], instances: list[M], updates: dict[str, Any], batch_size: int) -> int:
    """Give instances new values and save those."""
    meta = model._meta
    for name in updates:
        if name not in meta.fields:
            raise ModelException(f"{meta.model_name} has no field {name!r}{meta.near(name)}")
        if meta.fields[name].key:
            raise ModelException(
                f"{meta.model_name}.{name} is part of the key: rename rows one by one, migrate_key=True"
            )
    if not updates:
        return 0
    values = {name: checked(model, meta.fields[name], value) for name, value in updates.items()}
    for instance in instances:
        # Each its own list or dictionary.
        owned = {name: deepcopy(value) for name, value in values.items() if isinstance(value, MUTABLE)}
        instance.__dict__.update(values | owned)
    _check(model, instances)
    await _in_batches(model, "bulk_update", instances, batch_size, partial(save, is_checked=True))
    return len(instances)


async def remove(model: type[M], instances: list[M], batch_size: int) -> int:
    """Delete instances; the count is of those that were stored."""
    return sum(await _in_batches(model, "bulk_delete", instances, batch_size, delete))


async def remove_all(model: type[Model], batch_size: int) -> int:
    """Delete every row, walking the class set."""
    keyspace = model._meta.keyspace(await layout())
    removed = cursor = 0
    while True:
        cursor, keys = await ask(sscan(keyspace.class_set, cursor, count=batch_size))
        # What a mixin adds to a deletion depends on the row.
        rows = await by_keys(model, keys, skip_none=False) if model._adds_commands() else [None] * len(keys)
        plans = [_drop(key, keyspace) if row is None else delete(row) for key, row in zip(keys, rows, strict=True)]
        removed += int(sum(await together(plans)))
        if cursor == 0:
            return removed


async def _drop(key: bytes, keyspace: Keyspace) -> bool:
    return bool(await ask(delete_call(key, keyspace)))


async def _in_batches(
    model: type[M], verb: str, instances: Sequence[M], batch_size: int, plan: Callable[[M], Op[Any]]
) -> list[Any]:
    results: list[Any] = []
    for start in range(0, len(instances), batch_size):
        batch = instances[start : start + batch_size]
        some = await together([plan(instance) for instance in batch], errors="return")
        failures = {start + place: error for place, error in enumerate(some) if isinstance(error, Exception)}
        if failures:
            raise _failed(model._meta, verb, failures, start + len(batch), len(instances))
        results += some
    return results


def _failed(meta: Options, verb: str, failures: dict[int, Exception], tried: int, total: int) -> Exception:
    """One error that says which items were written and which were not."""
    first = next(iter(failures.values()))
    if isinstance(first, BackendError) or (isinstance(first, EmbeddingError) and len(failures) == tried):
        return first
    places = ", ".join(map(str, list(failures)[:20])) + (", ..." if len(failures) > 20 else "")
    error = ModelException(
        f"{meta.model_name}.{verb}: {tried - len(failures)} of {total} items were written; "
        f"not written: items {places}{f', and all from {tried}' if tried < total else ''}. The first: {first}"
    )
    error.failures = failures  # type: ignore[attr-defined]
    error.__cause__ = first
    return error
