"""Saving and deleting as plans: one script each, one round trip."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from popoto import clock
from popoto.exceptions import ModelException, ReplyError, StaleObjectError
from popoto.models import hooks
from popoto.models.change import Change, check_all, encoded, prepared, shown
from popoto.models.extras import Extra
from popoto.models.extras import words as extra_words
from popoto.models.options import Keyspace
from popoto.storage import Call, Layout, Script, ask, layout
from popoto.storage.steps import Arg, arguments

if TYPE_CHECKING:
    from popoto.models.model import Model

logger = logging.getLogger("popoto.models")
NO_VALUES: Final[Mapping[str, bytes]] = {}


def key_bytes(key: str) -> bytes:
    """A row's key on the wire; keys that are no UTF-8 keep their bytes."""
    return key.encode("utf-8", "surrogateescape")


def present() -> int:
    """Unix milliseconds, for the expiry ledger."""
    return round(clock.now() * 1000)


def delete_call(
    key: bytes,
    keyspace: Keyspace,
    extras: Sequence[Extra] = (),
    older: Iterable[bytes] = (),
    values: Mapping[str, bytes] = NO_VALUES,
) -> Call[int]:
    """The call that deletes a row: the one under the key, or one of these key values under an older spelling."""
    keys = [key, keyspace.class_set, keyspace.ledger, keyspace.receipts, *older]
    words = [b"%d" % present(), b"%d" % len(values)]
    for name, value in values.items():
        words += (name.encode(), value)
    words += (*keyspace.companions, *extra_words(extras))
    return Call.of_row(keyspace.scripts.delete, keys, keyspace.schema, words)


def save_call(
    change: Change, keyspace: Keyspace, extras: Sequence[Extra] = (), script: Script[Any] | None = None
) -> Call[Any]:
    """The call that makes a change; of its script another form may be asked for."""
    keys = [key_bytes(keyspace.prefix + change.key), keyspace.class_set, keyspace.ledger, keyspace.receipts]
    if change.former is not None:
        keys.append(key_bytes(keyspace.prefix + change.former))
    for key in change.older:
        keys.append(key_bytes(keyspace.prefix + key))
    expiry, moment, mark = change.expiry
    words = [b"%d" % present(), change.mode.encode(), expiry.encode(), moment.encode(), mark.encode()]
    words.append(b"%d" % len(change.values))
    for name, raw in change.values.items():
        words += (name.encode(), raw)
    words.append(b"%d" % len(change.scores))
    for name, score in change.scores.items():
        words += (name.encode(), str(score).encode())
    words += _more(change, keyspace, extras)
    return Call.of_row(script or keyspace.scripts.save, keys, keyspace.schema, words)


def _more(change: Change, keyspace: Keyspace, extras: Sequence[Extra]) -> Sequence[bytes]:
    """The words of what most changes do not have."""
    companions = keyspace.companions if change.companions is None else change.companions
    further = change.older or change.tokens or change.expected or change.increments or extras
    if not further and len(companions) == 1:
        return (b"0",)
    identity = keyspace.key_order if change.older else ()
    words: list[Arg] = [b"1", len(identity), *identity, len(change.tokens)]
    for name, text in change.tokens.items():
        words += (name, text)
    words.append(len(change.expected))
    for name, known in change.expected.items():
        words += (name, known or b"")
    words.append(len(change.increments))
    for name, increment in change.increments.items():
        words += (name, *increment)
    return arguments((*words, *companions, *extra_words(extras)))


async def save(
    instance: Model,
    *,
    ignore_errors: bool = False,
    skip_auto_now: bool = False,
    update_fields: Iterable[str] | None = None,
    migrate_key: bool = False,
    is_fresh: bool = False,
    told_hooks: Mapping[str, Any] = MappingProxyType({}),
) -> int | bool:
    """Save an instance: check, change, write, settle; the values of one that was just made are checked already."""
    if update_fields is not None and not (names := _known(instance, update_fields)):
        return 0
    if not instance._admitted():
        return False
    here: Layout = await layout()
    keyspace = instance._meta.keyspace(here)
    try:
        change = prepared(
            instance,
            names=None if update_fields is None else names,
            skip_auto_now=skip_auto_now,
            migrate_key=migrate_key,
            is_fresh=is_fresh,
        )
        partial = () if update_fields is None else names
        extras = hooks.saving(instance, change, keyspace.prefix, partial, ignore_errors=ignore_errors, **told_hooks)
    except ModelException as error:
        if not ignore_errors:
            raise
        logger.error("not saved: %s", error)
        return False
    if instance._meta.preparing:
        await made_ready(type(instance), instance, change)
    told(instance, change, keyspace)
    call = save_call(change, keyspace, extras)
    try:
        created: int = await ask(call)
    except ReplyError as error:
        refused(error, instance, change)
    settle(instance, change)
    return created


async def made_ready(model: type[Model], instance: Model | None, change: Change) -> None:
    """Do the slow work of fields that must come before the write."""
    for one in model._meta.preparing:
        await one.preparing(model, instance, change)


def told(instance: Model, change: Change, keyspace: Keyspace) -> None:
    """Add what the save says to the row's companions."""
    if not instance._meta.companions:
        return
    said = {}
    for one in instance._meta.companions:
        words = None if one.said is None else one.said(instance, change)
        if words is not None:
            said[one.name] = words
    change.companions = instance._meta.companion_words(keyspace.prefix, None, said)


def _known(instance: Model, names: Iterable[str]) -> list[str]:
    if isinstance(names, str):
        raise ModelException(f"update_fields={names!r} must be a list of field names: write [{names!r}]")
    listed = list(dict.fromkeys(names))
    meta = instance._meta
    for name in listed:
        if name not in meta.fields:
            raise ModelException(f"{meta.model_name} has no field {name!r}, named in update_fields{meta.near(name)}")
    return listed


def refused(error: ReplyError, instance: Model, change: Change) -> NoReturn:
    """Raise what the script's refusal means; nothing was changed."""
    meaning = refusal(error, instance, change)
    if meaning is error:
        raise error
    raise meaning from None


def refusal(error: ReplyError, instance: Model, change: Change) -> Exception:
    """What the script's refusal means; the error itself when it is none."""
    name = type(instance).__name__
    if error.code == "UNIQ":
        names = error.text.split(":")
        values = ", ".join(_wanted(instance, change, one) for one in names)
        return ModelException(
            f"{name}.{' and '.join(names)} = {values} is taken by another row: "
            "choose another value, or change that row first"
        )
    if error.code == "GONE":
        return StaleObjectError(
            f"{name} {change.former or change.key!r} is no longer stored, so it was not saved: it was deleted, renamed "
            "or has expired; load it again, or create() a new row"
        )
    if error.code == "TAKEN":
        return ModelException(
            f"{name} {change.key!r} is stored already: choose other key values, or delete that row first"
        )
    if error.code == "STALE":
        return StaleObjectError(
            f"{name} {change.former or change.key!r}: {error.text} was changed by another writer since this one was "
            "loaded, so it was not saved: load it again and repeat the change"
        )
    for one in instance._meta.companions:
        if one.refuses is not None and error.code == one.fragment.kind.upper():
            explained = one.refuses(instance, error.text)
            if explained is not None:
                return explained
    return error


def _wanted(instance: Model, change: Change, name: str) -> str:
    """The value that was to be saved, as an error names it."""
    text = shown(instance._meta.fields[name].compared(instance))
    return f"{text} + {change.increments[name][1]}" if name in change.increments else text


def settle(instance: Model, change: Change) -> None:
    """Remember what is stored now."""
    instance._raw.update(change.values)
    instance._raw.update(change.apart)
    if instance._meta.version_field is not None:
        instance.__dict__.pop(instance._meta.version_field, None)
    instance.__dict__["_redis_key"] = change.key


async def delete(instance: Model, told_hooks: Mapping[str, Any] = MappingProxyType({})) -> bool:
    """Delete an instance's row and index entries."""
    meta = instance._meta
    keyspace = meta.keyspace(await layout())
    older: list[bytes] = []
    values: dict[str, bytes] = {}
    if (key := instance._redis_key) is None:
        given = {name: getattr(instance, name) for name in meta.key_order}
        key = meta.row_key(given)
        older = [key_bytes(keyspace.prefix + one) for one in meta.older_keys(given)]
        if older:
            values = {name: encoded(type(instance), meta.fields[name], given[name]) for name in given}
    extras = hooks.deleting(instance, key, keyspace.prefix, **told_hooks)
    call = delete_call(key_bytes(keyspace.prefix + key), keyspace, extras, older, values)
    existed = bool(await ask(call))
    instance.__dict__["_redis_key"] = None
    return existed


def is_valid(instance: Model, null_check: bool) -> bool:
    """Whether every value may be stored; the reason is logged when one may not."""
    try:
        check_all(instance, instance._meta.field_names, null_check=null_check)
        for name in instance._meta.fields.keys() & instance.__dict__.keys():
            encoded(type(instance), instance._meta.fields[name], instance.__dict__[name])
    except ModelException as error:
        logger.warning("not valid: %s", error)
        return False
    return True
