"""What is done to confidences, as plans."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import msgpack

from popoto.exceptions import ModelException, StaleObjectError
from popoto.fields.companions import Action
from popoto.storage import ask, layout, together
from popoto.storage.commands.hashes import hscan
from popoto.storage.commands.sets import sscan

# A step over so many rows takes a server a few milliseconds.
MOST_AT_ONCE: Final = 200
COUNTS: Final = ("evidence_count", "corroborations", "contradictions")


async def signal(instance: Any, field: Any, strength: float) -> float:
    """Move one row's confidence and return the new one."""
    action = Action(field.name, "signal", (strength, field.prior()))
    try:
        (reply,) = await instance._acting([action], changed=(field.name,))
    except StaleObjectError:
        raise TypeError(
            f"{instance._meta.model_name} {instance.pk!r} is not saved, so {field.name} cannot learn: save() it first"
        ) from None
    field.acted(instance, "signal", reply)
    return float(reply)


async def data(instance: Any, field: Any) -> dict[str, Any]:
    """What one row's confidence has learned."""
    try:
        (raw,) = await instance._acting([Action(field.name, "data")], reading=True)
    except StaleObjectError:
        raw = None
    return read(raw) or {"confidence": field.prior(), **dict.fromkeys(COUNTS, 0)}


def read(raw: bytes | None) -> dict[str, Any] | None:
    """A stored map; None where there is none, or another thing."""
    try:
        found: Any = msgpack.unpackb(raw) if raw else None
        return {"confidence": float(found["confidence"]), **{name: int(found.get(name) or 0) for name in COUNTS}}
    except (ValueError, TypeError, KeyError, msgpack.UnpackException):
        return None


async def filtered(model: Any, field: Any, pattern: str) -> dict[str, dict[str, Any]]:
    """The confidences of the rows whose keys match a pattern, by key."""
    found: dict[str, dict[str, Any]] = {}
    async for some in _partitioned(model, field, pattern) if field.partition_by else _whole(model, field, pattern):
        for key, raw in some.items():
            known = read(raw)
            if known is not None:
                found[key] = known
    return found


async def _whole(model: Any, field: Any, pattern: str) -> AsyncIterator[dict[str, bytes]]:
    prefix = model._meta.keyspace(await layout()).prefix
    key, cursor = prefix + field.get_data_hash_key_from_values(model, field.name), 0
    while True:
        cursor, pairs = await ask(hscan(key, cursor, match=_glob(prefix) + pattern, count=MOST_AT_ONCE))
        yield {_text(member)[len(prefix) :]: raw for member, raw in pairs.items()}
        if cursor == 0:
            return


async def _partitioned(model: Any, field: Any, pattern: str) -> AsyncIterator[dict[str, bytes]]:
    """Of each row of the class set, what its own partition holds: no other key of the server is looked at."""
    keyspace = model._meta.keyspace(await layout())
    prefix, cursor = keyspace.prefix, 0
    while True:
        step = sscan(keyspace.class_set, cursor, match=_glob(prefix) + pattern, count=MOST_AT_ONCE)
        cursor, members = await ask(step)
        rows = [_row(model, _text(member)[len(prefix) :]) for member in members]
        for start in range(0, len(rows), MOST_AT_ONCE):
            some = rows[start : start + MOST_AT_ONCE]
            asked = [row._acting([Action(field.name, "data")], reading=True) for row in some]
            replies = await together(asked, errors="return")
            yield {row.pk: reply[0] for row, reply in zip(some, replies, strict=True) if _kept(reply)}
        if cursor == 0:
            return


def _kept(reply: Any) -> bool:
    """Whether a row was there; other errors are raised."""
    if isinstance(reply, Exception) and not isinstance(reply, StaleObjectError):
        raise reply
    return isinstance(reply, list)


async def migrate(model: Any, field: Any, dry_run: bool) -> dict[str, Any]:
    """Move what an unpartitioned hash holds to the partitions of its rows, each row in one step."""
    prefix = model._meta.keyspace(await layout()).prefix
    own = field.base(model._meta.model_name)
    source, rank = f"{prefix}{own}:data", f"{prefix}{own}:rank"
    report: dict[str, Any] = {"total": 0, "migrated": 0, "errors": [], "partitions": {}}
    seen: set[str] = set()
    cursor = 0
    while True:
        cursor, pairs = await ask(hscan(source, cursor, count=MOST_AT_ONCE))
        keys = [key for key in (_text(member)[len(prefix) :] for member in pairs) if key not in seen]
        seen.update(keys)
        for start in range(0, len(keys), MOST_AT_ONCE):
            await _moved(model, field, keys[start : start + MOST_AT_ONCE], (source, rank), report, dry_run=dry_run)
        if cursor == 0:
            return report


async def _moved(
    model: Any, field: Any, keys: list[str], former: tuple[str, str], report: dict[str, Any], *, dry_run: bool
) -> None:
    actions = [Action(field.name, "target")] + ([] if dry_run else [Action(field.name, "migrate", former)])
    plans = [_row(model, key)._acting(actions, reading=dry_run) for key in keys]
    for key, reply in zip(keys, await together(plans, errors="return"), strict=True):
        report["total"] += 1
        trouble = _trouble(reply)
        if trouble is not None:
            report["errors"].append({"member_key": key, "error": trouble})
            continue
        label = _text(reply[0])[len(former[0]) + 1 :]
        report["partitions"][label] = report["partitions"].get(label, 0) + 1
        report["migrated"] += 0 if dry_run else 1


def _trouble(reply: Any) -> str | None:
    if isinstance(reply, Exception):
        return str(reply)
    if reply[0] is None:
        return "the row's partition cannot be told from its values"
    return "what is stored is no confidence" if _text(reply[-1]) == "unreadable" else None


def check(field: Any, strength: Any) -> float:
    """A signal as a float.

    Raises:
        TypeError: for None.
        ValueError: for what is no number between 0 and 1.
    """
    if strength is None:
        raise TypeError(f"{field.name}: the signal is None: give a number between 0 and 1")
    try:
        number = float(strength)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError(f"{field.name}: the signal {strength!r} must be a number between 0 and 1")
    return number


def check_partitioned(model: Any, field: Any) -> None:
    """Refuse to migrate to partitions that there are none of.

    Raises:
        ModelException: naming the field.
    """
    if not field.partition_by:
        raise ModelException(
            f"{model.__name__}.{field.name} has no partition_by, so there is nothing to migrate to: declare it first"
        )


def _row(model: Any, key: str) -> Any:
    return model._from_row(key, (), ())


def _text(raw: Any) -> str:
    return raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else str(raw)


def _glob(prefix: str) -> str:
    """A store's prefix as a pattern that matches it alone."""
    return "".join(f"\\{one}" if one in "*?[]\\^" else one for one in prefix)
