"""Outcomes: how an agent responded to a memory. Values only; nothing here performs I/O."""

from __future__ import annotations

from typing import Final

from popoto.fields.companions import Condition
from popoto.fields.constants import Defaults

OUTCOMES: Final = ("acted", "used", "dismissed", "deferred", "contradicted")
CONFIDENCE: Final = "confidence"
"""The lowest confidence of a row after the signals of a step, as fragments note it."""
PREDICTION_ERROR: Final = "prediction_error"
"""The error of a prediction that the step has resolved, as fragments note it."""
# Rounding must not decide: 0.5 + (0.1 - 0.5) is 0.09999999999999998, and later contradictions give just 0.1.
_TOLERANCE: Final = 1e-9


def contradiction_convinced() -> Condition:
    """That a signal of the same step left a confidence at or below `Defaults.AUTO_DISCHARGE_CONFIDENCE_THRESHOLD`."""
    return Condition(CONFIDENCE, most=Defaults.AUTO_DISCHARGE_CONFIDENCE_THRESHOLD + _TOLERANCE)


def error_exceeds(threshold: float) -> Condition:
    """That a prediction was resolved in the same step, with a greater error."""
    return Condition(PREDICTION_ERROR, above=threshold)
