"""Rows whose keys popoto 1.x spelled in its own way: where they belong, and the references that follow them there.

A rename is one step for a row and all of its entries. References stand in rows of other models, so they follow in steps
of their own; what a crash leaves of them is found again by the next rebuild, from the spellings of a row's key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from popoto.exceptions import ModelException, ReplyError
from popoto.keys import part
from popoto.models.change import KEEP, Change, encoded
from popoto.models.reading import by_keys
from popoto.models.writing import key_bytes, save_call
from popoto.storage import ask, ask_all, layout
from popoto.storage.commands.keys import exists
from popoto.storage.commands.sets import smismember, sscan

if TYPE_CHECKING:
    from popoto.models.model import Model

MOST_REFERRERS: Final = 500


async def rows_under(model: type[Model], keys: list[bytes]) -> list[Model]:
    """The rows among hashes: those that the class set names, and those whose key is made of their own key values."""
    if not keys:
        return []
    class_set = model._meta.keyspace(await layout()).class_set
    named = await ask(smismember(class_set, *keys))
    found = await by_keys(model, keys, skip_none=False)
    return [
        row
        for row, known in zip(found, named, strict=True)
        if row is not None and (known or row.pk in spelled_keys(row))
    ]


def spelled_keys(row: Model) -> list[str]:
    """The keys that a row's own key values spell, the canonical one first; none when one cannot be read."""
    meta = row._meta
    if not all(name in row._raw for name in meta.key_order):
        return []
    try:
        return meta.row_keys({name: getattr(row, name) for name in meta.key_order})
    except ModelException:
        return []


def former_and_key(row: Model) -> tuple[str | None, str]:
    """The key from which a row must be renamed, None where it stands right, and the key under which it belongs."""
    key = next(iter(spelled_keys(row)), row.pk)
    return (None if key == row.pk else row.pk), key


def defaults(row: Model) -> dict[str, bytes]:
    """The bytes of indexed fields that a row lacks, as one that is older than the field: an index has no other way."""
    fields = row._meta.fields
    indexed = {name for index in row._meta.row_indexes for name in (index.field, *index.partitions) if name in fields}
    found: dict[str, bytes] = {}
    for name in sorted(indexed - row._raw.keys() - row._meta.key_field_names):
        value = getattr(row, name)
        if value is not None or fields[name].null:
            found[name] = encoded(type(row), fields[name], value)
            # What a callable made up once is the row's value from now on.
            row.__dict__[name] = value
    return found


def tokens(row: Model) -> dict[str, str]:
    """The texts of indexed values that bytes do not tell, as of a list: 1.x kept no receipt of them."""
    fields = row._meta.fields
    found: dict[str, str] = {}
    # Whether there is a place is told from the bytes.
    named = {name for index in row._meta.row_indexes for name in (index.field, *index.partitions)[index.kind == "G" :]}
    for name, field in fields.items():
        if field.code == "x" and name in named:
            try:
                value = getattr(row, name)
            except ModelException:
                continue
            if value is not None:
                found[name] = part(value)
    return found


async def redirect(model: type[Model], rows: Iterable[Model], refused: list[str]) -> None:
    """Let every reference to a row's former spellings name its key, where no row is stored under the former."""
    moved = {old: keys[0] for keys in map(spelled_keys, rows) for old in keys[1:]}
    referrers = _referrers(model) if moved else []
    if not referrers:
        return
    prefix = model._meta.keyspace(await layout()).prefix
    steps = [exists(key_bytes(prefix + key)) for pair in moved.items() for key in pair]
    there = iter(await ask_all(steps))
    free = {old: key for old, key in moved.items() if (not next(there)) & next(there)}
    for referrer, name in referrers:
        for old, key in free.items():
            await _refer(referrer, name, old, key, refused)


def _referrers(model: type[Model]) -> list[tuple[type[Model], str]]:
    """The models that this process knows to refer to a model, each with the field that does."""
    root = [base for base in model.__mro__ if hasattr(base, "_meta")][-1]
    found: dict[tuple[str, str], tuple[type[Model], str]] = {}
    waiting: list[Any] = list(root.__subclasses__())
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        for name in one._meta.relationship_field_names:
            field = one._meta.fields[name]
            if field.related()._meta.model_name == model._meta.model_name and not one._meta.abstract:
                found[one._meta.model_name, name] = (one, name)
    return list(found.values())


async def _refer(referrer: type[Model], name: str, old: str, key: str, refused: list[str]) -> None:
    meta = referrer._meta
    field = meta.fields[name]
    keyspace = meta.keyspace(await layout())
    before, after = field.encode(old), field.encode(key)
    cursor = 0
    while field.index is not None:
        members_key = key_bytes(keyspace.prefix + field.index.key(meta.model_name, (old,)))
        cursor, members = await ask(sscan(members_key, cursor, count=MOST_REFERRERS))
        rows = [row for row in await by_keys(referrer, members, skip_none=True) if row is not None]
        held: Mapping[str, Any] = {name: before}
        calls = [
            save_call(Change("update", row.pk, values={name: after}, expected=dict(held), expiry=KEEP), keyspace)
            for row in rows
            if row._raw.get(name) == before
        ]
        for reply in await ask_all(calls, errors="return"):
            # Another writer's newer reference stays, and a row that is gone needs none.
            if isinstance(reply, ReplyError) and reply.code not in ("STALE", "GONE"):
                refused.append(f"{meta.model_name}.{name} cannot refer to {key!r} ({reply})")
        if cursor == 0:
            return
