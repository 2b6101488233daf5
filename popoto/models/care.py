"""Looking after indexes: counting and removing entries that no row has, and writing every row's entries anew.

All of it goes in bounded steps and takes nothing away that a row still has, so queries answer fully meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from popoto.exceptions import BackendError, ModelException, ReplyError, WrongType
from popoto.fields.sources import Index
from popoto.models import companion_care, hooks, impostors
from popoto.models.change import KEEP, Change
from popoto.models.companion_care import literal
from popoto.models.options import Keyspace, Options
from popoto.models.reading import class_keys
from popoto.models.respelling import defaults, former_and_key, redirect, rows_under, tokens
from popoto.models.writing import key_bytes, made_ready, present, save_call, told
from popoto.storage import Call, Script, ask, ask_all, layout, together
from popoto.storage.commands.hashes import hscan
from popoto.storage.commands.keys import scan, type_of
from popoto.storage.commands.sets import sscan
from popoto.storage.commands.sorted_sets import zmembers, zscan

if TYPE_CHECKING:
    from popoto.models.model import Model

Progress = Callable[[int], None]
CHECK_VALUES: Final = Script("popoto.care_values", "popoto.models", "care_values.lua", shape=int, writes=False)
CLEAN_VALUES: Final = Script("popoto.care_values", "popoto.models", "care_values.lua", shape=int, writes=True)
SETTLE: Final = Script("popoto.settle", "popoto.models", "settle.lua", shape=int, writes=True)
# A script that looks at so many members takes a server a few milliseconds.
MOST_MEMBERS: Final = 500
# Sets that are looked through side by side, in the same round trips.
MOST_KEYS: Final = 100
# How often a row is read again that another writer changes while it is to be renamed.
MOST_ATTEMPTS: Final = 10
_COMPOSITE: Final = ("C", "c")
_FAMILIES: Final = {"Z": "sorted_fields", "G": "geo_fields"}


class _Looked:
    """Tells how many entries were looked at so far."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._seen = 0

    def __call__(self, more: int) -> None:
        self._seen += more
        if self._progress is not None:
            self._progress(self._seen)


async def examine(model: type[Model], batch_size: int, *, removing: bool, progress: Progress | None) -> dict[str, Any]:
    """Count the entries that no row has, by index family, and remove them when asked."""
    meta = model._meta
    check_batch_size(batch_size)
    keyspace = meta.keyspace(await layout())
    if removing:
        await reap_all(meta, keyspace)
    size = min(batch_size, MOST_MEMBERS)
    report: dict[str, Any] = {name: {} for name in ("key_fields", "indexed_fields", "sorted_fields", "geo_fields")}
    report = {"class_set": 0, **report, "composite_indexes": {}}
    expired = set() if removing else await _expired(keyspace)

    looked = _Looked(progress)

    async def strays_of(key: bytes, index: Index | None) -> int:
        strays, cursor = 0, 0
        while True:
            members, cursor, ended = await _members(key, index, cursor, size)
            words = meta.schema_words(keyspace.prefix, [] if index is None else [index])
            for start in range(0, len(members), size):
                some = members[start : start + size]
                script = keyspace.scripts.clean if removing else keyspace.scripts.check
                found = await ask(Call(script, [key], [int(removing), len(some), *some, *words, 0, 0]))
                # What the ledger will take out is no stray: a query or a count does not see it already.
                strays += sum(1 for member in found if member not in expired)
                cursor -= len(found) if removing and _is_sorted(index) else 0
                looked(len(some))
            if ended:
                return strays

    report["class_set"] = await strays_of(keyspace.class_set, None)
    for index in meta.row_indexes:
        keys = await _index_keys(meta, keyspace, index)
        count = 0
        for start in range(0, len(keys), MOST_KEYS):
            count += sum(await together([strays_of(key, index) for key in keys[start : start + MOST_KEYS]]))
        count += await _stray_values(meta, keyspace, index, size, looked, removing=removing)
        if index.kind in _COMPOSITE:
            report["composite_indexes"][index.base(meta.model_name)] = count
            continue
        family = _FAMILIES.get(index.kind) or ("key_fields" if meta.fields[index.field].key else "indexed_fields")
        report[family][index.field] = count
    report["companions"] = await companion_care.examine(meta, keyspace, size, removing=removing, expired=expired)
    report["total"] = report["class_set"] + sum(
        count for family in report.values() if isinstance(family, dict) for count in family.values()
    )
    return report


async def rebuild(model: type[Model], batch_size: int, progress: Progress | None) -> int:
    """Write every row's index entries anew, then remove those that no row has; the count is of rows."""
    meta = model._meta
    check_batch_size(batch_size)
    keyspace = meta.keyspace(await layout())
    await impostors.removed(meta, keyspace)
    for one in meta.companions:
        if one.renewal is not None:
            await one.renewal(keyspace.prefix)
    done = 0
    cursor = 0
    refused: list[str] = []
    pattern = literal(f"{keyspace.prefix}{meta.model_name}:".encode()) + b"*"
    seen: set[bytes] = set()
    while True:
        cursor, keys = await ask(scan(cursor, match=pattern, count=batch_size))
        fresh = [key for key in keys if key not in seen]
        seen.update(fresh)
        types = await ask_all([type_of(key) for key in fresh])
        rows = [key for key, kind in zip(fresh, types, strict=True) if kind == b"hash"]
        done += await _reindexed(model, keyspace, rows, refused, seen)
        if progress is not None:
            progress(done)
        if cursor == 0:
            break
    await examine(model, batch_size, removing=True, progress=None)
    for one in meta.companions:
        if one.renewed is not None:
            await one.renewed(keyspace.prefix)
    if not refused:
        await ask(Call(SETTLE, [keyspace.class_set], keyspace.schema))
    else:
        more = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
        raise ModelException(
            f"{model.__name__} {refused[0]}{more}: change or delete it, then rebuild again; {done} rows were indexed"
        )
    return done


async def _reindexed(
    model: type[Model], keyspace: Keyspace, keys: list[bytes], refused: list[str], seen: set[bytes]
) -> int:
    done = 0
    staying: set[str] = set()
    again: list[str] = []
    for _ in range(MOST_ATTEMPTS):
        rows = await rows_under(model, keys)
        changes = [_reindex(row, staying) for row in rows]
        writing = [_written(row, change, keyspace) for row, change in zip(rows, changes, strict=True)]
        replies = await together(writing, errors="return")
        again = []
        for change, reply in zip(changes, replies, strict=True):
            seen.add(key_bytes(keyspace.prefix + change.key))
            code = reply.code if isinstance(reply, ReplyError) else "" if isinstance(reply, Exception) else None
            if isinstance(reply, BackendError) and not code:
                raise reply
            if code == "TAKEN":
                refused.append(f"{change.former!r} belongs under the key {change.key!r}, which another row has")
                staying.add(str(change.former))
            if code == "TAKEN" or (code == "STALE" and change.former is not None):
                again.append(str(change.former))
            elif code is None or code == "STALE":
                # A stale one was saved meanwhile, by a writer that keeps the indexes.
                done += 1
            elif code != "GONE":
                refused.append(f"{change.former or change.key!r} cannot be indexed ({reply})")
        await redirect(model, rows, refused)
        if not again:
            return done
        keys = [key_bytes(keyspace.prefix + key) for key in again]
    refused += [f"{key!r} was changed by others whenever it was to be renamed" for key in again]
    return done


async def _written(row: Model, change: Change, keyspace: Keyspace) -> int:
    await made_ready(type(row), row, change)
    told(row, change, keyspace)
    extras = hooks.reindexing(row, change, keyspace.prefix)
    for name in row._meta.apart_field_names:
        # What lies apart from the hash is not to be found in it.
        change.expected.pop(name, None)
    return await ask(save_call(change, keyspace, extras))


def _reindex(row: Model, staying: set[str]) -> Change:
    """The change that writes a row's entries anew, under its canonical key unless it is to stay where it is."""
    former, key = (None, row.pk) if row.pk in staying else former_and_key(row)
    missing = defaults(row)
    scores, expected = _scores(row)
    texts = tokens(row)
    # The row is as it was read, or it is read again.
    read = [*texts, *missing, *(row._meta.key_order if former is not None else ())]
    expected |= {name: row._raw.get(name) for name in read}
    return Change("reindex", key, former, missing, scores, texts, expected, expiry=KEEP)


def _scores(row: Model) -> tuple[dict[str, float | str], dict[str, bytes | None]]:
    scores: dict[str, float | str] = {}
    expected: dict[str, bytes | None] = {}
    for index in row._meta.row_indexes:
        if index.kind in _FAMILIES:
            try:
                value = getattr(row, index.field)
            except ModelException:
                # One value that cannot be read keeps its row out of this index alone.
                continue
            scored = index.scored or row._meta.fields[index.field].score
            score = None if value is None else scored(value)
            if score is not None:
                scores[index.field] = score
            expected[index.field] = row._raw.get(index.field)
    return scores, expected


async def reap_all(meta: Options, keyspace: Keyspace) -> None:
    """Take every expired row out of its model's indexes, in bounded steps."""
    keys = [keyspace.class_set, keyspace.ledger, keyspace.receipts]
    most = min([MOST_MEMBERS, *(one.reaped for one in meta.companions)])
    while await ask(Call(keyspace.scripts.reap, keys, [present(), most, *keyspace.companions])):
        pass


async def _expired(keyspace: Keyspace) -> set[bytes]:
    expired: set[bytes] = set()
    cursor = 0
    while True:
        cursor, pairs = await ask(zscan(keyspace.ledger, cursor, count=MOST_MEMBERS))
        expired.update(member for member, at in pairs if at <= present())
        if cursor == 0:
            return expired


async def _stray_values(
    meta: Options, keyspace: Keyspace, index: Index, size: int, looked: Progress, *, removing: bool
) -> int:
    """How many values a list has without a set."""
    if index.kind in _COMPOSITE or index.field not in meta.listed:
        return 0
    key = (keyspace.prefix + index.value_list(meta.model_name)).encode()
    words = meta.schema_words(keyspace.prefix, [index])
    strays = place = 0
    while True:
        values = await ask(zmembers(key, place, place + size - 1))
        if not values:
            return strays
        some = await ask(
            Call(CLEAN_VALUES if removing else CHECK_VALUES, [key], [int(removing), len(values), *values, *words])
        )
        strays += some
        looked(len(values))
        place += len(values) - (some if removing else 0)


async def model_keys(model: type[Model], catchall: bool, clean: bool) -> list[bytes]:
    """The keys of a model: of its rows, or all of them; rows that are gone leave the class set when asked."""
    keyspace = model._meta.keyspace(await layout())
    if clean:
        cursor = 0
        while True:
            members, cursor, ended = await _members(keyspace.class_set, None, cursor, MOST_MEMBERS)
            if members:
                await ask(Call(keyspace.scripts.clean, [keyspace.class_set], [1, len(members), *members, 0, 0, 0]))
            if ended:
                break
    return await (_every_key(model._meta, keyspace) if catchall else class_keys(model))


async def _every_key(meta: Options, keyspace: Keyspace) -> list[bytes]:
    name = meta.model_name.encode()
    own = re.compile(re.escape(keyspace.prefix.encode()) + rb"(?:\$[^:]*:)?" + re.escape(name) + rb"(?::|$)")
    pattern = literal(keyspace.prefix.encode()) + b"*" + literal(name) + b"*"
    found: dict[bytes, None] = {}
    cursor = 0
    while True:
        cursor, keys = await ask(scan(cursor, match=pattern, count=MOST_MEMBERS))
        found |= {key: None for key in keys if own.match(key)}
        if cursor == 0:
            return list(found)


def _is_sorted(index: Index | None) -> bool:
    return index is not None and index.kind in _FAMILIES


async def _members(key: bytes, index: Index | None, cursor: int, size: int) -> tuple[list[bytes], int, bool]:
    """Some members, where to go on, and whether these were the last.

    Raises:
        WrongType: when the key holds no such index, with its name.
    """
    try:
        return await _walked(key, index, cursor, size)
    except WrongType as error:
        text = f"{key.decode('utf-8', 'replace')!r} holds no index: rebuild_indexes() puts one in its place"
        raise WrongType(error.code, text) from error


async def _walked(key: bytes, index: Index | None, cursor: int, size: int) -> tuple[list[bytes], int, bool]:
    # A sorted set is walked by place.
    if _is_sorted(index):
        members = await ask(zmembers(key, cursor, cursor + size - 1))
        return members, cursor + len(members), len(members) < size
    if index is not None and index.kind in _COMPOSITE:
        cursor, pairs = await ask(hscan(key, cursor, count=size))
        return list(pairs), cursor, cursor == 0
    cursor, members = await ask(sscan(key, cursor, count=size))
    return members, cursor, cursor == 0


async def _index_keys(meta: Options, keyspace: Keyspace, index: Index) -> list[bytes]:
    """The sets or sorted sets of an index, found by a walk over all keys."""
    base = (keyspace.prefix + index.base(meta.model_name)).encode()
    if index.kind in _COMPOSITE or (index.kind in _FAMILIES and not index.partitions):
        return [base]
    wanted = b"zset" if index.kind in _FAMILIES else b"set"
    found: dict[bytes, None] = {}
    cursor = 0
    while True:
        cursor, keys = await ask(scan(cursor, match=literal(base) + b":*"))
        types = await ask_all([type_of(key) for key in keys])
        found |= {key: None for key, kind in zip(keys, types, strict=True) if kind == wanted}
        if cursor == 0:
            return list(found)


def check_batch_size(batch_size: Any) -> None:
    """Refuse what is no number of items.

    Raises:
        ModelException: naming it.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ModelException(f"batch_size={batch_size!r} must be a positive int")
