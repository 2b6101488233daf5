"""Reading rows by key, and the class set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from popoto.arrays import joined
from popoto.exceptions import QueryException, ReplyError, WrongType
from popoto.models.writing import key_bytes, present
from popoto.storage import Call, Script, ask, ask_all, effect, layout
from popoto.storage.commands.hashes import hmget
from popoto.storage.commands.keys import exists
from popoto.storage.commands.lists import lrange
from popoto.storage.commands.sets import sscan
from popoto.storage.commands.sorted_sets import zrangebyscore
from popoto.storage.steps import Step

if TYPE_CHECKING:
    from popoto.models.key import DB_key
    from popoto.models.model import Model
    from popoto.models.options import Options

M = TypeVar("M", bound="Model")
# One reply of so many rows takes a server a few milliseconds.
MOST_AT_ONCE: Final = 1_000
MOST_EXPIRED: Final = 10_000
# No value in msgpack begins so.
UNREADABLE: Final = b"\xc1"
SIZE: Final = Script("popoto.size", "popoto.models", "size.lua", shape=int, writes=False)


def key_text(model: type[Model], db_key: DB_key | str | None, redis_key: str | bytes | None) -> str | None:
    """The key that was asked for, as text; None when none was.

    Raises:
        QueryException: when it is a key of another model.
    """
    given: Any = redis_key if redis_key is not None else db_key
    if given is None:
        return None
    if not isinstance(given, str | bytes):
        given = str(given)
    return _own(model, given)


def loading(model: type[Model], db_key: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What `load` looks a row up by: what was given, and the defaults of missing key values unless a key was given.

    Raises:
        QueryException: when a missing key value has no default.
    """
    meta = model._meta
    if db_key is not None or meta.abstract or not given.keys() <= meta.fields.keys():
        return dict(given)
    known = {name: None if meta.fields[name].auto else meta.fields[name].initial() for name in meta.key_order}
    missing = [name for name, value in known.items() if value is None and name not in given]
    if missing:
        words = ", ".join(f"{name}=..." for name in missing)
        raise QueryException(
            f"{model.__name__}.load() makes the key of all key values: give {words}, "
            "or use query.get() to look for a row by other values"
        )
    return {**known, **given}


def _own(model: type[Model], key: str | bytes) -> str:
    text = key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else key
    if not isinstance(text, str):
        raise QueryException(f"{model.__name__}: {key!r} is no key: give text or bytes")
    return text


def own_key(model: type[Model], key: str | bytes, prefix: str) -> str | None:
    """The key apart from the store's own prefix; None when it cannot be a row of the model."""
    text, name = _own(model, key), model._meta.model_name
    if prefix and text.startswith(prefix):
        text = text[len(prefix) :]
    return text if text.startswith(f"{name}:") else None


def row_steps(meta: Options, key: bytes) -> list[Step]:
    """What reads one row: its hash, and the lists that are kept beside it."""
    lists = [lrange(key + f"::{name}".encode(), 0, -1) for name in meta.apart_field_names]
    return [hmget(key, *meta.name_bytes), *lists]


def row_values(meta: Options, replies: Iterator[Any]) -> list[bytes | None]:
    """A row's values from the replies to those steps; all None when it is not there."""
    # What others keep under the key is no row.
    values: list[bytes | None] = list(_held(next(replies)) or [None] * len(meta.field_names))
    lists = [_held(next(replies)) for _ in meta.apart_field_names]
    if any(value is not None for value in values):
        for name, items in zip(meta.apart_field_names, lists, strict=True):
            values[meta.field_names.index(name)] = UNREADABLE if items is None else joined(items)
    return values


def _held(reply: Any) -> Any:
    """What a key holds; None for another kind of value."""
    if isinstance(reply, WrongType):
        return None
    if isinstance(reply, ReplyError):
        raise reply
    return reply


async def row_at(model: type[M], key: str) -> M | None:
    """The row under a key of the model's own, None when there is none."""
    meta = model._meta
    prefix = meta.keyspace(await layout()).prefix
    replies = await ask_all(row_steps(meta, key_bytes(prefix + key)), errors="return")
    values = row_values(meta, iter(replies))
    return model._from_row(key, meta.field_names, values) if any(value is not None for value in values) else None


async def by_keys(model: type[M], keys: Iterable[str | bytes], skip_none: bool) -> list[M | None]:
    """The rows with these keys, in their order, None for one that is missing or belongs to another model."""
    meta = model._meta
    prefix = meta.keyspace(await layout()).prefix
    asked = [own_key(model, key, prefix) for key in keys]
    found: list[M | None] = []
    for start in range(0, len(asked), MOST_AT_ONCE):
        some = asked[start : start + MOST_AT_ONCE]
        steps = [step for key in some if key is not None for step in row_steps(meta, key_bytes(prefix + key))]
        replies = iter(await ask_all(steps, errors="return"))
        for key in some:
            values = [] if key is None else row_values(meta, replies)
            there = any(value is not None for value in values)
            found.append(model._from_row(key or "", meta.field_names, values) if there else None)
    return [row for row in found if row is not None] if skip_none else found


async def brought(rows: Sequence[Any], names: Iterable[str]) -> None:
    """Load the values of some fields that lie elsewhere, each field's in one go.

    Raises:
        ModelException: the first that cannot be loaded.
    """
    for name in names if rows else ():
        field = rows[0]._meta.fields[name]
        if field.elsewhere:
            for outcome in await effect(partial(field.bring, rows)):
                if isinstance(outcome, Exception):
                    raise outcome


async def class_size(model: type[Model]) -> int:
    """How many rows the class set names, without those that have expired."""
    keyspace = model._meta.keyspace(await layout())
    return await ask(Call(SIZE, [keyspace.class_set, keyspace.ledger], [present(), MOST_EXPIRED]))


async def class_keys(model: type[Model]) -> list[bytes]:
    """Every key that the class set names, in bounded steps, without rows that have expired."""
    keyspace = model._meta.keyspace(await layout())
    keys: dict[bytes, None] = {}
    due: list[bytes] = []
    cursor = 0
    while True:
        steps: list[Any] = [sscan(keyspace.class_set, cursor, count=MOST_AT_ONCE)]
        if cursor == 0:
            steps.append(zrangebyscore(keyspace.ledger, "-inf", str(present()), count=MOST_EXPIRED))
        (cursor, some), *ledger = await ask_all(steps)
        due += [key for key, _ in ledger[0]] if ledger else []
        keys |= dict.fromkeys(some)
        if cursor == 0:
            break
    # The clock here only says which to look at.
    for key, there in zip(due, await ask_all([exists(key) for key in due]), strict=True):
        if not there:
            keys.pop(key, None)
    return list(keys)
