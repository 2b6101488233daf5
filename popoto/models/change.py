"""What a save is about to write: values checked, converted and encoded. Values only; nothing here performs I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import time
from typing import TYPE_CHECKING, Any, Final, Literal

from popoto.exceptions import KeyMutationError, ModelException
from popoto.fields import Field
from popoto.keys import part
from popoto.storage.steps import Arg

if TYPE_CHECKING:
    from popoto.models.model import Model

Mode = Literal["replace", "update", "insert", "reindex"]
KEEP: Final = ("keep", "", "")
"""The time to live stays as it is."""


@dataclass(slots=True)
class Change:
    """One row's change, apart from the store's own prefix.

    Attributes:
        mode: `replace` makes the row just this, `update` wants it to be there, `insert` wants it not to be.
        key: the row's key after the change.
        former: its key before, when it is renamed.
        older: other spellings of the key, of 1.x, under which the same row or a taken key may be found.
        values: bytes by field name.
        scores: places in sorted sets, by field name: a number, or longitude and latitude.
        tokens: texts of values whose bytes do not tell them to a script, by field name.
        expected: bytes that fields must hold now, None for none, by name.
        increments: what to add, as the field's code and a number's text, by name.
        expiry: how the time to live is decided, its milliseconds, and the mark that the row keeps.
        apart: bytes by the names of fields that are kept beside the hash.
        companions: the companions with what is said to them; None where nothing is.
        prepared: what slow work before the save has made, by field name.
    """

    mode: Mode
    key: str
    former: str | None = None
    values: dict[str, bytes] = field(default_factory=dict)
    scores: dict[str, float | str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    expected: dict[str, bytes | None] = field(default_factory=dict)
    increments: dict[str, tuple[str, str]] = field(default_factory=dict)
    expiry: tuple[str, str, str] = ("default", "", "")
    apart: dict[str, bytes] = field(default_factory=dict)
    companions: list[Arg] | None = None
    older: Sequence[str] = ()
    prepared: dict[str, Any] = field(default_factory=dict)


# Of a field about which more must be asked than the type and length of its value.
QUESTIONED: Final = (object, None)


def shown(value: Any) -> str:
    """A value as an error names it, no longer than a line."""
    text = " ".join(repr(value).split("\n"))
    return text if len(text) <= 80 else f"{text[:77]}..."


def checked(model: type[Model], one: Field[Any], value: Any, *, null_check: bool = True) -> Any:
    """The value converted to the field's type.

    Raises:
        ModelException: naming field, value and remedy.
    """
    if value is None:
        value = one.nothing
    elif type(value) is not one.settled_type:
        try:
            value = one.convert(value)
        except ValueError as error:
            raise ModelException(f"{model.__name__}.{one.name} = {shown(value)}: {error}") from error
    complaint = one.complaint(value, null_check=null_check)
    if complaint is not None:
        raise ModelException(f"{model.__name__}.{one.name} = {shown(value)} {complaint}")
    if one.validates and not type(one).is_valid(one, value, null_check=null_check):
        raise ModelException(
            f"{model.__name__}.{one.name} = {shown(value)} is refused by {type(one).__name__}.is_valid: "
            "give a value that it takes"
        )
    return value


def encoded(model: type[Model], one: Field[Any], value: Any) -> bytes:
    """The value's bytes.

    Raises:
        ModelException: when it holds something that cannot be stored.
    """
    try:
        return one.encode(value)
    except ValueError as error:
        raise _unwritable(model, one, value, error) from error


def _unwritable(model: type[Model], one: Field[Any], value: Any, error: ValueError) -> ModelException:
    return ModelException(f"{model.__name__}.{one.name} = {shown(value)}: {error}")


def check_all(instance: Model, names: Iterable[str], *, null_check: bool = True) -> None:
    """Convert and check values in place.

    Raises:
        ModelException: for the first that may not be stored.
    """
    model, values = type(instance), instance.__dict__
    fields, unquestioned = model._meta.fields, model._meta.unquestioned
    for name in names:
        if name in values:
            value = values[name]
            kind, most = unquestioned.get(name, QUESTIONED)
            if type(value) is not kind or (most is not None and len(value) > most):
                values[name] = checked(model, fields[name], value, null_check=null_check)


def prepared(
    instance: Model,
    *,
    names: Iterable[str] | None,
    skip_auto_now: bool,
    migrate_key: bool,
    mode: Mode | None = None,
    is_fresh: bool = False,
) -> Change:
    """The change that saving an instance makes; of one that was just made only what was not asked then is looked at.

    Raises:
        ModelException: when a value may not be stored.
        KeyMutationError: when a key value has changed and `migrate_key` is not given.
    """
    meta = instance._meta
    chosen = meta.field_names if names is None else list(names)
    for one in meta.renewing:
        # A first save writes every field, whatever it was asked for.
        if one.name in chosen or instance._redis_key is None:
            before = getattr(instance, one.name)
            instance.__dict__[one.name] = one.format_value_pre_save(before, skip_auto_now=skip_auto_now)
    check_all(instance, [*meta.demanding, *[one.name for one in meta.renewing]] if is_fresh else chosen)
    stored = instance._redis_key
    if stored is None:
        if names is not None:
            check_all(instance, meta.field_names)
        given = _key_values(instance)
        change = Change(mode or "replace", meta.row_key(given), values=_encoded(instance, meta.field_names))
        if change.mode == "replace":
            change.older = meta.older_keys(given)
    else:
        change = _update(instance, stored, chosen, migrate_key=migrate_key)
    change.apart = {name: change.values.pop(name) for name in meta.apart_field_names if name in change.values}
    _versioned(instance, change)
    _indexed(instance, change)
    change.expiry = expiry(instance, new=stored is None)
    return change


def _versioned(instance: Model, change: Change) -> None:
    """Count the version up, and expect the one that this instance knows."""
    name = instance._meta.version_field
    if name is None:
        return
    one = instance._meta.fields[name]
    known = instance._raw.get(name) if change.mode == "update" else None
    if change.mode == "update":
        change.expected[name] = known
    number = one.decode(known) if known is not None else None
    change.values[name] = one.encode((number or 0) + 1)


def _update(instance: Model, stored: str, chosen: list[str], *, migrate_key: bool) -> Change:
    meta = instance._meta
    moved = [name for name in meta.key_order if _differs(instance, name)]
    if not moved:
        return Change("update", stored, values=_differing(instance, chosen))
    name = moved[0]
    if not migrate_key:
        raise KeyMutationError(
            f"{type(instance).__name__}.{name} was changed to {shown(getattr(instance, name))}, and it is part of the "
            f"key {stored!r}: call save(migrate_key=True) to rename the row, or create a new one"
        )
    check_all(instance, moved)
    given = _key_values(instance)
    change = Change("update", meta.row_key(given), stored, values=_differing(instance, [*chosen, *moved]))
    change.older = [key for key in meta.older_keys(given) if key != stored]
    return change


def _key_values(instance: Model) -> dict[str, Any]:
    return {name: getattr(instance, name) for name in instance._meta.key_order}


def _differs(instance: Model, name: str) -> bool:
    if name not in instance.__dict__:
        return False
    one = instance._meta.fields[name]
    known = instance._raw.get(name)
    value = instance.__dict__[name]
    if known is None:
        return value != one.initial() or value is not None
    # 1.x and the server may have spelled the same value in other bytes.
    return encoded(type(instance), one, value) != known and part(value) != part(one.decode(known))


def _encoded(instance: Model, names: Iterable[str]) -> dict[str, bytes]:
    model, fields, values, known = type(instance), instance._meta.fields, instance.__dict__, instance._raw
    found: dict[str, bytes] = {}
    name = ""
    try:
        for name in names:
            if name in values:
                found[name] = fields[name].encode(values[name])
            else:
                found[name] = known.get(name) or encoded(model, fields[name], getattr(instance, name))
    except ValueError as error:
        raise _unwritable(model, fields[name], values.get(name), error) from error
    return found


def _differing(instance: Model, names: Iterable[str]) -> dict[str, bytes]:
    known, fields = instance._raw, instance._meta.fields
    accessed = [name for name in names if name in instance.__dict__]
    return {
        name: raw
        for name, raw in _encoded(instance, accessed).items()
        if known.get(name) != raw and not fields[name].agrees(known.get(name), raw)
    }


def _indexed(instance: Model, change: Change) -> None:
    """Add what the scripts cannot tell from bytes: scores, and the texts of values without a plain one."""
    moving = change.mode != "update" or change.former is not None
    for index in instance._meta.row_indexes:
        touched = moving or index.field in change.values
        if index.kind in ("Z", "G") and (touched or any(name in change.values for name in index.partitions)):
            one = instance._meta.fields[index.field]
            raw = change.values.get(index.field) if index.field == instance._meta.version_field else None
            value = getattr(instance, index.field) if raw is None else one.decode(raw)
            score = None if value is None else (index.scored or one.score)(value)
            if score is not None:
                change.scores[index.field] = score
        # Whether there is a place is told from the bytes.
        named = index.partitions if index.kind == "G" else (index.field, *index.partitions)
        for name in named:
            part_field = instance._meta.fields.get(name)
            if part_field is not None and part_field.code == "x" and name in change.values:
                change.tokens[name] = part(getattr(instance, name))


def expiry(instance: Model, *, new: bool) -> tuple[str, str, str]:
    """How a save decides the row's time to live: what the instance says, else what the row keeps, else its model's.

    Raises:
        ModelException: when `_ttl` or `_expire_at` make no sense.
    """
    ttl, moment, standard = instance._ttl, instance._expire_at, instance._meta.ttl
    name = type(instance).__name__
    if ttl and moment:
        raise ModelException(
            f"{name}: _ttl={ttl!r} and _expire_at={moment!r} are both set: keep one, set the other to None"
        )
    if moment is not None:
        if not isinstance(moment, datetime):
            raise ModelException(f"{name}._expire_at = {moment!r} must be a datetime")
        if moment.timestamp() <= time():
            raise ModelException(
                f"{name}._expire_at = {moment!r} is in the past: give a later moment, or delete the row"
            )
        return "at", str(round(moment.timestamp() * 1000)), "at"
    if not new and "_ttl" not in instance.__dict__:
        return "default", _milliseconds(standard), ""
    if ttl is None:
        return "persist", "", "-" if standard is not None else ""
    if isinstance(ttl, bool) or not isinstance(ttl, int | float) or not 0 < ttl < 2**40:
        raise ModelException(f"{name}._ttl = {ttl!r} must be a positive number of seconds, or None")
    return "px", _milliseconds(ttl), "" if ttl == standard else _milliseconds(ttl)


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else str(max(1, round(seconds * 1000)))
