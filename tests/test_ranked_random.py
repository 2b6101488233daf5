"""Rankings of random rows, asked at random, are those that plain Python computes."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from popoto import (
    CyclicDecayField,
    DecayingSortedField,
    Field,
    FloatField,
    IndexedField,
    KeyField,
    Model,
    SortedField,
    clock,
)
from popoto.queries import rank
from popoto.storage import Connection

NOW = 1_795_344_718.25
DAY = 86_400
CYCLES = ((DAY, 0.5, 0.0), (7 * DAY, 1.0, 3600.0))
TOLERANCE = 1e-9


class Memory(Model):
    name = KeyField()
    agent = IndexedField()
    note = Field(null=True)
    weight = FloatField(null=True)
    other = FloatField(null=True)
    trust = SortedField(type=float, default=0.0)
    plain = DecayingSortedField(decay_rate=0.3)
    based = DecayingSortedField(decay_rate=0.5, base_score_field="weight")
    moody = CyclicDecayField(decay_rate=0.4, base_score_field="weight", cycles=CYCLES, pressure_rate=0.5)


def made(dice: random.Random, number: int) -> Memory:
    # Few different moments and bases, so that scores tie; ages below the floor and in the future.
    age = dice.choice([0.0, 0.003, -2.0, 1.0, 4.0, 4.0, dice.uniform(0, 400), dice.uniform(0, 3)])
    moment = NOW - age * DAY
    base = dice.choice([None, math.nan, 0.0, 1.0, 1.0, -3.0, 50.0, dice.uniform(-5, 9)])
    return Memory(
        name=f"m{number}",
        agent=dice.choice("ABC"),
        note=dice.choice(["x", "y", None]),
        weight=base,
        other=dice.choice([None, 2.0, dice.uniform(-1, 1)]),
        trust=dice.choice([0.5, 0.5, 0.0, -1.0, dice.uniform(-1, 4)]),
        plain=moment,
        based=NOW - dice.choice([age, 0.5, dice.uniform(0, 90)]) * DAY,
        moody=moment,
    )


def populated() -> dict[str, Memory]:
    dice = random.Random(7)
    rows = {}
    for number in range(130):
        with clock.frozen(lambda: NOW - dice.choice([0, 3, 40]) * DAY):
            row = made(dice, number)
            row.save(skip_auto_now=True)
        rows[row.pk] = row
    learned: dict[str, float] = {}
    for row in dice.sample(list(rows.values()), 12):
        factor = dice.choice([0.0, 0.5, 3.0, 60.0])
        row.strengthen_cycle("moody", factor)
        learned[row.pk] = factor
    return rows


@pytest.fixture
def rows(store: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Memory]]:
    """Rows beside some that are gone from under their index entries; walks that end early."""
    found = populated()
    for key in list(found)[::17]:
        store.native.delete(key)
        del found[key]
    monkeypatch.setattr(rank, "MOST_NUMBERS", 200)
    monkeypatch.setattr(rank, "FEW", 5)
    monkeypatch.setattr(rank, "STEPS", (1, 3))
    yield found


def decayed(moment: float, base: Any, rate: float) -> float:
    days = max((NOW - moment) / DAY, 0.01)
    return (1.0 if base is None or math.isnan(base) else base) * days**-rate


# What was stored tells amplitudes and waits; the formulas are computed here.


def stored_pressure(store: Connection) -> dict[str, tuple[float, float]]:
    raw = store.native.hgetall("$CyclicDecayF:Memory:moody:pressure")
    found = {key.decode(): msgpack.unpackb(value) for key, value in raw.items()}
    return {key: (value["rate"], value["last_resolved"]) for key, value in found.items()}


def stored_cycles(store: Connection) -> dict[str, list[list[float]]]:
    raw = store.native.hgetall("$CyclicDecayF:Memory:moody:cycles")
    return {key.decode(): msgpack.unpackb(value) for key, value in raw.items()}


def numbers(store: Connection, rows: dict[str, Memory]) -> dict[str, dict[str, float]]:
    cycles, pressure = stored_cycles(store), stored_pressure(store)
    found: dict[str, dict[str, float]] = {}
    for key, row in rows.items():
        resonance = sum(a * math.cos(2 * math.pi * (NOW - phase) / period) for period, a, phase in cycles[key])
        rate, since = pressure[key]
        found[key] = {
            "trust": row.trust,
            "plain": decayed(row.plain, None, 0.3),
            "based": decayed(row.based, row.weight, 0.5),
            "moody": decayed(row.moody, row.weight, 0.4) + resonance + rate * max((NOW - since) / DAY, 0),
        }
    return found


def agree(found: list[Any], wanted: list[tuple[str, float]], most: int, inputs: dict[str, Any]) -> None:
    """The same scores in the same places; the same rows, but where scores are as good as equal; and ties in order."""
    scores = [hit.score for hit in found]
    assert scores == pytest.approx([score for _, score in wanted[:most]], rel=TOLERANCE, abs=TOLERANCE)
    known = dict(wanted)
    assert len({hit.key for hit in found}) == len(found)
    assert [known[hit.key] for hit in found] == pytest.approx(scores, rel=TOLERANCE, abs=TOLERANCE)
    # Rows of the same numbers have just the same score, so that the first of them by key come first.
    groups: dict[Any, list[str]] = {}
    for key, _ in wanted:
        groups.setdefault(inputs[key], []).append(key)
    for keys in groups.values():
        there = [hit.key for hit in found if hit.key in keys]
        assert there == keys[: len(there)]


FILTERS: dict[str, Any] = {
    "": (lambda query: query, lambda row: True),
    "agent": (lambda query: query.filter(agent="A"), lambda row: row.agent == "A"),
    "agents": (lambda query: query.filter(agent__in=["A", "B"]), lambda row: row.agent in "AB"),
    "trust": (lambda query: query.filter(trust__gte=0.5), lambda row: row.trust >= 0.5),
    "note": (lambda query: query.filter(note="x"), lambda row: row.note == "x"),
    "not": (lambda query: query.exclude(agent="B"), lambda row: row.agent != "B"),
    "both": (lambda query: query.filter(agent="C", note__isnull=True), lambda row: row.agent == "C" and not row.note),
}
WEIGHTS = st.sampled_from([-1.0, -0.25, 0.0, 0.5, 1.0, 2.0])


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_composite_scores_are_those_of_plain_python(store: Connection, rows: dict[str, Memory], data: Any) -> None:
    weights = data.draw(
        st.dictionaries(st.sampled_from(["trust", "plain", "based", "moody"]), WEIGHTS, min_size=1), label="weights"
    )
    aggregate = data.draw(st.sampled_from(["SUM", "SUM", "MIN", "MAX"]), label="aggregate")
    narrow, holds = FILTERS[data.draw(st.sampled_from(sorted(FILTERS)), label="filter")]
    most = data.draw(st.sampled_from([1, 2, 5, 20, 90, 105, 200]), label="most")
    least = data.draw(st.sampled_from([None, None, 0.0, 1.0]), label="min_score")
    boosted = data.draw(st.lists(st.integers(0, 140), max_size=4, unique=True), label="boosted")
    boost = {f"Memory:m{number}": 0.75 for number in boosted}
    how = {"SUM": sum, "MIN": min, "MAX": max}[aggregate]
    known = numbers(store, rows)
    wanted = []
    for key, row in rows.items():
        parts = [weight * known[key][name] for name, weight in weights.items()]
        score = how(parts + [0.75] * (key in boost))
        if holds(row) and (least is None or score >= least):
            wanted.append((key, score))
    wanted.sort(key=lambda pair: (-pair[1], pair[0]))
    found = narrow(Memory.query).composite_score(
        weights, most, aggregate, least, co_occurrence_boost=boost, now=NOW, explain=True
    )
    agree(found, wanted, most, {key: (*(known[key][name] for name in weights), key in boost) for key in rows})


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_decayed_scores_are_those_of_plain_python(store: Connection, rows: dict[str, Memory], data: Any) -> None:
    name = data.draw(st.sampled_from(["plain", "based", "moody", "moody"]), label="field")
    rate = data.draw(st.sampled_from([None, 0.0, 0.1, 1.0, -0.5]), label="rate")
    base = data.draw(st.sampled_from([None, None, "", "other", "trust"]), label="base")
    narrow, holds = FILTERS[data.draw(st.sampled_from(sorted(FILTERS)), label="filter")]
    most = data.draw(st.sampled_from([1, 2, 5, 20, 90, 105, 200]), label="most")
    used = {"plain": 0.3, "based": 0.5, "moody": 0.4}[name] if rate is None else rate
    base_field = ("" if name == "plain" else "weight") if base is None else base
    known = numbers(store, rows)
    wanted = []
    for key, row in rows.items():
        score = decayed(getattr(row, name), getattr(row, base_field) if base_field else None, used)
        if name == "moody":
            score += known[key]["moody"] - decayed(row.moody, row.weight, 0.4)
        if holds(row):
            wanted.append((key, score))
    wanted.sort(key=lambda pair: (-pair[1], -getattr(rows[pair[0]], name), pair[0]))
    found = narrow(Memory.query).top_by_decay(name, most, rate, base, now=NOW, explain=True)
    values = {key: (getattr(row, name), str(row.weight), row.other, row.trust) for key, row in rows.items()}
    agree(found, wanted, most, {key: (*one, known[key]["moody"]) for key, one in values.items()})
