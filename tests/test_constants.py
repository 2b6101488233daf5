"""Defaults: what is assigned is a constant, with a value that primitives can use."""

from __future__ import annotations

import math
from typing import Any

import pytest

from popoto import Defaults, ModelException


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("DECAY_RATE", "fast", "DECAY_RATE='fast' must be a finite number"),
        ("DECAY_RATE", math.inf, "must be a finite number"),
        ("DECAY_RATE", 0, "must be above 0"),
        ("TD_ALPHA", None, "must be a finite number"),
        ("WF_MIN_THRESHOLD", math.nan, "must be a finite number"),
        ("WF_MIN_THRESHOLD", True, "must be a finite number"),
        ("INITIAL_CONFIDENCE", 1.5, "between 0 and 1"),
        ("CONTRADICTED_CONFIDENCE_SIGNAL", -0.1, "between 0 and 1"),
        ("PL_AUTO_RESOLVE_USED", 2, "between 0 and 1"),
        ("ADAPTIVE_QUALITY_WINDOW_SIZE", 2.5, "must be an int from 1"),
        ("MIN_EVENTS_FOR_CRYSTALLIZATION", 0, "must be an int from 1"),
    ],
)
def test_a_value_that_no_primitive_could_use_is_refused(name: str, value: Any, complaint: str) -> None:
    before = getattr(Defaults, name)
    with pytest.raises(ModelException, match=complaint):
        setattr(Defaults, name, value)
    assert getattr(Defaults, name) == before


def test_a_name_that_is_none_is_refused_with_a_near_one() -> None:
    with pytest.raises(AttributeError, match="no constant DECAYRATE; did you mean DECAY_RATE"):
        Defaults.DECAYRATE = 0.5  # type: ignore[attr-defined]


def test_a_threshold_may_lie_beyond_all_that_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Defaults, "WF_PRIORITY_THRESHOLD", math.inf)
    monkeypatch.setattr(Defaults, "PL_CONFIDENCE_ERROR_THRESHOLD", 2)
    assert math.isinf(Defaults.WF_PRIORITY_THRESHOLD)
    assert Defaults.PL_CONFIDENCE_ERROR_THRESHOLD == 2
