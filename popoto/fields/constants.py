"""Constants of the memory primitives: periods, weights, and the defaults that a process may override."""

from __future__ import annotations

import difflib
import math
from typing import Any, Final

from popoto.exceptions import ModelException

# Names of constants that lie between 0 and 1. A threshold may lie beyond, so that nothing ever reaches it.
_SHARES: Final = ("INITIAL_CONFIDENCE", "_SIGNAL", "AUTO_RESOLVE", "DECAY_FACTOR")


class TemporalPeriod:
    """Periods of cycles, in seconds."""

    DAILY: Final = 86_400
    WEEKLY: Final = 604_800
    MONTHLY: Final = 2_592_000
    """30 days."""
    QUARTERLY: Final = 7_776_000
    """90 days."""
    YEARLY: Final = 31_536_000
    """365 days."""


class InteractionWeight:
    """Weights of what was said, by who said it (source) and with what authority (role); they are added."""

    HUMAN: Final = 6.0
    AGENT: Final = 1.0
    SYSTEM: Final = 0.2

    EXECUTIVE: Final = 44.0
    MANAGER: Final = 16.0
    PEER: Final = 6.0
    SUBORDINATE: Final = 1.0

    @staticmethod
    def combine(source: float, role: float) -> float:
        """The sum of a source's and a role's weight."""
        return source + role


class _Overridable(type):
    """Refuses an override that no primitive would read."""

    def __setattr__(cls, name: str, value: Any) -> None:
        if not name.startswith("_") and name not in vars(cls):
            close = difflib.get_close_matches(name, vars(cls), 1)
            raise AttributeError(f"Defaults has no constant {name}" + (f"; did you mean {close[0]}?" if close else ""))
        if not name.startswith("_"):
            _check(name, value, whole=cls.__annotations__[name] == "int")
        super().__setattr__(name, value)


def _check(name: str, value: Any, *, whole: bool) -> None:
    number = isinstance(value, (int,) if whole else (int, float)) and not isinstance(value, bool) and value == value
    if number and not name.endswith("_THRESHOLD"):
        number = math.isfinite(value)
    if not number or (whole and value < 1):
        raise ModelException(f"Defaults.{name}={value!r} must be {'an int from 1' if whole else 'a finite number'}")
    if name == "DECAY_RATE" and value <= 0:
        raise ModelException(f"Defaults.{name}={value!r} must be above 0")
    if any(one in name for one in _SHARES) and not 0 <= value <= 1:
        raise ModelException(f"Defaults.{name}={value!r} must be a number between 0 and 1")


class Defaults(metaclass=_Overridable):
    """Tuning constants of the memory primitives. Assign to one to override it everywhere at once.

    Each is read when it is used, so an override reaches fields that were built before it; what a field or class gives
    explicitly wins. Where the reference's table and the primitive's own default differ, the primitive's own stands:
    DECAY_RATE is 0.1, WF_MIN_THRESHOLD 0.1 and CO_OCCURRENCE_INITIAL_WEIGHT 0.1. A name that is none raises
    AttributeError, and a value that no primitive could use ModelException.
    """

    DECAY_RATE: float = 0.1
    INITIAL_CONFIDENCE: float = 0.5
    ACTED_CONFIDENCE_SIGNAL: float = 0.9
    CONTRADICTED_CONFIDENCE_SIGNAL: float = 0.1
    ACTED_CYCLE_STRENGTHEN_FACTOR: float = 1.2
    DISMISSED_CYCLE_WEAKEN_FACTOR: float = 0.8
    CONTRADICTED_CYCLE_WEAKEN_FACTOR: float = 0.5
    AUTO_DISCHARGE_CONFIDENCE_THRESHOLD: float = 0.1
    WF_MIN_THRESHOLD: float = 0.1
    WF_PRIORITY_THRESHOLD: float = 0.7
    CO_OCCURRENCE_DECAY_FACTOR: float = 0.95
    CO_OCCURRENCE_INITIAL_WEIGHT: float = 0.1
    CO_OCCURRENCE_DECAY_PER_HOP: float = 0.5
    PL_CONFIDENCE_ERROR_THRESHOLD: float = 0.7
    PL_CONFIDENCE_LOW_SIGNAL: float = 0.2
    PL_AUTO_RESOLVE_ACTED: float = 0.1
    PL_AUTO_RESOLVE_USED: float = 0.3
    PL_AUTO_RESOLVE_DISMISSED: float = 0.5
    PL_AUTO_RESOLVE_CONTRADICTED: float = 0.9
    ADAPTIVE_QUALITY_WINDOW_SIZE: int = 20
    MIN_EVENTS_FOR_CRYSTALLIZATION: int = 3
    WILSON_CI_THRESHOLD: float = 0.6
    TD_ALPHA: float = 0.1
    TD_GAMMA: float = 0.95
    CHI_SQUARED_P_THRESHOLD: float = 0.05
    INITIAL_CYCLE_AMPLITUDE: float = 0.5
    COMPETITIVE_SUPPRESSION_SIGNAL: float = 0.3
    DEFAULT_SURFACING_THRESHOLD: float = 0.5
    TRAJECTORY_CLUSTER_THRESHOLD: int = 3
