"""Adding to a stored number: exact for every int, float and Decimal, atomic with its indexes."""

from __future__ import annotations

import math
from decimal import MAX_PREC, Context, Decimal
from typing import TYPE_CHECKING, Any, Final

from popoto.exceptions import ModelException, ReplyError
from popoto.models import hooks
from popoto.models.change import KEEP, Change, checked, shown
from popoto.models.options import Keyspace
from popoto.models.scripts import ADD
from popoto.models.writing import key_bytes, refused, save_call
from popoto.storage import Call, ask, layout
from popoto.storage.commands.hashes import hget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from popoto.fields import Field
    from popoto.models.extras import Extra
    from popoto.models.model import Model


NUMBERS: Final = (int, float, Decimal)
EXACT_INTEGERS: Final = 2**53
# A sum that others keep changing under us is computed anew; so many times means that something is wrong.
MOST_TRIES: Final = 1_000
# All additions share the script that knows no model.
ALONE: Final = (b"",)
_EXACT: Final = Context(prec=min(MAX_PREC, 100_000), traps=[])


def check(instance: Model, name: str, delta: Any) -> Field[Any]:
    """The field to add to.

    Raises:
        AttributeError: when there is no such field.
        TypeError: when the instance is not stored, nothing is to be added, or the field holds no number.
        ModelException: when what is to be added is no number of the field's type, or the field is part of the key.
    """
    meta = instance._meta
    field = meta.fields.get(name)
    if field is None:
        raise AttributeError(f"{meta.model_name} has no field {name!r}{meta.near(name)}")
    if instance._redis_key is None:
        raise TypeError(f"{meta.model_name} is not stored, so {name} cannot be incremented: save() it first")
    if delta is None:
        raise TypeError(f"{meta.model_name}.{name} cannot be incremented by None: give a number")
    if field.type not in NUMBERS:
        raise TypeError(f"{meta.model_name}.{name} holds {field.type.__name__}, and only numbers can be incremented")
    if not field.summed:
        raise TypeError(f"{meta.model_name}.{name} is a {type(field).__name__}, to which nothing is added")
    if field.key:
        raise ModelException(f"{meta.model_name}.{name} is part of the key: assign it and save(migrate_key=True)")
    return field


async def increment(instance: Model, name: str, delta: Any) -> Any:
    """Add to a stored number and return the sum."""
    field = check(instance, name, delta)
    step = checked(type(instance), field, delta)
    keyspace = instance._meta.keyspace(await layout())
    key = instance._redis_key or ""
    before = instance._raw.get(name)
    if not field.hooked and _fits_double(field, before, step):
        change = Change(
            "update", key, increments={name: (field.code, repr(step)), **version_increment(instance)}, expiry=KEEP
        )
        extras = hooks.incrementing(instance, change, field, None, keyspace.prefix)
        try:
            raw, *version = await ask(_addition(instance, change, field, keyspace, extras))
        except ReplyError as error:
            if error.code != "INEXACT":
                refused(error, instance, change)
        else:
            return _settled(instance, field, raw, version)
    # Computed here from what the instance knows, which the script compares with what is stored: one round trip, unless
    # another has changed it meanwhile.
    for _ in range(MOST_TRIES):
        change, total = _computed(instance, field, before, step)
        extras = hooks.incrementing(instance, change, field, total, keyspace.prefix)
        try:
            version = await ask(save_call(change, keyspace, extras, keyspace.scripts.increment))
        except ReplyError as error:
            if error.code != "STALE":
                refused(error, instance, change)
            before = await ask(hget(key_bytes(keyspace.prefix + key), name))
        else:
            return _settled(instance, field, change.values[name], version)
    raise ModelException(f"{type(instance).__name__}.{name} is changed by others all the time: try again later")


def _addition(
    instance: Model, change: Change, field: Field[Any], keyspace: Keyspace, extras: Sequence[Extra]
) -> Call[list[bytes]]:
    """The call that lets the server add: a short one to a number on which nothing else depends."""
    if extras or field.name not in instance._meta.lone_field_names:
        return save_call(change, keyspace, extras, keyspace.scripts.increment)
    key = key_bytes(keyspace.prefix + change.key)
    words = (field.name, *change.increments[field.name])
    return Call.of_row(ADD, (key,), ALONE, [word.encode() for word in words])


def _fits_double(field: Field[Any], before: bytes | None, step: Any) -> bool:
    """Whether the script's arithmetic will probably do; it refuses what it cannot tell exactly."""
    if field.type is float:
        return True
    if field.type is Decimal:
        return False
    known = field.decode(before) if before is not None else 0
    return abs(step) < EXACT_INTEGERS and (not isinstance(known, int) or abs(known + step) < EXACT_INTEGERS)


def _computed(instance: Model, field: Field[Any], before: bytes | None, step: Any) -> tuple[Change, Any]:
    """The change that the sum makes, and the sum."""
    known = field.decode(before) if before is not None else None
    known = field.type(0) if known is None else known
    total = _EXACT.add(known, step) if isinstance(known, Decimal) else known + step
    complaint = field.complaint(total)
    finite = total.is_finite() if isinstance(total, Decimal) else isinstance(total, int) or math.isfinite(total)
    if complaint is not None or not finite:
        raise ModelException(
            f"{type(instance).__name__}.{field.name} + {shown(step)} = {shown(total)} "
            f"{complaint or 'is beyond the numbers: add less'}"
        )
    raw = field.encode(total)
    score = field.score(total)
    scores = {} if score is None else {field.name: score}
    key = instance._redis_key or ""
    change = Change(
        "update",
        key,
        values={field.name: raw},
        scores=scores,
        expected={field.name: before},
        increments=version_increment(instance),
        expiry=KEEP,
    )
    return change, total


def version_increment(instance: Model) -> dict[str, tuple[str, str]]:
    """The version counts an addition too, so that a save by who did not see it is refused."""
    name = instance._meta.version_field
    return {} if name is None else {name: ("i", "1")}


def _settled(instance: Model, field: Field[Any], raw: bytes, version: list[bytes]) -> Any:
    value = field.decode(raw)
    name = instance._meta.version_field
    if name is not None and version:
        instance._raw[name] = version[0]
        instance.__dict__.pop(name, None)
    instance._raw[field.name] = raw
    instance.__dict__[field.name] = value
    return value
