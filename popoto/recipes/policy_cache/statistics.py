"""Fingerprints of states, and statistics that tell evidence from chance. Nothing here performs I/O."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from popoto import clock

_HOUR: Final = 3600
CHI_SQUARED_CRITICAL: Final[Mapping[float, Mapping[int, float]]] = {
    0.05: {2: 5.991, 3: 7.815, 6: 12.592, 11: 19.675, 23: 35.172},
    0.01: {2: 9.210, 3: 11.345, 6: 16.812, 11: 24.725, 23: 41.638},
}
"""Critical values of the chi-squared distribution by probability and degrees of freedom."""


def compute_fingerprint(
    features: Mapping[str, Any], include_fields: Iterable[str] | None = None, include_timestamp: bool = False
) -> str:
    """16 hex digits that name a state: the beginning of the SHA-256 of its features as JSON with sorted keys.

    Args:
        features: what describes the state; what JSON has no type for counts by its text.
        include_fields: the features that count; all unless given.
        include_timestamp: whether the hour counts too.

    Raises:
        KeyError: for a feature in `include_fields` that is missing.
    """
    chosen = dict(features) if include_fields is None else {name: features[name] for name in include_fields}
    if include_timestamp:
        chosen["__hour_bucket__"] = int(clock.now()) // _HOUR
    return hashlib.sha256(json.dumps(chosen, sort_keys=True, default=str).encode()).hexdigest()[:16]


def wilson_ci_lower(successes: int, total: int, z: float = 1.96) -> float:
    """The lower end of Wilson's interval for a rate; 0.0 when nothing was tried.

        (p + z^2/2n - z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)   with p = successes/n

    E. B. Wilson 1927, "Probable inference, the law of succession, and statistical inference". z = 1.96 is 95 %.

    Raises:
        ValueError: when there are more successes than trials, or fewer than none.
    """
    if total == 0:
        return 0.0
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} successes of {total} trials make no rate")
    rate, square = successes / total, z * z
    centre = rate + square / (2 * total)
    margin = z * math.sqrt(rate * (1 - rate) / total + square / (4 * total * total))
    return (centre - margin) / (1 + square / total)


def chi_squared_uniform(observed: Sequence[float], expected: float) -> float:
    """Pearson's statistic of counts against one expected count: the sum of (o - e)^2 / e; 0.0 when e is not above 0."""
    return chi_squared(observed, [expected] * len(observed))


def chi_squared(observed: Sequence[float], expected: Sequence[float]) -> float:
    """Pearson's statistic of counts against expected ones; 0.0 when one of these is not above 0."""
    if any(one <= 0 for one in expected):
        return 0.0
    return math.fsum((seen - due) ** 2 / due for seen, due in zip(observed, expected, strict=True))
