"""Many rows at once: each batch is one round trip, each row in it one atomic step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from popoto.exceptions import BackendError, EmbeddingError, KeyMutationError, ModelException, ReplyError
from popoto.models import hooks
from popoto.models.change import Change, checked, prepared
from popoto.models.extras import Extra
from popoto.models.options import Keyspace, Options
from popoto.models.reading import by_keys
from popoto.models.writing import delete, delete_call, made_ready, refusal, save_call, settle, told
from popoto.storage import Layout, Op, ask, ask_all, layout, together
from popoto.storage.commands.sets import sscan

if TYPE_CHECKING:
    from popoto.models.model import Model

M = TypeVar("M", bound="Model")
_Waiting: TypeAlias = "tuple[int, Model, Change, list[Extra]]"
"""The place in the batch, the instance, what saving it makes and the commands that join it."""
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
    changes = _changes(instances)
    keys = Counter(change.key for change in changes if isinstance(change, Change))
    twice = [key for key, times in keys.items() if times > 1]
    if twice:
        raise ModelException(f"{model.__name__} {twice[0]!r} is in the batch twice: nothing was written")
    await _save(model, "bulk_create", instances, changes, batch_size)
    return instances


def _changes(instances: Iterable[Model]) -> list[Change | Exception]:
    """What saving each makes; what may not be stored is found before anything is written."""
    found: list[Change | Exception] = []
    for one in instances:
        try:
            found.append(prepared(one, names=None, skip_auto_now=False, migrate_key=False))
        except KeyMutationError as error:
            # The others are not kept from being saved.
            found.append(error)
    return found


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
    await _save(model, "bulk_update", instances, _changes(instances), batch_size)
    return len(instances)


async def remove(model: type[M], instances: list[M], batch_size: int) -> int:
    """Delete instances; the count is of those that were stored."""

    async def work(batch: slice) -> list[Any]:
        return await together([delete(instance) for instance in instances[batch]], errors="return")

    return sum(await _in_batches(model, "bulk_delete", work, len(instances), batch_size))


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


async def _save(
    model: type[M], verb: str, instances: Sequence[M], changes: Sequence[Change | Exception], batch_size: int
) -> None:
    async def work(batch: slice) -> list[Any]:
        return await _written(instances[batch], changes[batch])

    await _in_batches(model, verb, work, len(instances), batch_size)


async def _written(instances: Sequence[Model], changes: Sequence[Change | Exception]) -> list[Any]:
    """Save many as `save` does one, in one round trip: what came of each, an exception where it was not saved."""
    here = await layout()
    outcomes: list[Any] = list(changes)
    waiting = list(_admitted(instances, outcomes, here))
    if any(one._meta.preparing for one in instances):
        slow = [made_ready(type(one), one, change) for _, one, change, _ in waiting]
        for (place, *_), failure in zip(waiting, await together(slow, errors="return"), strict=True):
            outcomes[place] = failure or outcomes[place]
        waiting = [item for item in waiting if not isinstance(outcomes[item[0]], Exception)]
    calls = []
    for _, one, change, extras in waiting:
        keyspace = one._meta.keyspace(here)
        told(one, change, keyspace)
        calls.append(save_call(change, keyspace, extras))
    for (place, one, change, _), reply in zip(waiting, await ask_all(calls, errors="return"), strict=True):
        if isinstance(reply, ReplyError):
            outcomes[place] = refusal(reply, one, change)
        else:
            outcomes[place] = reply
            settle(one, change)
    return outcomes


def _admitted(instances: Sequence[Model], outcomes: list[Any], here: Layout) -> Iterator[_Waiting]:
    """The changes that can be made; of the others the outcome is noted."""
    for place, (one, change) in enumerate(zip(instances, outcomes, strict=True)):
        if isinstance(change, Exception):
            continue
        if not one._admitted():
            outcomes[place] = False
            continue
        try:
            extras = hooks.saving(one, change, one._meta.keyspace(here).prefix, ignore_errors=False)
        except ModelException as error:
            outcomes[place] = error
        else:
            yield place, one, change, extras


async def _in_batches(
    model: type[Model], verb: str, work: Callable[[slice], Op[list[Any]]], total: int, batch_size: int
) -> list[Any]:
    """What came of the work on each item, a batch after the other.

    Raises:
        Exception: after the first batch in which one failed.
    """
    results: list[Any] = []
    for start in range(0, total, batch_size):
        some = await work(slice(start, start + batch_size))
        failures = {start + place: error for place, error in enumerate(some) if isinstance(error, Exception)}
        if failures:
            raise _failed(model._meta, verb, failures, start + len(some), total)
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
