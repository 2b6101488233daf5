"""How wrong predictions were: the error of one, and the figures of many. Values only; nothing here performs I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, Final

Buckets = Callable[[datetime], Any]
BUCKETS: Final[dict[str, Buckets]] = {
    "hour": lambda moment: moment.hour,
    "weekday": lambda moment: moment.weekday(),
    "day": lambda moment: moment.date().isoformat(),
}
ALL: Final = "__all__"


def compared(predicted: Mapping[Any, Any], actual: Mapping[Any, Any]) -> float:
    """The mean error over the keys of both, between 0 and 1."""
    names = {*predicted, *actual}
    if not names:
        return 0.0
    missing = object()
    return sum(_error(predicted.get(name, missing), actual.get(name, missing), missing) for name in names) / len(names)


def _error(predicted: Any, actual: Any, missing: object) -> float:
    if predicted is missing or actual is missing:
        return 1.0
    if isinstance(predicted, int | float) and isinstance(actual, int | float):
        error = _distance(predicted, actual)
        return 1.0 if math.isnan(error) else min(error, 1.0)
    return 0.0 if predicted == actual else 1.0


def _distance(predicted: float, actual: float) -> float:
    if predicted == actual:
        return 0.0
    try:
        return abs(predicted - actual) / max(abs(predicted), abs(actual), 1)
    except OverflowError:
        return 1.0


def clamped(error: Any) -> float:
    """An error of a metric of one's own as a number between 0 and 1; what is no number is wholly wrong."""
    number = float(error)
    return 1.0 if math.isnan(number) else max(0.0, min(1.0, number))


def figures(errors: Sequence[float]) -> dict[str, Any]:
    """Count, mean, population standard deviation, nearest-rank percentiles and the greatest of some errors."""
    if not errors:
        return {"count": 0, **dict.fromkeys(("mean", "stddev", "p50", "p90", "p99", "max"), 0.0)}
    inorder = sorted(errors)
    count = len(inorder)
    mean = math.fsum(inorder) / count
    spread = math.sqrt(math.fsum((error - mean) ** 2 for error in inorder) / count) if count > 1 else 0.0

    def percentile(percent: int) -> float:
        return inorder[min(count - 1, round(percent / 100 * (count - 1)))]

    parts = {f"p{percent}": percentile(percent) for percent in (50, 90, 99)}
    return {"count": count, "mean": mean, "stddev": spread, **parts, "max": inorder[-1]}


def sampled_ranks(count: int, most: int) -> list[int]:
    """At most so many ranks of a sorted set of this size, evenly spread over it, both ends among them."""
    if count <= most:
        return list(range(count))
    if most == 1:
        return [count // 2]
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]


def grouped(
    rows: Iterable[tuple[str, float, float | None]], group_by: str | Callable[[str, float], Any] | None, zone: tzinfo
) -> dict[Any, list[float]]:
    """Errors by label.

    Args:
        rows: row keys, their errors, and when they were resolved.
        group_by: None for one group, a name of `BUCKETS`, or a function of key and error; a row for which it raises
            is left out, and one without a moment has no bucket.
        zone: where hours and days are counted.

    Raises:
        TypeError: for a label that cannot be hashed.
    """
    groups: dict[Any, list[float]] = {}
    for key, error, resolved_at in rows:
        if group_by is None:
            label: Any = ALL
        elif isinstance(group_by, str):
            if resolved_at is None:
                continue
            label = BUCKETS[group_by](datetime.fromtimestamp(resolved_at, zone))
        else:
            try:
                label = group_by(key, error)
            except Exception:
                # What the caller's function cannot place is left out, as documented.
                continue
        groups.setdefault(label, []).append(error)
    return groups


def check_grouping(group_by: Any) -> None:
    """Refuse an unknown grouping.

    Raises:
        ValueError: naming what there is.
    """
    if isinstance(group_by, str) and group_by not in BUCKETS:
        raise ValueError(f"group_by={group_by!r} is no bucket: give {', '.join(map(repr, BUCKETS))}, or a function")
