"""What an action in a state is worth, learned from rewards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from popoto.exceptions import StaleObjectError
from popoto.fields.companions import Action, Companion, Fragment, Store
from popoto.fields.constants import Defaults
from popoto.fields.signals import Signal

if TYPE_CHECKING:
    from popoto.storage import Op

NAME: Final = "q_value"
FRAGMENT: Final = Fragment("q_value", "popoto.recipes.policy_cache")


class QValueMixin:
    """Keeps a value beside each row that rewards move; put it before Model in the bases.

    It is the signal `q_value` of `composite_score`. Saves and reads leave it alone; it moves when the row is renamed or
    changes its partition, and goes with it.

    Attributes:
        _q_partition_by: the fields whose values choose among the sorted sets of values.
    """

    _q_partition_by: tuple[str, ...] = ()

    @classmethod
    def _companions(cls, model_name: str) -> Sequence[Companion]:
        inherited: Sequence[Companion] = super()._companions(model_name)  # type: ignore[misc]
        store = Store("Z", f"$QV:{model_name}:q_value")
        return (*inherited, Companion(FRAGMENT, NAME, (store,), cls._q_partition_by))

    @classmethod
    def _signals(cls, model_name: str) -> Mapping[str, Signal]:
        inherited: Mapping[str, Signal] = super()._signals(model_name)  # type: ignore[misc]
        return {**inherited, NAME: Signal("score", f"$QV:{model_name}:q_value", "", cls._q_partition_by)}


def update_q_value(
    instance: Any, reward: float, max_future_q: float = 0.0, alpha: float | None = None, gamma: float | None = None
) -> float:
    """Learn from a reward, in one atomic step: with Q the value, 0 where there is none,

        error = reward + gamma * max_future_q - Q,    Q = Q + alpha * error

    Watkins 1989, "Learning from delayed rewards".

    Args:
        instance: a saved row of a model with `QValueMixin`, as `PolicyEntry`.
        reward: the reward.
        max_future_q: the highest value among the actions of the next state.
        alpha: learning rate; `Defaults.TD_ALPHA` (0.1) unless given.
        gamma: discount; `Defaults.TD_GAMMA` (0.95) unless given.

    Returns:
        The error.

    Raises:
        TypeError: when the row is not stored.
        ValueError: for an argument that is no finite number.
    """
    return float(instance._run(_learning(instance, reward, max_future_q, alpha, gamma)))


async def async_update_q_value(
    instance: Any, reward: float, max_future_q: float = 0.0, alpha: float | None = None, gamma: float | None = None
) -> float:
    """`update_q_value` for asyncio."""
    return float(await instance._arun(_learning(instance, reward, max_future_q, alpha, gamma)))


def initialize_q_value(instance: Any, q: float = 0.0) -> None:
    """Set a row's value, whatever it was.

    Raises:
        TypeError: when the row is not stored.
        ValueError: when `q` is no finite number.
    """
    instance._run(beginning(instance, q))


async def async_initialize_q_value(instance: Any, q: float = 0.0) -> None:
    """`initialize_q_value` for asyncio."""
    await instance._arun(beginning(instance, q))


def get_q_value(instance: Any) -> float | None:
    """A row's value, read from the store; None where there is none."""
    found: float | None = instance._run(_looking(instance))
    return found


async def async_get_q_value(instance: Any) -> float | None:
    """`get_q_value` for asyncio."""
    found: float | None = await instance._arun(_looking(instance))
    return found


def beginning(instance: Any, q: float, *, kept: bool = False) -> Op[Any]:
    """The plan that sets a row's value; a known one may be kept."""
    return _acted(instance, Action(NAME, "begin", (_number("q", q), int(kept))))


def _learning(instance: Any, reward: float, best: float, alpha: float | None, gamma: float | None) -> Op[Any]:
    words = (
        _number("reward", reward),
        _number("max_future_q", best),
        _number("alpha", Defaults.TD_ALPHA if alpha is None else alpha),
        _number("gamma", Defaults.TD_GAMMA if gamma is None else gamma),
    )
    return _acted(instance, Action(NAME, "learn", words))


async def _acted(instance: Any, action: Action, *, reading: bool = False) -> Any:
    try:
        (reply,) = await instance._acting([action], reading=reading)
    except StaleObjectError:
        raise TypeError(
            f"{instance._meta.model_name} {instance.pk!r} is not saved, so it has no value to learn: save() it first"
        ) from None
    return reply


async def _looking(instance: Any) -> float | None:
    reply = await _acted(instance, Action(NAME, "look"), reading=True)
    return None if reply is None else float(reply)


def _number(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name}={value!r} must be a finite number")
    return repr(float(value))
