"""The policy cache: values that learn beside the rows, evidence that adds up, and cycles that are none by chance."""

from __future__ import annotations

import asyncio
import json
import math
import random
from typing import Any

import pytest

from popoto import ConfidenceField, Defaults, QueryException, TemporalPeriod, clock
from popoto.recipes.policy_cache import (
    PolicyEntry,
    async_crystallize,
    async_get_q_value,
    async_initialize_q_value,
    async_update_q_value,
    chi_squared_uniform,
    compute_fingerprint,
    crystallization_handler,
    crystallize,
    discover_cycles,
    get_q_value,
    initialize_q_value,
    temporal_discovery_handler,
    update_q_value,
    wilson_ci_lower,
)
from popoto.storage import Connection

DAY = 86_400.0
NOW = 1_800_000_000.0


def policy(**more: Any) -> PolicyEntry:
    return PolicyEntry.create(**{"agent_id": "a", "state_fingerprint": "f", "action_type": "deploy", **more})


def events(count: int, success: bool = True, first: int = 0, **more: str) -> list[tuple[str, dict[str, str]]]:
    fields = {"agent_id": "a", "state_fingerprint": "f", "action_type": "deploy", "success": str(success), **more}
    return [(f"{1000 + first + number}-0", fields) for number in range(count)]


# Statistics


@pytest.mark.parametrize(
    ("successes", "total", "bound"),
    [
        (3, 3, 0.438494),
        (5, 5, 0.565509),
        (6, 6, 0.609657),
        (8, 8, 0.675584),
        (10, 10, 0.722460),
        (9, 10, 0.595844),
        (8, 9, 0.564994),
        (50, 100, 0.403830),
        (0, 10, 0.0),
        (0, 0, 0.0),
    ],
)
def test_wilsons_bound(successes: int, total: int, bound: float) -> None:
    assert wilson_ci_lower(successes, total) == pytest.approx(bound, abs=1e-6)


def test_wilsons_bound_refuses_what_is_no_rate() -> None:
    with pytest.raises(ValueError, match="4 successes of 3"):
        wilson_ci_lower(4, 3)


def test_chi_squared() -> None:
    assert chi_squared_uniform([20, 5, 5, 10], 10) == pytest.approx(15.0)
    assert chi_squared_uniform([1, 2], 0) == 0.0


def test_fingerprints() -> None:
    features = {"task": "deploy", "env": "staging"}
    assert compute_fingerprint(features) == "86e6b7501eb99c29"
    assert compute_fingerprint(dict(reversed(features.items()))) == "86e6b7501eb99c29"
    assert compute_fingerprint(features, include_fields=["task"]) == "c0ec4f6d2679a33d"
    assert compute_fingerprint({}) == "44136fa355b3678a"
    with pytest.raises(KeyError):
        compute_fingerprint(features, include_fields=["region"])
    with clock.frozen(lambda: NOW):
        hourly = compute_fingerprint(features, include_timestamp=True)
        assert hourly == compute_fingerprint({**features, "__hour_bucket__": int(NOW) // 3600})


# Values


def test_golden_values_of_learning(store: Connection, plain: Any) -> None:
    row = policy()
    initialize_q_value(row, 0.5)
    assert update_q_value(row, 1.0) == pytest.approx(0.5)
    assert plain.zscore("$QV:PolicyEntry:q_value:a", row.pk) == pytest.approx(0.55)
    initialize_q_value(row, 0.55)
    assert update_q_value(row, 1.0, max_future_q=2.0) == pytest.approx(2.35)
    assert get_q_value(row) == pytest.approx(0.785)
    assert update_q_value(row, 0.0, max_future_q=1.0, alpha=0.5, gamma=0.5) == pytest.approx(-0.285)
    assert get_q_value(row) == pytest.approx(0.6425)


def test_values_and_decay_leave_each_other_alone(store: Connection) -> None:
    """D49."""
    good, bad = policy(action_type="good"), policy(action_type="bad")
    initialize_q_value(good, 0.9)
    initialize_q_value(bad, 0.1)
    bad.touch("expected_value")
    bad.save()
    good.save()
    assert (get_q_value(good), get_q_value(bad)) == (0.9, 0.1)
    hits = PolicyEntry.query.filter(agent_id="a").composite_score({"q_value": 1.0}, explain=True)
    assert [(hit.row.action_type, hit.score) for hit in hits] == [("good", 0.9), ("bad", 0.1)]
    assert abs(good.expected_value - clock.now()) < 60


def test_a_value_without_a_beginning_begins_at_nothing(store: Connection) -> None:
    row = policy()
    assert get_q_value(row) is None
    assert update_q_value(row, 1.0) == pytest.approx(1.0)
    assert get_q_value(row) == pytest.approx(0.1)


def test_rates_are_the_defaults_of_the_moment(store: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Defaults, "TD_ALPHA", 0.5)
    row = policy()
    update_q_value(row, 1.0)
    assert get_q_value(row) == pytest.approx(0.5)


def test_a_row_that_is_not_stored_learns_nothing(store: Connection, plain: Any) -> None:
    """D49."""
    row = PolicyEntry(agent_id="a", state_fingerprint="f", action_type="x")
    with pytest.raises(TypeError, match="save"):
        update_q_value(row, 1.0)
    with pytest.raises(TypeError, match="save"):
        initialize_q_value(row, 1.0)
    with pytest.raises(ValueError, match="reward"):
        update_q_value(policy(), float("nan"))
    assert plain.exists("$QV:PolicyEntry:q_value:a") == 0


def test_a_value_goes_with_its_row(store: Connection, plain: Any) -> None:
    row = policy()
    initialize_q_value(row, 0.5)
    row.delete()
    assert plain.exists("$QV:PolicyEntry:q_value:a") == 0


def test_asyncio_learns_the_same(store: Connection) -> None:
    row = policy()

    async def learned() -> tuple[float, float | None]:
        await async_initialize_q_value(row, 0.5)
        error = await async_update_q_value(row, 1.0)
        return error, await async_get_q_value(row)

    assert asyncio.run(learned()) == (pytest.approx(0.5), pytest.approx(0.55))


# Crystallisation


def test_six_straight_successes_make_a_policy(store: Connection) -> None:
    assert crystallize(events(5)) == []
    (made,) = crystallize(events(1, first=5, state_features='{"x": 1}', action_spec='{"cmd": "up"}'))
    assert (made.agent_id, made.state_fingerprint, made.action_type) == ("a", "f", "deploy")
    assert (made.features, made.action) == ({"x": 1}, {"cmd": "up"})  # D50: no repr
    assert json.loads(PolicyEntry.query.get(redis_key=made.pk).state_features) == {"x": 1}
    assert get_q_value(made) == pytest.approx(0.609657, abs=1e-6)
    assert ConfidenceField.get_confidence(made, "confidence") == 0.5


def test_evidence_adds_up_over_batches(store: Connection) -> None:
    """D50: 5 and 5 successes are ten."""
    assert crystallize(events(5)) == []
    (made,) = crystallize(events(5, first=5))
    assert get_q_value(made) == pytest.approx(0.722460, abs=1e-6)
    assert crystallize(events(5, first=10)) == []
    assert PolicyEntry.query.count() == 1


def test_an_event_that_comes_twice_counts_once(store: Connection) -> None:
    assert crystallize(events(4)) == []
    assert crystallize(events(4)) == []
    assert PolicyEntry.query.count() == 0


def test_failures_count(store: Connection) -> None:
    assert crystallize([*events(9), *events(3, success=False, first=9)]) == []
    assert crystallize(events(3, outcome="dismissed", success="0", first=20)) == []


def test_the_latest_events_count(store: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("popoto.recipes.policy_cache.crystallisation.MOST_EVENTS", 6)
    assert crystallize(events(6, success=False)) == []
    assert crystallize(events(5, first=6)) == []
    assert len(crystallize(events(1, first=11))) == 1


def test_evidence_expires(store: Connection, plain: Any) -> None:
    crystallize(events(1))
    left = plain.pttl("$QV:PolicyEntry:evidence:a:f:deploy")
    assert 0.99 * 90 * 86_400_000 < left <= 90 * 86_400_000


def test_each_agent_and_action_has_a_policy_of_its_own(store: Connection) -> None:
    """D50: what is known of a state blocks nothing else."""
    batch = [*events(6), *events(6, first=6, action_type="wait"), *events(6, first=12, agent_id="b")]
    assert len(crystallize(batch)) == 3
    kept = {(one.agent_id, one.action_type) for one in PolicyEntry.query.all()}
    assert kept == {("a", "deploy"), ("a", "wait"), ("b", "deploy")}


def test_entries_without_a_state_or_an_action_are_passed_over(store: Connection, plain: Any) -> None:
    assert crystallize([("1-0", {"state_fingerprint": "f"}), ("2-0", {"action_type": "x"}), ("3-0", {})]) == []
    assert plain.dbsize() == 0


def test_the_agent_is_default_unless_given(store: Connection) -> None:
    batch = [
        (event, {name: text for name, text in fields.items() if name != "agent_id"}) for event, fields in events(6)
    ]
    (made,) = asyncio.run(crystallization_handler(batch))
    assert made.agent_id == "default"
    assert asyncio.run(async_crystallize(batch)) == []


# Cycles


def test_an_event_a_day_is_no_cycle() -> None:
    """D50."""
    assert discover_cycles([NOW + day * DAY for day in range(365)]) == []
    assert discover_cycles([NOW + day * DAY for day in range(3 * 365)]) == []


def test_chance_is_seldom_a_cycle() -> None:
    chance = random.Random(4)
    found = [discover_cycles([NOW + chance.random() * 1000 * DAY for _ in range(300)]) for _ in range(100)]
    # Three tests at 5 % each.
    assert sum(map(len, found)) < 30


def test_a_weekly_event_is_a_weekly_cycle() -> None:
    first = NOW - NOW % TemporalPeriod.WEEKLY + 2.5 * DAY
    moments = [first + week * 7 * DAY + hour * 3600 for week in range(30) for hour in (-1, 1)]
    assert discover_cycles(moments) == [(TemporalPeriod.WEEKLY, 0.5, pytest.approx(2.5 * DAY))]


def test_the_resonance_is_highest_at_the_phase() -> None:
    chance = random.Random(5)
    moments = [
        year * TemporalPeriod.YEARLY + 200 * DAY + chance.gauss(0, 4) * DAY for year in range(50, 54) for _ in range(9)
    ]
    found = {period: phase for period, _, phase in discover_cycles(moments)}
    phase = found[TemporalPeriod.YEARLY]
    assert math.cos(2 * math.pi * (moments[0] - phase) / TemporalPeriod.YEARLY) > 0.95


def test_a_period_that_did_not_come_back_is_none() -> None:
    assert discover_cycles([NOW + hour * 3600 for hour in range(100)]) == []
    assert discover_cycles([NOW, NOW + 1]) == []
    assert discover_cycles([NOW + hour * 3600 for hour in range(29)] + [NOW + 10 * DAY]) == []


def test_entries_of_a_stream_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    first = NOW - NOW % TemporalPeriod.WEEKLY + 2.5 * DAY
    entries = [(f"{week}-0", {"ts": str(first + week * 7 * DAY)}) for week in range(30)]
    entries += [("x", {"ts": "soon"}), ("y", {}), ("z", {"ts": "nan"})]
    monkeypatch.setattr(Defaults, "INITIAL_CYCLE_AMPLITUDE", 0.7)
    assert temporal_discovery_handler(entries) == [(TemporalPeriod.WEEKLY, 0.7, pytest.approx(2.5 * DAY))]
    monkeypatch.setattr(Defaults, "CHI_SQUARED_P_THRESHOLD", 0.2)
    with pytest.raises(QueryException, match=r"0\.05, 0\.01"):
        temporal_discovery_handler(entries)
