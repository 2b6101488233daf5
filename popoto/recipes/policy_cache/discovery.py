"""Cycles in the moments of events. Nothing here performs I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from popoto.exceptions import QueryException
from popoto.fields.constants import Defaults, TemporalPeriod
from popoto.recipes.policy_cache.statistics import CHI_SQUARED_CRITICAL, chi_squared

# Of each period the number of equal buckets.
BUCKETS: Final[Mapping[int, int]] = {TemporalPeriod.WEEKLY: 7, TemporalPeriod.MONTHLY: 4, TemporalPeriod.YEARLY: 12}
FEWEST: Final = 3
# A cycle has to come back before it is one.
TURNS: Final = 2

Cycle = tuple[int, float, float]


def temporal_discovery_handler(entries: Iterable[tuple[str, Mapping[str, str]]]) -> list[Cycle]:
    """The weekly, monthly (30 days) and yearly cycles in the `ts` of a stream's entries.

    Args:
        entries: `(id, {field: text})`, as `StreamConsumer` hands them; those without a numeric `ts` are passed over.

    Returns:
        `(period in seconds, amplitude, phase in seconds)`, as `CyclicDecayField(cycles=)` takes them.
    """
    moments = [moment for _, fields in entries if (moment := _moment(fields.get("ts"))) is not None]
    return discover_cycles(moments)


def discover_cycles(moments: Sequence[float]) -> list[Cycle]:
    """The periods in which events gather at one place, with where that is.

    Each period is divided into equal buckets (7, 4 and 12). The events in each are compared with what is due to it by
    how long it was watched between the first and the last event, by Pearson's chi-squared test at
    `Defaults.CHI_SQUARED_P_THRESHOLD`. A period that was not watched twice, or has less than one event due to a bucket,
    is passed over.

    Args:
        moments: Unix seconds, in any order.

    Returns:
        `(period, Defaults.INITIAL_CYCLE_AMPLITUDE, phase)`: the resonance is highest at `phase` seconds into each
        period, counted from 1970 UTC.

    Raises:
        QueryException: when the threshold is none that critical values are known for.
    """
    critical = CHI_SQUARED_CRITICAL.get(Defaults.CHI_SQUARED_P_THRESHOLD)
    if critical is None:
        known = ", ".join(map(str, CHI_SQUARED_CRITICAL))
        raise QueryException(f"CHI_SQUARED_P_THRESHOLD={Defaults.CHI_SQUARED_P_THRESHOLD!r} must be one of {known}")
    if len(moments) < FEWEST:
        return []
    found = []
    for period, buckets in BUCKETS.items():
        phase = _phase(moments, period, buckets, critical[buckets - 1])
        if phase is not None:
            found.append((period, Defaults.INITIAL_CYCLE_AMPLITUDE, phase))
    return found


def _phase(moments: Sequence[float], period: int, buckets: int, critical: float) -> float | None:
    first, last = min(moments), max(moments)
    if last - first < TURNS * period * (1 - 1 / buckets):
        return None
    width = period / buckets
    places: list[list[float]] = [[] for _ in range(buckets)]
    for moment in moments:
        within = moment % period
        places[min(int(within / width), buckets - 1)].append(within)
    watched = [_watched(first, last, place * width, width, period) for place in range(buckets)]
    total = math.fsum(watched)
    due = [len(moments) * one / total for one in watched]
    if min(due) < 1 or chi_squared([len(one) for one in places], due) <= critical:
        return None
    densest = max(range(buckets), key=lambda place: len(places[place]) / watched[place])
    return math.fsum(places[densest]) / len(places[densest])


def _watched(first: float, last: float, start: float, width: float, period: int) -> float:
    """How much of the time from the first to the last event lies in one bucket, in seconds."""
    return _before(last, start, width, period) - _before(first, start, width, period)


def _before(moment: float, start: float, width: float, period: int) -> float:
    turns, within = divmod(moment, period)
    return turns * width + min(max(within - start, 0.0), width)


def _moment(text: str | None) -> float | None:
    try:
        moment = float(text or "")
    except ValueError:
        return None
    return moment if math.isfinite(moment) else None
