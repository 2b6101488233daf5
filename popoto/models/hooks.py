"""What mixins and the hooks of fields add to the step that saves or deletes a row."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from popoto.exceptions import ModelException
from popoto.models.extras import Extra
from popoto.models.recording import Recorder

if TYPE_CHECKING:
    from popoto.fields import Field
    from popoto.models.change import Change
    from popoto.models.model import Model

_ARGUMENTS: Final = ("pipeline", "ignore_errors", "skip_auto_now", "update_fields", "migrate_key")
# What hooks are told by popoto itself.
_TAKEN: Final = frozenset({"model_instance", "field_name", "field_value", "saved_redis_key"})


def saving(instance: Model, change: Change, prefix: str, names: Sequence[str] = (), **options: Any) -> list[Extra]:
    """The commands that join a save.

    Args:
        instance: what is saved.
        change: the change that is made.
        prefix: what stands before every key of the model.
        names: the `update_fields`, empty for all.
        options: what hooks are told beside.
    """
    inherited = instance._extra_commands(change.key, prefix, names)
    hooked = instance._meta.hooked
    if not hooked:
        return list(inherited)
    recorded: list[Extra] = []
    if change.former is not None:
        recorded += _deletions(instance, hooked, change.former, prefix)
        names = ()
    concerned = [field for field in hooked if not names or field.name in names]
    return [*inherited, *recorded, *_saves(instance, concerned, prefix, options)]


def deleting(instance: Model, key: str, prefix: str, **options: Any) -> list[Extra]:
    """The commands that join a deletion; options are what hooks are told beside."""
    inherited = instance._extra_commands(key, prefix, ())
    return [*inherited, *_deletions(instance, instance._meta.hooked, key, prefix, options)]


def check_told(instance: Model, verb: str, told: Mapping[str, Any]) -> None:
    """Refuse arguments of a verb that no hook is there to take.

    Raises:
        TypeError: naming the first.
    """
    for name in told:
        near = difflib.get_close_matches(name, _ARGUMENTS, 1, 0.8)
        if near or not instance._meta.hooked or name in _TAKEN:
            raise TypeError(
                f"{verb}() got an unexpected argument {name!r}: "
                + (f"did you mean {near[0]!r}?" if near else f"no field of {type(instance).__name__} has a hook for it")
            )


def reindexing(row: Model, change: Change, prefix: str) -> list[Extra]:
    """The commands of hooks when a loaded row is indexed anew; the change then wants the values that they were told."""
    readable = []
    for field in row._meta.hooked:
        try:
            field.compared(row)
        except ModelException:
            # One value that cannot be read keeps its row out of this field's own keys alone.
            continue
        readable.append(field)
        change.expected[field.name] = row._raw.get(field.name)
    return _saves(row, readable, prefix, {})


def incrementing(instance: Model, change: Change, field: Field[Any], total: Any, prefix: str) -> list[Extra]:
    """The commands that join an addition; the total is None where only the server will know it."""
    inherited = instance._increment_commands(change.key, prefix, field.name, total)
    if not field.hooked:
        return list(inherited)
    recorder = Recorder(prefix, type(field).__name__)
    type(field).on_save(instance, field.name, total, pipeline=recorder)
    return [*inherited, *map(Extra, recorder.commands)]


def _saves(instance: Model, fields: Iterable[Field[Any]], prefix: str, options: dict[str, Any]) -> list[Extra]:
    recorded: list[Extra] = []
    for field in fields:
        recorder = Recorder(prefix, type(field).__name__)
        type(field).on_save(instance, field.name, field.compared(instance), pipeline=recorder, **options)
        recorded += map(Extra, recorder.commands)
    return recorded


def _deletions(
    instance: Model,
    fields: Iterable[Field[Any]],
    key: str,
    prefix: str,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> list[Extra]:
    recorded: list[Extra] = []
    for field in fields:
        recorder = Recorder(prefix, type(field).__name__)
        value = _remembered(instance, field)
        type(field).on_delete(instance, field.name, value, pipeline=recorder, saved_redis_key=key, **options)
        recorded += map(Extra, recorder.commands)
    return recorded


def _remembered(instance: Model, field: Field[Any]) -> Any:
    """The value as it is stored as far as the instance knows; a row whose value is unreadable can still be deleted."""
    try:
        return instance._stored_value(field) if field.name in instance._raw else field.compared(instance)
    except ModelException:
        return None


def saved_values(instance: Model) -> dict[str, Any]:
    """The values as they were loaded or last saved, by field name; those that are not known are missing."""
    known = [field for field in instance._meta.field_list if field.name in instance._raw]
    return {field.name: _remembered(instance, field) for field in known}
