"""Spreading over a graph: golden values, bounds that are told, and the heaviest exact under a budget."""

from __future__ import annotations

import random
from typing import Any

import pytest
from graphs import NEAR, Mem, model_of

from popoto import round_trips
from popoto.fields.co_occurrence_field import spreading
from popoto.storage import Connection


def example() -> None:
    for one, other, weight in (("A", "B", 0.8), ("B", "C", 0.6), ("A", "D", 0.4), ("D", "C", 1.0), ("C", "E", 0.9)):
        NEAR.link(Mem, one, other, weight)
    NEAR.link(Mem, "A", "F", 0.015)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"depth": 1}, {"B": 0.4, "D": 0.2}),
        ({}, {"B": 0.4, "D": 0.2, "C": 0.12}),
        ({"depth": 3}, {"B": 0.4, "D": 0.2, "C": 0.12, "E": 0.054}),
        ({"decay_per_hop": 1.0}, {"B": 0.8, "C": 0.48, "D": 0.4, "F": 0.015}),
        ({"seed_pks": ["A", "B"], "depth": 1}, {"C": 0.3, "D": 0.2}),
        ({"threshold": 0.1}, {"B": 0.4, "D": 0.2, "C": 0.12}),
        ({"seed_pks": []}, {}),
        ({"depth": 0}, {"A": 1.0}),
        ({"depth": -1}, {}),
        ({"decay_per_hop": 0}, {}),
        ({"seed_pks": ["nowhere"]}, {}),
    ],
)
def test_golden_values_of_propagate(store: Connection, options: dict[str, Any], expected: dict[str, float]) -> None:
    example()
    words: dict[str, Any] = {"seed_pks": ["A"]} | options
    with round_trips() as trips:
        found = NEAR.propagate(Mem, **words)
    assert found == pytest.approx(expected, abs=1e-12)
    assert (list(found), found.exact, found.complete) == (sorted(found, key=lambda pk: (-found[pk], pk)), True, True)
    nothing_to_ask = not words["seed_pks"] or options.get("depth", 2) <= 0 or options.get("decay_per_hop") == 0
    assert trips == (0 if nothing_to_ask else 1)


def test_propagation_never_amplifies(store: Connection) -> None:
    # D30: three edges of 3 made 3.375.
    for one, other in ("ab", "bc", "cd"):
        NEAR.link(Mem, one, other, 3.0)
    assert NEAR.propagate(Mem, ["a"], depth=3) == {"b": 1.0, "c": 1.0, "d": 1.0}


def test_no_walk_is_longer_than_the_depth(store: Connection) -> None:
    # x becomes heavier by way of y while its own level is followed: three hops to z would be too many.
    for one, other, weight in (("s", "y", 1.0), ("s", "x", 0.2), ("y", "x", 0.9), ("x", "z", 1.0)):
        NEAR.link(Mem, one, other, weight)
    assert NEAR.propagate(Mem, ["s"], decay_per_hop=1) == {"y": 1.0, "x": 0.9, "z": 0.2}
    assert NEAR.propagate(Mem, ["s"], decay_per_hop=1, depth=3) == {"y": 1.0, "x": 0.9, "z": 0.9}


def test_a_result_is_bounded_and_says_so(store: Connection) -> None:
    for number in range(30):
        NEAR.link(Mem, "a", f"n{number:02}", 0.5)
    NEAR.link(Mem, "a", "z", 0.6)
    found = NEAR.propagate(Mem, ["a"], max_nodes=3)
    assert (found, found.exact, found.complete) == ({"z": 0.3, "n00": 0.25, "n01": 0.25}, True, False)
    found = NEAR.propagate(Mem, ["a"], max_nodes=31)
    assert (len(found), found.exact, found.complete) == (31, True, True)
    assert NEAR.propagate(Mem, ["a"], depth=1, budget=32).exact is True
    assert NEAR.propagate(Mem, ["a"], depth=1, budget=30).exact is False
    found = NEAR.propagate(Mem, ["a"], budget=10)
    assert (len(found), found["z"], found.exact, found.complete) == (10, 0.3, False, False)


def test_a_larger_budget_goes_on_level_by_level(store: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "EDGES_OF_A_CALL", 12)
    example()
    for number in range(9):
        NEAR.link(Mem, "E", f"n{number}", 0.5 + number / 100)
    with round_trips() as trips:
        found = NEAR.propagate(Mem, ["A", "D"], depth=4, threshold=0.001, budget=500)
    monkeypatch.undo()
    whole = NEAR.propagate(Mem, ["A", "D"], depth=4, threshold=0.001)
    assert (found, list(found), found.complete) == (whole, list(whole), True)
    assert (len(whole), trips.count > 3) == (13, True)
    assert found.edges > 12


def test_weights_too_small_for_a_number_are_not_followed(store: Connection) -> None:
    for one, other in ("ab", "bc", "cd"):
        NEAR.link(Mem, one, other, 1e-200)
    NEAR.link(Mem, "a", "e", 1e-100)
    options: dict[str, Any] = {"depth": 3, "decay_per_hop": 1.0, "threshold": 0, "max_nodes": 1}
    found = NEAR.propagate(Mem, ["a"], **options)
    assert (found, found.complete) == ({"e": 1e-100}, False)
    assert NEAR.propagate(Mem, ["a"], **(options | {"max_nodes": 9})) == {"e": 1e-100, "b": 1e-200}


@pytest.mark.parametrize("most", [1, 7, 40, 10_000])
def test_the_heaviest_are_exact_though_the_rest_is_not_followed(
    store: Connection, plain: Any, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(most)
    names = [f"n{number:02}" for number in range(60)]
    graph = {
        one: {other: chance.choice([0.3, 0.31, chance.random()]) for other in chance.sample(names, 9)} for one in names
    }
    pipe = plain.pipeline()
    for name, others in graph.items():
        pipe.zadd(f"$CoOcF:Mem:near:{name}", others)
    pipe.execute()
    expected = model_of(graph, {"n00", "n01"}, 3, 0.7, 0.001)
    found = NEAR.propagate(Mem, ["n00", "n01"], depth=3, decay_per_hop=0.7, threshold=0.001, max_nodes=most)
    assert (list(found.items()), found.exact) == (expected[:most], True)
    assert found.complete == (most >= len(expected))
    monkeypatch.setattr(spreading, "EDGES_OF_A_CALL", 50)
    with round_trips() as trips:
        wide = NEAR.propagate(
            Mem, ["n00", "n01"], depth=3, decay_per_hop=0.7, threshold=0.001, max_nodes=most, budget=9999
        )
    assert (list(wide.items()), wide.exact, wide.complete) == (expected[:most], True, found.complete)
    # What is too light for the result is not followed.
    assert (trips.count == 1, wide.edges < 100, found.edges < 100) == (most <= 7,) * 3
