"""`top_by_decay`: golden scores and orders of 1.x, filters that hold, and answers that are full."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from popoto import (
    CyclicDecayField,
    DecayingSortedField,
    Field,
    FloatField,
    IndexedField,
    KeyField,
    Model,
    QueryException,
    Relationship,
    clock,
    round_trips,
)
from popoto.queries import Hit, Part
from popoto.storage import Connection

NOW = 1_795_344_718.0
DAY = 86_400.0


class Agent(Model):
    name = KeyField()
    rank = IndexedField(null=True)


class Fact(Model):
    name = KeyField()
    agent = IndexedField(null=True)
    note = Field(null=True)
    owner = Relationship(model=Agent, null=True)
    weight = FloatField(null=True)
    other = FloatField(null=True)
    label = Field(null=True)
    fresh = DecayingSortedField(decay_rate=0.5, base_score_field="weight")


class Slow(Model):
    name = KeyField()
    weight = FloatField(null=True)
    fresh = DecayingSortedField(decay_rate=0.1, base_score_field="weight")


class Split(Model):
    name = KeyField()
    room = KeyField()
    shelf = Field(null=True)
    fresh = DecayingSortedField(decay_rate=0.5, partition_by=("room", "shelf"))
    other = DecayingSortedField(decay_rate=0.5)


class Bare(Model):
    name = KeyField()


def aged(name: str, days: float, weight: float | None = None, **more: Any) -> Fact:
    fact = Fact(name=name, weight=weight, fresh=NOW - days * DAY, **more)
    fact.save(skip_auto_now=True)
    return fact


def names(rows: list[Any]) -> list[str]:
    return [row.name for row in rows]


def top(query: Any = None, **options: Any) -> list[str]:
    return names((Fact.query if query is None else query).top_by_decay(now=NOW, **options))


@pytest.mark.parametrize(
    ("days", "base", "score"),
    [
        (1, None, 1.0),
        (4, None, 0.5),
        (100, None, 0.1),
        (4, 50.0, 25.0),
        (400, 7.0, 0.35),
        (0, None, 10.0),
        (-10, None, 10.0),
        (3, 0.0, 0.0),
        (1, -3.0, -3.0),
    ],
)
def test_golden_scores(fake: Connection, days: float, base: float | None, score: float) -> None:
    aged("a", days, base)
    (hit,) = Fact.query.top_by_decay(now=NOW, explain=True)
    assert hit.score == pytest.approx(score, rel=1e-12)
    assert (hit.key, hit.row.name) == ("Fact:a", "a")


def test_golden_order_by_rate(store: Connection) -> None:
    for name, days, base in (("x", 0.1, 1.0), ("y", 10, 3.0), ("z", 50, 0.1)):
        Slow(name=name, weight=base, fresh=NOW - days * DAY).save(skip_auto_now=True)
    with clock.frozen(lambda: NOW), round_trips() as trips:
        assert names(Slow.query.top_by_decay()) == ["y", "x", "z"]
        assert names(Slow.query.top_by_decay(decay_rate=1.0)) == ["x", "y", "z"]
        assert names(asyncio.run(Slow.query.async_top_by_decay("fresh", n=2))) == ["y", "x"]
    assert trips == 3


def test_filters_of_every_kind_hold(store: Connection) -> None:
    # D01: 1.x gave every agent's rows.
    for number in range(40):
        owner = Agent.create(name=f"o{number % 4}", rank="high" if number % 4 == 1 else "low")
        aged(f"f{number:02}", number, agent="AB"[number % 2], note=f"n{number % 5}", owner=owner)
    assert top(Fact.query.filter(agent="A"), n=3) == ["f00", "f02", "f04"]
    # Only the loaded row knows of this one.
    assert top(Fact.query.filter(agent="A", note="n3"), n=3) == ["f08", "f18", "f28"]
    assert top(Fact.query.exclude(agent="A"), n=2) == ["f01", "f03"]
    assert top(Fact.query.filter(owner__rank="high"), n=2) == ["f01", "f05"]
    assert top(Fact.query.filter(name__in=["f31", "f09", "none"]), n=5) == ["f09", "f31"]
    assert top(Fact.query.filter(fresh__lt=NOW - 30.5 * DAY), n=2) == ["f31", "f32"]
    assert top(Fact.query.filter(agent="A", limit=1)) == ["f00"]
    assert Fact.query.filter(agent="A").values("name").top_by_decay(n=1, now=NOW) == [{"name": "f00"}]
    with pytest.raises(QueryException, match="bogus"):
        Fact.query.filter(bogus=1).top_by_decay()


def test_rows_that_are_gone_take_nobodys_place(store: Connection, plain: Any) -> None:
    # D05: 1.x gave fewer rows than were asked for.
    for number in range(5):
        aged(f"f{number}", number)
    plain.delete("Fact:f0", "Fact:f2")
    assert top(n=2) == ["f1", "f3"]
    assert top(n=10) == ["f1", "f3", "f4"]


def test_equal_scores_are_ordered_by_moment_then_key(store: Connection) -> None:
    # D09: all of these are at the floor of 864 seconds.
    aged("b", -365)
    aged("d", 0)
    aged("c", 0)
    aged("a", 0.009)
    assert top() == ["b", "c", "d", "a"]
    assert top(n=2) == ["b", "c"]
    assert top(decay_rate=0) == ["b", "c", "d", "a"]
    assert top(decay_rate=-1, base_score_field="") == ["b", "c", "d", "a"]
    assert {hit.score for hit in Fact.query.top_by_decay(now=NOW, explain=True)} == {10.0}


def test_many_rows_of_one_moment_come_by_their_keys(store: Connection) -> None:
    with clock.frozen(lambda: NOW):
        Fact.bulk_create([Fact(name=f"f{number:03}") for number in range(300)])
    assert top(n=20) == [f"f{number:03}" for number in range(20)]
    assert len(top(n=1000)) == 300


def test_more_than_a_page_is_ordered_throughout(fake: Connection) -> None:
    with clock.frozen(lambda: NOW):
        Fact.bulk_create([Fact(name=f"f{number:04}") for number in range(1_200)])
    assert top(n=1_100) == [f"f{number:04}" for number in range(1_100)]


def test_rates_and_bases_of_the_query_count(store: Connection) -> None:
    aged("a", 1, 1.0, other=5.0)
    aged("b", 4, 50.0, other=None)
    aged("c", 100, -2.0, other=90.0)
    assert top() == ["b", "a", "c"]
    assert top(base_score_field="") == ["a", "b", "c"]
    assert top(base_score_field="other") == ["c", "a", "b"]
    assert top(decay_rate=-1.0) == ["b", "a", "c"]
    assert top(decay_rate=-1.0, base_score_field="") == ["c", "b", "a"]
    assert (top(n=0), top(n=-1), top(n=1.5)) == ([], [], ["b"])


def test_rows_that_1x_wrote_keep_their_bases(store: Connection, plain: Any) -> None:
    aged("a", 1, 1.0)
    aged("b", 4, 50.0)
    plain.delete("$DecayBase:Fact:fresh")
    assert top() == ["b", "a"]
    Fact.rebuild_indexes()
    assert plain.zscore("$DecayBase:Fact:fresh", "Fact:b") == 50.0


def test_a_hit_tells_its_parts(store: Connection) -> None:
    row = aged("a", 4, 50.0)
    found = Fact.query.top_by_decay(now=NOW, explain=True)
    assert found == [Hit(row, "Fact:a", 25.0, (Part("fresh", 25.0, 1.0, 25.0),))]


def test_a_partition_must_be_named(store: Connection) -> None:
    for number in range(4):
        Split(name=str(number), room="r:1", shelf="s" if number % 2 else None, fresh=NOW, other=NOW).save()
    assert names(Split.query.filter(room="r:1", shelf="s").top_by_decay("fresh")) == ["3", "1"]
    assert names(Split.query.filter(room="r:1", shelf=None).top_by_decay("fresh")) == ["2", "0"]
    assert len(Split.query.filter(room="r:1").top_by_decay("other")) == 4
    with pytest.raises(QueryException, match=r"fresh is partitioned by room, shelf; add shelf=\.\.\. to the filter"):
        Split.query.filter(room="r:1").top_by_decay("fresh")


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (Bare, {}, "no field that decays"),
        (Split, {}, "several fields that decay: name one of fresh, other"),
        (Fact, {"field_name": "weight"}, "Fact.weight does not decay"),
        (Fact, {"field_name": "frseh"}, r"Fact.frseh is no field; did you mean 'fresh'\?"),
        (Fact, {"base_score_field": "wieght"}, r"'wieght' is no int, float or Decimal field; did you mean 'weight'"),
        (Fact, {"base_score_field": "label"}, "'label' is no int, float or Decimal field"),
        (Fact, {"decay_rate": "x"}, "decay_rate='x' must be a finite number"),
        (Fact, {"now": float("nan")}, "now=nan must be a finite number"),
    ],
)
def test_what_cannot_be_ranked_is_refused(fake: Connection, model: Any, options: Any, message: str) -> None:
    with pytest.raises(QueryException, match=message), round_trips() as trips:
        model.query.top_by_decay(**options)
    assert trips == 0


def test_n_must_be_a_number(fake: Connection) -> None:
    with pytest.raises(TypeError, match="n=None must be an int"):
        Fact.query.top_by_decay(n=None)  # type: ignore[arg-type]


def test_a_cyclic_field_without_cycles_decays_only(store: Connection) -> None:
    class Calm(Model):
        name = KeyField()
        fresh = CyclicDecayField(decay_rate=0.5)

    Calm(name="a", fresh=NOW - 4 * DAY).save(skip_auto_now=True)
    assert Calm.query.top_by_decay(now=NOW, explain=True)[0].score == 0.5
