"""The verbs of a model whose rows decay: touching, answering, strengthening and weakening. One atomic step each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from popoto import clock
from popoto.exceptions import ReplyError
from popoto.fields.cyclic_decay_field.field import Cycle
from popoto.models.acting import act
from popoto.models.change import KEEP, Change
from popoto.models.incrementing import version_increment
from popoto.models.writing import refused, save_call, settle
from popoto.storage import Call, Op, ask, layout

if TYPE_CHECKING:
    from popoto.models.model import Model


class Decaying:
    """What `Model` inherits for fields that decay."""

    @classmethod
    def _run(cls, plan: Op[Any], pipeline: Any = None) -> Any:
        raise NotImplementedError

    @classmethod
    async def _arun(cls, plan: Op[Any], pipeline: Any = None) -> Any:
        raise NotImplementedError

    def touch(self, field_name: str, pipeline: Any = None) -> Any:
        """Let a row decay from now on anew, without saving anything else: its value and its place in one step.

        Args:
            field_name: a `DecayingSortedField` or `CyclicDecayField`.
            pipeline: a pipeline in which the step waits.

        Returns:
            The moment, seconds since 1970 UTC, which the instance has too; or the pipeline when one was given.

        Raises:
            AttributeError: when there is no such field.
            TypeError: when the field does not decay, or the instance was never saved.
            StaleObjectError: when the row is no longer stored.
        """
        _check(self, field_name, "decays", "touch")
        return self._run(_touch(cast("Model", self), field_name), pipeline)

    async def async_touch(self, field_name: str, pipeline: Any = None) -> Any:
        """`touch` for asyncio."""
        _check(self, field_name, "decays", "touch")
        return await self._arun(_touch(cast("Model", self), field_name), pipeline)

    def resolve_pressure(self, field_name: str, pipeline: Any = None) -> Any:
        """Let a row's pressure begin anew from nothing.

        Args:
            field_name: a `CyclicDecayField` with a `pressure_rate`.
            pipeline: a pipeline in which the step waits.

        Returns:
            The moment, seconds since 1970 UTC; or the pipeline when one was given.

        Raises:
            AttributeError: when there is no such field.
            TypeError: when the field has no cycles or its `pressure_rate` is 0, or the instance was never saved.
            StaleObjectError: when the row is no longer stored.
        """
        return self._run(self._resolving(field_name), pipeline)

    async def async_resolve_pressure(self, field_name: str, pipeline: Any = None) -> Any:
        """`resolve_pressure` for asyncio."""
        return await self._arun(self._resolving(field_name), pipeline)

    def strengthen_cycle(self, field_name: str, factor: float = 1.2, pipeline: Any = None) -> Any:
        """Multiply the amplitudes of a row's cycles, in one step: concurrent calls lose nothing.

        Amplitudes stay between 0 and 100, and one below 0.01 becomes 0 for good.

        Args:
            field_name: a `CyclicDecayField`.
            factor: above 1 to strengthen.
            pipeline: a pipeline in which the step waits.

        Returns:
            The cycles as a list of (period, amplitude, phase), empty where the row has none; or the pipeline.

        Raises:
            AttributeError: when there is no such field.
            TypeError: when the field has no cycles, the factor is no number, or the instance was never saved.
            StaleObjectError: when the row is no longer stored.
        """
        return self._run(self._scaling(field_name, factor), pipeline)

    async def async_strengthen_cycle(self, field_name: str, factor: float = 1.2, pipeline: Any = None) -> Any:
        """`strengthen_cycle` for asyncio."""
        return await self._arun(self._scaling(field_name, factor), pipeline)

    def weaken_cycle(self, field_name: str, factor: float = 0.8, pipeline: Any = None) -> Any:
        """`strengthen_cycle` with a factor below 1."""
        return self._run(self._scaling(field_name, factor), pipeline)

    async def async_weaken_cycle(self, field_name: str, factor: float = 0.8, pipeline: Any = None) -> Any:
        """`weaken_cycle` for asyncio."""
        return await self._arun(self._scaling(field_name, factor), pipeline)

    def _resolving(self, field_name: str) -> Op[float]:
        field = _check(self, field_name, "resonates", "resolve_pressure")
        if field.pressure_rate == 0:
            raise TypeError(
                f"{type(self).__name__}.{field_name} has pressure_rate 0, so there is no pressure to resolve: "
                "declare a pressure_rate above 0"
            )
        return _acted(self, field.resolving(), float)

    def _scaling(self, field_name: str, factor: float) -> Op[list[Cycle]]:
        field = _check(self, field_name, "resonates", "strengthen_cycle and weaken_cycle")
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not math.isfinite(factor):
            raise TypeError(f"{type(self).__name__}.{field_name}: factor={factor!r} must be a finite number")
        return _acted(self, field.scaling(float(factor)), _cycles)


def _check(instance: Any, name: str, ability: str, verb: str) -> Any:
    meta = instance._meta
    field = meta.fields.get(name)
    if field is None:
        raise AttributeError(f"{meta.model_name} has no field {name!r}{meta.near(name)}")
    if not getattr(field, ability):
        wanted = "DecayingSortedField" if ability == "decays" else "CyclicDecayField"
        raise TypeError(f"{meta.model_name}.{name} is a {type(field).__name__}; {verb} takes a {wanted}")
    if instance._redis_key is None:
        raise TypeError(f"{meta.model_name} is not saved, so {verb} has no row to change: save() it first")
    return field


async def _touch(instance: Model, name: str) -> float:
    moment = clock.now()
    field = instance._meta.fields[name]
    key = instance._redis_key or ""
    version = version_increment(instance)
    change = Change("update", key, increments=version, expiry=KEEP)
    change.values[name], change.scores[name] = field.encode(moment), moment
    keyspace = instance._meta.keyspace(await layout())
    call = save_call(change, keyspace)
    try:
        sums = await ask(Call(keyspace.scripts.increment, call.keys, call.args))
    except ReplyError as error:
        refused(error, instance, change)
    instance._raw.update(zip(version, sums, strict=True))
    settle(instance, change)
    instance.__dict__[name] = moment
    return moment


async def _acted(instance: Any, action: Any, shape: Callable[[Any], Any]) -> Any:
    (reply,) = await act(instance, [action])
    return shape(reply)


def _cycles(texts: list[bytes]) -> list[Cycle]:
    numbers = iter([float(text) for text in texts])
    return list(zip(numbers, numbers, numbers, strict=True))
