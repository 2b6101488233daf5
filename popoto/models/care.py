"""Looking after indexes: counting and removing entries that no row has, and writing every row's entries anew.

All of it goes in bounded steps and takes nothing away that a row still has, so queries answer fully meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from popoto.exceptions import ModelException, ReplyError
from popoto.fields.sources import Index
from popoto.models import companion_care
from popoto.models.change import KEEP, Change
from popoto.models.companion_care import literal
from popoto.models.options import Keyspace, Options
from popoto.models.reading import by_keys
from popoto.models.writing import present, save_call, told
from popoto.storage import Call, ask, ask_all, layout, together
from popoto.storage.commands.hashes import hscan
from popoto.storage.commands.keys import scan, type_of
from popoto.storage.commands.sets import sscan
from popoto.storage.commands.sorted_sets import zmembers, zscan

if TYPE_CHECKING:
    from popoto.models.model import Model

Progress = Callable[[int], None]
# A script that looks at so many members takes a server a few milliseconds.
MOST_MEMBERS: Final = 500
# Sets that are looked through side by side, in the same round trips.
MOST_KEYS: Final = 100
_COMPOSITE: Final = ("C", "c")
_FAMILIES: Final = {"Z": "sorted_fields", "G": "geo_fields"}


async def examine(model: type[Model], batch_size: int, *, removing: bool, progress: Progress | None) -> dict[str, Any]:
    """Count the entries that no row has, by index family, and remove them when asked."""
    meta = model._meta
    check_batch_size(batch_size)
    keyspace = meta.keyspace(await layout())
    if removing:
        await reap_all(keyspace)
    size = min(batch_size, MOST_MEMBERS)
    report: dict[str, Any] = {name: {} for name in ("key_fields", "indexed_fields", "sorted_fields", "geo_fields")}
    report = {"class_set": 0, **report, "composite_indexes": {}}
    seen = 0
    expired = set() if removing else await _expired(keyspace)

    async def strays_of(key: bytes, index: Index | None) -> int:
        nonlocal seen
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
                seen += len(some)
                if progress is not None:
                    progress(seen)
            if ended:
                return strays

    report["class_set"] = await strays_of(keyspace.class_set, None)
    for index in meta.row_indexes:
        keys = await _index_keys(meta, keyspace, index)
        count = 0
        for start in range(0, len(keys), MOST_KEYS):
            count += sum(await together([strays_of(key, index) for key in keys[start : start + MOST_KEYS]]))
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
        done += await _reindexed(model, keyspace, rows, refused)
        if progress is not None:
            progress(done)
        if cursor == 0:
            break
    await examine(model, batch_size, removing=True, progress=None)
    for one in meta.companions:
        if one.renewed is not None:
            await one.renewed(keyspace.prefix)
    if refused:
        more = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
        raise ModelException(
            f"{model.__name__} {refused[0]}{more}: change or delete it, then rebuild again; {done} rows were indexed"
        )
    return done


async def _reindexed(model: type[Model], keyspace: Keyspace, keys: list[bytes], refused: list[str]) -> int:
    rows = [row for row in await by_keys(model, keys, skip_none=True) if row is not None and _is_row(row)]
    calls = []
    for row in rows:
        scores, expected = _scores(row)
        change = Change("reindex", row.pk, scores=scores, expected=expected, expiry=KEEP)
        told(row, change, keyspace)
        calls.append(save_call(change, keyspace))
    done = 0
    for row, reply in zip(rows, await ask_all(calls, errors="return"), strict=True):
        if not isinstance(reply, ReplyError):
            done += 1
        elif reply.code == "STALE":
            # It was saved meanwhile, by a writer that keeps the indexes.
            done += 1
        elif reply.code != "GONE":
            refused.append(f"{row.pk!r} cannot be indexed ({reply})")
    return done


def _is_row(row: Model) -> bool:
    """Whether the hash under a key is a row of the model: its key is made of its own key values."""
    meta = row._meta
    try:
        return row.pk in meta.row_keys({name: getattr(row, name) for name in meta.key_order})
    except ModelException:
        return False


def _scores(row: Model) -> tuple[dict[str, float | str], dict[str, bytes | None]]:
    scores: dict[str, float | str] = {}
    expected: dict[str, bytes | None] = {}
    for index in row._meta.row_indexes:
        if index.kind in _FAMILIES and index.field in row._raw:
            try:
                value = getattr(row, index.field)
            except ModelException:
                # One value that cannot be read keeps its row out of this index alone.
                continue
            scored = index.scored or row._meta.fields[index.field].score
            score = None if value is None else scored(value)
            if score is not None:
                scores[index.field] = score
            expected[index.field] = row._raw[index.field]
    return scores, expected


async def reap_all(keyspace: Keyspace) -> None:
    """Take every expired row out of its model's indexes, in bounded steps."""
    keys = [keyspace.class_set, keyspace.ledger, keyspace.receipts]
    while await ask(Call(keyspace.scripts.reap, keys, [present(), MOST_MEMBERS, *keyspace.companions])):
        pass


async def _expired(keyspace: Keyspace) -> set[bytes]:
    expired: set[bytes] = set()
    cursor = 0
    while True:
        cursor, pairs = await ask(zscan(keyspace.ledger, cursor, count=MOST_MEMBERS))
        expired.update(member for member, at in pairs if at <= present())
        if cursor == 0:
            return expired


def _is_sorted(index: Index | None) -> bool:
    return index is not None and index.kind in _FAMILIES


async def _members(key: bytes, index: Index | None, cursor: int, size: int) -> tuple[list[bytes], int, bool]:
    """Some members, where to go on, and whether these were the last; a sorted set is walked by place."""
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
