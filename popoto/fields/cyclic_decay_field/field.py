"""A moment from which a row's relevance decays, comes back in cycles, and presses until it is answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final

from popoto.exceptions import ModelException
from popoto.fields.companions import Action, Companion, Fragment, Store
from popoto.fields.constants import Defaults
from popoto.fields.decaying_sorted_field import DecayingSortedField
from popoto.fields.decaying_sorted_field.field import finite
from popoto.fields.outcomes import contradiction_convinced
from popoto.fields.signals import Signal
from popoto.keys import field_tag, part

_PACKAGE: Final = "popoto.fields.cyclic_decay_field"
_KEPT: Final = Fragment("cyclic", _PACKAGE)
_RANKED: Final = Fragment("decay+cyclic", _PACKAGE, "rank.lua")
# For rankings alone: 1.x has none of them, and a rebuild makes them.
_BOUNDS: Final = ("$CyclicShape", "$CyclicWait", "$CyclicRate")
Cycle = tuple[float, float, float]


class CyclicDecayField(DecayingSortedField):
    """A `DecayingSortedField` whose rows also resonate with cycles and press while they wait for an answer.

    To the decayed score are added the sum of `amplitude * cos(2 * pi * (now - phase) / period)` over the row's cycles,
    now in seconds since 1970 UTC, and `pressure_rate * days` since it was first saved or its pressure was resolved.

    A row's amplitudes are strengthened and weakened, and survive its saves; until then they follow the class.

    Args:
        decay_rate, base_score_field, partition_by: as `DecayingSortedField`.
        cycles: pairs (period, amplitude) or triples (period, amplitude, phase); period and phase in seconds, as in
            `TemporalPeriod`; the phase is 0 where it is not given.
        pressure_rate: how much a day without an answer adds, 0 for nothing.

    Raises:
        ModelException: as `DecayingSortedField`; for a cycle that is neither, a period that is not above 0, or an
            amplitude or rate below 0.
        TypeError: when one of them is no number.
    """

    resonates = True

    def __init__(
        self,
        decay_rate: float | None = None,
        base_score_field: str | None = None,
        cycles: Iterable[Sequence[float]] = (),
        pressure_rate: float = 0.0,
        partition_by: str | tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        self.cycles = [self._cycle(one) for one in cycles]
        self.pressure_rate = finite(self._title(), "pressure_rate", pressure_rate)
        if self.pressure_rate < 0:
            raise ModelException(f"{self._title()}: pressure_rate={pressure_rate!r} must not be below 0")
        super().__init__(decay_rate, base_score_field, partition_by, **options)

    def _cycle(self, given: Sequence[float]) -> Cycle:
        title = self._title()
        if not isinstance(given, tuple | list) or len(given) not in (2, 3):
            raise ModelException(
                f"{title}: the cycle {given!r} must be (period, amplitude) or (period, amplitude, phase)"
            )
        period, amplitude, phase = (finite(title, "cycles", number) for number in (*given, 0.0)[:3])
        if period <= 0 or amplitude < 0:
            raise ModelException(f"{title}: the cycle {given!r} needs a period above 0 and no amplitude below 0")
        return period, amplitude, phase

    @property
    def _definition(self) -> tuple[str, ...]:
        """A number that tells this definition of the cycles from others, and the cycles."""
        words = [repr(number) for cycle in self.cycles for number in cycle]
        digest = blake2b(" ".join(words).encode(), digest_size=6).digest()
        # Below 2^48, so that it is exact as a score, and above 0.
        return str(int.from_bytes(digest) + 1), *words

    # -- what is kept and ranked

    def companions(self, model_name: str) -> Sequence[Companion]:
        base = f"{field_tag(type(self).__name__)}:{model_name}:{self.name}"
        stores = [Store("H", base, ":cycles"), Store("H", base, ":pressure")]
        stores += [Store("Z", f"{one}:{model_name}:{self.name}") for one in _BOUNDS]
        number, *cycles = self._definition
        settled = (number, repr(self.pressure_rate), *cycles)
        own = Companion(_KEPT, self.name, tuple(stores), self.partition_by, settled=settled)
        return (*super().companions(model_name), own)

    def decay_signal(
        self, model_name: str, rate: float | None = None, base: str | None = None, order: str | None = None
    ) -> Signal:
        signal = super().decay_signal(model_name, rate, base, order)
        bounds = tuple((f"{one}:{model_name}:{self.name}", "") for one in _BOUNDS)
        return replace(
            signal,
            kind="cyclic",
            words=self._definition,
            beside=(*signal.beside, (signal.before, ":cycles"), (signal.before, ":pressure"), *bounds),
            fragments=(*signal.fragments, _RANKED),
        )

    def outcome_actions(self, outcome: str) -> Sequence[Action]:
        factor = {
            "acted": Defaults.ACTED_CYCLE_STRENGTHEN_FACTOR,
            "dismissed": Defaults.DISMISSED_CYCLE_WEAKEN_FACTOR,
            "contradicted": Defaults.CONTRADICTED_CYCLE_WEAKEN_FACTOR,
        }.get(outcome)
        if factor is None:
            return super().outcome_actions(outcome)
        actions = [*super().outcome_actions(outcome), self.scaling(factor)]
        if self.pressure_rate > 0 and outcome == "acted":
            actions.append(self.resolving())
        elif self.pressure_rate > 0 and outcome == "contradicted":
            actions.append(replace(self.resolving(), when=contradiction_convinced()))
        return actions

    def scaling(self, factor: float) -> Action:
        """What multiplies a row's amplitudes."""
        return Action(self.name, "scale", (repr(factor),))

    def resolving(self) -> Action:
        """What lets a row's pressure begin anew."""
        return Action(self.name, "resolve", (repr(self.pressure_rate),))

    # -- keys

    @classmethod
    def get_cycles_hash_key(cls, instance: Any, field_name: str) -> str:
        """The key of the hash that holds the cycles of the instance's partition."""
        return cls.get_cycles_hash_key_from_parts(type(instance), field_name, *_values(instance, field_name))

    @classmethod
    def get_pressure_hash_key(cls, instance: Any, field_name: str) -> str:
        """The key of the hash that holds the pressure of the instance's partition."""
        return cls.get_pressure_hash_key_from_parts(type(instance), field_name, *_values(instance, field_name))

    @classmethod
    def get_cycles_hash_key_from_parts(cls, model_class: Any, field_name: str, *partition_values: Any) -> str:
        """The key of the hash that holds the cycles of the partition with these values."""
        return _key(model_class, field_name, partition_values) + ":cycles"

    @classmethod
    def get_pressure_hash_key_from_parts(cls, model_class: Any, field_name: str, *partition_values: Any) -> str:
        """The key of the hash that holds the pressure of the partition with these values."""
        return _key(model_class, field_name, partition_values) + ":pressure"


def _values(instance: Any, field_name: str) -> list[Any]:
    partitions = instance._meta.fields[field_name].partition_by
    return [instance._meta.fields[name].compared(instance) for name in partitions]


def _key(model_class: Any, field_name: str, values: Sequence[Any]) -> str:
    index = model_class._meta.fields[field_name].index
    key: str = index.key(model_class._meta.model_name, tuple(part(value) for value in values))
    return key
