"""A moment from which a row's relevance decays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

from popoto import clock
from popoto.exceptions import ModelException
from popoto.fields.companions import Action, Companion, Fragment, Store
from popoto.fields.constants import Defaults
from popoto.fields.signals import Signal
from popoto.fields.sorted_field import SortedField

PACKAGE: Final = "popoto.fields.decaying_sorted_field"
NUMBERS: Final = (int, float, Decimal)
BASE: Final = "$DecayBase"
_BASE_KEPT: Final = Fragment("base", PACKAGE)
_CLOCK: Final = Fragment("clock", PACKAGE, "clock.lua")
DECAY: Final = Fragment("decay", PACKAGE, "rank.lua")


def finite(title: str, name: str, value: Any) -> float:
    """A finite number.

    Raises:
        TypeError: when it is no number.
        ModelException: when it is not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{title}: {name}={value!r} must be a number")
    if not math.isfinite(value):
        raise ModelException(f"{title}: {name}={value!r} must be finite")
    return float(value)


class DecayingSortedField(SortedField[float]):
    """The moment of a row's last save or `touch`, in seconds since 1970 UTC, by which rankings let it decay.

    A row's score is `base * max(days, 0.01) ** -decay_rate`, with the days since that moment: the power law of
    forgetting (Anderson and Schooler 1991), from 14.4 minutes on. A moment in the future counts as now.

    The value is renewed by every save that writes the field, unless `skip_auto_now` is given; a first save that has
    none takes the present all the same.

    Args:
        decay_rate: how fast it decays, above 0; None for `Defaults.DECAY_RATE`, 0.1, as it is when a ranking asks.
        base_score_field: the int, float or Decimal field that multiplies the decay; without, or where its value is
            None or NaN, the base is 1.
        partition_by: as `SortedField`.

    Raises:
        TypeError: when `decay_rate` is no number.
        ModelException: when it is not above 0, the base is no number field of the model, or an option is unknown.
    """

    types: ClassVar[tuple[Any, ...]] = (float,)
    decays = True

    def __init__(
        self,
        decay_rate: float | None = None,
        base_score_field: str | None = None,
        partition_by: str | tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        rate = None if decay_rate is None else finite(self._title(), "decay_rate", decay_rate)
        if rate is not None and rate <= 0:
            raise ModelException(f"{self._title()}: decay_rate={decay_rate!r} must be above 0")
        self._decay_rate = rate
        self.base_score_field = base_score_field or None
        declared = options.pop("type", float)
        super().__init__(declared, options.pop("null", False), options.pop("default", None), partition_by, **options)

    @property
    def decay_rate(self) -> float:
        """How fast it decays: what the field was given, else `Defaults.DECAY_RATE`."""
        return Defaults.DECAY_RATE if self._decay_rate is None else self._decay_rate

    def check_model(self, meta: Any) -> None:
        base = self.base_score_field
        if base is None:
            return
        numbers = [name for name, one in meta.fields.items() if one.type in NUMBERS and name != self.name]
        if base not in numbers:
            what = f"holds {meta.fields[base].type.__name__}" if base in meta.fields else "is no field"
            raise ModelException(
                f"{meta.model_name}.{self.name}: base_score_field={base!r} {what}, and a base is an int, float or "
                f"Decimal field{meta.near(base, numbers)}"
            )

    # -- values

    def format_value_pre_save(self, value: Any, skip_auto_now: bool = False) -> Any:
        return value if skip_auto_now and value is not None else clock.now()

    def complaint(self, value: Any, *, null_check: bool = True) -> str | None:
        # A save that finds none takes the present.
        return None if value is None else super().complaint(value, null_check=null_check)

    # -- what is kept and ranked

    def companions(self, model_name: str) -> Sequence[Companion]:
        times = Store("F", self.index.base(model_name) if self.index is not None else "")
        clocked = Companion(_CLOCK, f"{self.name}:clock", (times,), self.partition_by, settled=(self.name,))
        base = self.base_score_field
        if base is None:
            return (clocked,)
        store = Store("Z", f"{BASE}:{model_name}:{self.name}")
        return clocked, Companion(_BASE_KEPT, f"{self.name}:base", (store,), self.partition_by, fields=(base,))

    def outcome_actions(self, outcome: str) -> Sequence[Action]:
        return [Action(f"{self.name}:clock", "touch")] if outcome == "acted" else ()

    def acted(self, instance: Any, verb: str, reply: Any) -> None:
        if verb == "touch" and reply is not None:
            moment = float(reply)
            instance.__dict__[self.name] = moment
            instance._raw[self.name] = self.encode(moment)

    def signals(self, model_name: str) -> dict[str, Signal]:
        return {self.name: self.decay_signal(model_name)}

    def decay_signal(
        self, model_name: str, rate: float | None = None, base: str | None = None, order: str | None = None
    ) -> Signal:
        """What a ranking reads.

        Args:
            rate: instead of the field's own.
            base: the field that multiplies the decay, instead of the field's own; "" for none.
            order: the key of a sorted set of that field's numbers, if there is one.
        """
        chosen = self.base_score_field if base is None else base or None
        own = chosen == self.base_score_field
        kept = (f"{BASE}:{model_name}:{self.name}", "") if chosen and own else None
        if order is not None and not own and not self.partition_by:
            kept = (order, "")
        index = self.index
        return Signal(
            "decay",
            index.base(model_name) if index is not None else "",
            partitions=self.partition_by,
            current=lambda: (repr(self.decay_rate if rate is None else rate), chosen or "", str(int(own))),
            beside=(kept,),
            fragments=(DECAY,),
        )
