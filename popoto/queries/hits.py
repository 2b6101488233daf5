"""What a ranked query found, and why. Values only; nothing here performs I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Part:
    """What one signal gave to a score.

    Attributes:
        signal: the signal's name.
        raw: the row's own number, as a decayed score or a confidence.
        weight: what it was multiplied by.
        contribution: the product.
    """

    signal: str
    raw: float
    weight: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Hit:
    """One row of a ranked answer.

    Attributes:
        row: the instance.
        key: its key.
        score: what it was ranked by, after the temperature.
        parts: what its signals gave, in the order in which they were named, without those that it has no number for.
    """

    row: Any
    key: str
    score: float
    parts: tuple[Part, ...]
