"""RetrievalQuality: on scores that are decayed as of now, in the records' own partitions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from popoto import (
    AccessTrackerMixin,
    ConfidenceField,
    ContextAssembler,
    DecayingSortedField,
    Defaults,
    ExistenceFilter,
    Field,
    KeyField,
    Model,
    QueryException,
    RetrievalQuality,
    clock,
    round_trips,
)
from popoto.recipes.context_assembler.quality import spread
from popoto.storage import Connection

DAY = 86_400.0
NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def still() -> Any:
    """The clock stands still."""
    with clock.frozen(lambda: NOW):
        yield


class Fact(AccessTrackerMixin, Model):
    name = KeyField()
    text = Field()
    sure = ConfidenceField()
    seen = DecayingSortedField(decay_rate=0.5)
    known = ExistenceFilter(fingerprint_fn=lambda row: row.text)


class Owned(Model):
    name = KeyField()
    agent_id = KeyField()
    seen = DecayingSortedField(decay_rate=0.5, partition_by="agent_id")


class Bare(Model):
    name = KeyField()


def facts(count: int) -> list[Fact]:
    rows = [Fact(name=str(place), text="coffee", seen=NOW - (place + 1) * DAY) for place in range(count)]
    for row in rows:
        row.save(skip_auto_now=True)
    return rows


def owned(agent: str, *days: float) -> list[Owned]:
    rows = [Owned(name=str(place), agent_id=agent, seen=NOW - day * DAY) for place, day in enumerate(days)]
    for row in rows:
        row.save(skip_auto_now=True)
    return rows


def test_golden_values_of_an_assessment(store: Connection, plain: Any) -> None:
    rows = facts(5)
    assembler = ContextAssembler(Fact, {"sure": 1.0})
    quality = assembler.assess({"known": "coffee", "unknown": "xylophone"})
    assert {cue: one["component_score"] for cue, one in quality.per_cue_fok.items()} == {
        "coffee": pytest.approx(0.6),
        "xylophone": pytest.approx(0.2),
    }
    assert (quality.fok_score, quality.avg_confidence) == (pytest.approx(0.4), 0.5)
    assert [plain.exists(f"$AT:Fact:staged:{row.pk}") for row in rows] == [0] * 5


def test_golden_value_of_records(store: Connection) -> None:
    quality = RetrievalQuality.from_records(facts(2), {"topic": "coffee"})
    assert quality.fok_score == pytest.approx(0.48)
    assert (quality.score_spread, quality.staleness_ratio, quality.score_distribution) == (0.0, 0.0, [])


def test_scores_are_decayed(store: Connection) -> None:
    """D45: a timestamp is no score."""
    rows = facts(1)
    old = Fact(name="old", text="coffee", seen=NOW - 100 * DAY)
    old.save(skip_auto_now=True)
    quality = RetrievalQuality.from_records([*rows, old], score_weights={"seen": 1.0})
    assert quality.score_distribution == [pytest.approx(1.0), pytest.approx(0.1)]
    assert (quality.staleness_ratio, quality.score_spread) == (0.5, pytest.approx(0.45 / 0.55))


def test_signals_of_mixins_count_too(store: Connection) -> None:
    rows = facts(2)
    rows[1].on_read()
    rows[1].confirm_access()
    quality = RetrievalQuality.from_records(rows, score_weights={"access_count": 2.0, "seen": 1.0})
    assert quality.score_distribution == [pytest.approx(1.0), pytest.approx(2.0 + 0.5**0.5)]


def test_scores_are_found_in_every_partition(store: Connection) -> None:
    """D45."""
    rows = [*owned("a", 1.0, 4.0), *owned("b:c", 100.0)]
    with round_trips() as trips:
        quality = RetrievalQuality.from_records(rows, score_weights={"seen": 2.0})
    assert quality.score_distribution == [pytest.approx(2.0), pytest.approx(1.0), pytest.approx(0.2)]
    assert (quality.staleness_ratio, trips.count) == (pytest.approx(1 / 3), 1)


def test_an_assembly_of_a_partition_is_judged_by_it(store: Connection) -> None:
    owned("a", 1.0, 100.0)
    owned("b", 1.0, 1.0)
    assembler = ContextAssembler(Owned, {"seen": 1.0})
    assembled = assembler.assemble({"topic": "x"}, agent_id="a", assess_quality=True).metadata["quality"]
    assert assembled.score_distribution == [pytest.approx(1.0), pytest.approx(0.1)]
    assert assembler.assess({"topic": "x"}, agent_id="a") == assembled
    assert assembler.assess({"topic": "x"}, partition_filters={"agent_id": "a"}) == assembled
    with pytest.raises(QueryException, match="agent_id"):
        assembler.assess({"topic": "x"})


def test_weak_candidates_count_as_subthreshold(store: Connection) -> None:
    rows = owned("a", 1.0, 100.0, 100.0, 100.0)
    quality = RetrievalQuality.from_records(rows, {"topic": "x"}, {"seen": 1.0})
    assert quality.per_cue_fok["x"] == {
        "cue_familiarity": 0.5,
        "partial_retrieval_count": 0.4,
        "subthreshold_activation": 0.75,
        "component_score": pytest.approx(0.4 * 0.5 + 0.4 * 0.4 + 0.2 * 0.75),
    }


def test_the_threshold_is_the_default_of_the_moment(store: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """D21."""
    rows = owned("a", 4.0)
    assert RetrievalQuality.from_records(rows, score_weights={"seen": 1.0}).staleness_ratio == 0.0
    monkeypatch.setattr(Defaults, "DEFAULT_SURFACING_THRESHOLD", 0.6)
    assert RetrievalQuality.from_records(rows, score_weights={"seen": 1.0}).staleness_ratio == 1.0
    given = RetrievalQuality.from_records(rows, score_weights={"seen": 1.0}, surfacing_threshold=0.1)
    assert given.staleness_ratio == 0.0


def test_confidence_is_what_is_stored(store: Connection) -> None:
    rows = facts(2)
    stale = Fact.query.get(name="0")
    ConfidenceField.update_confidence(rows[0], "sure", 0.9)
    assert RetrievalQuality.from_records([stale, rows[1]]).avg_confidence == pytest.approx(0.7)


def test_confidence_without_a_place_in_its_order_counts(store: Connection, plain: Any) -> None:
    """Rows of 1.x have a hash of confidences alone."""
    rows = facts(2)
    ConfidenceField.update_confidence(rows[0], "sure", 0.9)
    plain.delete("$ConfidencF:Fact:sure:rank")
    assert RetrievalQuality.from_records(rows, {}, {"seen": 1.0}).avg_confidence == pytest.approx(0.7)


def test_nothing_known_gives_a_prior(store: Connection) -> None:
    facts(2)
    quality = ContextAssembler(Fact, {"seen": 1.0}).assess({"topic": "xylophone"})
    assert (quality.avg_confidence, quality.fok_score, quality.score_distribution) == (0.5, 0.0, [])
    assert ContextAssembler(Fact, {"seen": 1.0}).assess({}) == RetrievalQuality()


def test_models_without_confidence_are_sure(store: Connection) -> None:
    row = Bare.create(name="a")
    assert RetrievalQuality.from_records([row]).avg_confidence == 1.0
    assert ContextAssembler(Owned, {"seen": 1.0}).assess({"t": "x"}, agent_id="a").avg_confidence == 1.0


def test_no_records_give_zeros_and_two_models_an_error(store: Connection) -> None:
    assert RetrievalQuality.from_records([], {"topic": "x"}) == RetrievalQuality(0.0, 0.0, 0.0, 0.0, [], {})
    with pytest.raises(TypeError, match="Bare, Owned"):
        RetrievalQuality.from_records([Bare(name="a"), Owned(name="a", agent_id="b")])
    with pytest.raises(QueryException, match="sen"):
        RetrievalQuality.from_records(owned("a", 1.0), score_weights={"sen": 1.0})


def test_asyncio_gets_the_same(store: Connection) -> None:
    rows = owned("a", 1.0, 4.0)
    blocking = RetrievalQuality.from_records(rows, {"t": "x"}, {"seen": 1.0})
    assert asyncio.run(RetrievalQuality.async_from_records(rows, {"t": "x"}, {"seen": 1.0})) == blocking
    assert asyncio.run(RetrievalQuality.async_from_records([])) == RetrievalQuality()


@pytest.mark.parametrize(
    ("scores", "expected"), [([], 0.0), ([1.0], 0.0), ([1e-10, -1e-10], 0.0), ([1.0, 3.0], 0.5), ([0.5] * 3, 0.0)]
)
def test_spread_is_the_deviation_over_the_mean(scores: list[float], expected: float) -> None:
    assert spread(scores) == pytest.approx(expected)
