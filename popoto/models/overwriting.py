"""Writing values into rows that are named by their keys and not loaded: one save script a row, a round trip a batch.

Where a value chooses the partition of another field, that field's values are read first: one round trip more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from popoto.exceptions import ModelException, ReplyError
from popoto.fields.sources import Index
from popoto.keys import part
from popoto.models.change import KEEP, Change, checked, encoded, shown
from popoto.models.incrementing import MOST_TRIES
from popoto.models.options import Keyspace
from popoto.models.reading import own_key
from popoto.models.writing import key_bytes, made_ready, save_call
from popoto.storage import Call, ask_all, layout
from popoto.storage.commands.hashes import hmget

if TYPE_CHECKING:
    from popoto.models.model import Model


async def overwrite(model: type[Model], keys: Iterable[Any], batch_size: int, values: Mapping[str, Any]) -> int:
    """Write values into the rows with these keys; the count is of rows that were there."""
    meta = model._meta
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ModelException(f"batch_size={batch_size!r} must be a positive int")
    keyspace = meta.keyspace(await layout())
    named = _named(model, keys, keyspace.prefix)
    ready = {name: _checked(model, name, value, len(named)) for name, value in values.items()}
    if not ready or not named:
        return 0
    pattern = _change(model, ready)
    pattern.key = named[0]
    await made_ready(model, None, pattern)
    written = 0
    for start in range(0, len(named), batch_size):
        batch = named[start : start + batch_size]
        errors = await _write(model, keyspace, pattern, batch)
        written += len(batch) - len(errors)
        refusals = {key: error for key, error in errors.items() if error.code != "GONE"}
        if refusals:
            raise _refused(model, ready, refusals, written)
    return written


async def _write(model: type[Model], keyspace: Keyspace, pattern: Change, batch: list[str]) -> dict[str, ReplyError]:
    """Make one change of many rows; the errors of those that were refused, by key."""
    # A row that gets into another partition, and was in none, needs the place of a value that is not written here.
    moved = [
        index
        for index in model._meta.row_indexes
        if index.kind == "Z" and index.field not in pattern.values and pattern.values.keys() & set(index.partitions)
    ]
    errors: dict[str, ReplyError] = {}
    pending = batch
    for _ in range(MOST_TRIES):
        changes = await _placed(model, keyspace, pattern, pending, moved)
        saves = [save_call(change, keyspace) for change in changes]
        calls = [Call(keyspace.scripts.increment, save.keys, save.args) for save in saves]
        replies = await ask_all(calls, errors="return")
        found = {key: reply for key, reply in zip(pending, replies, strict=True) if isinstance(reply, ReplyError)}
        pending = [key for key, error in found.items() if error.code == "STALE"]
        errors |= {key: error for key, error in found.items() if error.code != "STALE"}
        if not pending:
            return errors
    return errors | {key: found[key] for key in pending}


async def _placed(
    model: type[Model], keyspace: Keyspace, pattern: Change, keys: list[str], moved: list[Index]
) -> list[Change]:
    """The change of each row; with the places of stored values, which must then still be there."""
    if not moved:
        return [replace(pattern, key=key) for key in keys]
    names = [index.field for index in moved]
    stored = await ask_all([hmget(key_bytes(keyspace.prefix + key), *names) for key in keys])
    changes = []
    for key, raws in zip(keys, stored, strict=True):
        known = dict(zip(names, raws, strict=True))
        row = model._from_row(key, names, raws)
        change = replace(pattern, key=key, scores=dict(pattern.scores), expected=known)
        for index in moved:
            score = _score(row, index) if known[index.field] is not None else None
            if score is not None:
                change.scores[index.field] = score
        changes.append(change)
    return changes


def _score(row: Model, index: Index) -> float | str | None:
    try:
        value = getattr(row, index.field)
    except ModelException:
        # What cannot be read has no place, and is no reason to leave the row as it is.
        return None
    return None if value is None else (index.scored or row._meta.fields[index.field].score)(value)


def _named(model: type[Model], keys: Iterable[Any], prefix: str) -> list[str]:
    """The keys apart from the store's own prefix, each once.

    Raises:
        ModelException: for one that is no key of the model.
    """
    name = model.__name__
    if isinstance(keys, str | bytes):
        raise ModelException(f"{name}.raw_update: keys={keys!r} must be a list of keys: write [{keys!r}]")
    named: dict[str, None] = {}
    for given in keys:
        key = own_key(model, given if isinstance(given, bytes) else str(given), prefix)
        if key is None:
            raise ModelException(f"{name}.raw_update: {given!r} is no key of {name}: give obj.pk or query.keys()")
        named[key] = None
    return list(named)


def _checked(model: type[Model], name: str, value: Any, rows: int) -> Any:
    meta = model._meta
    one = meta.fields.get(name)
    if one is None:
        raise ModelException(f"{meta.model_name} has no field {name!r}{meta.near(name)}")
    if one.key:
        raise ModelException(f"{meta.model_name}.{name} is part of the key: rename rows one by one, migrate_key=True")
    if one.hooked:
        raise ModelException(
            f"{meta.model_name}.{name} keeps keys of its own through {type(one).__name__}'s hooks, which are told of "
            "loaded rows alone: use bulk_update"
        )
    if any(companion.follows is None or name in companion.follows for companion in meta.companions):
        raise ModelException(
            f"{meta.model_name}.{name} is followed by what is kept beside its rows, which only loaded rows tell: "
            "use bulk_update"
        )
    if name == meta.version_field:
        raise ModelException(f"{meta.model_name}.{name} counts the row's writes, this one too: leave it out")
    value = checked(model, one, value)
    if one.unique and rows > 1 and value is not None:
        raise ModelException(
            f"{meta.model_name}.{name} = {shown(value)} is to be unique, and there are {rows} rows to write it into: "
            "give one key"
        )
    return value


def _change(model: type[Model], values: Mapping[str, Any]) -> Change:
    """The change of one row, the same for all but its key."""
    meta = model._meta
    change = Change("update", "", expiry=KEEP)
    for name, value in values.items():
        one = meta.fields[name]
        change.values[name] = encoded(model, one, value)
        if one.code == "x" and any(name in (index.field, *index.partitions) for index in meta.row_indexes):
            change.tokens[name] = part(value)
    for index in meta.row_indexes:
        value = values.get(index.field)
        score = None if value is None else (index.scored or meta.fields[index.field].score)(value)
        if score is not None:
            change.scores[index.field] = score
    if meta.version_field is not None:
        change.increments[meta.version_field] = (meta.fields[meta.version_field].code, "1")
    return change


def _refused(
    model: type[Model], values: Mapping[str, Any], refusals: Mapping[str, ReplyError], written: int
) -> ModelException | ReplyError:
    key, error = next(iter(refusals.items()))
    if error.code != "UNIQ":
        return error
    taken = ", ".join(f"{name}={shown(values[name])}" for name in error.text.split(":") if name in values)
    failure = ModelException(
        f"{model.__name__}.raw_update: {key!r} cannot have {taken}: {error.text.replace(':', ' and ')} must be unique, "
        f"and another row holds that; {written} rows were written, {len(refusals)} refused, later batches not sent"
    )
    failure.failures = dict(refusals)  # type: ignore[attr-defined]
    return failure
