"""Writing values into rows that are named by their keys and not loaded: one save script a row, a round trip a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from popoto.exceptions import ModelException, ReplyError
from popoto.keys import part
from popoto.models.change import KEEP, Change, checked, encoded, shown
from popoto.models.reading import own_key
from popoto.models.writing import made_ready, save_call
from popoto.storage import Call, ask_all, layout

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
        calls = []
        for key in batch:
            pattern.key = key
            call = save_call(pattern, keyspace)
            calls.append(Call(keyspace.scripts.increment, call.keys, call.args))
        replies = await ask_all(calls, errors="return")
        errors = {key: reply for key, reply in zip(batch, replies, strict=True) if isinstance(reply, ReplyError)}
        written += len(batch) - len(errors)
        refusals = {key: error for key, error in errors.items() if error.code != "GONE"}
        if refusals:
            raise _refused(model, ready, refusals, written)
    return written


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
    if any(name in companion.follows for companion in meta.companions):
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
