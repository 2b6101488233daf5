"""`Q`, expressions and `exclude` answer as Python would, row by row, whatever the indexes are."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from popoto import (
    CombinedExpression,
    Expression,
    Field,
    GeoField,
    IndexedField,
    IntField,
    KeyField,
    Model,
    Q,
    Query,
    QueryException,
    Relationship,
    SortedField,
    round_trips,
)
from popoto.queries import fetch


class Herd(Model):
    name = KeyField()


class Goat(Model):
    number = KeyField(type=int)
    age = IndexedField(type=int)
    weight = SortedField(type=int)
    place = SortedField(type=int, partition_by="age")
    horns = IntField()
    mood = IndexedField()
    at = GeoField()
    herd = Relationship(model=Herd)


Told = tuple[Q, Callable[[Goat], bool]]
GOATS = 120


def kilometres(goat: Goat) -> float:
    """The distance to 0, 0: all goats stand on the equator."""
    return math.inf if goat.at.longitude is None else math.radians(abs(goat.at.longitude)) * 6372.797560856


def herd_of(goat: Goat) -> str | None:
    return Goat.herd.key_of(goat)


LEAVES: list[Callable[[int], Told]] = [
    lambda v: (Q(), lambda g: True),
    lambda v: (Q(age=v % 5), lambda g: g.age == v % 5),
    lambda v: (Goat.age == v % 5, lambda g: g.age == v % 5),
    lambda v: (Goat.age != v % 5, lambda g: g.age != v % 5),
    lambda v: (Q(age__isnull=v % 2 == 0), lambda g: (g.age is None) == (v % 2 == 0)),
    lambda v: (Q(age__in=[v % 5, None, 9]), lambda g: g.age in (v % 5, None, 9)),
    lambda v: (Q(age__in=[]), lambda g: False),
    lambda v: (Q(weight__gt=v), lambda g: g.weight > v),
    lambda v: (Goat.weight <= v, lambda g: g.weight <= v),
    lambda v: (Goat.weight.between(v, v + 9), lambda g: v <= g.weight <= v + 9),
    lambda v: (Q(weight__in=[v, v + 1]), lambda g: g.weight in (v, v + 1)),
    lambda v: (Q(weight__gte=v, horns=1), lambda g: g.weight >= v and g.horns == 1),
    lambda v: (Q(age=v % 5, place__lt=v), lambda g: g.age == v % 5 and g.place < v),
    lambda v: (Q(age=None, place__gte=v), lambda g: g.age is None and g.place >= v),
    lambda v: (Q(horns=v % 3), lambda g: g.horns == v % 3),
    lambda v: (Q(horns__isnull=True), lambda g: g.horns is None),
    lambda v: (Q(number=v), lambda g: g.number == v),
    lambda v: (Q(number__in=[v, v * 2, 999]), lambda g: g.number in (v, v * 2)),
    lambda v: (Q(mood__startswith="a"), lambda g: (g.mood or "").startswith("a")),
    lambda v: (Q(mood__contains="-"), lambda g: "-" in (g.mood or "")),
    lambda v: (Q(mood="None"), lambda g: g.mood == "None"),
    lambda v: (Q(at=(0, 0), at_radius=v * 10, at_radius_unit="km"), lambda g: kilometres(g) <= v * 10),
    lambda v: (Q(at__isnull=True), lambda g: g.at.latitude is None),
    lambda v: (Q(herd=f"Herd:{v % 3}"), lambda g: herd_of(g) == f"Herd:{v % 3}"),
    lambda v: (Q(herd__isnull=False), lambda g: herd_of(g) is not None),
]
TREES: st.SearchStrategy[Told] = st.recursive(
    st.builds(lambda make, v: make(v), st.sampled_from(LEAVES), st.integers(0, 60)),
    lambda inner: st.one_of(
        st.builds(lambda a, b: (a[0] & b[0], lambda g: a[1](g) and b[1](g)), inner, inner),
        st.builds(lambda a, b: (a[0] | b[0], lambda g: a[1](g) or b[1](g)), inner, inner),
        st.builds(lambda a: (~a[0], lambda g: not a[1](g)), inner),
    ),
    max_leaves=6,
)


def goats(count: int = GOATS) -> list[Goat]:
    dice = random.Random(7)
    moods = [None, "None", "a-b", "a", "calm", "*", "a:b"]
    made = [
        Goat(
            number=number,
            age=dice.choice([None, 0, 1, 2, 3, 4]),
            weight=dice.randrange(60),
            place=dice.randrange(60),
            horns=dice.choice([None, 0, 1, 2]),
            mood=dice.choice(moods),
            at=dice.choice([None, (0.0, dice.randrange(60) / 10 + 0.05)]),
            herd=dice.choice([None, "Herd:0", "Herd:1"]),
        )
        for number in range(count)
    ]
    return Goat.bulk_create(made)


def test_random_trees_answer_as_python_would(store: Any):
    rows = goats()

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(TREES, st.integers(0, 20))
    def check(told: Told, most: int) -> None:
        condition, holds = told
        wanted = [row for row in rows if holds(row)]
        assert sorted(row.number for row in Goat.query.filter(condition)) == [row.number for row in wanted]
        assert Goat.query.filter(condition).count() == len(wanted)
        assert Goat.query.filter(condition).exists() == bool(wanted)
        ordered = sorted(wanted, key=lambda row: (row.weight, row.pk), reverse=True)
        found = Goat.query.filter(condition, order_by="-weight", limit=most)
        assert [row.number for row in found] == [row.number for row in ordered[:most]]
        assert len(Goat.query.filter(condition, limit=most)) == min(most, len(wanted))
        assert Goat.query.exclude(condition).count() == len(rows) - len(wanted)

    check()


def test_a_row_in_several_branches_counts_once_over_several_pages(server: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetch, "MOST_MEMBERS", 500)
    rows = goats(4000)
    either = Q(age=1) | Q(age__in=[1, 2]) | Q(weight__lt=10)
    wanted = sum(1 for row in rows if row.age in (1, 2) or row.weight < 10)
    assert Goat.query.filter(either).count() == wanted
    assert len(Goat.query.filter(either)) == wanted
    assert Goat.query.filter(Q(age=1) | Q(weight__gte=0)).count() == len(rows)


def test_conditions_take_one_round_trip(store: Any):
    goats()
    for condition in (Q(age=1) | Q(weight__gt=50), ~Q(age=1), (Q(age=1) & ~Q(horns=1)) | Q(number=3)):
        for ask in (lambda c: len(Goat.query.filter(c)), lambda c: Goat.query.filter(c).count()):
            with round_trips() as trips:
                ask(condition)
            assert trips == 1, condition


def test_conditions_and_keywords_hold_together(store: Any):
    rows = goats()
    found = Goat.query.filter(Q(weight__gt=10), Goat.weight < 30, age=2)
    assert sorted(row.number for row in found) == [row.number for row in rows if 10 < row.weight < 30 and row.age == 2]
    narrowed = Goat.query.filter(Q(weight__gt=10)).filter(Q(weight__lt=30)).filter(age=2)
    assert sorted(row.number for row in narrowed) == sorted(row.number for row in found)


def test_exclude_takes_all_its_conditions_together(store: Any):
    rows = goats()
    kept = Goat.query.exclude(Q(weight__gt=10), age=2)
    assert kept.count() == sum(1 for row in rows if not (row.weight > 10 and row.age == 2))
    both = Goat.query.exclude(age=2).exclude(age=3)
    assert both.count() == sum(1 for row in rows if row.age not in (2, 3))
    assert Goat.query.exclude().count() == 0


def test_excluding_leaves_rows_without_a_value(store: Any):
    goats()
    assert None in {row.age for row in Goat.query.exclude(age=1)}
    assert None in {row.age for row in Goat.query.filter(Goat.age != 1)}


def test_a_partition_may_be_named_by_an_outer_condition(store: Any):
    rows = goats()
    wanted = sorted(row.number for row in rows if row.age == 1 and (row.place > 30 or row.weight < 5))
    assert sorted(row.number for row in Goat.query.filter(Q(place__gt=30) | Q(weight__lt=5), age=1)) == wanted
    assert sorted(row.number for row in Goat.query.filter(Q(age=1) & (Q(place__gt=30) | Q(weight__lt=5)))) == wanted


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (Q(nope=1), "nope"),
        (Q(age__nope=1), "did you mean|there are"),
        (Q(age="x") | Q(weight=1), "age='x'"),
        (~Q(place__gt=1), "partitioned by age"),
        (Q(place__gt=1) | Q(age=1), "partitioned by age"),
        (Q(age__isnull=1), "True or False"),
        (Goat.weight > None, "None"),
    ],
)
def test_a_wrong_condition_is_refused_before_anything_is_sent(fake: Any, condition: Q, message: str):
    with round_trips() as trips, pytest.raises(QueryException, match=message):
        Goat.query.filter(condition)
    assert trips == 0


def test_what_is_no_condition_is_refused(fake: Any):
    with pytest.raises(QueryException, match="no condition"):
        Goat.query.filter("junk")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="conditions combine"):
        Q(age=1) & {"age": 1}
    with pytest.raises(TypeError, match="no truth value"):
        bool(Q(age=1) or Q(age=2))


def test_conditions_show_themselves():
    assert repr((Q(age=1) | ~Q(mood="x")) & (Goat.weight > 3)) == "((Q(age=1) | ~Q(mood='x')) & Q(weight__gt=3))"
    assert isinstance(Goat.weight > 3, Expression)
    assert isinstance(Q(age=1) & Q(age=2), CombinedExpression)


def test_fields_compare_with_fields_by_identity():
    assert (Goat.age == Goat.age) is True
    assert (Goat.age == Goat.weight) is False
    assert (Goat.age != Goat.weight) is True
    assert len({Goat.age, Goat.weight, Goat.age}) == 2


def test_async_queries_take_conditions(store: Any):
    rows = goats()
    wanted = sorted(row.number for row in rows if row.age == 1 or row.weight > 50)

    async def ask() -> None:
        condition = Q(age=1) | Q(weight__gt=50)
        assert sorted(row.number for row in await Goat.query.async_filter(condition)) == wanted
        assert sorted(row.number for row in await Goat.query.filter(condition)) == wanted
        assert await Goat.query.filter(condition).async_count() == len(wanted)
        assert await Goat.query.exclude(condition).async_count() == len(rows) - len(wanted)

    asyncio.run(ask())


def test_a_condition_can_be_used_again(store: Any):
    goats()
    young = Q(age=1)
    first = Goat.query.filter(young).count()
    assert Goat.query.filter(young | Q(age=2)).count() > first
    assert Goat.query.filter(young).count() == first


def test_a_stale_index_entry_does_not_deceive_a_negation(store: Any, plain: Any):
    class Sheep(Model):
        name = KeyField()
        kind = IndexedField()
        note = Field()

    Sheep.create(name="a", kind="x")
    plain.srem("$IndexF:Sheep:kind:x", "Sheep:a")
    plain.sadd("$IndexF:Sheep:kind:y", "Sheep:a")
    assert Sheep.query.filter(~Q(kind="x")).count() == 0
    assert Sheep.query.filter(~Q(kind="y")).count() == 1
    assert Sheep.query.filter(Q(kind="y") | Q(note="n")).count() == 0


class Lamb(Model):
    number = KeyField(type=int)
    tag = IndexedField()
    age = IndexedField(type=int)
    weight = SortedField(type=int)
    dam = Relationship(model="self")


def commands(plain: Any) -> int:
    """How many commands the server has run, those in scripts too."""
    return sum(one["calls"] for one in plain.info("commandstats").values())


def test_many_values_are_not_each_asked_for_each_row(server: Any, plain: Any):
    Lamb.bulk_create(
        [
            Lamb(number=n, tag=f"t{n}", age=n % 7, weight=n % 50, dam=f"Lamb:{n // 2}" if n else None)
            for n in range(1300)
        ]
    )
    tags = [f"t{n}" for n in range(1200)]
    queries: dict[str, tuple[Query[Lamb], Callable[[int], bool]]] = {
        "keyword": (Lamb.query.filter(tag__in=tags), lambda n: n < 1200),
        "condition": (Lamb.query.filter(Q(tag__in=tags)), lambda n: n < 1200),
        "nested": (
            Lamb.query.filter(Q(tag__in=tags) & (Q(tag__in=tags) & Q(age__in=[1, 2]))),
            lambda n: n % 7 in (1, 2),
        ),
        "either": (Lamb.query.filter(Q(tag__in=tags[:600]) | Q(tag__in=tags[600:])), lambda n: n < 1200),
        "tested": (Lamb.query.filter(tag__in=tags, weight__lt=20), lambda n: n < 1200 and n % 50 < 20),
        "ordered": (Lamb.query.filter(tag__in=tags, order_by="weight"), lambda n: n < 1200),
        "through": (Lamb.query.filter(dam__tag__in=tags), lambda n: n > 0),
    }
    for name, (query, wanted) in queries.items():
        before = commands(plain)
        found = sorted(lamb.number for lamb in query)
        spent = commands(plain) - before
        assert found == [n for n in range(1300) if wanted(n) and (name != "nested" or n < 1200)], name
        assert spent < 20_000, name
    before = commands(plain)
    assert Lamb.query.filter(Q(tag__in=tags, age=1)).count() == len([n for n in range(1200) if n % 7 == 1])
    assert commands(plain) - before < 20_000
