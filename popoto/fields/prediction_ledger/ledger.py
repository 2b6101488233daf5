"""What is done to predictions, as plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Any, Final

import msgpack

from popoto import clock
from popoto.exceptions import StaleObjectError
from popoto.fields.companions import Action
from popoto.fields.outcomes import error_exceeds
from popoto.fields.prediction_ledger import entries, errors
from popoto.storage import ask, ask_all, layout
from popoto.storage.commands.hashes import hget
from popoto.storage.commands.sorted_sets import bound, zcard, zrange, zrangebyscore

NAME: Final = "PredictionLedgerMixin"
# Commands of one round trip.
MOST_AT_ONCE: Final = 1_000
# A prediction that is recorded anew between reading and resolving is read again; so often means something is wrong.
_MOST_TRIES: Final = 100


def errors_key(model_name: str, partition: str) -> str:
    """The sorted set of a partition's rows by error."""
    return f"$PL:{model_name}:errors:{partition}"


def resolving(model: Any, error: float, mode: str, predicted: bytes = b"") -> list[Action]:
    """The actions that resolve a prediction, and lower confidences when it was badly wrong."""
    error = errors.clamped(error)
    packed = [msgpack.packb(value) for value in (error, mode, float(clock.now()))]
    threshold, signal = model._doubt()
    doubts = [action for field in model._meta.fields.values() for action in field.doubt_actions(signal)]
    resolve = Action(NAME, "resolve", (error, *packed, predicted))
    return [resolve, *(replace(action, when=error_exceeds(threshold)) for action in doubts)]


def checked(instance: Any, values: Any, name: str) -> dict[Any, Any]:
    """Values that were predicted or have come.

    Raises:
        TypeError: when the instance keeps no predictions.
        ValueError: when they are None or no dictionary.
    """
    _check_kept(instance)
    if not isinstance(values, dict):
        raise ValueError(f"{type(instance).__name__}: {name}={values!r} must be a dictionary of values by name")
    return values


def _check_kept(instance: Any) -> None:
    if not hasattr(instance, "_outcome_errors"):
        raise TypeError(f"{type(instance).__name__} keeps no predictions: add PredictionLedgerMixin to its bases")


def outcome_error(instance: Any, outcome: Any) -> float:
    """The error that an outcome stands for.

    Raises:
        ValueError: when it has none.
    """
    _check_kept(instance)
    known = instance._outcome_errors()
    if not isinstance(outcome, str) or outcome not in known:
        raise ValueError(f"{type(instance).__name__}: the outcome {outcome!r} has no error: give {', '.join(known)}")
    return float(known[outcome])


async def _on_stored(instance: Any, actions: Sequence[Action], *, reading: bool = False) -> list[Any]:
    try:
        return await instance._acting(actions, reading=reading)  # type: ignore[no-any-return]
    except StaleObjectError:
        raise TypeError(
            f"{instance._meta.model_name} {instance.pk!r} is not saved, so it has no prediction: save() it first"
        ) from None


async def recorded(instance: Any, predicted: dict[Any, Any]) -> None:
    """Keep a prediction."""
    entry = entries.recorded(entries.encoded(predicted), float(clock.now()))
    await _on_stored(instance, [Action(NAME, "record", (entry,))])


async def resolved(instance: Any, actual: dict[Any, Any]) -> float | None:
    """Resolve the prediction that is stored now, by the model's own measure."""
    for _ in range(_MOST_TRIES):
        (raw,) = await _on_stored(instance, [Action(NAME, "data")], reading=True)
        known = entries.read(raw)
        if known is None or known["resolved"]:
            return None
        error = instance.compute_prediction_error(known["predicted"], actual)
        actions = resolving(type(instance), error, "explicit", entries.predicted_bytes(raw))
        error_text = _taken(instance, actions, await _on_stored(instance, actions))
        if error_text != b"changed":
            return None if error_text is None else float(error_text)
    raise StaleObjectError(f"{instance.pk!r}: its prediction is recorded anew all the time: try again later")


async def observed(instance: Any, error: float) -> float | None:
    """Resolve a prediction by an outcome; a row that is not stored has none."""
    actions = resolving(type(instance), error, "observed")
    try:
        replies = await instance._acting(actions)
    except StaleObjectError:
        return None
    reply = _taken(instance, actions, replies)
    return None if reply is None else float(reply)


def _taken(instance: Any, actions: Sequence[Action], replies: Sequence[Any]) -> Any:
    """Take over what was learned; the reply of the first action."""
    for action, reply in zip(actions[1:], replies[1:], strict=True):
        instance._meta.fields[action.companion].acted(instance, action.verb, reply)
    return replies[0]


async def data(instance: Any) -> dict[str, Any] | None:
    """What is stored of a prediction."""
    _check_kept(instance)
    try:
        (raw,) = await instance._acting([Action(NAME, "data")], reading=True)
    except StaleObjectError:
        return None
    return entries.read(raw)


async def highest(model: Any, partition: str, limit: int) -> list[tuple[str, float]]:
    """The rows with the greatest errors."""
    if limit <= 0:
        return []
    prefix = model._meta.keyspace(await layout()).prefix
    key = prefix + errors_key(model._meta.model_name, partition)
    found = await ask(zrange(key, 0, limit - 1, reverse=True))
    if len(found) == limit:
        # The server orders equal errors by descending key, and may have cut the wrong ones off.
        least = found[-1][1]
        above = [pair for pair in found if pair[1] > least]
        found = above + await ask(zrangebyscore(key, bound(least), bound(least), count=limit - len(above)))
    found.sort(key=lambda pair: (-pair[1], pair[0]))
    return [(_text(member)[len(prefix) :], error) for member, error in found]


async def summary(
    model: Any, partition: str, group_by: str | Callable[[str, float], Any] | None, limit: int, zone: tzinfo
) -> dict[Any, dict[str, Any]]:
    """Figures of a sample of errors."""
    prefix = model._meta.keyspace(await layout()).prefix
    name = model._meta.model_name
    key = prefix + errors_key(name, partition)
    count = await ask(zcard(key)) if limit > 0 else 0
    sample: list[tuple[bytes, float]] = []
    ranks = errors.sampled_ranks(count, limit) if count else []
    for start in range(0, len(ranks), MOST_AT_ONCE):
        some = ranks[start : start + MOST_AT_ONCE]
        whole = some[-1] - some[0] == len(some) - 1
        steps = [zrange(key, some[0], some[-1])] if whole else [zrange(key, rank, rank) for rank in some]
        sample += [pair for pairs in await ask_all(steps) for pair in pairs]
    if not sample:
        return {errors.ALL: errors.figures([])}
    moments = await _moments(f"{prefix}$PL:{name}:meta:".encode(), sample) if isinstance(group_by, str) else {}
    rows = [(_text(member)[len(prefix) :], error, moments.get(member)) for member, error in sample]
    return {label: errors.figures(some) for label, some in errors.grouped(rows, group_by, zone).items()}


async def _moments(base: bytes, sample: Sequence[tuple[bytes, float]]) -> dict[bytes, float | None]:
    """When the predictions of a sample were resolved."""
    found: dict[bytes, float | None] = {}
    for start in range(0, len(sample), MOST_AT_ONCE):
        members = [member for member, _ in sample[start : start + MOST_AT_ONCE]]
        for member, raw in zip(members, await ask_all([hget(base + one, one) for one in members]), strict=True):
            known = entries.read(raw)
            found[member] = None if known is None else known["resolved_at"]
    return found


def _text(member: bytes) -> str:
    return member.decode("utf-8", "surrogateescape")
