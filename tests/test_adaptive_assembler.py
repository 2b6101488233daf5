"""AdaptiveAssembler: it keeps what does better, stands still where nothing does, and leaves the sum of weights."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from popoto import (
    AdaptiveAssembler,
    AssemblyResult,
    ConfidenceField,
    ContextAssembler,
    Defaults,
    KeyField,
    Model,
    QueryException,
    RetrievalQuality,
)
from popoto.storage import Connection

WEIGHTS = {"a": 0.6, "b": 0.3, "c": 0.1}


class Inner:
    """Assembles nothing, with qualities that are given, and notes the weights that it was used with."""

    def __init__(self, weights: dict[str, float], qualities: Iterable[float]) -> None:
        self.score_weights = weights
        self.qualities: Iterator[float] = iter(qualities)
        self.used: list[dict[str, float]] = []
        self.asked: list[dict[str, Any]] = []

    def assemble(self, query_cues: Any = None, **asked: Any) -> AssemblyResult:
        self.used.append(dict(self.score_weights))
        self.asked.append(asked)
        quality = RetrievalQuality(fok_score=next(self.qualities), avg_confidence=1.0)
        return AssemblyResult(metadata={"quality": quality})

    async def async_assemble(self, query_cues: Any = None, **asked: Any) -> AssemblyResult:
        return self.assemble(query_cues, **asked)


def adaptive(
    qualities: Iterable[float], weights: dict[str, float] | None = None, **more: Any
) -> tuple[AdaptiveAssembler, Inner]:
    inner = Inner(dict(WEIGHTS) if weights is None else weights, qualities)
    return AdaptiveAssembler(inner, **{"window_size": 3, "rng": random.Random(7), **more}), inner  # type: ignore[arg-type]


def approximately(*weights: float) -> dict[str, Any]:
    return {name: pytest.approx(weight) for name, weight in zip("abc", weights, strict=True)}


def test_it_keeps_what_does_better_and_reverts_what_does_not() -> None:
    """The golden values of 1.x."""
    made, inner = adaptive([1, 1, 1, 2, 2, 2, 1.5, 1.5, 1.5, 1, 1, 1, 3, 3, 3])
    states = []
    for number in range(15):
        made.assemble({"topic": "x"}, agent_id="a")
        if number % 3 == 2:
            states.append((made.baseline_quality, made.current_weights, made.is_testing_candidate))
    assert states == [
        (1.0, approximately(0.65, 0.25, 0.1), True),
        (2.0, approximately(0.65, 0.25, 0.1), False),
        (1.5, approximately(0.7, 0.2, 0.1), True),
        (1.5, approximately(0.65, 0.25, 0.1), False),
        (3.0, approximately(0.6, 0.25, 0.15), True),
    ]
    assert inner.score_weights == WEIGHTS
    assert made.inner is inner
    assert inner.used[3] == approximately(0.65, 0.25, 0.1)
    assert inner.asked[0] == {"agent_id": "a", "assess_quality": True}


def test_weights_stand_still_under_constant_quality() -> None:
    """D48."""
    made, inner = adaptive(iter(lambda: 0.1 + 0.2, None))
    for _ in range(600):
        made.assemble()
    kept = [used for number, used in enumerate(inner.used) if number % 6 < 3]
    assert kept == [WEIGHTS] * 300


@pytest.mark.parametrize(
    "weights", [{"a": 5.0, "b": 5.0}, WEIGHTS, {"a": 0.01, "b": 0.99}, {"a": 3.0, "b": 0.0, "c": 1.0}]
)
def test_the_sum_of_weights_stays(weights: dict[str, float]) -> None:
    """D48: also where weights meet their bounds, and whatever their sum is."""
    chance = random.Random(1)
    made, inner = adaptive(iter(chance.random, None), dict(weights), window_size=1)
    for _ in range(2_000):
        made.assemble()
    assert {round(sum(used.values()), 9) for used in inner.used} == {round(sum(weights.values()), 9)}
    assert min(min(used.values()) for used in inner.used) >= 0.0
    assert len({tuple(used.values()) for used in inner.used}) > 1


def test_one_weight_is_left_alone() -> None:
    made, _ = adaptive([1.0] * 6, {"a": 1.0})
    for _ in range(6):
        made.assemble()
    assert (made.current_weights, made.is_testing_candidate, made.baseline_quality) == ({"a": 1.0}, False, 1.0)


def test_a_metric_that_fails_costs_a_sample_and_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    answers = iter([1.0, 0.0, float("nan"), 1.0, 1.0])
    made, _ = adaptive([1.0] * 5, quality_metric=lambda quality: 1.0 / next(answers))
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            assert isinstance(made.assemble(), AssemblyResult)
    assert (made.baseline_quality, len(caplog.records)) == (None, 2)
    made.assemble()
    assert made.baseline_quality == 1.0


def test_the_window_is_the_default_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Defaults, "ADAPTIVE_QUALITY_WINDOW_SIZE", 2)
    made, _ = adaptive([1.0, 1.0], window_size=None)
    made.assemble()
    assert made.baseline_quality is None
    made.assemble()
    assert made.baseline_quality == 1.0


@pytest.mark.parametrize(
    "wrong", [{"window_size": 0}, {"window_size": 1.5}, {"weight_perturbation": 0}, {"weight_perturbation": "x"}]
)
def test_arguments_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(QueryException):
        adaptive([], **wrong)


class Fact(Model):
    name = KeyField()
    sure = ConfidenceField()
    true = ConfidenceField()


def test_it_wraps_a_real_assembler(store: Connection) -> None:
    Fact.bulk_create([Fact(name="a", sure=0.9), Fact(name="b", true=0.9)])
    inner = ContextAssembler(Fact, {"sure": 0.5, "true": 0.5}, max_items=1)
    made = AdaptiveAssembler(inner, window_size=1, rng=random.Random(3))
    results = [made.assemble({"topic": "x"}) for _ in range(4)]
    assert made.current_weights != inner.score_weights or not made.is_testing_candidate
    assert [type(one.metadata["quality"]) for one in results] == [RetrievalQuality] * 4
    assert len(asyncio.run(made.async_assemble({"topic": "x"})).records) == 1
