"""`composite_score`: golden scores of 1.x, filters that hold, boosts, and answers that are full."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from stored import keyspace

from popoto import (
    AccessTrackerMixin,
    ConfidenceField,
    DecayingSortedField,
    Field,
    FloatField,
    IndexedField,
    KeyField,
    Model,
    QueryException,
    SortedField,
    WriteFilterMixin,
    round_trips,
)
from popoto.queries import Part
from popoto.storage import Connection

NOW = 1_795_344_718.0
DAY = 86_400.0
FOUR = {"rel": 0.4, "cert": 0.3, "reads": 0.2, "priority": 0.1}


class Memory(Model):
    name = KeyField()
    agent = IndexedField()
    note = Field(null=True)
    weight = FloatField(null=True)
    rel = DecayingSortedField(decay_rate=0.5, base_score_field="weight")
    cert = SortedField(type=float)
    reads = SortedField(type=int, default=0)
    priority = SortedField(type=float, default=0.0)


class Shelf(Model):
    name = KeyField()
    room = KeyField()
    height = SortedField(type=float, partition_by="room")
    rank = SortedField(type=float, default=0.0)


def made(name: str, agent: str, days: float, cert: float, reads: int, priority: float, **more: Any) -> None:
    values = {"agent": agent, "rel": NOW - days * DAY, "cert": cert, "reads": reads, "priority": priority}
    Memory(name=name, **values, **more).save(skip_auto_now=True)


def golden(plain: Any) -> None:
    made("a", "A", 1, 0.9, 3, 0.9)
    made("b", "A", 4, 0.2, 1, 0.5)
    made("d", "A", 16, 0.5, 0, 0.75)
    made("c", "B", 1, 1.0, 0, 0.8)
    # As the signals of mixins are: who was not read has no entry, nor who is below a threshold; c is of another agent.
    plain.zrem("$SortF:Memory:reads", "Memory:c", "Memory:d")
    plain.zrem("$SortF:Memory:priority", "Memory:b")


def scores(weights: dict[str, float], query: Any = None, **options: Any) -> dict[str, float]:
    found = (Memory.query if query is None else query).composite_score(weights, now=NOW, explain=True, **options)
    return {hit.row.name: round(hit.score, 9) for hit in found}


def names(weights: dict[str, float], **options: Any) -> list[str]:
    return [row.name for row in Memory.query.composite_score(weights, now=NOW, **options)]


def test_golden_scores_without_the_rows_of_others(store: Connection, plain: Any) -> None:
    # D01: 1.x gave c, of agent B, for a filter on A.
    golden(plain)
    mine = Memory.query.filter(agent="A")
    assert scores(FOUR, mine) == {"a": 1.36, "b": 0.46, "d": 0.325}
    assert list(scores(FOUR, mine)) == ["a", "b", "d"]
    three = {"rel": 1.0, "cert": 1.0, "reads": 1.0}
    assert scores(three, mine, aggregate="MIN") == {"a": 0.9, "d": 0.25, "b": 0.2}
    assert scores(three, mine, aggregate="max") == {"a": 3.0, "b": 1.0, "d": 0.5}
    assert scores({"rel": 1.0}, mine, temperature=0.1)["a"] == 10.0
    assert scores({"rel": 1.0}, mine, temperature=0.1, min_score=0.5) == {"a": 10.0, "b": 5.0}
    assert scores(FOUR, mine, co_occurrence_boost={"Memory:b": 5.0})["b"] == 5.46


def test_what_only_a_loaded_row_tells_holds_too(store: Connection) -> None:
    for number in range(60):
        made(f"m{number:02}", "AB"[number % 2], number, number / 100, 1, 0.5, note=f"n{number % 7}")
    found = Memory.query.filter(agent="A", note="n1").composite_score({"rel": 1.0, "cert": 1.0}, limit=3, now=NOW)
    assert [row.name for row in found] == ["m50", "m36", "m08"]


def test_the_limit_is_filled_with_accepted_and_living_rows(store: Connection, plain: Any) -> None:
    # D05: what was rejected or gone took a place.
    for number in range(9):
        made(f"m{number}", "A", 1, number / 10, 1, 0.5)
    plain.delete("Memory:m8")
    seen: list[tuple[str, float]] = []

    def accept(key: str, score: float) -> bool:
        seen.append((key, score))
        return key not in ("Memory:m7", "Memory:m5")

    assert names({"cert": 1.0}, limit=2, post_filter=accept, temperature=0.5) == ["m6", "m4"]
    assert seen[0] == ("Memory:m7", 1.4)
    boost = {"Memory:none": 9.0, "Other:x": 9.0, b"Memory:m1": 4.0, "Memory:m8": 9.0}
    assert names({"cert": 1.0}, limit=2, co_occurrence_boost=boost) == ["m1", "m7"]


def test_one_bad_number_breaks_nothing(store: Connection) -> None:
    # D04: a NaN failed every composite query.
    made("a", "A", 1, 0.1, 1, 0.5, weight=float("nan"))
    made("b", "A", 1, 0.1, 1, float("inf"), weight=float("inf"))
    made("c", "A", 1, float("-inf"), 1, float("inf"), weight=2.0)
    assert scores({"rel": 1.0, "cert": 1.0, "priority": 1.0}) == {"b": float("inf"), "a": 1.6, "c": 0.0}


def test_two_names_of_one_number_both_count(store: Connection) -> None:
    # D06: of two weights for one signal 1.x kept one.
    made("a", "A", 1, 1.0, 1, 0.5)
    assert scores({"cert": 1.0, "reads": 10.0}) == {"a": 11.0}


def test_equal_scores_are_ordered_by_key(store: Connection) -> None:
    for number in range(300):
        made(f"m{number:03}", "A", 1, 0.5, 1, 0.5)
    assert names({"cert": 1.0}, limit=3) == ["m000", "m001", "m002"]
    assert names({"cert": 1.0, "reads": 2.0}, limit=3) == ["m000", "m001", "m002"]
    assert names({"rel": 1.0, "cert": -1.0}, limit=3) == ["m000", "m001", "m002"]


def test_a_hit_tells_its_parts(store: Connection, plain: Any) -> None:
    golden(plain)
    hit = Memory.query.composite_score(FOUR, limit=1, similarity_boost={"Memory:d": 3.0}, now=NOW, explain=True)[0]
    assert (hit.key, round(hit.score, 9)) == ("Memory:d", 3.325)
    assert hit.parts == (
        Part("rel", 0.25, 0.4, 0.1),
        Part("cert", 0.5, 0.3, 0.15),
        Part("priority", 0.75, 0.1, 0.1 * 0.75),
        Part("similarity", 3.0, 1.0, 3.0),
    )


def test_it_is_one_round_trip_and_leaves_no_key(store: Connection, plain: Any) -> None:
    golden(plain)
    before = keyspace(plain)
    with round_trips() as trips:
        assert len(Memory.query.composite_score(FOUR, now=NOW)) == 4
        assert len(asyncio.run(Memory.query.async_composite_score(FOUR, limit=2, now=NOW))) == 2
    assert (trips, keyspace(plain)) == (2, before)


def test_a_partition_must_be_named(store: Connection) -> None:
    for number in range(4):
        Shelf.create(name=str(number), room="xy"[number % 2], height=number, rank=10 - number)
    room = Shelf.query.filter(room="x")
    found = room.composite_score({"height": 1.0, "rank": 0.1})
    assert [row.name for row in found] == ["2", "0"]
    with pytest.raises(QueryException, match=r"height is partitioned by room; add room=\.\.\."):
        Shelf.query.composite_score({"height": 1.0})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"indexes": {}}, "must map signals to weights"),
        ({"indexes": None}, "must map signals to weights"),
        ({"indexes": {"crt": 1.0}}, r"no signal 'crt' to rank by; did you mean 'cert'\?"),
        ({"indexes": {"access_count": 1.0}}, "no signal 'access_count'"),
        ({"indexes": {"note": 1.0}}, "no signal 'note'"),
        ({"indexes": {"cert": float("nan")}}, "cert=nan must be a finite number"),
        ({"indexes": {"cert": 1}, "aggregate": "AVG"}, "must be SUM, MIN or MAX"),
        ({"indexes": {"cert": 1}, "temperature": 0}, "must be above 0"),
        ({"indexes": {"cert": 1}, "co_occurrence_boost": ["a"]}, r"co_occurrence_boost=\['a'\] must map keys"),
        ({"indexes": {"cert": 1}, "min_score": "x"}, "must be a finite number"),
        ({"indexes": {"cert": 1}, "co_occurrence_boost": {"k": None}}, "must be a finite number"),
    ],
)
def test_what_cannot_be_ranked_is_refused(fake: Connection, options: Any, message: str) -> None:
    with pytest.raises(QueryException, match=message), round_trips() as trips:
        Memory.query.composite_score(**options)
    assert (trips, Memory.query.composite_score({"cert": 1.0}, limit=0)) == (0, [])


class Belief(AccessTrackerMixin, WriteFilterMixin, Model):
    _wf_priority_threshold = 0.7

    name = KeyField()
    agent = IndexedField()
    worth = FloatField(default=0.5)
    rel = DecayingSortedField(decay_rate=0.5)
    cert = ConfidenceField()

    def compute_filter_score(self) -> float:
        return self.worth


def test_golden_scores_of_the_memory_primitives(store: Connection) -> None:
    rows = [("a", "A", 1, 0.9, 3, 0.9), ("b", "A", 4, 0.2, 1, 0.5), ("d", "A", 16, 0.5, 0, 0.75)]
    for name, agent, days, cert, reads, worth in [*rows, ("c", "B", 1, 1.0, 0, 0.8)]:
        row = Belief(name=name, agent=agent, worth=worth, rel=NOW - days * DAY, cert=cert)
        row.save(skip_auto_now=True)
        for _ in range(reads):
            row.on_read()
        row.confirm_access()
    mine = Belief.query.filter(agent="A").no_track()
    weights = {"rel": 0.4, "cert": 0.3, "access_count": 0.2, "priority": 0.1}
    assert scores(weights, mine) == {"a": 1.36, "b": 0.46, "d": 0.325}
    three = {"rel": 1.0, "cert": 1.0, "access_count": 1.0}
    assert scores(three, mine, aggregate="MIN") == {"a": 0.9, "d": 0.25, "b": 0.2}
    assert scores(three, mine, aggregate="MAX") == {"a": 3.0, "b": 1.0, "d": 0.5}
    # D06: one signal by two names counts twice.
    assert scores({"access_count": 1.0, "access_score": 10.0}, mine) == {"a": 33.0, "b": 11.0}


def test_an_answer_is_noted_as_read(store: Connection) -> None:
    row = Belief.create(name="a", agent="A")
    Belief.query.composite_score({"rel": 1.0})
    Belief.query.top_by_decay()
    Belief.query.no_track().top_by_decay()
    assert row.confirm_access() == 2


def test_a_weight_of_nothing_leaves_the_keys_to_decide(store: Connection) -> None:
    for number in range(200):
        made(f"m{number:03}", "A", 1, number, 1, 0.5)
    for aggregate in ("SUM", "MIN", "MAX"):
        assert names({"cert": 0.0}, limit=2, aggregate=aggregate) == ["m000", "m001"]
