"""TrajectoryMemory: what is done most for one kind of task, and how sure one may be of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from popoto import ConfidenceField, DecayingSortedField, KeyField, ListField, Model, QueryException, clock, round_trips
from popoto.recipes.trajectory_memory import Episode, TrajectoryMemory, canonical, signal_of
from popoto.storage import Connection


class Pattern(Model):
    fingerprint = KeyField()
    agent_id = KeyField()
    trajectory = ListField()
    confidence = ConfidenceField()
    last_reinforced = DecayingSortedField(partition_by="agent_id")


def memory(agent: str = "a") -> TrajectoryMemory:
    return TrajectoryMemory(Pattern, ["task"], agent)


def episodes(task: str, *steps: str, success: float = True) -> list[Episode]:
    made = [Episode({"task": task, "n": at}, list(one), success, at) for at, one in enumerate(steps)]
    return list(reversed(made))


def test_the_most_frequent_sequence_is_the_pattern() -> None:
    assert canonical(episodes("t", "ab", "ba", "ab")) == ["a", "b"]
    assert canonical(episodes("t", "ab", "ba")) == ["b", "a"]


@pytest.mark.parametrize(("success", "signal"), [(True, 0.9), (False, 0.1), (0.5, 0.5), (7, 0.9), (-1, 0.1)])
def test_outcomes_are_signals(success: float, signal: float) -> None:
    assert signal_of(success) == pytest.approx(signal)


def test_three_episodes_make_a_pattern(store: Connection) -> None:
    with round_trips() as trips:
        made = memory().crystallize([*episodes("deploy", "ab", "ab", "ac"), *episodes("rest", "z", "z")])
    assert ([(one.trajectory, one.confidence) for one in made], trips.count) == ([(["a", "b"], pytest.approx(0.9))], 2)
    assert [one.trajectory for one in memory().recall({"task": "deploy"})] == [["a", "b"]]
    assert (memory().recall({"task": "rest"}), memory("b").recall()) == ([], [])


def test_later_episodes_renew_the_pattern(store: Connection) -> None:
    with clock.frozen(lambda: 1_800_000_000.0):
        memory().crystallize(episodes("deploy", "ab", "ab", "ab"))
    with clock.frozen(lambda: 1_800_086_400.0):
        (made,) = memory().crystallize(episodes("deploy", "ac", "ac", "ac", success=False))
        (known,) = memory().recall({"task": "deploy"})
    assert (known.trajectory, known.last_reinforced) == (["a", "c"], 1_800_086_400.0)
    assert ConfidenceField.get_confidence_data(made, "confidence")["evidence_count"] == 6
    assert known.confidence < 0.9


def test_the_surest_comes_first(store: Connection) -> None:
    ours = memory()
    ours.crystallize([*episodes("bad", "a", "a", "a", success=False), *episodes("good", "b", "b", "b")])
    assert [one.trajectory for one in ours.recall()] == [["b"], ["a"]]
    assert [one.trajectory for one in asyncio.run(ours.async_recall(limit=1))] == [["b"]]
    assert len(asyncio.run(ours.async_crystallize(episodes("good", "b", "b", "b")))) == 1


def test_what_is_missing_or_wrong_is_named(store: Connection) -> None:
    class Bare(Model):
        fingerprint = KeyField()

    with pytest.raises(QueryException, match="'trajectory'"):
        TrajectoryMemory(Bare)
    with pytest.raises(ValueError, match="success"):
        memory().crystallize(episodes("t", "a", "a", "a", success=float("nan")))
    wrong: Any = {"certainty": 1.0}
    with pytest.raises(QueryException, match="certainty"):
        TrajectoryMemory(Pattern, None, "a", wrong)
    assert Pattern.query.count() == 0
